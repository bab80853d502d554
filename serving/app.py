"""The FastAPI application of one worker: routes, OpenAPI, and errors as HTTP."""

import contextlib
from collections.abc import AsyncIterator

from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException

from serving import metrics
from serving.errors import ServingError, UnknownModelError, WrongMethodError
from serving.openapi import openapi_of
from serving.replies import error_reply, v2_error_reply
from serving.request import read_headers
from serving.routes import feedback, mlflow, operations, predict, v2
from serving.routes.exchange import CallerLeftError, as_response
from serving.worker import Worker


def create_app(worker: Worker, version: str) -> FastAPI:
    """The application of a worker; `serving.fast_path` answers /predict ahead of it."""

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with worker.running():
            yield

    app = FastAPI(title="Understudy", version=version, lifespan=lifespan)
    app.state.worker = worker
    for module in (predict, mlflow, v2, feedback, operations):
        app.include_router(module.router)
    app.add_exception_handler(ServingError, _on_error)
    app.add_exception_handler(CallerLeftError, _on_caller_left)
    app.add_exception_handler(404, _on_unknown_path)
    app.add_exception_handler(405, _on_wrong_method)
    app.add_exception_handler(Exception, _on_crash)
    app.openapi = openapi_of(app, worker)  # type: ignore[method-assign]  # FastAPI's documented way to extend it
    return app


async def _on_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, ServingError)
    request_id = read_headers(request.scope["headers"]).request_id
    shape = v2_error_reply if request.url.path.startswith("/v2") else error_reply
    return as_response(shape(error, request_id))


async def _on_caller_left(_request: Request, _error: Exception) -> Response:
    return Response(status_code=499)


async def _on_unknown_path(request: Request, _error: Exception) -> Response:
    return await _on_error(request, UnknownModelError(f"no such address: {request.url.path}; see /docs"))


async def _on_wrong_method(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    allowed = (error.headers or {}).get("Allow", "")
    told = WrongMethodError(f"{request.method} is not possible on {request.url.path}: use {allowed}")
    response = await _on_error(request, told)
    response.headers["allow"] = allowed
    return response


async def _on_crash(request: Request, _error: Exception) -> Response:
    """A fault of ours: the server logs its cause once this has answered."""
    metrics.crashed_batches_total.inc()
    return await _on_error(request, ServingError("the server failed on this request; its log has the cause"))
