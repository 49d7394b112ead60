"""Which job carries which mark, for many who ask at once: one listing answers all who asked before it began."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence

from hpcjobs.errors import HpcjobsError
from hpcjobs.slurm.base import split_comment
from hpcjobs.slurm.openapi import JobWords


class MarkLists:
    """Listings of marks, by the user who lists.

    Args:
        list_jobs: Lists the jobs that a user is shown.
    """

    def __init__(self, list_jobs: Callable[[str], Awaitable[Sequence[JobWords]]]) -> None:
        self._list_jobs = list_jobs
        self._askers: dict[str, list[asyncio.Future[Mapping[str, int]]]] = {}
        """By whom they list as: those who wait for the next listing."""
        self._listers: dict[str, asyncio.Task[None]] = {}

    async def next_of(self, lister: str) -> Mapping[str, int]:
        """The numbers of marked jobs by owner and mark, by a listing that begins after this call.

        Args:
            lister: The user who lists.
        """
        answer: asyncio.Future[Mapping[str, int]] = asyncio.get_running_loop().create_future()
        self._askers.setdefault(lister, []).append(answer)
        if lister not in self._listers:
            self._listers[lister] = asyncio.create_task(self._list(lister))
        return await answer

    async def _list(self, lister: str) -> None:
        askers: list[asyncio.Future[Mapping[str, int]]] = []
        try:
            while askers := self._askers.pop(lister, []):
                try:
                    jobs = await self._list_jobs(lister)
                except HpcjobsError as error:
                    for answer in askers:
                        if not answer.done():
                            answer.set_exception(error)
                    continue
                marks = {f"{job.user_name} {split_comment(job.comment)[1]}": job.job_id for job in reversed(jobs)}
                for answer in askers:
                    if not answer.done():  # who asked may have gone
                        answer.set_result(marks)
        finally:
            del self._listers[lister]
            for answer in [*askers, *self._askers.pop(lister, [])]:
                answer.cancel()

    def close(self) -> None:
        """Stop listing."""
        for task in self._listers.values():
            task.cancel()
