"""``/v1/report-schedules`` and ``/v1/alerts``: what goes out by itself."""

from __future__ import annotations

from typing import Annotated

from litestar import Controller, Response, delete, get, post
from litestar.di import NamedDependency
from litestar.params import JSONBody, PathParameter, QueryParameter

from hpcjobs.api.access import Asked, needs
from hpcjobs.api.common import problems
from hpcjobs.identity import Scope
from hpcjobs.identity.policy import require_scope
from hpcjobs.model.alert import Alert, AlertMade, AlertRequest, AlertShown
from hpcjobs.model.schedule import (
    NAME,
    ReportSchedule,
    ReportScheduleMade,
    ReportScheduleRequest,
    ReportScheduleShown,
)
from hpcjobs.service import Service

Named = Annotated[str, PathParameter(pattern=NAME, description="Its name.")]
Whose = Annotated[str | None, QueryParameter(description="Whose; the caller's own where left out. For operators.")]


class ReportSchedulesController(Controller):
    """Reports by the clock."""

    path = "/v1/report-schedules"
    tags = ("reports",)

    @post(
        security=needs(Scope.EVENTS_WRITE),
        responses=problems(409),
        summary="Have a report sent by the clock",
        description="To mail addresses, and to URLs: these are POSTed the file, signed as webhooks are, with the "
        "`secret` of the answer. Each report tells what its owner may see when it is sent; what was missed while the "
        "service was away comes once. What is not taken is tried again for a day. The token must be for `jobs:read`, "
        "too.",
    )
    async def make(
        self, request: Asked, service: NamedDependency[Service], data: JSONBody[ReportScheduleRequest]
    ) -> Response[ReportScheduleMade]:
        """Make."""
        require_scope(request.user, [Scope.JOBS_READ])
        made, secret = await service.schedules.add(request.user, data)
        headers = {"Location": f"/v1/report-schedules/{made.asked.name}"}
        return Response(ReportScheduleMade(made, secret), status_code=201, headers=headers)

    @get(
        security=needs(Scope.EVENTS_READ),
        responses=problems(),
        summary="Reports that are sent by the clock",
        description="One's own; for operators everybody's.",
    )
    async def every(self, request: Asked, service: NamedDependency[Service]) -> list[ReportSchedule]:
        """List."""
        return await service.schedules.every(request.user)

    @get(
        "/{name:str}",
        security=needs(Scope.EVENTS_READ),
        responses=problems(),
        summary="One of them",
        description="With its last sendings: one for each moment and recipient.",
    )
    async def show(
        self, request: Asked, service: NamedDependency[Service], name: Named, user: Whose = None
    ) -> ReportScheduleShown:
        """Show."""
        return await service.schedules.show(request.user, name, user)

    @delete(
        "/{name:str}",
        security=needs(Scope.EVENTS_WRITE),
        responses=problems(),
        summary="Send it no more",
        description="At once; what waits to be sent is not sent.",
    )
    async def remove(self, request: Asked, service: NamedDependency[Service], name: Named, user: Whose = None) -> None:
        """Remove."""
        await service.schedules.remove(request.user, name, user)

    @post(
        "/{name:str}/run",
        security=needs(Scope.EVENTS_WRITE),
        status_code=202,
        responses=problems(409),
        summary="Send it now, too",
        description="Within seconds, to all of its recipients, once a minute at most; its next moment stays.",
    )
    async def run(
        self, request: Asked, service: NamedDependency[Service], name: Named, user: Whose = None
    ) -> ReportScheduleShown:
        """Run."""
        return await service.schedules.run(request.user, name, user)


class AlertsController(Controller):
    """What is told when it becomes true."""

    path = "/v1/alerts"
    tags = ("reports",)

    @post(
        security=needs(Scope.EVENTS_WRITE),
        responses=problems(409),
        summary="Be told of idle GPUs, or of a budget that is used up",
        description="Once when it becomes true and once when it is over, by mail or POSTed as JSON, signed as webhooks "
        "are with the `secret` of the answer; and as an event `alert.state`. Of what the owner may see at that moment. "
        "The token must be for `jobs:read`, too.",
    )
    async def make(
        self, request: Asked, service: NamedDependency[Service], data: JSONBody[AlertRequest]
    ) -> Response[AlertMade]:
        """Make."""
        require_scope(request.user, [Scope.JOBS_READ])
        made, secret = await service.alerts.add(request.user, data)
        headers = {"Location": f"/v1/alerts/{made.asked.name}"}
        return Response(AlertMade(made, secret), status_code=201, headers=headers)

    @get(
        security=needs(Scope.EVENTS_READ),
        responses=problems(),
        summary="Alerts",
        description="One's own; for operators everybody's.",
    )
    async def every(self, request: Asked, service: NamedDependency[Service]) -> list[Alert]:
        """List."""
        return await service.alerts.every(request.user)

    @get(
        "/{name:str}",
        security=needs(Scope.EVENTS_READ),
        responses=problems(),
        summary="One alert",
        description="With what is so now, and its last sendings.",
    )
    async def show(
        self, request: Asked, service: NamedDependency[Service], name: Named, user: Whose = None
    ) -> AlertShown:
        """Show."""
        return await service.alerts.show(request.user, name, user)

    @delete(
        "/{name:str}",
        security=needs(Scope.EVENTS_WRITE),
        responses=problems(),
        summary="Watch it no more",
        description="At once; what waits to be sent is not sent.",
    )
    async def remove(self, request: Asked, service: NamedDependency[Service], name: Named, user: Whose = None) -> None:
        """Remove."""
        await service.alerts.remove(request.user, name, user)
