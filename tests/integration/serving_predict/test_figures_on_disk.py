"""What a worker has counted stands in its metrics file, whatever becomes of the worker."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

_PROCESS = """
import json
from prometheus_client import CollectorRegistry
from prometheus_client.multiprocess import MultiProcessCollector
from serving import metrics

figures = metrics.figures_of("m", "1", "production")
figures.count(3, 0, [0.001, 0.2])
metrics.predictions_total.labels("m", "1", "production", "ok").inc(4)
figures.count(0, 2, [9.0])
registry = CollectorRegistry()
MultiProcessCollector(registry)
print(json.dumps({f"{s.name}/{s.labels.get('outcome', '')}": s.value for f in registry.collect() for s in f.samples}))
"""


def test_what_is_added_stands_in_the_metrics_file_at_once(tmp_path: Path) -> None:
    environment = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", _PROCESS], env=environment, capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    assert found["predictions_total/ok"] == 7
    assert found["predictions_total/error"] == 2
    assert found["prediction_duration_seconds_count/"] == 3
    assert found["prediction_duration_seconds_sum/"] == pytest.approx(9.201)
