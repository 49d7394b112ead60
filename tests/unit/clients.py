"""Both clients behind one face, so that one suite runs over both: the synchronous one is called in threads."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncGenerator, Callable, Generator
from typing import Any, Final

import pytest

from hpcjobs.client import AsyncClient, AsyncFiles, AsyncWebhooks, Client, Files, Webhooks

END: Final = object()
FACES: Final = {Client: AsyncClient, Files: AsyncFiles, Webhooks: AsyncWebhooks}
KINDS: Final = (pytest.param("sync", marks=pytest.mark.thorough), "async")
"""The first is made of the second, so that the loop of each change leaves it out."""


async def stepped(items: Generator[Any, None, None]) -> AsyncGenerator[Any, None]:
    """A generator whose steps are made in threads."""
    try:
        while (item := await asyncio.to_thread(next, items, END)) is not END:
            yield item
    finally:
        await asyncio.to_thread(items.close)


class InThreads:
    """A synchronous client with the face of the asynchronous one."""

    def __init__(self, sync: Client | Files | Webhooks) -> None:
        self.sync = sync

    def __getattr__(self, name: str) -> Any:
        if name == "aclose":
            return lambda: asyncio.to_thread(self.sync.close)
        face, found = getattr(FACES[type(self.sync)], name), getattr(self.sync, name)
        if inspect.isasyncgenfunction(face):
            return lambda *args, **more: stepped(found(*args, **more))
        if inspect.iscoroutinefunction(face):
            return lambda *args, **more: asyncio.to_thread(found, *args, **more)
        if type(found) in FACES:
            return InThreads(found)
        return lambda *args, **more: InThreads(found(*args, **more))


def client_of(kind: str, url: str, token: str | Callable[[], str], **more: Any) -> Any:
    """A client of either kind, with the asynchronous face."""
    return AsyncClient(url, token, **more) if kind == "async" else InThreads(Client(url, token, **more))


async def listed(items: AsyncGenerator[Any, None], most: int | None = None) -> list[Any]:
    """So many items, or all of them; the rest is closed."""
    found: list[Any] = []
    try:
        while most is None or len(found) < most:
            found.append(await anext(items))
    except StopAsyncIteration:
        pass
    finally:
        await items.aclose()
    return found
