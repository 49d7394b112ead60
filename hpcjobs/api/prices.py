"""``/v1/prices``: what an hour of something costs."""

from __future__ import annotations

from typing import Annotated

from litestar import Controller, get, post
from litestar.di import NamedDependency
from litestar.params import JSONBody, PathParameter

from hpcjobs.api.access import Asked, needs
from hpcjobs.api.common import problems
from hpcjobs.identity import Scope
from hpcjobs.model.price import Price, PriceAsked, PriceEnd, PriceList
from hpcjobs.service import Service


class PricesController(Controller):
    """Prices."""

    path = "/v1/prices"
    tags = ("billing",)

    @get(
        security=needs(Scope.CLUSTERS_READ),
        responses=problems(),
        summary="Prices",
        description="All that ever were, with who entered and ended them. Everybody may know what things cost.",
    )
    async def every(self, service: NamedDependency[Service]) -> PriceList:
        """List."""
        return await service.prices.every()

    @post(
        security=needs(Scope.ADMIN),
        responses=problems(409),
        summary="Enter a price",
        description="For an hour of a resource, in the service's currency, from a date on; a date begins at midnight "
        "of the service's time zone. No two prices of the same may hold at a time. A price is never changed: end it, "
        "and enter another.",
    )
    async def add(self, request: Asked, service: NamedDependency[Service], data: JSONBody[PriceAsked]) -> Price:
        """Enter."""
        return await service.prices.add(request.user, data)

    @post(
        "/{price_id:int}/end",
        security=needs(Scope.ADMIN),
        status_code=200,
        responses=problems(409),
        summary="End a price",
        description="It holds until before the date, which is no later than it ends already; one that ends when it "
        "begins has never held. What is invoiced stays: `POST /v1/invoices/{number}/correct` puts it right.",
    )
    async def end(
        self,
        request: Asked,
        service: NamedDependency[Service],
        price_id: Annotated[int, PathParameter(ge=1, le=2**31, description="`id` of the price.")],
        data: JSONBody[PriceEnd],
    ) -> Price:
        """End."""
        return await service.prices.end(request.user, price_id, data)
