"""The off-the-shelf client against our API, or a running server in UNDERSTUDY_URL [with UNDERSTUDY_API_KEY]."""

import json
import os
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

import numpy as np
import pytest
from tritonclient.http import InferenceServerClient, InferInput, InferRequestedOutput
from tritonclient.utils import InferenceServerException, triton_to_np_dtype

URL = os.environ.get("UNDERSTUDY_URL", "")
KEY = os.environ.get("UNDERSTUDY_API_KEY", "")
NAMES = ["", *(() if URL else ("trips", "price"))]


def headers() -> dict[str, str]:
    """New each time: the client writes into what it is given."""
    return {"X-API-Key": KEY} if KEY else {}


@pytest.fixture(scope="session")
def api(request: pytest.FixtureRequest) -> Any:
    """Our own API, started only where no running server is named."""
    start: Callable[..., Any] = request.getfixturevalue("start_api")
    return start()


@pytest.fixture(scope="session")
def url(request: pytest.FixtureRequest) -> str:
    return URL or str(request.getfixturevalue("api").url)


@pytest.fixture
def client(url: str) -> Iterator[Any]:
    client = InferenceServerClient(urlsplit(url).netloc)
    yield client
    client.close()


@pytest.fixture(params=NAMES, ids=lambda name: name or "default")
def model(url: str, request: pytest.FixtureRequest) -> str:
    if request.param:
        return str(request.param)
    with urlopen(Request(f"{url}/models", headers=headers())) as response:
        models = json.load(response)
    return os.environ.get("UNDERSTUDY_MODEL") or str(models["models"][0]["model_name"])


def column_of(described: dict[str, Any], rows: int) -> np.ndarray[Any, Any]:
    shape = [rows, *described["shape"][1:]]
    if described["datatype"] == "BYTES":
        return np.full(shape, b"UA", dtype=np.object_)
    values = np.arange(1, 1 + int(np.prod(shape))).reshape(shape) % 12 + 1
    return values.astype(triton_to_np_dtype(described["datatype"]))


def texts(answer: np.ndarray[Any, Any]) -> list[str]:
    """The client reads strings as bytes from binary tensors, as text from JSON."""
    return [value.decode() if isinstance(value, bytes) else str(value) for value in answer.flatten()]


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
        assert texts(answer) == texts(plain.as_numpy(output["name"]))


def test_a_bad_tensor_and_an_unknown_model_are_told_in_words(client: Any, model: str) -> None:
    metadata = client.get_model_metadata(model, headers=headers())
    unknown = InferInput("no such column", [2, 1], "FP32").set_data_from_numpy(np.zeros((2, 1), np.float32))
    inputs = [*inputs_of(metadata, 2, binary=True)[:-1], unknown]

    with pytest.raises(InferenceServerException, match="no such column"):
        client.infer(model, inputs, headers=headers())
    with pytest.raises(InferenceServerException, match="no model named"):
        client.infer("no-such-model", inputs, headers=headers())


@pytest.mark.skipif(bool(URL), reason="needs the models of the tests")
def test_one_tensor_per_column_and_one_matrix_say_the_same_and_are_recorded(api: Any, client: Any) -> None:
    rows = np.array([[5.1, 3.5, 1.4, 0.2], [6.3, 3.3, 6.0, 2.5]])
    names = [one["name"] for one in client.get_model_metadata("iris")["inputs"]]
    columns = [
        InferInput(name, [2, 1], "FP64").set_data_from_numpy(np.ascontiguousarray(rows[:, [index]]))
        for index, name in enumerate(names)
    ]
    matrix = [InferInput("input-0", [2, 4], "FP64").set_data_from_numpy(rows)]
    api.events()

    by_column = client.infer("iris", columns)
    by_matrix = client.infer("iris", matrix, model_version="1")

    for answer in (by_column, by_matrix):
        assert answer.as_numpy("predict").tolist() == [0, 2]
        assert answer.as_numpy("probabilities").sum(axis=1) == pytest.approx(1.0, abs=1e-5)
        assert (answer.get_response()["model_name"], answer.get_response()["model_version"]) == ("iris", "1")
    events = api.events()
    assert [event.role for event in events] == ["production"] * 2 + ["direct"] * 2
    assert [list(event.features.values()) for event in events] == rows.tolist() * 2
    told = [answer.get_response()["parameters"]["event_ids"] for answer in (by_column, by_matrix)]
    assert ",".join(told) == ",".join(event.event_id for event in events)


@pytest.mark.skipif(bool(URL), reason="needs the models of the tests")
def test_only_what_is_asked_for_is_answered(client: Any) -> None:
    matrix = [InferInput("x", [1, 4], "FP64").set_data_from_numpy(np.array([[5.1, 3.5, 1.4, 0.2]]))]

    likeliest = client.infer("iris", matrix, outputs=[InferRequestedOutput("probabilities", class_count=2)])

    assert [one["name"] for one in likeliest.get_response()["outputs"]] == ["probabilities"]
    first, second = (text.decode().split(":") for text in likeliest.as_numpy("probabilities").flatten())
    assert (first[1:], second[1:]) == (["0", "0"], ["1", "1"])
    with pytest.raises(InferenceServerException, match="no output"):
        client.infer("iris", matrix, outputs=[InferRequestedOutput("colour")])
    with pytest.raises(InferenceServerException, match="loaded versions: 1"):
        client.infer("iris", matrix, model_version="9")
