"""OpenAPI with the loaded models' own schemas and examples, made anew when the roles change."""

from collections.abc import Callable
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from serving.bundle import Bundle
from serving.worker import Worker

_TYPES = {"float": "number", "integer": "integer", "boolean": "boolean", "string": "string"}


def openapi_of(app: FastAPI, worker: Worker) -> Callable[[], dict[str, Any]]:
    """A replacement for `app.openapi`."""

    def openapi() -> dict[str, Any]:
        document = get_openapi(title=app.title, version=app.version, summary=_SUMMARY, routes=app.routes)
        generic = document["paths"].pop("/predict/{name}")
        for name in worker.catalog.names:
            path = f"/predict/{name}"
            document["paths"][path] = {"post": _without_name(generic["post"], name)}
            model = worker.catalog.models.get(name)
            if model is not None and "production" in model.roles:
                _describe(document["paths"][path]["post"], model.roles["production"].bundle)
        default = document["paths"][f"/predict/{worker.catalog.names[0]}"]["post"]
        for key in ("requestBody", "responses"):
            document["paths"]["/predict"]["post"][key] = default[key]
        return document

    return openapi


_SUMMARY = "Serves the production model of a registry, and records every answer."


def _without_name(operation: dict[str, Any], name: str) -> dict[str, Any]:
    parameters = [one for one in operation.get("parameters", ()) if one["name"] != "name"]
    return {
        **operation,
        "parameters": parameters,
        "operationId": f"predict_{name}",
        "summary": f"Answer with {name}",
        "requestBody": {"content": {"application/json": {"schema": {"type": "object"}}}},
    }


def _describe(operation: dict[str, Any], bundle: Bundle) -> None:
    row = row_schema(bundle)
    rows = {"type": "array", "items": row}
    forms = [row, *({"type": "object", "properties": {key: rows}, "required": [key]} for key in _ROW_LISTS)]
    content = {"schema": {"oneOf": forms}, "example": bundle.example}
    operation["requestBody"] = {"required": True, "content": {"application/json": content}}
    answer = {"application/json": {"schema": answer_schema(bundle)}}
    operation["responses"]["200"] = {"description": "One prediction per row", "content": answer}


_ROW_LISTS = ("instances", "dataframe_records")


def row_schema(bundle: Bundle) -> dict[str, Any]:
    """JSON Schema of one flat record."""
    properties = {
        column.name: {"type": [_TYPES[column.kind], "null"] if column.nullable else _TYPES[column.kind]}
        for column in bundle.signature.columns
    }
    return {
        "title": f"{bundle.model_name} row",
        "type": "object",
        "properties": properties,
        "required": [column.name for column in bundle.signature.columns],
        "additionalProperties": False,
    }


def answer_schema(bundle: Bundle) -> dict[str, Any]:
    """JSON Schema of the answer."""
    value: dict[str, Any] = {"enum": bundle.classes} if bundle.classes is not None else {"type": "number"}
    properties: dict[str, Any] = {"prediction": {"type": "array", "items": value}}
    if bundle.classes is not None:
        shares = {"type": "object", "additionalProperties": {"type": "number"}}
        properties["probabilities"] = {"type": "array", "items": shares}
    properties["event_ids"] = {"type": "array", "items": {"type": "string"}}
    return {"type": "object", "properties": properties, "required": ["prediction"]}
