"""What this package counts; one line of meaning each."""

from typing import Final

from prometheus_client import Counter, Histogram

REGISTRY_FAILURES: Final = Counter(
    "registry_failures_total", "Calls that the registry or the artifact store did not answer, or answered with a fault."
)
ARTIFACT_FETCH_DURATION: Final = Histogram(
    "artifact_fetch_duration_seconds",
    "Time to fetch one model version's files, checked and in place.",
    ["model_name"],
    buckets=(0.1, 0.5, 1, 2, 5, 10, 30, 60, 300),
)
ARTIFACT_BYTES: Final = Counter("artifact_fetched_bytes_total", "Bytes of model files fetched.", ["model_name"])
MODEL_FILES_REFUSED: Final = Counter(
    "model_files_refused_total",
    "Model files fetched and not used, by reason: unusable (missing, corrupt or too large), changed (another digest "
    "than at first sight).",
    ["model_name", "reason"],
)
