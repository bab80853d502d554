"""OpenAPI with the loaded models' own schemas and examples, made anew when the roles change."""

import copy
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
        document: dict[str, Any] = get_openapi(
            title=app.title, version=app.version, summary=_SUMMARY, routes=app.routes
        )
        generic = document["paths"].pop("/predict/{name}")
        for name in worker.catalog.names:
            path = f"/predict/{name}"
            document["paths"][path] = {"post": _without_name(generic["post"], name)}
            model = worker.catalog.models.get(name)
            if model is not None and "production" in model.roles:
                _describe(document["paths"][path]["post"], model.roles["production"].bundle)
        for path, content in _OTHER_BODIES.items():
            _take_body(document["paths"][path]["post"], content)
        default = document["paths"][f"/predict/{worker.catalog.names[0]}"]["post"]
        for key in ("requestBody", "responses"):
            document["paths"]["/predict"]["post"][key] = default[key]
        return document

    return openapi


_SUMMARY = "Serves the production model of a registry, and records every answer."


def _without_name(operation: dict[str, Any], name: str) -> dict[str, Any]:
    parameters = [one for one in operation.get("parameters", ()) if one["name"] != "name"]
    return {
        **copy.deepcopy(operation),
        "parameters": parameters,
        "operationId": f"predict_{name}",
        "summary": f"Answer with {name}",
        "requestBody": {"required": True, "content": {"application/json": {"schema": {"type": "object"}}}},
    }


def _take_body(operation: dict[str, Any], content: dict[str, Any]) -> None:
    operation["requestBody"] = {"required": True, "content": content}
    operation["responses"]["422"] = _V2_ERROR if content is _INFER else _PROBLEMS


def _describe(operation: dict[str, Any], bundle: Bundle) -> None:
    row = row_schema(bundle)
    rows = {"type": "array", "items": row}
    forms = [row, rows, *({"type": "object", "properties": {key: rows}, "required": [key]} for key in _ROW_LISTS)]
    content = {"schema": {"oneOf": forms}, "example": bundle.example}
    _take_body(operation, {"application/json": content})
    answer = {"application/json": {"schema": answer_schema(bundle)}}
    operation["responses"]["200"] = {"description": "One prediction per row", "content": answer}


_ROW_LISTS = ("instances", "inputs", "dataframe_records")
_PROBLEM = {
    "type": "object",
    "properties": {
        "loc": {"type": "array", "items": {"type": ["string", "integer"]}},
        "msg": {"type": "string"},
        "type": {"type": "string"},
    },
    "required": ["loc", "msg", "type"],
}
_PROBLEMS = {
    "description": "One entry per bad field",
    "content": {
        "application/json": {
            "schema": {
                "type": "object",
                "properties": {
                    "detail": {"type": "array", "items": _PROBLEM},
                    "error_type": {"type": "string"},
                },
                "required": ["detail", "error_type"],
            }
        }
    },
}
_V2_ERROR = {
    "description": "What is wrong with the tensors",
    "content": {"application/json": {"schema": {"type": "object", "properties": {"error": {"type": "string"}}}}},
}
_SPLIT = {
    "type": "object",
    "properties": {"columns": {"type": "array"}, "data": {"type": "array"}},
    "required": ["data"],
}
_LABEL = {
    "type": "object",
    "properties": {
        "label": {"type": ["string", "number", "boolean"]},
        "event_id": {"type": ["string", "null"], "format": "uuid"},
        "request_id": {"type": ["string", "null"]},
        "row": {"type": "integer", "minimum": 0},
        "labelled_at": {"type": ["string", "null"], "format": "date-time"},
        "model_name": {"type": ["string", "null"]},
    },
    "required": ["label"],
    "additionalProperties": False,
}
_TENSOR = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "shape": {"type": "array", "items": {"type": "integer"}},
        "datatype": {"type": "string"},
        "data": {"type": "array"},
        "parameters": {"type": "object"},
    },
    "required": ["name", "shape", "datatype"],
}
_INFER = {
    "application/json": {
        "schema": {
            "type": "object",
            "properties": {
                "id": {"type": "string"},
                "inputs": {"type": "array", "items": _TENSOR},
                "outputs": {"type": "array"},
            },
            "required": ["inputs"],
        }
    },
    "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
}
_OTHER_BODIES: dict[str, dict[str, Any]] = {
    "/invocations": {
        "application/json": {"schema": {"type": "object", "properties": {"dataframe_split": _SPLIT}}},
        "text/csv": {"schema": {"type": "string"}},
    },
    "/feedback": {"application/json": {"schema": {"oneOf": [_LABEL, {"type": "array", "items": _LABEL}]}}},
    "/v2/models/{name}/infer": _INFER,
    "/v2/models/{name}/versions/{version}/infer": _INFER,
}


def row_schema(bundle: Bundle) -> dict[str, Any]:
    """JSON Schema of one flat record."""
    properties = {
        column.name: {"type": [_TYPES[column.kind], "null"] if column.takes_null else _TYPES[column.kind]}
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
    open_type = {"type": bundle.label_kind or "number"}
    value: dict[str, Any] = {"enum": bundle.classes} if bundle.classes is not None else open_type
    properties: dict[str, Any] = {"prediction": {"type": "array", "items": value}}
    if bundle.classes is not None:
        shares = {"type": "object", "additionalProperties": {"type": "number"}}
        properties["probabilities"] = {"type": "array", "items": shares}
    properties["event_ids"] = {"type": "array", "items": {"type": "string"}}
    return {"type": "object", "properties": properties, "required": ["prediction"]}
