"""``/v1/reports``: what was used, by whom, of what, when; as a table in many forms."""

from __future__ import annotations

import asyncio
import time
from typing import Annotated

from litestar import Controller, MediaType, Response, get
from litestar.di import NamedDependency
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import PathParameter, QueryParameter

from hpcjobs.api.access import Asked, needs
from hpcjobs.api.common import problems
from hpcjobs.errors import Refusal, Refused
from hpcjobs.identity import Scope
from hpcjobs.model.report import Catalogue, ReportQuery, Table, several
from hpcjobs.reports.formats import FORMATS, file_name, render
from hpcjobs.service import Service

Words = list[str] | None
Form = Annotated[str, QueryParameter(name="format", description="The form of the answer.")]


class ReportsController(Controller):
    """Reports."""

    path = "/v1/reports"
    tags = ("reports",)

    @get(
        "",
        security=needs(Scope.JOBS_READ),
        summary="What can be reported",
        description="Reports that have a name, plugins' own among them, what rows can be told apart by, and all "
        "measures with definitions.",
        responses=problems(),
        sync_to_thread=False,
    )
    def catalogue(self, service: NamedDependency[Service]) -> Catalogue:
        """List."""
        return service.reporting.catalogue()

    @get(
        "/{name:str}",
        security=needs(Scope.JOBS_READ),
        summary="A report",
        description="Of the jobs that the caller may see: users of their own, managers also of their projects, "
        "operators of all. `by` and `measures` replace those of the report; GET /v1/reports tells which there are. "
        "Reports of plugins (`plugin.name`) say themselves what their rows and columns are. "
        "`format` is one of " + ", ".join(f"`{name}`" for name in FORMATS) + ".",
        responses={
            200: ResponseSpec(
                Table, description="The report; in another form as `format` says.", generate_examples=False
            ),
            **problems(),
        },
    )
    async def report(
        self,
        request: Asked,
        service: NamedDependency[Service],
        name: Annotated[str, PathParameter(description="Name of the report.")],
        period: Annotated[
            str,
            QueryParameter(description="2026, 2026-10, 2026-Q4, 2026-10-31, this-month, last-month, 30d, FROM..TO."),
        ] = "this-month",
        timezone: Annotated[str, QueryParameter(description="IANA name; the service's where left out.")] = "",
        by: Annotated[Words, QueryParameter(description="What rows are told apart by, as project,gpu.")] = None,
        measures: Annotated[Words, QueryParameter(description="Which, as gpu_hours,wait_p50_s.")] = None,
        user: Annotated[Words, QueryParameter(description="Only of these users.")] = None,
        project: Annotated[Words, QueryParameter(description="Only of these projects.")] = None,
        partition: Annotated[Words, QueryParameter(description="Only in these partitions.")] = None,
        qos: Annotated[Words, QueryParameter(description="Only with these qualities of service.")] = None,
        cluster: Annotated[Words, QueryParameter(description="Only on these clusters.")] = None,
        gpu: Annotated[Words, QueryParameter(description="Only with these kinds of GPUs.")] = None,
        node: Annotated[Words, QueryParameter(description="Only on these nodes.")] = None,
        run_state: Annotated[
            Words, QueryParameter(name="state", description="Only in these states (Slurm's words).")
        ] = None,
        size: Annotated[Words, QueryParameter(description="Only with so many GPUs, as 8-15.")] = None,
        nodes: Annotated[Words, QueryParameter(description="Only with so many nodes, as 2-3.")] = None,
        reservation: Annotated[Words, QueryParameter(description="Only in these reservations.")] = None,
        wckey: Annotated[Words, QueryParameter(description="Only with these wckeys.")] = None,
        cause: Annotated[Words, QueryParameter(description="Only what was lost to these classes of failures.")] = None,
        order: Annotated[str, QueryParameter(description="A column; with `-` before it the smallest first.")] = "",
        limit: Annotated[int, QueryParameter(description="At most so many rows; 0: all.")] = 0,
        form: Form = "json",
    ) -> Response[bytes]:
        """Report."""
        check_form(form)
        told = {
            "user": user, "project": project, "partition": partition, "qos": qos, "cluster": cluster, "gpu": gpu,
            "node": node, "state": run_state, "size": size, "nodes": nodes, "reservation": reservation, "wckey": wckey,
            "cause": cause,
        }  # fmt: skip
        where = {field: several(words) for field, words in told.items() if words is not None}
        query = ReportQuery(period, timezone, several(by or ()), several(measures or ()), where, order, limit)
        table, label = await service.reporting.report(request.user, name, query, time.time())
        return await file_of(table, form, file_name(name, label))


def check_form(form: str) -> None:
    """Refuse a form that there is not.

    Raises:
        Refused: It is none of FORMATS.
    """
    if form not in FORMATS:
        raise Refused([Refusal("format", f"{form[:80]!r} is none of {', '.join(FORMATS)}.", "format-unknown")])


async def file_of(table: Table, form: str, name: str) -> Response[bytes]:
    """A table in one of FORMATS, as a file of this name but for JSON."""
    body = await asyncio.to_thread(render, table, form)
    if form == "json":
        return Response(body, media_type=MediaType.JSON)
    headers = {"content-disposition": f'attachment; filename="{name}.{form}"'}
    return Response(body, media_type=FORMATS[form].media_type, headers=headers)
