"""What a shadow costs: CPU and memory of its process and of the model processes it started."""

import psutil

from serving import metrics


def show_usage(role: str) -> None:
    """Sets `model_cpu_seconds_total` and `model_memory_bytes` of this role."""
    own = psutil.Process()
    cpu_seconds, memory_bytes = 0.0, 0
    for process in (own, *own.children(recursive=True)):
        try:
            times = process.cpu_times()
            memory_bytes += process.memory_info().rss
        except psutil.NoSuchProcess:
            continue
        cpu_seconds += times.user + times.system
    metrics.model_cpu_seconds_total.labels(role).set(cpu_seconds)
    metrics.model_memory_bytes.labels(role).set(memory_bytes)
