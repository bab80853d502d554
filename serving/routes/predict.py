"""/predict as an ordinary FastAPI route; also where a version or role is named, which the fast path leaves alone."""

import asyncio
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from serving.replies import Reply
from serving.request import read_headers
from serving.routes.exchange import as_response, read_body, worker_of

router = APIRouter(tags=["predict"])
_Version = Annotated[str | None, Query(description="A loaded version to ask instead of production (role `direct`).")]
_Role = Annotated[str | None, Query(description="A role to ask instead of production, e.g. shadow (role `direct`).")]


@router.post("/predict", summary="Answer rows with the default model")
async def predict_default(request: Request, version: _Version = None, role: _Role = None) -> Response:
    """One flat record, or several rows as instances, inputs, dataframe_split or dataframe_records."""
    return await _predict(request, None, version, role)


@router.post("/predict/{name}", summary="Answer rows with a named model")
async def predict_named(request: Request, name: str, version: _Version = None, role: _Role = None) -> Response:
    """As /predict, with the model named."""
    return await _predict(request, name, version, role)


async def _predict(request: Request, name: str | None, version: str | None, role: str | None) -> Response:
    worker = worker_of(request)
    asked = read_headers(request.scope["headers"])
    if version is not None or role is not None:
        worker.admission.require(asked, "predict")
        served = worker.catalog.direct(name, role=role, version=version)
        return as_response(await worker.predictor.predict_direct(asked, await read_body(request), served))
    body = await read_body(request)
    future: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()

    def answer(reply: Reply) -> None:
        if not future.done():  # the caller may have gone
            future.set_result(reply)

    worker.predictor.predict(asked, body, name, answer)
    return as_response(await future)
