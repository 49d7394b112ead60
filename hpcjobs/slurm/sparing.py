"""Questions to Slurm's accounting, which is slow and everybody's: equal ones are one, and few are under way."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Final, Generic, TypeVar

from hpcjobs.errors import Unavailable

Question = TypeVar("Question", bound=Hashable)
Answer = TypeVar("Answer")

ASKED_AT_ONCE: Final = 2
"""How many questions of a kind a cluster's accounting gets at a time, whoever asks."""
BUSY: Final = "Slurm's accounting is busy with other questions; ask again."


class Sparing(Generic[Question, Answer]):
    """Asks questions of one kind.

    Args:
        turn_s: How long one waits for its turn, in seconds.
    """

    def __init__(self, turn_s: float) -> None:
        self.turn_s = turn_s
        self._asking: dict[tuple[str, Question], asyncio.Task[Answer]] = {}
        """The questions that are under way; each answers all who ask it meanwhile."""
        self._turns: dict[str, asyncio.Semaphore] = {}
        """By cluster."""

    async def ask(self, cluster: str, question: Question, asked: Callable[[], Awaitable[Answer]]) -> Answer:
        """The answer, to this caller's question or to an equal one that is under way.

        Args:
            cluster: Whose accounting.
            question: What makes two questions equal.
            asked: Asks it.

        Raises:
            Unavailable: Its turn did not come in time.
            HpcjobsError: Whatever the asking raises.
        """
        asking = self._asking.get((cluster, question))
        if asking is None:
            self._asking[cluster, question] = asking = asyncio.create_task(self._ask(cluster, asked))
            asking.add_done_callback(lambda _: self._asking.pop((cluster, question)))
        return await asyncio.shield(asking)  # who hangs up leaves the others their answer

    async def _ask(self, cluster: str, asked: Callable[[], Awaitable[Answer]]) -> Answer:
        turn = self._turns.setdefault(cluster, asyncio.Semaphore(ASKED_AT_ONCE))
        try:
            await asyncio.wait_for(turn.acquire(), self.turn_s)
        except TimeoutError:
            raise Unavailable(BUSY) from None
        try:
            return await asked()
        finally:
            turn.release()

    async def stop(self) -> None:
        """Leave the questions under way without an answer."""
        asking = list(self._asking.values())
        for task in asking:
            task.cancel()
        await asyncio.gather(*asking, return_exceptions=True)
