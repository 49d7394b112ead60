"""``/v1/audit``: who asked for what, for admins."""

from __future__ import annotations

from typing import Annotated

from litestar import get
from litestar.di import NamedDependency
from litestar.params import QueryParameter

from hpcjobs.api.access import Asked, needs
from hpcjobs.api.common import ALL_PROBLEMS
from hpcjobs.api.jobs import MAX_LIMIT
from hpcjobs.identity.policy import Scope
from hpcjobs.model.audit import AuditPage
from hpcjobs.service import Service
from hpcjobs.store import audit
from hpcjobs.store.audit import AuditFilter

MAX_SEQ = 2**62


@get(
    "/v1/audit",
    security=needs(Scope.ADMIN),
    responses={status: ALL_PROBLEMS[status] for status in (400, 401, 403, 429, 503)},
    summary="Audit log",
    description="Every request that changes something, and every refused one, newest first. `hash` ties each entry to "
    "all before it; `hpcjobs audit verify` checks the chain.",
    tags=["identity"],
)
async def trail_page(
    request: Asked,
    service: NamedDependency[Service],
    user: Annotated[str | None, QueryParameter(description="Whose requests.")] = None,
    action: Annotated[
        str | None, QueryParameter(description="Method and route, as `DELETE /v1/jobs/{job_id}`.")
    ] = None,
    status: Annotated[int | None, QueryParameter(ge=100, le=599, description="HTTP status of the answer.")] = None,
    request_id: Annotated[str | None, QueryParameter(description="X-Request-ID of the answer.")] = None,
    since: Annotated[float | None, QueryParameter(description="Unix seconds; at or after it.")] = None,
    until: Annotated[float | None, QueryParameter(description="Unix seconds; before it.")] = None,
    cursor: Annotated[
        int | None, QueryParameter(ge=1, le=MAX_SEQ, description="`next_cursor` of the page before.")
    ] = None,
    limit: Annotated[int, QueryParameter(ge=1, le=MAX_LIMIT, description="Most entries of the page.")] = 100,
) -> AuditPage:
    """List."""
    wanted = AuditFilter(user, action, status, request_id, since, until)
    entries = await service.store.read(audit.page, wanted, cursor, limit + 1)
    items = entries[:limit]
    return AuditPage(items, items[-1].seq if len(entries) > limit else None)
