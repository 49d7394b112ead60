"""What every answer leaves behind: its request id, how its caller stands, and a line in the audit log."""

from __future__ import annotations

import functools
import math
import re
import time
from typing import Any, Final

from litestar.datastructures import MutableScopeHeaders
from litestar.enums import ScopeType
from litestar.types import HTTPScope, Message, Scope

from hpcjobs.identity.policy import Identity
from hpcjobs.identity.ratelimit import Standing
from hpcjobs.model.audit import AuditEvent
from hpcjobs.service import Service
from hpcjobs.store.store import new_id

CHANGING: Final = frozenset({"POST", "PUT", "PATCH", "DELETE"})
REFUSED: Final = frozenset({401, 403, 429})
GIVEN_ID = re.compile(r"[A-Za-z0-9._:/+=-]{1,128}")
MOST_CHARACTERS: Final = 1024

# Names in the scope's state.
CALLER: Final = "hpcjobs_caller"
STANDING: Final = "hpcjobs_standing"
BEGAN: Final = "hpcjobs_began"
CODE: Final = "hpcjobs_problem_code"
ABOUT: Final = "hpcjobs_about"
"""What the audit log should say beside the path."""
AUDITED: Final = "audited"
"""``opt`` of routes: False where a change is no line in the audit log, for machines make it every few minutes."""
REQUEST_ID: Final = "hpcjobs_request_id"


def request_id(scope: Scope) -> str:
    """The id of a request: the caller's X-Request-ID where it is a plain word, else one of ours."""
    state: dict[str, Any] = scope["state"]
    if REQUEST_ID not in state:
        given = next((value for name, value in scope["headers"] if name == b"x-request-id"), b"").decode("latin-1")
        state[REQUEST_ID] = given if GIVEN_ID.fullmatch(given) else new_id()
    said: str = state[REQUEST_ID]
    return said


def _plain(text: str) -> str:
    """A text that any database takes and any terminal shows."""
    if len(text) <= MOST_CHARACTERS and text.isprintable():
        return text
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text[:MOST_CHARACTERS])


def event_of(scope: HTTPScope, status: int, location: str) -> AuditEvent:
    """What the audit log says of a request that was answered.

    Args:
        scope: Of the request.
        status: HTTP status of the answer.
        location: Its Location header, which names what it made, or ``""``.
    """
    state: dict[str, Any] = scope["state"]
    who: Identity | None = state.get(CALLER)
    client = scope.get("client")
    return AuditEvent(
        at=time.time(),
        user=_plain(who.user) if who else "",
        role=who.role.value if who else "",
        token=_plain(who.token) if who else "",
        issuer=_plain(who.issuer) if who else "",
        client=client[0] if client else "",
        request_id=request_id(scope),
        action=f"{_plain(scope['method'])} {_route(scope)}",
        target=_plain(" ".join(filter(None, [location or scope["path"], state.get(ABOUT)]))),
        status=status,
        code=state.get(CODE, ""),
    )


def _route(scope: Scope) -> str:
    """The route's pattern, as ``/v1/jobs/{job_id}``; ``-`` for a path that is no route."""
    template = scope.get("path_template")
    return _plain_template(template) if isinstance(template, str) else "-"


@functools.cache
def _plain_template(template: str) -> str:
    return re.sub(r"\{(\w+):\w+\}", r"{\1}", template)


async def leave(message: Message, scope: Scope) -> None:
    """Litestar's hook before anything is sent: the start of an answer gets its headers and its line in the log.

    Whoever changes something gets the answer when the line is on disk; nobody else waits for it.
    """
    if message["type"] != "http.response.start" or scope["type"] != ScopeType.HTTP:
        return
    headers = MutableScopeHeaders.from_message(message)
    headers["X-Request-ID"] = request_id(scope)
    standing: Standing | None = scope["state"].get(STANDING)
    if standing is not None:
        headers["RateLimit-Limit"] = str(standing.limit)
        headers["RateLimit-Remaining"] = str(standing.remaining)
        headers["RateLimit-Reset"] = str(math.ceil(round(standing.reset_s, 3)))
    status = message["status"]
    service: Service = scope["litestar_app"].state.service
    began: float | None = scope["state"].get(BEGAN)
    service.metrics.answered(
        scope["method"],
        _route(scope),
        status,
        None if began is None else time.perf_counter() - began,
        replayed="Idempotency-Replayed" in headers,
    )
    if status in REFUSED:
        service.audit.note(event_of(scope, status, ""))
    elif scope["method"] in CHANGING and CALLER in scope["state"] and scope["route_handler"].opt.get(AUDITED, True):
        await service.audit.write(event_of(scope, status, headers.get("Location", "")))
