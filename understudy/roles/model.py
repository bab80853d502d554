"""One model that is not ONNX, behind a socket. The loader starts it, or the shadow for itself."""

import argparse
import sys
import warnings
from pathlib import Path

from serving.bundle import read_bundle
from serving.engines.model_batches import Predict
from serving.engines.model_process import serve_model
from serving.engines.process import socket_path
from serving.settings import ServingSettings
from understudy.process import stop_event


def main() -> int:
    """Loads the bundle's model and answers until told to stop."""
    parser = argparse.ArgumentParser(prog=sys.argv[0])
    parser.add_argument("--bundle", type=Path, required=True, help="a published bundle folder")
    parser.add_argument("--run-dir", type=Path, required=True, help="where the socket is to be")
    arguments = parser.parse_args()
    stop = stop_event()
    path = socket_path(arguments.bundle, arguments.run_dir)
    hang_seconds = ServingSettings().model_hang_seconds
    return serve_model(path, lambda: load(arguments.bundle), stop, hang_seconds=hang_seconds)


def load(folder: Path) -> Predict:
    """The bundle's own model, checked against the trust policy again and warmed with its example."""
    # Late: a process that finds its socket taken should end without having imported scikit-learn.
    from serving.engines.logged import load_logged
    from serving.engines.original import OriginalModel
    from serving.row_codec import RowCodec
    from versioning.mlmodel import read_mlmodel
    from versioning.settings import VersioningSettings
    from versioning.trust import trust_policy

    warnings.simplefilter("ignore")  # a stranger's model warns about itself at every call
    bundle = read_bundle(folder)
    source = folder / "model"
    logged = load_logged(source, read_mlmodel(source), trust_policy(VersioningSettings(), bundle.model_name))
    model = OriginalModel(logged, bundle.signature, bundle.classes, bundle.label_kind)
    codec = RowCodec(bundle.signature, ignore_unknown=True)
    model.predict(codec.rows([codec.from_features(bundle.example)]))
    return model.predict
