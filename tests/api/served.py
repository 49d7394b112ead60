"""The application under uvicorn on a loopback port, in the event loop of the test: for answers that do not end."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import httpx
import uvicorn

from hpcjobs.api.serve import Server
from hpcjobs.service import Service
from hpcjobs.settings import Settings
from hpcjobs.slurm.base import Backend
from hpcjobs.sse import Message, Parser
from tests.api.bench import Bench, shared_app


class Served(Bench):
    """A bench with an address.

    Attributes:
        server: What listens.
        url: Where.
    """

    server: Server
    url: str

    def stream(self, user: str = "alice", headers: dict[str, str] | None = None, **params: Any) -> Listening:
        """Open ``/v1/events``."""
        told = self.headers(user, params.pop("scopes", None)) | (headers or {})
        return Listening(self.http.stream("GET", "/v1/events", headers=told, params=params, timeout=60))


class Listening:
    """A stream that a test reads message by message."""

    def __init__(self, opening: contextlib.AbstractAsyncContextManager[httpx.Response]) -> None:
        self._opening = opening
        self._parser = Parser()
        self._messages: list[Message] = []
        self.raw = b""

    async def __aenter__(self) -> Listening:
        self.answer = await self._opening.__aenter__()
        self._bytes = self.answer.aiter_raw()
        return self

    async def __aexit__(self, *what: Any) -> None:
        await self._opening.__aexit__(*what)

    async def next(self) -> Message:
        """The next message; also one that only says a place.

        Raises:
            StopAsyncIteration: The stream has ended.
        """
        while not self._messages:
            await self.more()
        return self._messages.pop(0)

    async def more(self) -> None:
        """Read on, also what is no message.

        Raises:
            StopAsyncIteration: The stream has ended.
        """
        data = await anext(self._bytes)
        self.raw += data
        self._messages += self._parser.feed(data)


@contextlib.asynccontextmanager
async def served(settings: Settings, backends: dict[str, Backend]) -> AsyncIterator[Served]:
    """Run a service under a server."""
    service = Service(settings, backends)
    await service.start()
    app = shared_app()
    app.state.service = service
    config = uvicorn.Config(app, port=0, log_level="error", ws="none", lifespan="off", timeout_graceful_shutdown=5)
    server = Server(config, service)
    running = asyncio.create_task(server.serve())
    while not server.started:
        assert not running.done()
        await asyncio.sleep(0.01)
    url = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    try:
        async with httpx.AsyncClient(base_url=url, trust_env=False, verify=False) as http:
            bench = Served(service, http)
            bench.server, bench.url = server, url
            await bench.tick()
            yield bench
    finally:
        server.should_exit = True
        await running
        await service.stop()
