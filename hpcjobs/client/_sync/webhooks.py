# Made by scripts/unasync of hpcjobs/client/_async/webhooks.py; change that and run it. Alike on purpose.
"""Addresses that are told of events."""

from __future__ import annotations

from hpcjobs.client._sync.caller import Caller
from hpcjobs.client.patience import Stream
from hpcjobs.client.wire import body_of, segment
from hpcjobs.model.webhook import (
    Delivery,
    Webhook,
    WebhookChange,
    WebhookFilter,
    WebhookMade,
    WebhookPage,
    WebhookRequest,
    WebhookState,
)


class Webhooks:
    """Webhooks: one's own, for operators everybody's.

    Args:
        caller: How to call.
    """

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    def make(self, url: str, filters: WebhookFilter = WebhookFilter()) -> WebhookMade:  # noqa: B008  frozen
        """Have an address told of events from now on.

        Args:
            url: Where each is POSTed to.
            filters: Which events.

        Returns:
            The webhook, and the secret that its requests are signed with: it is not shown again.

        Raises:
            AnswerLost: It may have been made; list() shows.
        """
        body = body_of(WebhookRequest(url, filters), {})
        return self._caller.ask(WebhookMade, "POST", "/v1/webhooks", body=body, repeatable=False)

    def every(self) -> Stream[Webhook]:
        """All of them, oldest first."""
        cursor: str | None = None
        while True:
            page = self._caller.ask(WebhookPage, "GET", "/v1/webhooks", {"cursor": cursor, "limit": 1000})
            yield from page.items
            cursor = page.next_cursor
            if cursor is None:
                return

    def show(self, webhook_id: str) -> Webhook:
        """One of them."""
        return self._caller.ask(Webhook, "GET", f"/v1/webhooks/{segment(webhook_id)}")

    def deliveries(self, webhook_id: str) -> list[Delivery]:
        """Its last 100 tries to deliver, newest first."""
        return self._caller.ask(list[Delivery], "GET", f"/v1/webhooks/{segment(webhook_id)}/deliveries")

    def pause(self, webhook_id: str) -> Webhook:
        """Stop telling it; what happens meanwhile is delivered afterwards, as far as it is kept."""
        return self._change(webhook_id, WebhookState.PAUSED)

    def resume(self, webhook_id: str) -> Webhook:
        """Go on telling it."""
        return self._change(webhook_id, WebhookState.ACTIVE)

    def _change(self, webhook_id: str, state: WebhookState) -> Webhook:
        body = body_of(WebhookChange(state), {})
        return self._caller.ask(Webhook, "PATCH", f"/v1/webhooks/{segment(webhook_id)}", body=body)

    def remove(self, webhook_id: str) -> None:
        """Delete it."""
        self._caller.request("DELETE", f"/v1/webhooks/{segment(webhook_id)}", repeatable=False)

    def test(self, webhook_id: str) -> Delivery:
        """Send it a test event, once and at once, and say what came of it."""
        path = f"/v1/webhooks/{segment(webhook_id)}/test"
        return self._caller.ask(Delivery, "POST", path, repeatable=False)
