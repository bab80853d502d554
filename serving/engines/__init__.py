"""What runs a model: `onnx` in this process, `process` behind a socket.

onnx                                  onnxruntime, in the caller's process
process  frames                       asks a model process, and how the two talk
model_process  model_batches          that process: the server, and many calls as one batch (pure)
original  logged                      the logged model behind it, and how it is loaded
model_keeper                          starts, adopts and restarts model processes
"""

from pathlib import Path

from serving.bundle import read_bundle
from serving.rows import Engine


def open_engine(
    bundle_folder: Path, run_dir: Path, *, timeout_seconds: float = 10.0, patience_seconds: float = 0.0
) -> Engine:
    """Opens the engine a bundle was made for.

    Args:
        bundle_folder: A published bundle.
        run_dir: Where the sockets of model processes are; who starts those processes decides it.
        timeout_seconds: Of a model process: longest wait for one answer.
        patience_seconds: Of a model process: how long to wait for one that is being restarted.

    Raises:
        EngineError: The bundle's model cannot be loaded.
    """
    bundle = read_bundle(bundle_folder)
    if bundle.engine == "onnx":
        from serving.engines.onnx import OnnxEngine  # noqa: PLC0415 a process engine's caller needs no onnxruntime

        return OnnxEngine(bundle_folder, bundle)
    from serving.engines.process import ProcessEngine, socket_path  # noqa: PLC0415 as above

    path = socket_path(bundle_folder, run_dir)
    return ProcessEngine(path, timeout_seconds=timeout_seconds, patience_seconds=patience_seconds)
