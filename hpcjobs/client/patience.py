"""For how long a call is tried again, and how waiting is done: the few lines in which the two clients differ."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Generator
from typing import Final, ParamSpec, TypeVar

from hpcjobs.client.problems import ApiProblem

P = ParamSpec("P")
T = TypeVar("T")
RETRY_FOR_S: Final = 60.0
"""For how long a call is tried again, where the client was not told otherwise; in seconds."""

AsyncStream = AsyncGenerator[T, None]
"""Items as they come. Close it (``aclose``, or contextlib.aclosing) where you leave before its end."""
Stream = Generator[T, None, None]
"""Items as they come. Close it (``close``, or contextlib.closing) where you leave before its end."""


async def async_sleep(seconds: float) -> None:
    """Wait."""
    await asyncio.sleep(seconds)


def sleep(seconds: float) -> None:
    """Wait."""
    time.sleep(seconds)


async def async_apart(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Do what would hold up others, as reading a disk does, where it holds up nobody."""
    return await asyncio.to_thread(work, *args, **kwargs)


def apart(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Do it here: there is nobody to hold up."""
    return work(*args, **kwargs)


class Patience:
    """Says whether there is another try. Begins anew with each sign of life.

    Args:
        for_s: For how long the service may be away, in seconds.
    """

    def __init__(self, for_s: float) -> None:
        self._for_s = for_s
        self.renew()

    def renew(self) -> None:
        """There was a sign of life."""
        self._until = time.monotonic() + self._for_s

    def pause_s(self, problem: ApiProblem) -> float:
        """How long to wait before the next try, in seconds.

        Raises:
            ApiProblem: The one given: no other try can help, or it would come too late.
        """
        if problem.retry_after_s is None or time.monotonic() + problem.retry_after_s > self._until:
            raise problem
        return problem.retry_after_s
