"""The description of the API is whole, and what it shows works."""

from typing import Any

import pytest

METHODS = {"get", "put", "post", "delete", "options", "head", "patch", "trace"}


@pytest.fixture
def document(api: Any) -> dict[str, Any]:
    answer = api.get("/openapi.json")
    assert answer.status == 200
    return dict(answer.json)


def references(node: Any) -> list[str]:
    if isinstance(node, dict):
        own = [node["$ref"]] if isinstance(node.get("$ref"), str) else []
        return own + [found for value in node.values() for found in references(value)]
    return [found for value in node for found in references(value)] if isinstance(node, list) else []


def test_it_has_the_shape_of_openapi_3_1(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1.")
    assert document["info"]["title"] == "Understudy"
    assert document["info"]["version"]
    operations = [
        (path, method, operation) for path, item in document["paths"].items() for method, operation in item.items()
    ]
    assert {method for _, method, _ in operations} <= METHODS
    ids = [operation["operationId"] for _, _, operation in operations]
    assert len(set(ids)) == len(ids)
    for path, _, operation in operations:
        assert all(response["description"] for response in operation["responses"].values())
        placed = {one["name"] for one in operation.get("parameters", ()) if one["in"] == "path"}
        assert placed == {part[1:-1] for part in path.split("/") if part.startswith("{")}
    for reference in references(document):
        node: Any = document
        for part in reference.removeprefix("#/").split("/"):
            node = node[part]


def test_every_body_is_described(document: dict[str, Any]) -> None:
    for path in ("/predict", "/predict/iris", "/invocations", "/feedback", "/v2/models/{name}/infer"):
        body = document["paths"][path]["post"]["requestBody"]
        assert body["content"], path
        assert document["paths"][path]["post"]["responses"].keys() >= {"200", "422"}, path


@pytest.mark.parametrize("model", ["iris", "trips", "price"])
def test_each_model_has_its_own_schema_and_its_example_is_answered(
    api: Any, document: dict[str, Any], model: str
) -> None:
    operation = document["paths"][f"/predict/{model}"]["post"]
    content = operation["requestBody"]["content"]["application/json"]
    row = content["schema"]["oneOf"][0]

    answer = api.post(f"/predict/{model}", content["example"])

    assert answer.status == 200
    assert set(row["required"]) == set(row["properties"]) == set(content["example"])
    described = operation["responses"]["200"]["content"]["application/json"]["schema"]
    assert set(answer.json) <= set(described["properties"])
    allowed = described["properties"]["prediction"]["items"]
    assert answer.json["prediction"][0] in allowed["enum"] if "enum" in allowed else allowed == {"type": "number"}


def test_the_default_models_description_is_that_of_predict(document: dict[str, Any]) -> None:
    default, named = (document["paths"][path]["post"]["requestBody"] for path in ("/predict", "/predict/iris"))

    assert default == named


def test_floats_may_be_null_as_the_decoder_allows(document: dict[str, Any]) -> None:
    content = document["paths"]["/predict/trips"]["post"]["requestBody"]["content"]["application/json"]
    properties = content["schema"]["oneOf"][0]["properties"]

    assert properties["distance km"] == {"type": ["number", "null"]}
    assert properties["hour"] == {"type": "integer"}
    assert properties["carrier"] == {"type": ["string", "null"]}
    assert properties["wet"] == {"type": "boolean"}


def test_the_pages_for_people_are_there(api: Any) -> None:
    assert api.get("/docs").status == 200
