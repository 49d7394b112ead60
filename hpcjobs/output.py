"""A job's output: read in the owner's name, whole, by range, or as it grows."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final

from hpcjobs.agents.pool import AgentPool
from hpcjobs.errors import FileMissing, OutputMissing, WrongKind
from hpcjobs.files import CHUNK, Chunk, ask_agent
from hpcjobs.model.job import Job, State

POLL_S: Final = 0.3
LOST_POLLS: Final = 100
"""A job that Slurm no longer lists and whose end nobody knows is followed for so many quiet reads, about 30 s."""
QUIET_POLLS: Final = 4
"""After a job's end its output is complete when so many reads found nothing new: what a node wrote last may take a
moment to be seen here."""


class OutputReader:
    """Reads output files through the owner's files agent.

    Args:
        pool: Where the agents come from.
    """

    def __init__(self, pool: AgentPool) -> None:
        self.pool = pool

    async def read(self, user: str, path: str, offset: int, limit: int) -> Chunk:
        """Read a range.

        Args:
            user: In whose name.
            path: Absolute path.
            offset: First byte; negative counts from the end.
            limit: Most bytes.

        Raises:
            OutputMissing: There is no such file, or it is no regular file.
            NotAllowed: The user may not read it.
        """
        try:
            return await ask_agent(
                self.pool, user, "read", {"path": path, "offset": offset, "limit": limit}, path, Chunk
            )
        except (FileMissing, WrongKind) as error:
            raise OutputMissing(error.detail) from error

    async def whole(self, user: str, path: str, offset: int, end: int) -> AsyncIterator[bytes]:
        """Everything from an offset to what was the end when the caller looked: a file may grow faster than it is read.

        Args:
            user: In whose name.
            path: Absolute path.
            offset: First byte.
            end: Where to stop.
        """
        while offset < end:
            chunk = await self.read(user, path, offset, min(CHUNK, end - offset))
            if not chunk.data:
                return
            yield chunk.data
            offset = chunk.offset + len(chunk.data)

    async def follow(
        self,
        user: str,
        offset: int,
        latest: Callable[[], Awaitable[Job]],
        pause: Callable[[float], Awaitable[None]],
        path_of: Callable[[Job], str],
    ) -> AsyncIterator[bytes]:
        """Everything from an offset, as it is written, until the job has ended and no more comes.

        Args:
            user: In whose name.
            offset: First byte; negative counts from the end.
            latest: The job as it is now.
            pause: Waits so many seconds, or shorter when there is news.
            path_of: Which of the job's files.
        """
        quiet, enough = 0, QUIET_POLLS
        while quiet < enough:
            job = await latest()
            enough = QUIET_POLLS if job.final else LOST_POLLS
            chunk: Chunk | None = None
            if path_of(job):
                try:
                    chunk = await self.read(user, path_of(job), offset, CHUNK)
                except OutputMissing:
                    chunk = None
            if chunk and chunk.data:
                quiet = 0
                offset = chunk.offset + len(chunk.data)
                yield chunk.data
                continue
            if chunk and offset < 0:
                offset = chunk.size
            quiet = quiet + 1 if job.final or job.state is State.UNKNOWN else 0
            await pause(POLL_S)
