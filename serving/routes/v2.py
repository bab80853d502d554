"""The Open Inference Protocol, V2, with the binary-tensor extension; its clients work unchanged."""

from importlib.metadata import version as installed_version
from time import perf_counter
from typing import Any

import msgspec
from fastapi import APIRouter, Request, Response

from serving.catalog import ServedModel
from serving.errors import NotReadyError
from serving.protocol.v2_infer import decode_infer
from serving.protocol.v2_metadata import model_metadata, server_metadata
from serving.protocol.v2_outputs import AnsweredBy, encode_infer
from serving.recording import Call
from serving.replies import Reply, answer_head
from serving.request import read_headers
from serving.routes.exchange import as_response, read_body, worker_of

router = APIRouter(prefix="/v2", tags=["Open Inference Protocol V2"])
_MODEL = "/models/{name}"
_VERSION = "/models/{name}/versions/{version}"
_HEADER_LENGTH = "inference-header-content-length"


@router.get("", summary="About this server")
async def server() -> dict[str, Any]:
    """Name, version, extensions."""
    return server_metadata(installed_version("understudy"))


@router.get("/health/live", summary="Is this process alive?")
async def live() -> dict[str, bool]:
    """Always 200 while the process answers at all."""
    return {"live": True}


@router.get("/health/ready", summary="Can every model answer?")
async def ready(request: Request) -> Response:
    """200 when every model in MODELS has a production version loaded."""
    problems = worker_of(request).problems()
    return _json({"ready": not problems}, 503 if problems else 200)


@router.get(_MODEL, summary="About a model")
@router.get(_VERSION, summary="About a version of a model")
async def model(request: Request, name: str, version: str | None = None) -> Response:
    """Versions loaded, platform, inputs and outputs."""
    served = _served(request, name, version)
    roles = worker_of(request).catalog.models[served.bundle.model_name].roles.values()
    versions = sorted({one.bundle.model_version for one in roles}, key=lambda text: (len(text), text))
    bundle = served.bundle
    described = model_metadata(
        name,
        versions,
        bundle.signature,
        classes=bundle.classes,
        label_kind=bundle.label_kind,
        engine=bundle.engine,
    )
    return _json(described)


@router.get(_MODEL + "/ready", summary="Can this model answer?")
@router.get(_VERSION + "/ready", summary="Can this version answer?")
async def model_ready(request: Request, name: str, version: str | None = None) -> Response:
    """200 when it is loaded here."""
    try:
        _served(request, name, version)
    except NotReadyError:
        return _json({"name": name, "ready": False}, 503)
    return _json({"name": name, "ready": True})


@router.post(_MODEL + "/infer", summary="Answer tensors")
@router.post(_VERSION + "/infer", summary="Answer tensors with a named version (role `direct`)")
async def infer(request: Request, name: str, version: str | None = None) -> Response:
    """One tensor per column, or one matrix; outputs `predict` and, of classifiers, `probabilities`."""
    worker = worker_of(request)
    asked = read_headers(request.scope["headers"])
    worker.admission.require(asked, "predict")
    body = await read_body(request)
    started = perf_counter()
    served = _served(request, name, version)
    length = request.headers.get(_HEADER_LENGTH)
    wanted = decode_infer(
        body,
        length.encode() if length is not None else None,
        served.codec,
        classifier=served.bundle.classes is not None,
        max_rows=worker.settings.max_batch_rows,
        max_depth=worker.settings.max_json_depth,
    )
    call = worker.predictor.call(asked, served, wanted.rows, started)
    call.role = "production" if version is None else "direct"
    answers = await worker.predictor.submit(call, asked)
    bundle = served.bundle
    answered_by = AnsweredBy(name, bundle.model_version, bundle.classes, bundle.label_kind)
    encoded = encode_infer(answers, wanted.outputs, answered_by, request_id=wanted.request_id, event_ids=call.event_ids)
    return as_response(_reply(call, *encoded))


def _reply(call: Call, body: bytes, json_length: int | None) -> Reply:
    if json_length is None:
        return Reply(200, answer_head(call), body)
    head = answer_head(call, b"application/octet-stream")
    return Reply(200, head + b"inference-header-content-length: %d\r\n" % json_length, body)


def _served(request: Request, name: str, version: str | None) -> ServedModel:
    catalog = worker_of(request).catalog
    return catalog.production(name) if version is None else catalog.direct(name, role=None, version=version)


def _json(body: Any, status: int = 200) -> Response:
    return Response(msgspec.json.encode(body), status, media_type="application/json")
