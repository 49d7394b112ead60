"""``/v1/jobs``."""

from __future__ import annotations

import asyncio
import contextlib
import re
import time
from collections.abc import AsyncIterator
from typing import Annotated, Final, Literal

import msgspec
from litestar import Controller, Response, delete, get, post
from litestar.di import NamedDependency
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, FromQuery, HeaderParameter, JSONBody, QueryParameter
from litestar.response import Stream

from hpcjobs.api.access import Asked
from hpcjobs.api.problems import Problem
from hpcjobs.errors import JobUnknown, NotAllowed, OutputMissing, Refusal, Refused
from hpcjobs.files import CHUNK
from hpcjobs.model.job import Fate, Job, JobSpec, State
from hpcjobs.service import Service
from hpcjobs.store import repository
from hpcjobs.store.repository import JobFilter

OUR_ID = re.compile(r"^[0-9a-f]{32}$")
SLURM_ID = re.compile(r"^[1-9][0-9]{0,9}$")
MAX_LIMIT: Final = 1000
MAX_OFFSET: Final = 2**62
TEXT: Final = "text/plain"

ALL_PROBLEMS: Final = {
    status: ResponseSpec(
        data_container=Problem,
        description=description,
        media_type="application/problem+json",
        generate_examples=False,
    )
    for status, description in {
        400: "The request does not fit the API.",
        401: "No token, or one that does not hold.",
        403: "Another user's job.",
        404: "No such job, cluster or output.",
        409: "The request contradicts what is already so: a key used for another request, a job that has ended.",
        413: "The body is larger than the limit.",
        422: "Admission or Slurm refuses it; `errors` has one entry per fault.",
        501: "The cluster's backend cannot do this; the detail says why.",
        503: "Slurm, a worker or the database does not answer; try again after Retry-After.",
    }.items()
}


def problems(*more: int) -> dict[int, ResponseSpec]:
    """The problem documents of a route: those that any may give, and its own."""
    return {status: ALL_PROBLEMS[status] for status in (400, 401, 403, 404, 503, *more)}


MaxAge = Annotated[
    float | None,
    QueryParameter(name="max_age_s", ge=0, description="How old the listing may be that answers, in seconds."),
]
Cluster = Annotated[
    str | None, QueryParameter(description="Name of the cluster; the default cluster where it is left out.")
]


class SubmitRequest(JobSpec, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A job to submit.

    Attributes:
        cluster: Where; None is the default cluster.
    """

    cluster: str | None = None

    def spec(self) -> JobSpec:
        """The spec without the cluster."""
        return JobSpec(**{name: getattr(self, name) for name in JobSpec.__struct_fields__})


class JobPage(msgspec.Struct, frozen=True):
    """Jobs, newest first.

    Attributes:
        items: The jobs.
        next_cursor: Ask for the next page with it; None: this was the last.
        observed_at: Unix seconds of the listing behind the answer, by cluster.
    """

    items: list[Job]
    next_cursor: str | None
    observed_at: dict[str, float]


async def find_job(service: Service, job_id: str, cluster: str | None) -> Job:
    """A job by our id or by Slurm's number.

    Raises:
        JobUnknown: There is none.
    """
    job: Job | None = None
    if OUR_ID.fullmatch(job_id):
        job = await service.store.read(repository.job_by_id, job_id)
    elif SLURM_ID.fullmatch(job_id):
        name = service.target(cluster).observer.cluster
        job = await service.store.read(repository.job_by_slurm_id, name, int(job_id))
    if job is None:
        raise JobUnknown(f"There is no job {job_id!r}.")
    return with_age(service, job)


def with_age(service: Service, job: Job) -> Job:
    """The job with the time of the listing that it was last seen in."""
    target = service.targets.get(job.cluster)
    view = target.observer.view if target else None
    if job.final or view is None or job.slurm_job_id not in view.jobs:
        return job
    return msgspec.structs.replace(job, observed_at=view.asked_at)


async def own_job(service: Service, request: Asked, job_id: str, cluster: str | None) -> Job:
    """A job that the caller may see.

    Raises:
        JobUnknown: There is none.
        NotAllowed: It is another user's.
    """
    job = await find_job(service, job_id, cluster)
    request.user.require_owner(job.user, f"Job {job_id}")
    return job


def check_fresh(service: Service, job: Job, max_age_s: float | None) -> None:
    """A job that Slurm may have moved on must come from a young listing."""
    if job.final or job.slurm_job_id is None:
        return
    service.target(job.cluster).observer.fresh_view(max_age_s, time.time())


class JobsController(Controller):
    """Submit, look, read, cancel."""

    path = "/v1/jobs"
    tags = ("jobs",)

    @post(
        responses=problems(409, 413, 422, 501),
        summary="Submit a job",
        description="Answers when Slurm has the job. With an Idempotency-Key the same request can be sent any number "
        "of times and makes one job. `#SBATCH` lines of the script fill in what the request leaves out.",
    )
    async def submit(
        self,
        request: Asked,
        service: NamedDependency[Service],
        data: JSONBody[SubmitRequest],
        idempotency_key: Annotated[
            str | None, HeaderParameter(name="Idempotency-Key", min_length=1, max_length=255)
        ] = None,
    ) -> Response[Job]:
        """Submit."""
        target = service.target(data.cluster)
        submitted = await service.submission.submit(request.user.user, target, data.spec(), idempotency_key)
        headers = {"Location": f"/v1/jobs/{submitted.job.id}"}
        if submitted.replayed:
            headers["Idempotency-Replayed"] = "true"
        return Response(with_age(service, submitted.job), status_code=201, headers=headers)

    @get(responses=problems(422), summary="List jobs", description="Newest first; users see their own, admins all.")
    async def page(
        self,
        request: Asked,
        service: NamedDependency[Service],
        user: FromQuery[str | None] = None,
        cluster: Cluster = None,
        job_state: Annotated[list[State] | None, QueryParameter(name="state")] = None,
        fate: FromQuery[list[Fate] | None] = None,
        account: FromQuery[str | None] = None,
        partition: FromQuery[str | None] = None,
        name: FromQuery[str | None] = None,
        cursor: Annotated[str | None, QueryParameter(description="`next_cursor` of the page before.")] = None,
        limit: Annotated[int, QueryParameter(ge=1, le=MAX_LIMIT)] = 100,
        max_age_s: MaxAge = None,
    ) -> JobPage:
        """List."""
        if not request.user.admin:
            if user not in (None, request.user.user):
                raise NotAllowed("Only admins see the jobs of others.")
            user = request.user.user
        if cursor is not None and not OUR_ID.fullmatch(cursor):
            raise Refused([Refusal("cursor", "This is not a next_cursor of an earlier page.")])
        targets = [service.target(cluster)] if cluster else list(service.targets.values())
        observed_at = {
            target.observer.cluster: target.observer.fresh_view(max_age_s, time.time()).asked_at for target in targets
        }
        wanted = JobFilter(
            user=user,
            cluster=cluster,
            states=tuple(job_state or ()),
            fates=tuple(fate or ()),
            account=account,
            partition=partition,
            name=name,
        )
        jobs = await service.store.read(repository.page, wanted, cursor, limit + 1)
        items = [with_age(service, job) for job in jobs[:limit]]
        return JobPage(items, items[-1].id if len(jobs) > limit else None, observed_at)

    @get(
        "/{job_id:str}",
        responses=problems(),
        summary="One job",
        description="By our id, or by Slurm's number on `cluster`.",
    )
    async def show(
        self,
        request: Asked,
        service: NamedDependency[Service],
        job_id: FromPath[str],
        cluster: Cluster = None,
        max_age_s: MaxAge = None,
    ) -> Job:
        """Show."""
        job = await own_job(service, request, job_id, cluster)
        check_fresh(service, job, max_age_s)
        return job

    @delete(
        "/{job_id:str}",
        status_code=202,
        responses=problems(409),
        summary="Cancel a job",
        description="Answers when Slurm has taken the order; the state follows within a listing.",
    )
    async def cancel(
        self, request: Asked, service: NamedDependency[Service], job_id: FromPath[str], cluster: Cluster = None
    ) -> Job:
        """Cancel."""
        job = await own_job(service, request, job_id, cluster)
        actor = request.user.user if job.user == request.user.user else service.settings.service_user
        await service.submission.cancel(job, actor, service.target(job.cluster).observer)
        return job

    @get(
        "/{job_id:str}/output",
        responses=problems(),
        media_type=TEXT,
        summary="Output of a job",
        description="The file as it is, read in the owner's name. With `follow` the answer stays open until the job "
        "has ended and everything it wrote is out; a broken stream goes on with `offset`.",
    )
    async def output(
        self,
        request: Asked,
        service: NamedDependency[Service],
        job_id: FromPath[str],
        cluster: Cluster = None,
        stream: FromQuery[Literal["stdout", "stderr"]] = "stdout",
        offset: Annotated[
            int, QueryParameter(ge=-MAX_OFFSET, le=MAX_OFFSET, description="First byte; negative counts from the end.")
        ] = 0,
        follow: FromQuery[bool] = False,
    ) -> Stream:
        """Read or follow."""
        job = await own_job(service, request, job_id, cluster)

        def path_of(job: Job) -> str:
            return job.stdout if stream == "stdout" else job.stderr

        if follow:
            if path_of(job):
                with contextlib.suppress(OutputMissing):  # a refusal must come before the stream has begun
                    await service.output.read(job.user, path_of(job), 0, 1)
            observer = service.target(job.cluster).observer

            async def latest() -> Job:
                return await find_job(service, job.id, None)

            async def pause(seconds: float) -> None:
                await (asyncio.sleep(seconds) if path_of(job) else observer.next_tick(seconds))

            return Stream(service.output.follow(job.user, offset, latest, pause, path_of), media_type=TEXT)
        if not path_of(job):
            raise OutputMissing(f"Job {job_id} is {job.state} and has no output file yet.")
        try:
            first = await service.output.read(job.user, path_of(job), offset, CHUNK)
        except OutputMissing as error:
            if job.final:
                raise
            raise OutputMissing(f"Job {job_id} is {job.state} and has written nothing yet: {error.detail}") from error

        rest_at = first.offset + len(first.data)

        async def chunks() -> AsyncIterator[bytes]:
            yield first.data
            async for data in service.output.whole(job.user, path_of(job), rest_at, first.size):
                yield data

        return Stream(chunks(), media_type=TEXT)
