"""The compile child: a CompileRequest as JSON on standard input, a CompileResult as the last line of output."""

import os
import sys
import time
import warnings
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from serving.compile.build import Subject, build
from serving.compile.errors import CompileError
from serving.compile.request import CompileRequest, CompileResult
from serving.compile.source import example_rows, signature_of
from serving.engines.logged import load_logged
from versioning import profile as reference_profile
from versioning.errors import ArtifactError, ForbiddenModelError
from versioning.mlmodel import read_mlmodel
from versioning.settings import VersioningSettings
from versioning.trust import trust_policy


def compile_request(request: CompileRequest) -> CompileResult:
    """Loads what the trust policy allows, and builds the bundle; every expected failure is in the result."""
    start = time.monotonic()
    try:
        bundle = build(request, _subject(request), datetime.now(UTC))
    except ForbiddenModelError as error:
        return CompileResult(error_type="forbidden_model", message=str(error))
    except ArtifactError as error:
        return CompileResult(error_type="artifact", message=str(error))
    except CompileError as error:
        return CompileResult(error_type=error.error_type, message=str(error))
    seconds = round(time.monotonic() - start, 3)
    return CompileResult(engine=bundle.engine, engine_reason=bundle.engine_reason, seconds=seconds)


def _subject(request: CompileRequest) -> Subject:
    folder = Path(request.source)
    described = read_mlmodel(folder)
    model = load_logged(folder, described, trust_policy(VersioningSettings(), request.model_name))
    signature = signature_of(described, model)
    example = example_rows(described.example, signature)
    return Subject(model, signature, example, _profile(request.profile), described)


def _profile(path: str | None) -> reference_profile.Profile | None:
    if path is None:
        return None
    try:
        return reference_profile.decode(Path(path).read_bytes())
    except (OSError, ValueError) as error:
        raise CompileError(f"profile.json cannot be read: {error}") from error


def main() -> int:
    """Keeps standard output for the result alone: libraries that print go to standard error."""
    answer = os.dup(1)
    os.dup2(2, 1)
    warnings.simplefilter("ignore")
    result = compile_request(msgspec.json.decode(sys.stdin.buffer.read(), type=CompileRequest))
    os.write(answer, msgspec.json.encode(result) + b"\n")
    return 0 if result.error_type is None else 1


if __name__ == "__main__":
    sys.exit(main())
