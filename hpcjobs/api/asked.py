"""What a request may look like: parameters that nobody knows, bodies of another kind, HEAD."""

from __future__ import annotations

import copy
import functools
from typing import Any, Final
from urllib.parse import unquote_plus

from litestar.connection import ASGIConnection
from litestar.enums import MediaType
from litestar.exceptions import ClientException
from litestar.handlers import BaseRouteHandler, HTTPRouteHandler
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import QueryParameter
from litestar.plugins import ReceiveRoutePlugin
from litestar.routes import BaseRoute, HTTPRoute

from hpcjobs.api import deprecation
from hpcjobs.api.access import check_scopes
from hpcjobs.api.common import ALL_PROBLEMS
from hpcjobs.errors import ParameterUnknown, Refusal

JSON_TYPES: Final = ("application/json", "")
MORE_JSON: Final = "+json"
SAME: Final = ResponseSpec(None, description="If-None-Match names the answer: the caller has it.")


@functools.cache
def parameters_of(handler: HTTPRouteHandler) -> frozenset[str]:
    """The query parameters that a route knows, by their names in a URL."""
    return frozenset(
        field.kwarg_definition.name or field.name
        for field in handler.parsed_fn_signature.parameters.values()
        if isinstance(field.kwarg_definition, QueryParameter)
    )


def check_query(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
    """A misspelt filter must not answer with everything.

    Raises:
        ParameterUnknown: The route does not know a parameter of the query.
    """
    query: bytes = connection.scope.get("query_string", b"")
    if not query or not isinstance(handler, HTTPRouteHandler) or not handler.resolve_include_in_schema():
        return
    known = parameters_of(handler)
    names = {unquote_plus(pair.partition(b"=")[0].decode("latin-1")) for pair in query.split(b"&") if pair}
    if unknown := names - known:
        there = f"there are {', '.join(sorted(known))}" if known else "this route has none"
        raise ParameterUnknown(
            [Refusal(name, f"There is no parameter {name[:80]!r}; {there}.", "unknown") for name in sorted(unknown)]
        )


def check_body(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
    """What a route reads as JSON must not be announced as something else.

    Raises:
        ClientException: It is (415).
    """
    if not isinstance(handler, HTTPRouteHandler) or "data" not in handler.parsed_fn_signature.parameters:
        return
    kind = connection.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in JSON_TYPES and not kind.endswith(MORE_JSON):
        raise ClientException(f"The body is {kind[:80]!r}; this route takes application/json.", status_code=415)


async def guard(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
    """Guard of every route.

    One, as Litestar copies the handler for each; a coroutine, as it sends functions to a thread.

    Raises:
        ScopeMissing: See access.check_scopes.
        NotAllowed: Likewise.
        ParameterUnknown: See check_query.
        ClientException: See check_body.
    """
    check_scopes(connection, handler)
    check_query(connection, handler)
    check_body(connection, handler)


class Routes(ReceiveRoutePlugin):
    """Lets every path that has GET be asked with HEAD (Manners drops the body), and documents what is deprecated.

    It also documents what any such route can answer: 304 and 415.

    Attributes:
        methods: What each path can be asked with, by its template.
    """

    def __init__(self) -> None:
        self.methods: dict[str, set[str]] = {}

    def receive_route(self, route: BaseRoute) -> None:
        """See Litestar."""
        if not isinstance(route, HTTPRoute):
            return
        for handler in route.route_handlers:
            if deprecation.OPT in handler.opt:
                handler.deprecated = True
            if "data" in handler.parsed_fn_signature.parameters:
                handler.responses = {415: ALL_PROBLEMS[415], **(handler.responses or {})}
            if handler.http_methods == {"GET"} and handler.media_type in ("", MediaType.JSON):
                handler.responses = {304: SAME, **(handler.responses or {})}
        there = route.route_handler_map
        if "GET" in there and "HEAD" not in there:
            handler, parameters = there["GET"]
            twin = copy.copy(handler)
            twin._resolved_include_in_schema = False  # noqa: SLF001  the OpenAPI document need not say all of it twice
            there["HEAD"] = (twin, parameters)
            route.methods.add("HEAD")
        self.methods[route.path_format] = set(there)
