"""A job's output: read in the owner's name and below the cluster's file_roots, whole, by range, or as it grows."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final

from hpcjobs.errors import FileMissing, OutputMissing, PathOutside, WrongKind
from hpcjobs.files import CHUNK, Chunk, FileSystem
from hpcjobs.model.job import Job, State
from hpcjobs.observe.endings import SETTLE_S

POLL_S: Final = 0.3
LOST_POLLS: Final = math.ceil(2 * SETTLE_S / POLL_S)
"""A job that Slurm no longer lists and whose end nobody knows is followed for so many quiet reads: for long enough that
one that Slurm has lost is sent again (docs/adr/0011) and followed on."""
QUIET_POLLS: Final = 4
"""After a job's end its output is complete when so many reads found nothing new: what a node wrote last may take a
moment to be seen here."""


class OutputReader:
    """Reads output files through the owner's files agent.

    Args:
        files: The files of a cluster as a user: Service.files.
    """

    def __init__(self, files: Callable[[str, str], FileSystem]) -> None:
        self._files = files

    async def read(self, job: Job, path: str, offset: int, limit: int) -> Chunk:
        """Read a range.

        Args:
            job: Whose; in its owner's name and among its cluster's files.
            path: Absolute path.
            offset: First byte; negative counts from the end.
            limit: Most bytes.

        Raises:
            OutputMissing: There is no such file, or it is no regular file.
            NotAllowed: The user may not read it.
            PathOutside: It does not lie below the cluster's file_roots.
            NotSupported: The cluster has none.
        """
        try:
            return await self._files(job.cluster, job.user).read(path.encode(errors="surrogateescape"), offset, limit)
        except (FileMissing, WrongKind) as error:
            raise OutputMissing(error.detail) from error
        except PathOutside as error:
            raise PathOutside(
                f"The output cannot be reached from here: the service reads below its file_roots only. {error.detail}"
            ) from error

    async def whole(self, job: Job, path: str, offset: int, end: int) -> AsyncIterator[bytes]:
        """Everything from an offset to what was the end when the caller looked: a file may grow faster than it is read.

        Args:
            job: Whose.
            path: Absolute path.
            offset: First byte.
            end: Where to stop.
        """
        while offset < end:
            chunk = await self.read(job, path, offset, min(CHUNK, end - offset))
            if not chunk.data:
                return
            yield chunk.data
            offset = chunk.offset + len(chunk.data)

    async def follow(
        self,
        offset: int,
        latest: Callable[[], Awaitable[Job]],
        pause: Callable[[float], Awaitable[None]],
        path_of: Callable[[Job], str],
    ) -> AsyncIterator[bytes]:
        """Everything from an offset, as it is written, until the job has ended and no more comes.

        Args:
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
                    chunk = await self.read(job, path_of(job), offset, CHUNK)
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
