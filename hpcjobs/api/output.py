"""``/v1/jobs/{job_id}/output``."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Annotated, Final, Literal

from litestar import Controller, get
from litestar.di import NamedDependency
from litestar.params import QueryParameter
from litestar.response import Stream

from hpcjobs import lookup
from hpcjobs.api.access import Asked, needs
from hpcjobs.api.common import Cluster, JobId, own_job, problems
from hpcjobs.api.held import HeldStream
from hpcjobs.errors import OutputMissing
from hpcjobs.files import CHUNK
from hpcjobs.identity import Scope, policy
from hpcjobs.model.job import Job
from hpcjobs.service import Service

MAX_OFFSET: Final = 2**62
TEXT: Final = "text/plain"


class OutputController(Controller):
    """What jobs write."""

    path = "/v1/jobs"
    tags = ("jobs",)

    @get(
        "/{job_id:str}/output",
        security=needs(Scope.JOBS_READ),
        responses=problems(501),
        media_type=TEXT,
        summary="Output of a job",
        description="The file as it is, read in the owner's name, for the owner only, and only below the "
        "cluster's `file_roots`. With `follow` the answer "
        "stays open until the job has ended and everything it wrote is out; a broken stream goes on with `offset`. "
        "Without it, `Output-Offset` says where in the file the answer begins.",
    )
    async def output(
        self,
        request: Asked,
        service: NamedDependency[Service],
        job_id: JobId,
        cluster: Cluster = None,
        stream: Annotated[Literal["stdout", "stderr"], QueryParameter(description="Which of the two.")] = "stdout",
        offset: Annotated[
            int, QueryParameter(ge=-MAX_OFFSET, le=MAX_OFFSET, description="First byte; negative counts from the end.")
        ] = 0,
        follow: Annotated[bool, QueryParameter(description="Whether to stay for what is still to come.")] = False,
    ) -> Stream:
        """Read or follow."""
        job = await own_job(service, request, job_id, cluster)
        policy.require_owner(request.user, job.user, f"The output of job {job_id}")

        def path_of(job: Job) -> str:
            return job.stdout if stream == "stdout" else job.stderr

        if follow:
            observer = service.target(job.cluster).observer

            async def latest() -> Job:
                return (await lookup.find(service.store, job.cluster, job.id)).job

            async def pause(seconds: float) -> None:
                await (asyncio.sleep(seconds) if path_of(job) else observer.next_tick(seconds))

            with contextlib.ExitStack() as kept:
                admission = service.hub.streams.admit(request.user.user, service.settings.streams_per_user)
                kept.enter_context(admission)
                if path_of(job):
                    with contextlib.suppress(OutputMissing):  # a refusal must come before the stream has begun
                        await service.output.read(job, path_of(job), 0, 1)
                chunks = service.output.follow(offset, latest, pause, path_of)
                kept.pop_all()
            return HeldStream(admission, chunks, TEXT)
        if not path_of(job):
            raise OutputMissing(f"Job {job_id} is {job.state} and has no output file yet.")
        try:
            first = await service.output.read(job, path_of(job), offset, CHUNK)
        except OutputMissing as error:
            if job.final:
                raise
            raise OutputMissing(f"Job {job_id} is {job.state} and has written nothing yet: {error.detail}") from error

        rest_at = first.offset + len(first.data)

        async def all_of_it() -> AsyncIterator[bytes]:
            yield first.data
            async for data in service.output.whole(job, path_of(job), rest_at, first.size):
                yield data

        return Stream(all_of_it(), media_type=TEXT, headers={"Output-Offset": str(first.offset)})
