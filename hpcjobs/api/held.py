"""Answers that come as they come, and let go of what they hold however they end."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractContextManager
from typing import Any

from litestar.response import Stream
from litestar.response.base import ASGIResponse
from litestar.types import Receive, Scope, Send


class HeldStream(Stream):
    """A stream that holds something until it has ended.

    Args:
        held: What is let go of at the end.
        chunks: What is sent.
        media_type: Of what is sent.
        headers: More of them.
    """

    def __init__(
        self,
        held: AbstractContextManager[object],
        chunks: AsyncIterator[bytes],
        media_type: str,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(chunks, media_type=media_type, headers=headers)
        self._held = held

    def to_asgi_response(self, *args: Any, **kwargs: Any) -> ASGIResponse:  # noqa: ANN401  Litestar's own
        """See Litestar."""
        return _Closing(super().to_asgi_response(*args, **kwargs), self._held)  # type: ignore[return-value]


class _Closing:
    def __init__(self, response: ASGIResponse, held: AbstractContextManager[object]) -> None:
        self._response = response
        self._held = held

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._held:
            await self._response(scope, receive, send)
