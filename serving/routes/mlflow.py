"""The addresses of MLflow's scoring server: /invocations, /ping, /version; its clients work unchanged."""

from importlib.metadata import version
from time import perf_counter

from fastapi import APIRouter, Request, Response

from serving import metrics
from serving.protocol.answers import encode_invocations
from serving.protocol.invocations_body import decode_invocations
from serving.replies import Reply, answer_head
from serving.request import read_headers
from serving.routes.exchange import as_response, read_body, worker_of

router = APIRouter(tags=["MLflow scoring protocol"])


@router.post("/invocations", summary="Answer rows as MLflow's scoring server does")
async def invocations(request: Request) -> Response:
    """dataframe_split, dataframe_records, instances or inputs as JSON, or text/csv; unknown columns are dropped."""
    worker = worker_of(request)
    asked = read_headers(request.scope["headers"])
    worker.admission.require(asked, "predict")
    body = await read_body(request)
    started = perf_counter()
    served = worker.catalog.production()
    limits = worker.settings
    rows, dropped = decode_invocations(
        body, asked.content_type, served.codec, max_rows=limits.max_batch_rows, max_depth=limits.max_json_depth
    )
    if dropped:
        metrics.extra_fields_total.labels(served.bundle.model_name).inc(dropped)
    call = worker.predictor.call(asked, served, rows, started)
    answers = await worker.predictor.submit(call, asked)
    return as_response(Reply(200, answer_head(call), encode_invocations(answers)))


@router.get("/ping", summary="MLflow's health check")
async def ping(request: Request) -> Response:
    """200 when every model can answer, as MLflow's server says it."""
    return Response("\n", 503 if worker_of(request).problems() else 200)


@router.get("/version", summary="The version of this server")
async def server_version() -> Response:
    """Plain text; MLflow's server says its own version here, this one says Understudy's."""
    return Response(version("understudy"), media_type="text/plain")
