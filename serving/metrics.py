"""Every metric of this package, a meaning per line. Labels come from closed sets only."""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from functools import lru_cache

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
requests_total = Counter(
    "requests_total", "Answered HTTP requests that reached a model, by status.", ("model_name", "status")
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
    """Counters and histogram of one version in one role, updated once per batch."""

    def __init__(self, model_name: str, model_version: str, role: str) -> None:
        labels = (model_name, model_version, role)
        self._model_name = model_name
        self._ok = predictions_total.labels(*labels, "ok")
        self._error = predictions_total.labels(*labels, "error")
        self._answered = requests_total.labels(model_name, "200")
        self._duration = prediction_duration_seconds.labels(*labels)

    def answered(self, rows: int, durations: Sequence[float]) -> None:
        """Adds what a batch answered: rows, and one duration in seconds per request."""
        self._ok.inc(rows)
        self._answered.inc(len(durations))
        observe_all(self._duration, durations)

    def failed(self, rows: int, status: int, duration: float) -> None:
        """Adds one request that the model could not answer."""
        self._error.inc(rows)
        requests_total.labels(self._model_name, str(status)).inc()
        self._duration.observe(duration)


@lru_cache(maxsize=256)
def figures_of(model_name: str, model_version: str, role: str) -> AnswerFigures:
    """The figures of a version in a role, made once."""
    return AnswerFigures(model_name, model_version, role)


def observe_all(histogram: Histogram, values: Iterable[float]) -> None:
    """The same as `histogram.observe` of each value, in one update a bucket: a batch has few buckets, many values."""
    counts: dict[int, int] = {}
    total = 0.0
    for value in values:
        bucket = bisect_left(DURATION_BUCKETS, value)
        counts[bucket] = counts.get(bucket, 0) + 1
        total += value
    for bucket, count in counts.items():
        histogram._buckets[bucket].inc(count)  # noqa: SLF001 the library has no observation of many; a test compares
    histogram._sum.inc(total)  # noqa: SLF001 as above
