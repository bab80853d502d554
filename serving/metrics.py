"""Every metric of this package, a meaning per line. Labels come from closed sets only."""

from bisect import bisect_left
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any

from prometheus_client import Counter, Gauge, Histogram

_MODEL = ("model_name", "model_version", "role")
DURATION_BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)

predictions_total = Counter("predictions_total", "Rows answered, by the outcome of the model.", (*_MODEL, "outcome"))
prediction_duration_seconds = Histogram(
    "prediction_duration_seconds",
    "From a request's body being read to its answer being ready, recorded; in seconds.",
    _MODEL,
    buckets=DURATION_BUCKETS,
)
rejected_total = Counter("rejected_total", "Requests refused before a model saw them, by reason.", ("reason",))
extra_fields_total = Counter(
    "extra_fields_total", "Fields dropped because the model does not know them.", ("model_name",)
)
labels_total = Counter("labels_total", "Labels recorded.", ("model_name",))
model_swaps_total = Counter(
    "model_swaps_total", "Times a worker took over a newly published role table.", ("model_name",)
)
model_info = Gauge(
    "model_info", "1 for each version that has a role here.", (*_MODEL, "engine"), multiprocess_mode="livemax"
)
model_cpu_seconds_total = Gauge(
    "model_cpu_seconds_total",
    "CPU time of the processes that answer in this role, in seconds.",
    ("role",),
    multiprocess_mode="livesum",
)
model_memory_bytes = Gauge(
    "model_memory_bytes",
    "Resident memory of the processes that answer in this role, in bytes.",
    ("role",),
    multiprocess_mode="livesum",
)
crashed_batches_total = Counter(
    "crashed_batches_total", "Batches lost to a fault of ours; each is logged with its cause."
)

# the loader and its model processes
loader_polls_total = Counter(
    "loader_polls_total", "Times the loader read the aliases: ok or unavailable.", ("outcome",)
)
loader_problems = Gauge(
    "loader_problems",
    "Roles that are not what the registry says they should be; the reason stands in /models.",
    ("model_name",),
    multiprocess_mode="livemostrecent",
)
bundles_built_total = Counter(
    "bundles_built_total", "Versions fetched, checked and compiled, by outcome: ok or error.", ("model_name", "outcome")
)
model_trained_timestamp_seconds = Gauge(
    "model_trained_timestamp_seconds",
    "When the version in this role was trained, in seconds since 1970.",
    _MODEL,
    multiprocess_mode="livemostrecent",
)
model_training_accuracy = Gauge(
    "model_training_accuracy",
    "Accuracy on its training data of the version in this role, from its run.",
    _MODEL,
    multiprocess_mode="livemostrecent",
)
model_evaluation_accuracy = Gauge(
    "model_evaluation_accuracy",
    "Accuracy on its test data of the version in this role, from its run.",
    _MODEL,
    multiprocess_mode="livemostrecent",
)
model_process_restarts_total = Counter("model_process_restarts_total", "Model processes that ended by themselves.")
shadow_skipped_total = Counter(
    "shadow_skipped_total", "Log records a shadow could not read as events; the indexer keeps them.", ("model_name",)
)
failed_swaps_total = Counter(
    "failed_swaps_total", "Times a worker could not take over a published role table and kept the old."
)


class AnswerFigures:
    """Counters and histogram of one version in one role, updated once per batch, by one thread."""

    def __init__(self, model_name: str, model_version: str, role: str) -> None:
        labels = (model_name, model_version, role)
        self._ok = _adder(predictions_total.labels(*labels, "ok"))
        self._error = _adder(predictions_total.labels(*labels, "error"))
        self._observe = observer(prediction_duration_seconds.labels(*labels))

    def count(self, answered_rows: int, failed_rows: int, durations: Iterable[float]) -> None:
        """Adds a batch: rows by outcome, and one duration in seconds per request."""
        if answered_rows:
            self._ok(answered_rows)
        if failed_rows:
            self._error(failed_rows)
        self._observe(durations)


@lru_cache(maxsize=256)
def figures_of(model_name: str, model_version: str, role: str) -> AnswerFigures:
    """The figures of a version in a role, made once."""
    return AnswerFigures(model_name, model_version, role)


Add = Callable[[float], None]


def observer(histogram: Histogram) -> Callable[[Iterable[float]], None]:
    """A function that observes many values at once: a batch has few buckets and many values."""
    buckets = [_value_adder(bucket) for bucket in histogram._buckets]  # noqa: SLF001 a test compares with `observe`
    add_sum = _value_adder(histogram._sum)  # noqa: SLF001 as above

    def observe(values: Iterable[float]) -> None:
        counts: dict[int, int] = {}
        total = 0.0
        for value in values:
            bucket = bisect_left(DURATION_BUCKETS, value)
            counts[bucket] = counts.get(bucket, 0) + 1
            total += value
        for bucket, count in counts.items():
            buckets[bucket](count)
        add_sum(total)

    return observe


def _adder(counter: Counter) -> Add:
    return _value_adder(counter._value)  # noqa: SLF001 a test compares with `inc`


def _value_adder(value: Any) -> Add:
    """`value.inc` without its lock and its look at the process id, which take two thirds of its time.

    The value goes to the process's metrics file at once all the same, so that a killed process loses nothing. Only
    for values that one thread alone changes.
    """
    file = getattr(value, "_file", None)
    if file is None:  # one process, no files
        add: Add = value.inc
        return add
    key = value._key  # noqa: SLF001 the library has no quicker way to add to a value of its files

    def add_to_file(amount: float) -> None:
        value._value += amount  # noqa: SLF001 as above
        file.write_value(key, value._value, 0.0)  # noqa: SLF001 as above

    return add_to_file
