"""``/v1/webhooks``: addresses that are told of events."""

from __future__ import annotations

import re
from typing import Annotated, Final

import msgspec
from litestar import Controller, Response, delete, get, patch, post
from litestar.di import NamedDependency
from litestar.params import JSONBody, PathParameter, QueryParameter

from hpcjobs.api.access import Asked, needs
from hpcjobs.api.common import own_job, problems
from hpcjobs.api.jobs import MAX_LIMIT
from hpcjobs.errors import Refusal, Refused
from hpcjobs.identity.policy import Scope
from hpcjobs.model.webhook import (
    Delivery,
    Webhook,
    WebhookChange,
    WebhookMade,
    WebhookPage,
    WebhookRequest,
    WebhookState,
)
from hpcjobs.service import Service
from hpcjobs.store import webhooks
from hpcjobs.store.webhooks import Kept

ID: Final = re.compile(r"[0-9a-f]{32}")
WebhookId = Annotated[str, PathParameter(description="`id` of the webhook.")]


class WebhooksController(Controller):
    """Addresses that are told."""

    path = "/v1/webhooks"
    tags = ("events",)

    @post(
        security=needs(Scope.EVENTS_WRITE),
        responses=problems(409),
        summary="Make a webhook",
        description="Each event that happens from now on is POSTed to it as JSON, one a request, in order and at least "
        "once; signed as Standard Webhooks say: `webhook-signature: v1,<base64>` is the HMAC-SHA256 of `webhook-id`, "
        "`webhook-timestamp` and the body, joined by dots, with the secret's bytes (base64 after `whsec_`). The same "
        "`webhook-id` is the same event. What is not answered with 2xx within 10 s is tried again, ever more seldom, "
        "for a day; then the webhook is paused. 410 deletes it. It goes on when the token that made it is gone, and is "
        "told of what its user may see at each moment.",
    )
    async def make(
        self, request: Asked, service: NamedDependency[Service], data: JSONBody[WebhookRequest]
    ) -> Response[WebhookMade]:
        """Make."""
        filters = data.filters
        if filters.job_id is not None:
            job = await own_job(service, request, filters.job_id, filters.cluster)
            filters = msgspec.structs.replace(filters, job_id=job.id)
        if filters.cluster is not None:
            service.target(filters.cluster)
        for name in ("user", "account"):
            if "\0" in (getattr(filters, name) or ""):
                raise Refused([Refusal(f"filters.{name}", "No name has a NUL in it.")])
        webhook, secret = await service.webhooks.add(request.user.user, data.url, filters)
        headers = {"Location": f"/v1/webhooks/{webhook.id}"}
        return Response(WebhookMade(webhook, secret), status_code=201, headers=headers)

    @get(
        security=needs(Scope.EVENTS_READ),
        responses=problems(),
        summary="Webhooks",
        description="One's own; for operators everybody's.",
    )
    async def every(
        self,
        request: Asked,
        service: NamedDependency[Service],
        cursor: Annotated[str | None, QueryParameter(description="`next_cursor` of the page before.")] = None,
        limit: Annotated[int, QueryParameter(ge=1, le=MAX_LIMIT, description="Most webhooks of the page.")] = 100,
    ) -> WebhookPage:
        """List."""
        if cursor is not None and not ID.fullmatch(cursor):
            raise Refused([Refusal("cursor", "This is not a next_cursor of an earlier page.")])
        found = await service.store.read(webhooks.page, _whose(request), cursor, limit + 1)
        return WebhookPage(found[:limit], found[limit - 1].id if len(found) > limit else None)

    @get(
        "/{webhook_id:str}",
        security=needs(Scope.EVENTS_READ),
        responses=problems(),
        summary="One webhook",
        description="Whether it is delivered to, how far it has come, and what the last try failed for.",
    )
    async def show(self, request: Asked, service: NamedDependency[Service], webhook_id: WebhookId) -> Webhook:
        """Show."""
        return (await _found(request, service, webhook_id)).webhook

    @get(
        "/{webhook_id:str}/deliveries",
        security=needs(Scope.EVENTS_READ),
        responses=problems(),
        summary="The last deliveries of a webhook",
        description="The last 100 tries, newest first.",
    )
    async def deliveries(
        self, request: Asked, service: NamedDependency[Service], webhook_id: WebhookId
    ) -> list[Delivery]:
        """List."""
        await _found(request, service, webhook_id)
        return await service.store.read(webhooks.deliveries, webhook_id)

    @patch(
        "/{webhook_id:str}",
        security=needs(Scope.EVENTS_WRITE),
        responses=problems(),
        summary="Pause or resume a webhook",
        description="What happens while it is paused is delivered afterwards, as far as it is kept.",
    )
    async def change(
        self,
        request: Asked,
        service: NamedDependency[Service],
        webhook_id: WebhookId,
        data: JSONBody[WebhookChange],
    ) -> Webhook:
        """Change."""
        await _found(request, service, webhook_id)
        if data.state is WebhookState.ACTIVE:
            return await service.webhooks.resume(webhook_id)
        return await service.webhooks.pause(webhook_id, f"paused by {request.user.user}")

    @delete(
        "/{webhook_id:str}",
        security=needs(Scope.EVENTS_WRITE),
        responses=problems(),
        summary="Delete a webhook",
        description="At once; what it was not told yet it will not be told.",
    )
    async def remove(self, request: Asked, service: NamedDependency[Service], webhook_id: WebhookId) -> None:
        """Delete."""
        await _found(request, service, webhook_id)
        await service.webhooks.remove(webhook_id)

    @post(
        "/{webhook_id:str}/test",
        security=needs(Scope.EVENTS_WRITE),
        status_code=200,
        responses=problems(409),
        summary="Send a test event",
        description="Once and at once, of kind `webhook.test`; the answer says what came of it.",
    )
    async def test(self, request: Asked, service: NamedDependency[Service], webhook_id: WebhookId) -> Delivery:
        """Try."""
        return await service.webhooks.test(await _found(request, service, webhook_id))


def _whose(request: Asked) -> str | None:
    return None if request.user.sees_all else request.user.user


async def _found(request: Asked, service: Service, webhook_id: str) -> Kept:
    return await service.webhooks.find(webhook_id if ID.fullmatch(webhook_id) else "", _whose(request))
