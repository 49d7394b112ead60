"""Who is asking, whether they may, and how often: every path but the open ones needs a token."""

from __future__ import annotations

import math
import time
from typing import Any, Final

from litestar import Request
from litestar.connection import ASGIConnection
from litestar.datastructures import State
from litestar.handlers import BaseRouteHandler, HTTPRouteHandler
from litestar.middleware import AbstractAuthenticationMiddleware, AuthenticationResult

from hpcjobs.api.trail import BEGAN, CALLER, CHANGING, STANDING
from hpcjobs.errors import RateLimited
from hpcjobs.identity.policy import Identity, Scope, require_scope
from hpcjobs.service import Service

OPEN_PATHS: Final = ["^/$", "^/healthz$", "^/readyz$", "^/docs", "^/assets/"]
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


def check_scopes(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
    """The token must be for what the route says with needs().

    Raises:
        ScopeMissing: It is not.
        NotAllowed: The user's role is not enough.
    """
    who: Identity | None = connection.scope.get("user")
    if who is None or not isinstance(handler, HTTPRouteHandler):
        return  # an open path
    for wanted in handler.resolve_security():
        require_scope(who, [Scope(word) for word in wanted.get(TOKEN, ())])


class TokenMiddleware(AbstractAuthenticationMiddleware):
    """Reads the bearer token; what it speaks for becomes ``request.user``."""

    async def authenticate_request(self, connection: ASGIConnection[Any, Any, Any, Any]) -> AuthenticationResult:
        """See Litestar."""
        connection.scope["state"][BEGAN] = time.perf_counter()
        service: Service = connection.app.state.service
        if connection.scope["path"] == METRICS_PATH and service.settings.metrics.open:
            return AuthenticationResult(user=None, auth=None)
        who = await service.authenticator.identify(connection.headers.get("authorization"))
        connection.scope["state"][CALLER] = who
        kind = connection.scope["route_handler"].opt.get("rate", "requests")
        check_rate(service, connection, who, kind)
        if connection.scope.get("method") in CHANGING:
            service.audit.check_room()
        return AuthenticationResult(user=who, auth=None)


def check_rate(service: Service, connection: ASGIConnection[Any, Any, Any, Any], who: Identity, kind: str) -> None:
    """Count a request against its user's limit.

    Raises:
        RateLimited: They ask too often.
    """
    limits = service.settings.rate_limits
    if not limits.enabled or (limits.exempt_operators and who.sees_all):
        return
    allowance = limits.submissions if kind == "submissions" else limits.requests
    standing = service.limiter.take(kind, who.user, allowance, time.monotonic())
    connection.scope["state"][STANDING] = standing
    if standing.wait_s:
        raise RateLimited(
            f"{who.user} may make {allowance.per_s:g} {kind} a second, and {allowance.burst} at once after a pause.",
            retry_after_s=max(1, math.ceil(round(standing.wait_s, 3))),
        )
