"""Who is asking, whether they may, and how often: every path but the open ones needs a token."""

from __future__ import annotations

import math
import re
import time
from typing import Final

from litestar import Request
from litestar.datastructures import State
from litestar.enums import HttpMethod, ScopeType
from litestar.handlers import HTTPRouteHandler
from litestar.types import ASGIApp, HTTPScope, Receive, Send
from litestar.types import Scope as ASGIScope

from hpcjobs.api.asked import check_body, check_query, header_of
from hpcjobs.api.trail import BEGAN, CALLER, CHANGING, STANDING
from hpcjobs.errors import RateLimited
from hpcjobs.identity.policy import Identity, Scope, require_scope
from hpcjobs.service import Service

OPEN_PATHS: Final = re.compile(r"/$|/healthz$|/readyz$|/docs|/assets/")
METRICS_PATH: Final = "/metrics"
TOKEN: Final = "token"  # noqa: S105  the name of the security scheme
SUBMITS: Final = {"rate": "submissions"}
"""``opt`` of routes that submit: they have a rate limit of their own."""

Asked = Request[Identity, None, State]


def needs(*scopes: Scope) -> list[dict[str, list[str]]]:
    """What a route says with ``security=``: the scopes that its caller's token must have.

    The OpenAPI document shows it, and check_scopes holds callers to it: one declaration, so that the two agree.
    """
    return [{TOKEN: [scope.value for scope in scopes]}]


def check_scopes(who: Identity, handler: HTTPRouteHandler) -> None:
    """The token must be for what the route says with needs().

    Raises:
        ScopeMissing: It is not.
        NotAllowed: The user's role is not enough.
    """
    for wanted in handler.resolve_security():
        require_scope(who, [Scope(word) for word in wanted.get(TOKEN, ())])


class Gate:
    """The layer that every request passes first: reads the bearer token, and turns away what cannot be meant.

    What the token speaks for becomes ``request.user``. A raw ASGI layer and no guard: Litestar copies the handler for
    each guard, and sends plain functions to a thread.

    Args:
        app: What answers.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: ASGIScope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] == ScopeType.HTTP:
            scope["state"][BEGAN] = time.perf_counter()
            scope["user"] = scope["auth"] = None
            if scope["method"] != HttpMethod.OPTIONS:
                if not OPEN_PATHS.match(scope["path"]):
                    await self._identify(scope)
                handler = scope["route_handler"]
                if isinstance(handler, HTTPRouteHandler):
                    if scope["user"] is not None:
                        check_scopes(scope["user"], handler)
                    check_query(scope, handler)
                    check_body(scope, handler)
        await self.app(scope, receive, send)

    async def _identify(self, scope: HTTPScope) -> None:
        service: Service = scope["litestar_app"].state.service
        if scope["path"] == METRICS_PATH and service.settings.metrics.open:
            return
        who = await service.authenticator.identify(header_of(scope, b"authorization"))
        scope["user"] = scope["state"][CALLER] = who
        check_rate(service, scope, who, scope["route_handler"].opt.get("rate", "requests"))
        if scope["method"] in CHANGING:
            service.audit.check_room()


def check_rate(service: Service, scope: HTTPScope, who: Identity, kind: str) -> None:
    """Count a request against its user's limit.

    Raises:
        RateLimited: They ask too often.
    """
    limits = service.settings.rate_limits
    if not limits.enabled or (limits.exempt_operators and who.sees_all):
        return
    allowance = limits.submissions if kind == "submissions" else limits.requests
    standing = service.limiter.take(kind, who.user, allowance, time.monotonic())
    scope["state"][STANDING] = standing
    if standing.wait_s:
        raise RateLimited(
            f"{who.user} may make {allowance.per_s:g} {kind} a second, and {allowance.burst} at once after a pause.",
            retry_after_s=max(1, math.ceil(round(standing.wait_s, 3))),
        )
