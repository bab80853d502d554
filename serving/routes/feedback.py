"""/feedback: labels, with the promise of predictions: a 200 means recorded."""

from datetime import UTC, datetime

from fastapi import APIRouter, Request

from serving import metrics
from serving.errors import ForbiddenError
from serving.feedback import Feedback, decode_feedback, label_events
from serving.request import Asked, read_headers, require_json
from serving.routes.exchange import read_body, worker_of
from streaming.events import Source

router = APIRouter(tags=["feedback"])


@router.post("/feedback", summary="Record the truth about rows answered before")
async def feedback(request: Request) -> dict[str, int]:
    """One label or a list: `label` with `event_id` (or `request_id` and `row`), `labelled_at`, `model_name`.

    Of two labels for one row the later `labelled_at` wins. With an `x-event-time` header (scope `simulate`) the
    labels belong to simulated predictions.
    """
    worker = worker_of(request)
    asked = read_headers(request.scope["headers"])
    worker.admission.enter(asked, "feedback")
    try:
        labels = await _record(request, asked)
    finally:
        worker.admission.leave()
    for label in labels:
        metrics.labels_total.labels(label.model_name or worker.catalog.names[0]).inc()
    return {"recorded": len(labels)}


async def _record(request: Request, asked: Asked) -> list[Feedback]:
    worker = worker_of(request)
    require_json(asked.content_type)
    body = await read_body(request)
    now, limits = datetime.now(UTC), worker.settings
    labels = decode_feedback(body, now=now, max_rows=limits.max_batch_rows, max_depth=limits.max_json_depth)
    simulated = asked.event_time is not None
    if simulated and not worker.admission.allows(asked, "simulate"):
        raise ForbiddenError("x-event-time needs an API key with the scope 'simulate'; leave the header out")
    source: Source = "simulated" if simulated else "http"
    await worker.record([label_events(labels, worker.catalog, now=now, source=source)])
    return labels
