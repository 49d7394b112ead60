"""Who is asking: every path but the open ones needs a token."""

from __future__ import annotations

from typing import Any, Final

from litestar import Request
from litestar.connection import ASGIConnection
from litestar.datastructures import State
from litestar.middleware import AbstractAuthenticationMiddleware, AuthenticationResult

from hpcjobs.identity import Identity, read_token
from hpcjobs.service import Service

OPEN_PATHS: Final = ["^/$", "^/healthz$", "^/readyz$", "^/docs", "^/assets/"]

Asked = Request[Identity, None, State]


class TokenMiddleware(AbstractAuthenticationMiddleware):
    """Reads the bearer token; what it speaks for becomes ``request.user``."""

    async def authenticate_request(self, connection: ASGIConnection[Any, Any, Any, Any]) -> AuthenticationResult:
        """See Litestar."""
        service: Service = connection.app.state.service
        return AuthenticationResult(
            user=read_token(service.token_key, connection.headers.get("authorization"), service.admins),
            auth=None,
        )
