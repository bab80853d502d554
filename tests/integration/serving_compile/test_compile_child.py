"""The compile child as the loader uses it: a process, its failures and its end."""

import json
import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
import skops.io
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import RandomForestClassifier

from serving.bundle import read_bundle
from serving.compile.child import compile_in_child
from serving.compile.errors import CompileError, CompileTimeoutError
from serving.compile.request import CompileRequest
from serving.engines.onnx import OnnxEngine

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model's folder as MLflow writes it."""
    folder = tmp_path_factory.mktemp("models") / "source"
    folder.mkdir()
    cancer = load_breast_cancer(as_frame=True)
    skops.io.dump(RandomForestClassifier(100, random_state=0).fit(cancer.data, cancer.target), folder / "model.skops")
    columns = json.dumps([{"name": name, "type": "double", "required": True} for name in cancer.data.columns])
    described = {
        "flavors": {"sklearn": {"pickled_model": "model.skops", "serialization_format": "skops"}},
        "signature": {"inputs": columns, "outputs": None},
    }
    (folder / "MLmodel").write_text(json.dumps(described))  # JSON is YAML
    return folder


def _request(source: Path, folder: Path) -> CompileRequest:
    out = str(folder / "bundles" / "1-abc")
    return CompileRequest(source=str(source), out=out, model_name="cancer", model_version="1", digest="abc")


def test_a_child_makes_a_whole_bundle(source: Path, tmp_path: Path) -> None:
    bundle = compile_in_child(_request(source, tmp_path))

    folder = tmp_path / "bundles" / "1-abc"
    assert (bundle.engine, bundle.engine_reason) == ("onnx", "")
    assert [each.name for each in (tmp_path / "bundles").iterdir()] == ["1-abc"]
    assert read_bundle(folder) == bundle
    OnnxEngine(folder, bundle).close()


def test_a_folder_without_a_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(CompileError, match="no MLmodel file") as caught:
        compile_in_child(_request(tmp_path, tmp_path))
    assert caught.value.error_type == "artifact"


def test_a_pickle_that_is_not_allowed_is_never_loaded(tmp_path: Path) -> None:
    (tmp_path / "model.pkl").write_bytes(b"cos\nsystem\n(S'touch " + str(tmp_path / "owned").encode() + b"'\ntR.")
    flavors = {"sklearn": {"pickled_model": "model.pkl", "serialization_format": "cloudpickle"}}
    (tmp_path / "MLmodel").write_text(json.dumps({"flavors": flavors}))

    with pytest.raises(CompileError, match="ALLOW_PICKLE=cancer") as caught:
        compile_in_child(_request(tmp_path, tmp_path))

    assert caught.value.error_type == "forbidden_model"
    assert not (tmp_path / "owned").exists()


def test_a_corrupt_model_is_an_error_and_leaves_nothing_behind(source: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "MLmodel").write_bytes((source / "MLmodel").read_bytes())
    (broken / "model.skops").write_bytes((source / "model.skops").read_bytes()[:5000])

    with pytest.raises(CompileError, match="corrupt") as caught:
        compile_in_child(_request(broken, tmp_path))

    assert caught.value.error_type == "artifact"
    assert not (tmp_path / "bundles").exists()


def test_a_bundle_is_never_written_over(source: Path, tmp_path: Path) -> None:
    compile_in_child(_request(source, tmp_path))

    with pytest.raises(CompileError, match="a bundle never changes"):
        compile_in_child(_request(source, tmp_path))


def test_a_child_that_takes_too_long_is_ended(source: Path, tmp_path: Path) -> None:
    (tmp_path / "bundles").mkdir()
    (tmp_path / "bundles" / ".1-abc.left").mkdir()

    with pytest.raises(CompileTimeoutError, match=r"cancer version 1 took longer than 0\.2 s"):
        compile_in_child(_request(source, tmp_path), timeout_seconds=0.2)

    assert list((tmp_path / "bundles").iterdir()) == []


@pytest.mark.skipif(sys.platform != "linux", reason="pidfd is Linux's")
def test_a_child_dies_with_its_parent(source: Path, tmp_path: Path) -> None:
    program = (
        "import sys, msgspec, subprocess; from serving.compile import child, request\n"
        "asked = msgspec.json.decode(sys.stdin.buffer.read(), type=request.CompileRequest)\n"
        "started = subprocess.Popen\n"
        "def start(*args, **kwargs):\n"
        "    one = started(*args, **kwargs)\n"
        "    print(one.pid, flush=True)\n"
        "    return one\n"
        "subprocess.Popen = start\n"
        "child.compile_in_child(asked)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
        assert parent.stdin is not None
        assert parent.stdout is not None
        parent.stdin.write(msgspec.json.encode(_request(source, tmp_path)))
        parent.stdin.close()
        child_pid = int(parent.stdout.readline())
        parent.send_signal(signal.SIGKILL)

    assert _ends(child_pid, within_seconds=30)


def _ends(pid: int, *, within_seconds: float) -> bool:
    try:
        process = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([process], [], [], within_seconds)[0])
    finally:
        os.close(process)
