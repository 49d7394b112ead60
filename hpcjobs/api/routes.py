"""What every route has beside what it says itself: HEAD, and the answers that any of its kind can give."""

from __future__ import annotations

import copy
from typing import Final

from litestar.enums import MediaType
from litestar.openapi.datastructures import ResponseSpec
from litestar.plugins import ReceiveRoutePlugin
from litestar.routes import BaseRoute, HTTPRoute

from hpcjobs.api import deprecation
from hpcjobs.api.common import ALL_PROBLEMS

SAME: Final = ResponseSpec(None, description="If-None-Match names the answer: the caller has it.")


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
