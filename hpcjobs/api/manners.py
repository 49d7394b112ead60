"""How answers leave: HEAD without a body, ETag and 304, gzip, what a deprecated route says of itself.

One raw ASGI layer inside the token's. Answers that are JSON and whole are held until their body is there; streams pass
as they come: NDJSON is compressed piece by piece, events, output and files are left alone.
"""

from __future__ import annotations

import asyncio
import hashlib
import zlib
from collections.abc import Iterable
from typing import Final

from litestar.enums import HttpMethod, ScopeType
from litestar.handlers import HTTPRouteHandler
from litestar.types import (
    ASGIApp,
    HTTPDisconnectEvent,
    HTTPResponseStartEvent,
    HTTPScope,
    Message,
    Receive,
    Scope,
    Send,
)

from hpcjobs.api import conditional, deprecation
from hpcjobs.api.routes import Routes

JSON: Final = frozenset({b"application/json", b"application/problem+json", b"application/vnd.oai.openapi+json"})
NDJSON: Final = b"application/x-ndjson"
LEAST_BYTES: Final = 2048
"""Smaller answers are not compressed: one job fits into two packets as it is."""
LEVEL: Final = 1
"""Of zlib: JSON of jobs shrinks to a tenth; more than that costs more time than it saves."""
IN_A_THREAD_BYTES: Final = 64 * 1024
GZIP_WINDOW: Final = 16 + zlib.MAX_WBITS
TAG_BYTES: Final = 12
VARY: Final = (b"vary", b"Authorization, Accept, Accept-Encoding")
TAG: Final = "hpcjobs_tag"
KEEP: Final = (b"cache-control", b"private, no-cache")

Header = tuple[bytes, bytes]


def tag_of(*parts: bytes | str) -> str:
    """The entity tag of an answer, without quotes and W/: a hash of the parts that make it what it is."""
    digest = hashlib.blake2b(digest_size=TAG_BYTES)
    for part in parts:
        digest.update(part.encode() if isinstance(part, str) else part)
        digest.update(b"\0")
    return digest.hexdigest()


def tagged(scope: Scope, *parts: bytes | str) -> None:
    """Say what makes an answer what it is, where that is not all of it: without the time of the listing, for one."""
    scope["state"][TAG] = tag_of(*parts)


def weak(tag: str) -> str:
    """As a header has it: answers with the same tag say the same, if not to the byte (gzip, ``observed_at``)."""
    return f'W/"{tag}"'


def takes_gzip(accept_encoding: bytes) -> bool:
    """Whether an Accept-Encoding header lets an answer be compressed."""
    for part in accept_encoding.lower().split(b","):
        name, _, weight = part.partition(b";")
        if name.strip() in (b"gzip", b"x-gzip"):
            return weight.replace(b" ", b"").rstrip(b"0.") != b"q="
    return False


def _header(headers: Iterable[Header], name: bytes) -> bytes | None:
    return next((value for key, value in headers if key == name), None)


class _Answer:
    """One answer on its way out.

    Args:
        scope: Of the request.
        send: Where it goes.
        over: Set after the headers, where nothing else is asked for.
    """

    def __init__(self, scope: HTTPScope, send: Send, over: asyncio.Event | None = None) -> None:
        self._scope = scope
        self._send = send
        self._over = over
        self._held: HTTPResponseStartEvent | None = None
        self._squeeze: zlib._Compress | None = None

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            await self._start(message)
        elif message["type"] != "http.response.body":
            await self._send(message)
        elif self._held is not None:
            start, self._held = self._held, None
            if message.get("more_body"):
                await self._send(start)
                await self._send(message)
            else:
                await self._whole(start, message.get("body", b""))
        elif self._over is not None:
            return
        elif self._squeeze is not None:
            await self._piece(self._squeeze, message.get("body", b""), last=not message.get("more_body"))
        else:
            await self._send(message)

    async def _start(self, message: HTTPResponseStartEvent) -> None:
        headers = list(message["headers"])
        said: deprecation.Deprecation | None = self._scope["route_handler"].opt.get(deprecation.OPT)
        if said is not None:
            headers += [(name.encode(), value.encode()) for name, value in said.headers().items()]
        if self._scope["method"] == "OPTIONS":  # Litestar's own answer knows only some of a path's methods
            methods = self._scope["litestar_app"].plugins.get(Routes).methods[self._scope["path_template"]]
            headers = [pair for pair in headers if pair[0] != b"allow"]
            headers.append((b"allow", ", ".join(sorted(methods)).encode()))
        kind = (_header(headers, b"content-type") or b"").partition(b";")[0]
        message["headers"] = headers
        if kind in JSON and _header(headers, b"content-length") is not None:
            self._held = message
            return
        if kind == NDJSON:
            headers += [VARY, KEEP]
            if self._gzip_wanted():
                self._squeeze = zlib.compressobj(LEVEL, wbits=GZIP_WINDOW)
                headers.append((b"content-encoding", b"gzip"))
        await self._send(message)
        if self._over is not None:
            await self._send({"type": "http.response.body", "body": b"", "more_body": False})
            self._over.set()

    def _gzip_wanted(self) -> bool:
        return takes_gzip(_header(self._scope["headers"], b"accept-encoding") or b"")

    async def _whole(self, start: HTTPResponseStartEvent, body: bytes) -> None:
        headers = list(start["headers"])
        if self._scope["method"] == "GET" and start["status"] == 200 and _header(headers, b"cache-control") is None:
            tag = self._scope["state"].get(TAG) or tag_of(body)
            headers += [(b"etag", weak(tag).encode()), KEEP, VARY]
            asked = _header(self._scope["headers"], b"if-none-match")
            if asked is not None and conditional.names(asked.decode("latin-1"), tag, weakly=True):
                start["status"] = 304
                headers = [pair for pair in headers if pair[0] not in (b"content-type", b"content-length")]
                body = b""
        if len(body) >= LEAST_BYTES and self._gzip_wanted():
            if len(body) >= IN_A_THREAD_BYTES:
                body = await asyncio.to_thread(_compressed, body)
            else:
                body = _compressed(body)
            headers = [pair for pair in headers if pair[0] != b"content-length"]
            headers += [(b"content-length", str(len(body)).encode()), (b"content-encoding", b"gzip")]
        start["headers"] = headers
        await self._send(start)
        body = b"" if self._over is not None else body
        await self._send({"type": "http.response.body", "body": body, "more_body": False})

    async def _piece(self, squeeze: zlib._Compress, body: bytes, *, last: bool) -> None:
        """One piece of a stream, whole for its reader."""

        def compressed() -> bytes:
            return squeeze.compress(body) + squeeze.flush(zlib.Z_FINISH if last else zlib.Z_SYNC_FLUSH)

        data = await asyncio.to_thread(compressed) if len(body) >= IN_A_THREAD_BYTES else compressed()
        await self._send({"type": "http.response.body", "body": data, "more_body": not last})


def _compressed(body: bytes) -> bytes:
    return zlib.compress(body, LEVEL, GZIP_WINDOW)


class Manners:
    """The layer.

    Args:
        app: What answers.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] != ScopeType.HTTP:
            await self.app(scope, receive, send)
            return
        http: HTTPScope = scope
        handler = scope["route_handler"]
        if scope["method"] != "HEAD" or (isinstance(handler, HTTPRouteHandler) and "HEAD" in handler.http_methods):
            await self.app(scope, receive, _Answer(http, send))
            return
        # Inside it is a GET. What streams learns after its headers that the caller has gone, and stops.
        inside: HTTPScope = {**http, "method": HttpMethod.GET}
        over = asyncio.Event()
        answer = _Answer(inside, send, over)

        async def hear() -> HTTPDisconnectEvent:
            await over.wait()
            return {"type": "http.disconnect"}

        await self.app(inside, hear, answer)
