"""What a request may look like: parameters that nobody knows, bodies of another kind."""

from __future__ import annotations

import functools
from typing import Final
from urllib.parse import unquote_plus

from litestar.exceptions import ClientException
from litestar.handlers import HTTPRouteHandler
from litestar.params import QueryParameter
from litestar.types import HTTPScope

from hpcjobs.errors import ParameterUnknown, Refusal

JSON_TYPES: Final = ("application/json", "")
MORE_JSON: Final = "+json"


@functools.cache
def parameters_of(handler: HTTPRouteHandler) -> frozenset[str]:
    """The query parameters that a route knows, by their names in a URL."""
    return frozenset(
        field.kwarg_definition.name or field.name
        for field in handler.parsed_fn_signature.parameters.values()
        if isinstance(field.kwarg_definition, QueryParameter)
    )


def header_of(scope: HTTPScope, name: bytes) -> str | None:
    """A header of a request by its name in small letters; None: it is not there."""
    return next((value.decode("latin-1") for key, value in scope["headers"] if key == name), None)


def check_query(scope: HTTPScope, handler: HTTPRouteHandler) -> None:
    """A misspelt filter must not answer with everything.

    Raises:
        ParameterUnknown: The route does not know a parameter of the query.
    """
    query = scope["query_string"]
    if not query or not handler.resolve_include_in_schema():
        return
    known = parameters_of(handler)
    names = {unquote_plus(pair.partition(b"=")[0].decode("latin-1")) for pair in query.split(b"&") if pair}
    if unknown := names - known:
        there = f"there are {', '.join(sorted(known))}" if known else "this route has none"
        raise ParameterUnknown(
            [Refusal(name, f"There is no parameter {name[:80]!r}; {there}.", "unknown") for name in sorted(unknown)]
        )


def check_body(scope: HTTPScope, handler: HTTPRouteHandler) -> None:
    """What a route reads as JSON must not be announced as something else.

    Raises:
        ClientException: It is (415).
    """
    if "data" not in handler.parsed_fn_signature.parameters:
        return
    kind = (header_of(scope, b"content-type") or "").partition(";")[0].strip().lower()
    if kind not in JSON_TYPES and not kind.endswith(MORE_JSON):
        raise ClientException(f"The body is {kind[:80]!r}; this route takes application/json.", status_code=415)
