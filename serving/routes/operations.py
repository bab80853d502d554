"""For who runs the server: /models, /health, /ready, /metrics."""

import asyncio
from typing import Any

import msgspec
from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from serving.bundle import Bundle
from serving.catalog import ModelRoles, ServedModel
from serving.request import read_headers
from serving.routes.exchange import worker_of

router = APIRouter(tags=["operations"])
_MOST_VALUES = 100


@router.get("/health", summary="Is this process alive?")
async def health() -> dict[str, str]:
    """Always 200 while the process answers at all; /ready says whether it can predict."""
    return {"status": "alive"}


@router.get("/ready", summary="Can every model answer, and be recorded?")
async def ready(request: Request) -> Response:
    """200 when every model in MODELS has a production version loaded; else 503 with the reasons."""
    problems = worker_of(request).problems()
    body = {"status": "not ready" if problems else "ready", "problems": problems}
    headers = {"retry-after": "2"} if problems else {}
    return _json(body, 503 if problems else 200, headers)


@router.get("/models", summary="What is loaded, in which role, and how it was proven")
async def models(request: Request) -> Response:
    """Every model and role with version, engine, parity, latency, metrics and input schema; problems of the loader."""
    worker = worker_of(request)
    worker.admission.require(read_headers(request.scope["headers"]), "predict")
    loaded = worker.catalog.models
    rows = [{"model_name": name, **_model(loaded.get(name))} for name in worker.catalog.names]
    return _json({"models": rows})


def _model(model: ModelRoles | None) -> dict[str, Any]:
    if model is None:
        return {"generation": 0, "roles": {}, "problems": []}
    roles = {role: _role(served) for role, served in model.roles.items()}
    return {"generation": model.generation, "roles": roles, "problems": msgspec.to_builtins(model.problems)}


def _role(served: ServedModel) -> dict[str, Any]:
    bundle = served.bundle
    return {
        "model_version": bundle.model_version,
        "engine": bundle.engine,
        "engine_reason": bundle.engine_reason,
        "task": bundle.task,
        "classes": bundle.classes,
        "label_kind": bundle.label_kind,
        "digest": bundle.digest,
        "columns": _columns(bundle),
        "positional": bundle.signature.positional,
        "example": bundle.example,
        "parity": msgspec.to_builtins(bundle.parity),
        "latency_seconds_by_rows": {str(rows): took for rows, took in bundle.latency.seconds_by_rows.items()},
        "inline": served.engine.inline,
        "metrics": bundle.metrics,
        "trained_at": bundle.trained_at,
        "run_id": bundle.run_id,
    }


def _columns(bundle: Bundle) -> list[dict[str, Any]]:
    known = {}
    if bundle.vocabulary is not None:
        names = [column.name for column in bundle.signature.string_columns]
        known = dict(zip(names, bundle.vocabulary, strict=True))
    return [
        {
            "name": column.name,
            "type": column.kind,
            "nullable": column.nullable,
            **({"values": known[column.name][:_MOST_VALUES]} if known.get(column.name) else {}),
        }
        for column in bundle.signature.columns
    ]


@router.get("/metrics", summary="Prometheus metrics of all processes of this host", response_class=Response)
async def metrics(request: Request) -> Response:
    """Merged from all workers and roles in a thread, so that a scrape never delays an answer."""
    worker = worker_of(request)
    worker.admission.require(read_headers(request.scope["headers"]), "metrics")
    text = await asyncio.to_thread(_scrape, worker.metrics_folder is not None)
    return Response(text, media_type=CONTENT_TYPE_LATEST)


def _scrape(multiprocess: bool) -> bytes:
    if not multiprocess:
        return generate_latest()
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return generate_latest(registry)


def _json(body: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(msgspec.json.encode(body), status, headers, media_type="application/json")
