"""What the loader tells Prometheus about the versions in roles."""

from collections.abc import Iterable, Mapping

import psutil

from serving import metrics
from serving.bundle import Bundle, RoleTable

_ACCURACY = {
    "training_accuracy": metrics.model_training_accuracy,
    "evaluation_accuracy": metrics.model_evaluation_accuracy,
}


class Figures:
    """Used by one thread. A series cannot be taken back in multiprocess mode, so a lost role becomes 0."""

    def __init__(self) -> None:
        self._shown: dict[str, set[tuple[str, ...]]] = {}

    def show(self, table: RoleTable, bundles: Mapping[str, Bundle]) -> None:
        """Shows a published table; `bundles` by role."""
        current = {
            (table.model_name, bundle.model_version, role, bundle.engine): bundle for role, bundle in bundles.items()
        }
        for gone in self._shown.get(table.model_name, set()) - current.keys():
            metrics.model_info.labels(*gone).set(0)
        for labels, bundle in current.items():
            metrics.model_info.labels(*labels).set(1)
            _show_run(labels[:3], bundle)
        self._shown[table.model_name] = set(current)
        metrics.loader_problems.labels(table.model_name).set(len(table.problems))


def show_usage(pids: Iterable[int]) -> None:
    """Sets what the model processes that answer callers cost; the API's workers add their own."""
    cpu_seconds, memory_bytes = 0.0, 0
    for pid in pids:
        try:
            process = psutil.Process(pid)
            times, memory = process.cpu_times(), process.memory_info().rss
        except psutil.NoSuchProcess:
            continue
        cpu_seconds += times.user + times.system
        memory_bytes += memory
    metrics.model_cpu_seconds_total.labels("production").set(cpu_seconds)
    metrics.model_memory_bytes.labels("production").set(memory_bytes)


def _show_run(labels: tuple[str, ...], bundle: Bundle) -> None:
    if bundle.trained_at is not None:
        metrics.model_trained_timestamp_seconds.labels(*labels).set(bundle.trained_at.timestamp())
    for name, gauge in _ACCURACY.items():
        if name in bundle.metrics:
            gauge.labels(*labels).set(bundle.metrics[name])
