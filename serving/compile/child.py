"""Starts the compile child, waits for it, and ends it when it takes too long. Free of scikit-learn."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Final

import msgspec

from serving.bundle import Bundle, read_bundle
from serving.compile.errors import CompileError, CompileTimeoutError
from serving.compile.request import CompileRequest, CompileResult

DEFAULT_TIMEOUT_SECONDS: Final = 300.0
_TAIL_BYTES: Final = 4000
_THREADS: Final = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
)
# The child yields to everybody else and dies with us, before it imports anything that is slow.
_BOOTSTRAP: Final = """
import ctypes, os, runpy, signal, sys, threading, time
parent = int(sys.argv.pop(1))
try:
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
except (AttributeError, OSError):
    os.nice(19)
def follow():
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)
else:
    threading.Thread(target=follow, daemon=True).start()
if os.getppid() != parent:
    sys.exit("the parent is gone")
runpy.run_module("serving.compile", run_name="__main__", alter_sys=True)
"""


def compile_in_child(request: CompileRequest, *, timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS) -> Bundle:
    """Compiles one model version in a process of its own at the lowest priority; blocks until it is done.

    The child reads the trust policy from the environment and `.env`, as we do. Call it from a thread that lives
    as long as the child may: Linux ends the child with the thread that started it.

    Raises:
        CompileError: With the child's message, and `error_type` of its kind (`artifact`, `forbidden_model`, …).
        CompileTimeoutError: The child was ended.
    """
    environment = os.environ | dict.fromkeys(_THREADS, "1") | {"PYTHONUTF8": "1"}
    child = subprocess.Popen(
        [sys.executable, "-c", _BOOTSTRAP, str(os.getpid())],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment,
        process_group=0,
    )
    try:
        output, errors = child.communicate(msgspec.json.encode(request), timeout=timeout_seconds)
    except subprocess.TimeoutExpired:
        raise CompileTimeoutError(
            f"compiling {request.model_name} version {request.model_version} took longer than {timeout_seconds:g} s"
        ) from None
    finally:
        _end(child)
        _remove_drafts(Path(request.out))
    return _bundle_of(request, output, errors, child.returncode)


def _end(child: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        if child.poll() is None:
            os.killpg(child.pid, signal.SIGKILL)
    child.communicate()


def _remove_drafts(out: Path) -> None:
    """What a child that was ended had not finished."""
    for draft in out.parent.glob(f".{out.name}.*"):
        shutil.rmtree(draft, ignore_errors=True)


def _bundle_of(request: CompileRequest, output: bytes, errors: bytes, code: int) -> Bundle:
    try:
        result = msgspec.json.decode(output.splitlines()[-1] if output else b"", type=CompileResult)
    except msgspec.DecodeError:
        tail = errors[-_TAIL_BYTES:].decode("utf-8", "replace").strip() or "it printed nothing"
        raise CompileError(f"the compile process ended with code {code}: {tail}") from None
    if result.error_type is not None:
        raise _error_of(result)
    return read_bundle(Path(request.out))


def _error_of(result: CompileResult) -> CompileError:
    error = CompileError(result.message)
    error.error_type = result.error_type or CompileError.error_type
    return error
