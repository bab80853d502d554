"""The off-the-shelf client against a running server: UNDERSTUDY_URL=http://127.0.0.1:8000 [UNDERSTUDY_API_KEY=…]."""

import json
import os
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

import numpy as np
import pytest
from tritonclient.http import InferenceServerClient, InferInput, InferRequestedOutput
from tritonclient.utils import InferenceServerException, triton_to_np_dtype

URL = os.environ.get("UNDERSTUDY_URL", "")
KEY = os.environ.get("UNDERSTUDY_API_KEY", "")

pytestmark = pytest.mark.skipif(not URL, reason="UNDERSTUDY_URL names no running server")


def headers() -> dict[str, str]:
    """New each time: the client writes into what it is given."""
    return {"X-API-Key": KEY} if KEY else {}


@pytest.fixture
def client() -> Iterator[Any]:
    client = InferenceServerClient(urlsplit(URL).netloc)
    yield client
    client.close()


@pytest.fixture
def model() -> str:
    with urlopen(Request(f"{URL}/models", headers=headers())) as response:
        models = json.load(response)
    return os.environ.get("UNDERSTUDY_MODEL") or str(next(iter(models["models"]))["name"])


def column_of(described: dict[str, Any], rows: int) -> np.ndarray[Any, Any]:
    shape = [rows, *described["shape"][1:]]
    if described["datatype"] == "BYTES":
        return np.full(shape, b"UA", dtype=np.object_)
    values = np.arange(1, 1 + int(np.prod(shape))).reshape(shape) % 12 + 1
    return values.astype(triton_to_np_dtype(described["datatype"]))


def inputs_of(metadata: dict[str, Any], rows: int, *, binary: bool) -> list[InferInput]:
    inputs = []
    for described in metadata["inputs"]:
        array = column_of(described, rows)
        tensor = InferInput(described["name"], list(array.shape), described["datatype"])
        inputs.append(tensor.set_data_from_numpy(array, binary_data=binary))
    return inputs


def test_the_server_and_its_model_are_live_and_ready(client: Any, model: str) -> None:
    assert client.is_server_live(headers=headers())
    assert client.is_server_ready(headers=headers())
    assert client.is_model_ready(model, headers=headers())
    assert client.get_server_metadata(headers=headers())["name"] == "understudy"


@pytest.mark.parametrize("rows", [1, 7])
def test_binary_and_json_tensors_get_the_same_answers(client: Any, model: str, rows: int) -> None:
    metadata = client.get_model_metadata(model, headers=headers())
    binary = client.infer(model, inputs_of(metadata, rows, binary=True), request_id="r-1", headers=headers())
    plain = client.infer(
        model,
        inputs_of(metadata, rows, binary=False),
        outputs=[InferRequestedOutput(output["name"], binary_data=False) for output in metadata["outputs"]],
        headers=headers(),
    )

    assert binary.get_response()["id"] == "r-1"
    for output in metadata["outputs"]:
        answer = binary.as_numpy(output["name"])
        assert answer.shape == (rows, *output["shape"][1:])
        assert [str(value) for value in answer.flatten()] == [
            str(value) for value in plain.as_numpy(output["name"]).flatten()
        ]


def test_a_bad_tensor_and_an_unknown_model_are_told_in_words(client: Any, model: str) -> None:
    metadata = client.get_model_metadata(model, headers=headers())
    unknown = InferInput("no such column", [2, 1], "FP32").set_data_from_numpy(np.zeros((2, 1), np.float32))
    inputs = [*inputs_of(metadata, 2, binary=True)[:-1], unknown]

    with pytest.raises(InferenceServerException, match="no such column"):
        client.infer(model, inputs, headers=headers())
    with pytest.raises(InferenceServerException, match="no model named"):
        client.infer("no-such-model", inputs, headers=headers())
