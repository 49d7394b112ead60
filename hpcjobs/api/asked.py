"""What a request may look like: parameters that nobody knows, bodies of another kind."""

from __future__ import annotations

import functools
from typing import Final, NamedTuple, get_args, get_origin
from urllib.parse import unquote_plus

from litestar.exceptions import ClientException, ValidationException
from litestar.handlers import HTTPRouteHandler
from litestar.params import QueryParameter
from litestar.types import HTTPScope

from hpcjobs.errors import ParameterUnknown, Refusal

JSON_TYPES: Final = ("application/json", "")
MORE_JSON: Final = "+json"
NO_NUMBERS: Final = frozenset({"nan", "inf", "infinity"})
"""What float() reads beside numbers."""


class Parameters(NamedTuple):
    """The query parameters that a route knows, by their names in a URL.

    Attributes:
        known: All of them.
        lists: Those that may be given several times.
        numbers: Those that are fractions.
    """

    known: frozenset[str]
    lists: frozenset[str]
    numbers: frozenset[str]


@functools.cache
def parameters_of(handler: HTTPRouteHandler) -> Parameters:
    """The query parameters of a route."""
    kinds = {
        field.kwarg_definition.name or field.name: get_args(field.annotation) or (field.annotation,)
        for field in handler.parsed_fn_signature.parameters.values()
        if isinstance(field.kwarg_definition, QueryParameter)
    }
    return Parameters(
        frozenset(kinds),
        frozenset(name for name, either in kinds.items() if any(get_origin(kind) is list for kind in either)),
        frozenset(name for name, either in kinds.items() if float in either),
    )


def header_of(scope: HTTPScope, name: bytes) -> str | None:
    """A header of a request by its name in small letters; None: it is not there."""
    return next((value.decode("latin-1") for key, value in scope["headers"] if key == name), None)


def _wrong(name: str, why: str) -> ValidationException:
    return ValidationException(why, extra=[{"key": name, "message": why}])


def check_query(scope: HTTPScope, handler: HTTPRouteHandler) -> None:
    """A misspelt filter must not answer with everything.

    Raises:
        ParameterUnknown: The route does not know a parameter of the query.
        ValidationException: One that has one value is given several times, or a number is none (400).
    """
    query = scope["query_string"]
    if not query or not handler.resolve_include_in_schema():
        return
    known, lists, numbers = parameters_of(handler)
    pairs = [unquote_plus(pair.decode("latin-1")).partition("=") for pair in query.split(b"&") if pair]
    names = [name for name, _, _ in pairs]
    if unknown := set(names) - known:
        there = f"there are {', '.join(sorted(known))}" if known else "this route has none"
        raise ParameterUnknown(
            [Refusal(name, f"There is no parameter {name[:80]!r}; {there}.", "unknown") for name in sorted(unknown)]
        )
    for name in dict.fromkeys(names):
        if names.count(name) > 1 and name not in lists:
            raise _wrong(name, f"It is given {names.count(name)} times and has one value.")
    for name, _, value in pairs:
        if name in numbers and value.strip().lower().lstrip("+-") in NO_NUMBERS:
            raise _wrong(name, f"{value[:80]!r} is no number.")


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
