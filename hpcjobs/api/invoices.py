"""``/v1/invoices``: what projects are charged."""

from __future__ import annotations

from typing import Annotated

from litestar import Controller, MediaType, Response, get, post
from litestar.di import NamedDependency
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import JSONBody, PathParameter, QueryParameter

from hpcjobs.api.access import Asked, needs
from hpcjobs.api.common import Cluster, problems
from hpcjobs.api.reports import Form, check_form, file_of
from hpcjobs.billing.shown import table_of
from hpcjobs.identity import Scope
from hpcjobs.model.invoice import NUMBER, Invoice, InvoiceAsked
from hpcjobs.service import Service

Number = Annotated[str, PathParameter(pattern=NUMBER, description="Of the invoice: the year, and its place in it.")]


class InvoicesController(Controller):
    """Invoices."""

    path = "/v1/invoices"
    tags = ("billing",)

    @get(
        security=needs(Scope.JOBS_READ),
        responses=problems(),
        summary="Invoices",
        description="Of the projects that one manages; for operators all; with what was put right of them, the newest "
        "first, at most 1000.",
    )
    async def every(
        self,
        request: Asked,
        service: NamedDependency[Service],
        cluster: Annotated[str | None, QueryParameter(description="Only of this cluster.")] = None,
        project: Annotated[str | None, QueryParameter(description="Only of this project.")] = None,
    ) -> list[Invoice]:
        """List."""
        return await service.invoices.every(request.user, cluster, project)

    @get(
        "/{number:str}",
        security=needs(Scope.JOBS_READ),
        summary="An invoice",
        description="For managers of the project and operators.",
        responses={
            200: ResponseSpec(
                Invoice, description="The invoice; in another form as `format` says.", generate_examples=False
            ),
            **problems(),
        },
    )
    async def one(
        self, request: Asked, service: NamedDependency[Service], number: Number, form: Form = "json"
    ) -> Response[Invoice] | Response[bytes]:
        """Show."""
        check_form(form)
        found = await service.invoices.one(request.user, number)
        if form == "json":
            return Response(found, media_type=MediaType.JSON)
        return await file_of(table_of(found), form, f"invoice-{found.number}")

    @post(
        "/draft",
        security=needs(Scope.JOBS_READ),
        status_code=200,
        responses=problems(),
        summary="Draft an invoice",
        description="What it comes to now, also of a period that goes on. For managers of the project and operators. "
        "Nothing is kept.",
    )
    async def draft(
        self, request: Asked, service: NamedDependency[Service], data: JSONBody[InvoiceAsked], cluster: Cluster = None
    ) -> Invoice:
        """Draft."""
        return await service.invoices.draft(request.user, service.target(cluster).observer.cluster, data)

    @post(
        security=needs(Scope.ADMIN),
        status_code=200,
        responses=problems(409),
        summary="Issue an invoice",
        description="For a project and a period that is over and known from accounting; of a period that another "
        "invoice charges a part of there is none (409). Where there is one for the project and period, it is the "
        "answer. It never changes.",
    )
    async def issue(
        self, request: Asked, service: NamedDependency[Service], data: JSONBody[InvoiceAsked], cluster: Cluster = None
    ) -> Invoice:
        """Issue."""
        return await service.invoices.issue(request.user, service.target(cluster).observer.cluster, data)

    @post(
        "/{number:str}/correct",
        security=needs(Scope.ADMIN),
        status_code=200,
        responses=problems(409),
        summary="Put an invoice right",
        description="Where accounting has learnt of more since, or a price was wrong: a supplement or credit note with "
        "the differences, line by line, of a number of its own. All together come to what the period comes to now. "
        "Where nothing differs, the answer is the last document there is.",
    )
    async def correct(self, request: Asked, service: NamedDependency[Service], number: Number) -> Invoice:
        """Correct."""
        return await service.invoices.correct(request.user, number)
