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
from hpcjobs.errors import Refusal, Refused, ReportUnknown
from hpcjobs.identity import Scope, policy
from hpcjobs.reports import ready
from hpcjobs.reports.answer import answer
from hpcjobs.reports.asked import ReportQuery, check, several
from hpcjobs.reports.formats import FORMATS, render
from hpcjobs.reports.ready import CATALOGUE, READY, Catalogue
from hpcjobs.reports.table import Table
from hpcjobs.service import Service

Words = list[str] | None


class ReportsController(Controller):
    """Reports."""

    path = "/v1/reports"
    tags = ("reports",)

    @get(
        "",
        security=needs(Scope.JOBS_READ),
        summary="What can be reported",
        description="Reports that have a name, what rows can be told apart by, and all measures with definitions.",
        responses=problems(),
        sync_to_thread=False,
    )
    def catalogue(self) -> Catalogue:
        """List."""
        return CATALOGUE

    @get(
        "/{name:str}",
        security=needs(Scope.JOBS_READ),
        summary="A report",
        description="Of the jobs that the caller may see: users of their own, managers also of their projects, "
        "operators of all. `by` and `measures` replace those of the report; GET /v1/reports tells which there are. "
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
        order: Annotated[str, QueryParameter(description="A column; with `-` before it the smallest first.")] = "",
        limit: Annotated[int, QueryParameter(description="At most so many rows; 0: all.")] = 0,
        form: Annotated[str, QueryParameter(name="format", description="The form of the answer.")] = "json",
    ) -> Response[bytes]:
        """Report."""
        if name not in READY:
            raise ReportUnknown(f"There is no report {name[:80]!r}; there are {', '.join(READY)}.")
        if form not in FORMATS:
            text = f"{form[:80]!r} is none of {', '.join(FORMATS)}."
            raise Refused([Refusal("format", text, "format-unknown")])
        told = {
            "user": user, "project": project, "partition": partition, "qos": qos, "cluster": cluster, "gpu": gpu,
            "node": node, "state": run_state,
        }  # fmt: skip
        where = {field: several(words) for field, words in told.items() if words is not None}
        query = ReportQuery(period, timezone, several(by or ()), several(measures or ()), where, order, limit)
        query = ready.filled(READY[name], query)
        asked = check(query, service.settings.usage.timezone, time.time())
        visible = policy.visibility(request.user)
        table = await service.usage.read(answer, asked, visible, READY[name].title)
        body = await asyncio.to_thread(render, table, form)
        headers = {}
        if form != "json":
            headers["content-disposition"] = f'attachment; filename="{name}-{_plain(asked.period.label)}.{form}"'
        media_type = MediaType.JSON if form == "json" else FORMATS[form].media_type
        return Response(body, media_type=media_type, headers=headers)


def _plain(label: str) -> str:
    """A period's name as a part of a file's."""
    return "".join(letter if letter.isalnum() or letter in "-." else "-" for letter in label)
