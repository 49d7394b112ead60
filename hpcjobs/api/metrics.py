"""``/metrics``: numbers for Prometheus."""

from __future__ import annotations

from litestar import MediaType, Response, get
from litestar.di import NamedDependency
from litestar.openapi.datastructures import ResponseSpec

from hpcjobs import metrics
from hpcjobs.api.access import METRICS_PATH, Asked, needs
from hpcjobs.api.common import ALL_PROBLEMS
from hpcjobs.errors import NotAllowed
from hpcjobs.identity import Scope
from hpcjobs.identity.policy import Identity
from hpcjobs.service import Service


@get(
    METRICS_PATH,
    security=needs(Scope.CLUSTERS_READ),
    responses={status: ALL_PROBLEMS[status] for status in (400, 401, 403, 429)}
    | {
        200: ResponseSpec(
            str, description="Prometheus' text format.", media_type=MediaType.TEXT, generate_examples=False
        )
    },
    media_type=MediaType.TEXT,
    summary="Numbers for Prometheus",
    description="Of the whole service, so for operators and admins; with `[metrics] open = true` in the settings for "
    "everybody who reaches the address, without a token.",
    tags=["health"],
)
async def numbers(request: Asked, service: NamedDependency[Service]) -> Response[str]:
    """Count."""
    who: Identity | None = request.scope.get("user")
    if who is not None and not who.sees_all:
        raise NotAllowed("These numbers are of everybody's jobs: for operators and admins.")
    text = await service.metrics.text()
    return Response(text, media_type=metrics.CONTENT_TYPE)  # type: ignore[arg-type]
