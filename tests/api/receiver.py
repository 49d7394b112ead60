"""An HTTP server that webhooks deliver to, and that does as a test tells it."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import hmac
import json
import ssl
from collections.abc import AsyncIterator
from typing import Any, NamedTuple


class Request(NamedTuple):
    line: str
    headers: dict[str, str]
    body: bytes

    @property
    def event(self) -> dict[str, Any]:
        told: dict[str, Any] = json.loads(self.body)
        return told

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    def is_signed_with(self, secret: str) -> bool:
        """As a receiver checks it, by the specification and not by our code."""
        key = base64.b64decode(secret.split("_", 1)[1])
        content = b".".join([self.id.encode(), self.headers["webhook-timestamp"].encode(), self.body])
        made = base64.b64encode(hmac.digest(key, content, hashlib.sha256)).decode()
        return self.headers["webhook-signature"] == f"v1,{made}"


class Receiver:
    """Answers each request with the next of ``answers``, else with 200; notes what came.

    Attributes:
        answers: A status; a whole answer in bytes; "hang": none; "close": hangs up.
    """

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.answers: list[int | bytes | str] = []
        self.came = asyncio.Condition()
        self.port = 0
        self.names: list[str | None] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    async def after(self, many: int) -> list[Request]:
        """Wait until so many requests came."""
        async with self.came:
            await asyncio.wait_for(self.came.wait_for(lambda: len(self.requests) >= many), 60)
        return self.requests

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError), contextlib.closing(writer):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
                headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:-2])}
                body = await reader.readexactly(int(headers["content-length"]))
                answer = self.answers.pop(0) if self.answers else 200
                async with self.came:
                    self.requests.append(Request(head[0], headers, body))
                    self.came.notify_all()
                if answer == "hang":
                    await reader.read()
                    return
                if answer == "close":
                    return
                if isinstance(answer, int):
                    answer = f"HTTP/1.1 {answer} So\r\nContent-Length: 4\r\n\r\nwhy?".encode()
                writer.write(answer if isinstance(answer, bytes) else b"")
                await writer.drain()


@contextlib.asynccontextmanager
async def receiving(context: ssl.SSLContext | None = None, port: int = 0) -> AsyncIterator[Receiver]:
    receiver = Receiver()
    if context is not None:
        context.sni_callback = lambda _socket, name, _context: receiver.names.append(name)
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        await receiver.serve(reader, writer)

    server = await asyncio.start_server(serve, "127.0.0.1", port, ssl=context)
    receiver.port = server.sockets[0].getsockname()[1]
    try:
        yield receiver
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await server.wait_closed()
