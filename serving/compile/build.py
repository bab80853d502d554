"""Convert, prove, measure, write: from a fitted estimator to a bundle folder."""

import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np

from serving.bundle import Bundle, LatencyProfile
from serving.compile.convert import convert
from serving.compile.errors import CompileError, NotConvertibleError
from serving.compile.graph import Compiled, assemble
from serving.compile.measure import measure
from serving.compile.nulls import find_null_words, refused_nulls
from serving.compile.outcome import label_kind_of
from serving.compile.parity import Answer, judge_for, original_answers, prove, refusal
from serving.compile.parity_rows import RowGroup, as_rows, base_rows, groups, take
from serving.compile.request import CompileRequest
from serving.engines.logged import is_sklearn
from serving.engines.onnx import OnnxEngine
from serving.engines.original import OriginalModel
from serving.errors import EngineError
from serving.rows import LabelKind, Value
from serving.signature import Signature
from versioning import profile as reference_profile
from versioning.mlmodel import MlModel

_PROFILE_ROWS: Final = 200
_UNMEASURED: Final = LatencyProfile({})


@dataclass(frozen=True)
class Subject:
    """What is compiled: the estimator as loaded, and all that is known about its input.

    Attributes:
        described: Its MLmodel file; None for an estimator of scikit-learn.
    """

    estimator: Any
    signature: Signature
    example: Sequence[dict[str, Any]]
    profile: reference_profile.Profile | None = None
    described: MlModel | None = None

    @property
    def opaque(self) -> str:
        """Why the model cannot be looked into, in words; empty for scikit-learn's."""
        if self.described is None or is_sklearn(self.described):
            return ""
        return f"logged as {', '.join(self.described.flavors)} and not as sklearn: it can be asked, but not converted"

    @property
    def classes(self) -> list[Value] | None:
        """Labels in their own type; None for regressors.

        Raises:
            CompileError: The model has several outputs.
        """
        found = getattr(self.estimator, "classes_", None)
        if isinstance(found, list) or getattr(self.estimator, "n_outputs_", 1) != 1:
            raise CompileError("the model has several outputs: only single-output models are served")
        return None if found is None else np.asarray(found).tolist()


def build(request: CompileRequest, subject: Subject, now: datetime) -> Bundle:
    """Makes the bundle folder `request.out`, by rename once it is whole.

    Raises:
        CompileError: The model cannot answer its own example, or the folder cannot be written.
    """
    out = Path(request.out)
    if out.exists():
        raise CompileError(f"{out} is there already: a bundle never changes")
    with _draft_folder(out) as draft:
        bundle = _fill(draft, request, subject, now)
        (draft / "bundle.json").write_bytes(msgspec.json.format(msgspec.json.encode(bundle)))
        if request.profile is not None:
            shutil.copyfile(request.profile, draft / "profile.json")
        draft.rename(out)
    return bundle


@contextmanager
def _draft_folder(out: Path) -> Iterator[Path]:
    """A folder beside `out`, gone afterwards unless it was renamed."""
    out.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent))
    draft.chmod(0o755)
    try:
        yield draft
    except OSError as error:
        raise CompileError(f"the bundle cannot be written to {out}: {error}") from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _fill(draft: Path, request: CompileRequest, subject: Subject, now: datetime) -> Bundle:
    base = _known_rows(subject)
    label_kind = _label_kind(subject)
    original = OriginalModel(subject.estimator, subject.signature, subject.classes, label_kind)
    unproven = Bundle(
        model_name=request.model_name,
        model_version=request.model_version,
        digest=request.digest,
        engine="onnx",
        task="classifier" if subject.classes is not None or label_kind is not None else "regressor",
        classes=subject.classes,
        label_kind=label_kind,
        signature=subject.signature,
        example=_example(subject, base),
        latency=_UNMEASURED,
        created_at=now,
        trained_at=request.trained_at,
        metrics=request.metrics,
        run_id=request.run_id,
    )
    if subject.opaque:
        return _process_bundle(draft, request, (unproven, subject, original), reason=subject.opaque)
    try:
        try:
            return _onnx_bundle(draft, unproven, subject, original)
        except NotConvertibleError as reason:
            with suppress(NotConvertibleError):
                return _onnx_bundle(draft, unproven, subject, original, single=True)
            raise reason from None
    except NotConvertibleError as error:
        return _process_bundle(draft, request, (unproven, subject, original), reason=str(error))


def _label_kind(subject: Subject) -> LabelKind | None:
    """Of models that cannot be looked into; a scikit-learn model without classes is a regressor."""
    if not subject.opaque or subject.described is None:
        return None
    base = _groups(subject, {})[0]
    return label_kind_of(subject.estimator, subject.signature, subject.described.signature, base.rows)


def _onnx_bundle(
    draft: Path, unproven: Bundle, subject: Subject, original: OriginalModel, *, single: bool = False
) -> Bundle:
    converted = convert(subject.estimator, subject.signature, single=single)
    compiled = assemble(converted, subject.signature, {})
    words = _words(subject.signature, compiled)
    rows = _groups(subject, words)
    expected = [original_answers(original, group.rows) for group in rows]
    quartiles = subject.profile.prediction_quartiles if subject.profile is not None else ()
    why = partial(refusal, original, rows[0].rows)
    judge = judge_for(expected[0], classifier=subject.classes is not None, quartiles=quartiles, why=why)
    bundle = msgspec.structs.replace(unproven, vocabulary=compiled.vocabulary)
    candidates = dict.fromkeys(words, (*converted.null_words, "None", "nan", ""))
    with _engine(draft, bundle, compiled) as engine:
        null_words = find_null_words(engine, judge, rows, expected, signature=subject.signature, candidates=candidates)
        refused = refused_nulls(engine, rows, expected)
    compiled = assemble(converted, subject.signature, null_words)
    details = {"refuses_null": refused, "precision": "single" if single else "double"}
    bundle = msgspec.structs.replace(bundle, vocabulary=compiled.vocabulary, details=details)
    with _engine(draft, bundle, compiled) as engine:
        parity = prove(engine, judge, rows, expected)
        latency = measure(engine.predict, _answered(rows[0], expected[0]))
    return msgspec.structs.replace(bundle, parity=parity, latency=latency)


def _process_bundle(
    draft: Path, request: CompileRequest, known: tuple[Bundle, Subject, OriginalModel], *, reason: str
) -> Bundle:
    """The original's files, for the process engine; it has to answer its own rows."""
    unproven, subject, original = known
    base = _groups(subject, {})[0]
    expected = original_answers(original, base.rows)
    judge_for(expected, classifier=unproven.task == "classifier", why=partial(refusal, original, base.rows))
    (draft / "model.onnx").unlink(missing_ok=True)
    shutil.copytree(request.source, draft / "model")
    latency = measure(original.predict, _answered(base, expected))
    return msgspec.structs.replace(unproven, engine="process", engine_reason=reason, latency=latency)


@contextmanager
def _engine(draft: Path, bundle: Bundle, compiled: Compiled) -> Iterator[OnnxEngine]:
    path = draft / "model.onnx"
    path.write_bytes(compiled.model.SerializeToString())
    try:
        engine = OnnxEngine(draft, bundle)
    except EngineError as error:
        raise NotConvertibleError(f"onnxruntime refuses the converted model: {error}") from error
    try:
        yield engine
    finally:
        engine.close()


def _known_rows(subject: Subject) -> list[dict[str, Any]]:
    """Rows of the profile, else of the input example."""
    if subject.profile is not None:
        return reference_profile.sample_rows(subject.profile, _PROFILE_ROWS, seed=0)
    return list(subject.example)


def _groups(subject: Subject, words: Mapping[str, Sequence[str]]) -> list[RowGroup]:
    known = _known_rows(subject)
    kind = "ranges" if not known else "profile" if subject.profile is not None else "example"
    found = groups(subject.signature, base_rows(subject.signature, known, words), kind, words)
    if subject.profile is not None and subject.example:
        example = base_rows(subject.signature, subject.example, words)
        found.append(RowGroup("example", as_rows(subject.signature, example)))
    return found


def _words(signature: Signature, compiled: Compiled) -> dict[str, list[str]]:
    columns = [column.name for column in signature.string_columns]
    return dict(zip(columns, compiled.vocabulary or [], strict=True))


def _example(subject: Subject, known: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """A row to try: of the input example, else one that is known, else one made up."""
    names = [column.name for column in subject.signature.columns]
    for row in [*subject.example, *known]:
        if set(names) <= set(row) and not any(row[name] is None for name in names):
            return {name: row[name] for name in names}
    return base_rows(subject.signature, known, {})[0]


def _answered(base: RowGroup, expected: Sequence[Answer | None]) -> Any:
    return take(base.rows, [index for index, answer in enumerate(expected) if answer is not None])
