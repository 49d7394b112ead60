"""``/v1/jobs/{job_id}/<verb>`` and ``/v1/jobs/actions``: things done with one job, or with many in one call."""

from __future__ import annotations

from typing import Final

import msgspec
from litestar import Controller, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from hpcjobs.api.access import Asked, needs
from hpcjobs.api.common import JOB_ID_IS, Cluster, do, find_job, one, problems
from hpcjobs.api.jobs import wanted_of
from hpcjobs.api.problems import problem_of
from hpcjobs.api.trail import ABOUT
from hpcjobs.errors import HpcjobsError, Refusal, Refused
from hpcjobs.identity import Scope
from hpcjobs.lookup import Found
from hpcjobs.model.action import (
    MAX_JOBS,
    ActionReport,
    ActionRequest,
    ActionResult,
    JobSet,
    RequeueRequest,
    SignalRequest,
)
from hpcjobs.model.job import Job
from hpcjobs.model.order import Verb
from hpcjobs.orders import Wish
from hpcjobs.service import Service
from hpcjobs.store import repository
from hpcjobs.store.rows import job_of

TAKEN: Final = "Answers when Slurm has taken the order; the state follows within a listing. "


class ActionsController(Controller):
    """Hold, release, requeue, suspend, resume, signal; many jobs in one call."""

    path = "/v1/jobs"
    tags = ("jobs",)

    @post(
        "/actions",
        security=needs(Scope.JOBS_WRITE),
        status_code=200,
        responses=problems(413, 422),
        summary="Do something with many jobs",
        description="Each job has a result of its own; one that fails does not keep the others from being done.",
    )
    async def actions(
        self, request: Asked, service: NamedDependency[Service], data: JSONBody[ActionRequest]
    ) -> ActionReport:
        """Do."""
        if (data.jobs is None) == (data.filter is None):
            raise Refused([Refusal("jobs", "Say which jobs: either jobs or filter.")])
        names: list[tuple[str, Found | None]]
        if data.filter is None:
            names = [(name, None) for name in data.jobs or ()]
        else:
            names = [(job.id, Found(job)) for job in await self._matching(request, service, data.filter)]
        results = []
        for name, found in names:
            try:
                found = found or await find_job(service, request, name, data.cluster)
                wish = Wish(data.verb, found.tasks, data.signal, data.scope, data.hold, data.changes)
                await do(request, service, found.job, wish)
            except HpcjobsError as error:
                results.append(ActionResult(name, False, problem_of(error, request.url.path)))
            else:
                results.append(ActionResult(name, True))
        done = sum(result.done for result in results)
        request.scope["state"][ABOUT] = f"{data.verb}: {done} done, {len(results) - done} failed"
        return ActionReport(results, done, len(results) - done)

    @staticmethod
    async def _matching(request: Asked, service: Service, which: JobSet) -> list[Job]:
        given = msgspec.structs.asdict(which)
        if not any(value is not None for value in given.values()):
            raise Refused([Refusal("filter", "An empty filter would mean every job; say which.")])
        states, fates = given.pop("state"), given.pop("fate")
        user = given.pop("user")
        if user is None and which.account is None and which.parent is None:
            user = request.user.user  # who may act on others' jobs must say so: a short filter hits one's own
        wanted = wanted_of(request, user, given.pop("cluster"), states, fates, **given)
        documents = await service.store.read(repository.page, wanted, None, MAX_JOBS + 1)
        if len(documents) > MAX_JOBS:
            raise Refused([Refusal("filter", f"More than {MAX_JOBS} jobs are so; narrow the filter.")])
        return [job_of(document) for document in documents]

    @post(
        "/{job_id:str}/hold",
        security=needs(Scope.JOBS_WRITE),
        status_code=202,
        responses=problems(409, 422, 501),
        summary="Hold a waiting job",
        description=TAKEN + JOB_ID_IS,
    )
    async def hold(
        self, request: Asked, service: NamedDependency[Service], job_id: FromPath[str], cluster: Cluster = None
    ) -> Job:
        """Hold."""
        return await one(request, service, job_id, cluster, Wish(Verb.HOLD))

    @post(
        "/{job_id:str}/release",
        security=needs(Scope.JOBS_WRITE),
        status_code=202,
        responses=problems(409, 422, 501),
        summary="Release a held job",
        description=TAKEN + JOB_ID_IS,
    )
    async def release(
        self, request: Asked, service: NamedDependency[Service], job_id: FromPath[str], cluster: Cluster = None
    ) -> Job:
        """Release."""
        return await one(request, service, job_id, cluster, Wish(Verb.RELEASE))

    @post(
        "/{job_id:str}/suspend",
        security=needs(Scope.JOBS_WRITE),
        status_code=202,
        responses=problems(409, 422, 501),
        summary="Suspend a running job",
        description="Operators only, as in Slurm. A suspended job keeps its GPUs. " + TAKEN + JOB_ID_IS,
    )
    async def suspend(
        self, request: Asked, service: NamedDependency[Service], job_id: FromPath[str], cluster: Cluster = None
    ) -> Job:
        """Suspend."""
        return await one(request, service, job_id, cluster, Wish(Verb.SUSPEND))

    @post(
        "/{job_id:str}/resume",
        security=needs(Scope.JOBS_WRITE),
        status_code=202,
        responses=problems(409, 422, 501),
        summary="Resume a suspended job",
        description=TAKEN + JOB_ID_IS,
    )
    async def resume(
        self, request: Asked, service: NamedDependency[Service], job_id: FromPath[str], cluster: Cluster = None
    ) -> Job:
        """Resume."""
        return await one(request, service, job_id, cluster, Wish(Verb.RESUME))

    @post(
        "/{job_id:str}/requeue",
        security=needs(Scope.JOBS_WRITE),
        status_code=202,
        responses=problems(409, 422, 501),
        summary="Requeue a job",
        description="Running or ended; it waits and runs again under the same number. " + TAKEN + JOB_ID_IS,
    )
    async def requeue(
        self,
        request: Asked,
        service: NamedDependency[Service],
        job_id: FromPath[str],
        data: JSONBody[RequeueRequest | None] = None,
        cluster: Cluster = None,
    ) -> Job:
        """Requeue."""
        hold = data.hold if data else False
        return await one(request, service, job_id, cluster, Wish(Verb.REQUEUE, hold=hold))

    @post(
        "/{job_id:str}/signal",
        security=needs(Scope.JOBS_WRITE),
        status_code=202,
        responses=problems(409, 422, 501),
        summary="Send a signal to a job",
        description=TAKEN + JOB_ID_IS,
    )
    async def signal(
        self,
        request: Asked,
        service: NamedDependency[Service],
        job_id: FromPath[str],
        data: JSONBody[SignalRequest],
        cluster: Cluster = None,
    ) -> Job:
        """Signal."""
        wish = Wish(Verb.SIGNAL, signal=data.signal, scope=data.scope)
        return await one(request, service, job_id, cluster, wish)
