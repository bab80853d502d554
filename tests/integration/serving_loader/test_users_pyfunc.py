"""A user's own Python model beside ours: refused, allowed, served over HTTP."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cloudpickle  # type: ignore[import-untyped] # ships no types
import numpy as np
import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.multiprocess import MultiProcessCollector

from versioning.mlflow_edge import quiet

with quiet():
    import mlflow.pyfunc
    from mlflow.models import infer_signature

pytestmark = pytest.mark.slow
cloudpickle.register_pickle_by_value(sys.modules[__name__])  # the processes have no tests to import


def over_three(model_input):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN201 - mlflow warns about hints
    return np.where(model_input.sum(axis=1) > 3, "over", "under")


@pytest.fixture(autouse=True)
def _version_3(house: Any) -> None:
    folder = house.folder / "users"
    with quiet():
        signature = infer_signature(np.ones((2, 3), dtype="float32"))
        mlflow.pyfunc.save_model(folder, python_model=over_three, signature=signature, pip_requirements=["numpy"])
    house.registry.register("iris", str(folder))


def memory_bytes(folder: Path) -> float:
    """What the loader says its model processes hold."""
    registry = CollectorRegistry()
    MultiProcessCollector(registry, path=str(folder))  # type: ignore[no-untyped-call] # the library has no types here
    return registry.get_sample_value("model_memory_bytes", {"role": "production"}) or 0.0


def test_it_is_refused_by_name_then_allowed_and_answers_matrices_in_every_protocol(
    house: Any, until: Callable[..., None], start_api: Callable[..., Any]
) -> None:
    house.registry.set_alias("iris", "production", "1")
    loader = house.start()
    until(lambda: house.roles("iris") == {"production": "1"}, 90)
    house.registry.set_alias("iris", "production", "3")
    until(lambda: "forbidden_model" in house.problems("iris"), 90)
    assert "set ALLOW_PICKLE=iris" in house.problems("iris")["forbidden_model"]
    assert house.roles("iris") == {"production": "1"}

    loader.terminate()
    loader.wait(30)
    house.settings = {"ALLOW_PICKLE": "iris", "PROMETHEUS_MULTIPROC_DIR": str(house.folder / "figures")}
    (house.folder / "figures").mkdir()
    house.start()
    until(lambda: house.roles("iris") == {"production": "3"}, 90)
    assert house.problems("iris") == {}

    figures = house.folder / "figures"
    until(lambda: memory_bytes(figures) > 10_000_000)
    api = start_api(DATA_DIR=str(house.folder), MODELS="iris")
    until(lambda: api.get("/ready").status == 200)
    rows = api.post("/predict/iris", {"instances": [[1, 1, 2], [0.5, 0, 0]]})
    assert (rows.status, rows.json["prediction"]) == (200, ["over", "under"])
    matrix = {"name": "input-0", "shape": [2, 3], "datatype": "FP32", "data": [1, 1, 2, 0.5, 0, 0]}
    tensors = api.post("/v2/models/iris/infer", {"inputs": [matrix]}).json["outputs"]
    assert tensors == [{"name": "predict", "datatype": "BYTES", "shape": [2], "data": ["over", "under"]}]
    role = api.get("/models").json["models"][0]["roles"]["production"]
    assert (role["engine"], role["task"], role["classes"], role["label_kind"]) == (
        "process",
        "classifier",
        None,
        "string",
    )
    event_id = rows.json["event_ids"][0]
    assert api.post("/feedback", {"event_id": event_id, "label": "a word of its own"}).status == 200
    assert "send a string" in api.post("/feedback", {"event_id": event_id, "label": 1}).problems["body.label"]
