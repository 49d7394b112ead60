"""``/v1/jobs/{job_id}/<verb>`` and ``/v1/jobs/actions``: things done with one job, or with many in one call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec
from litestar import Controller, post
from litestar.di import NamedDependency
from litestar.handlers import HTTPRouteHandler
from litestar.params import JSONBody
from litestar.types import AnyCallable

from hpcjobs.api.access import Asked, needs
from hpcjobs.api.common import JOB_ID_IS, Cluster, JobId, do, find_job, one, problems
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
    """Many jobs in one call."""

    path = "/v1/jobs"
    tags = ("jobs",)

    @post(
        "/actions",
        security=needs(Scope.JOBS_WRITE),
        status_code=200,
        responses=problems(413),
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
            names = [(job.id, Found(job)) for job in await self._matching(request, service, data.filter, data.cluster)]
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
    async def _matching(request: Asked, service: Service, which: JobSet, cluster: str | None) -> list[Job]:
        given = msgspec.structs.asdict(which)
        if empty := [name for name in ("state", "fate") if given[name] == []]:
            raise Refused(
                [Refusal(f"filter.{name}", "An empty list would mean no job; leave it out.") for name in empty]
            )
        if not any(value is not None for value in given.values()):
            raise Refused([Refusal("filter", "An empty filter would mean every job; say which.")])
        if cluster is not None and given["cluster"] not in (None, cluster):
            raise Refused(
                [Refusal("filter.cluster", f"It is {which.cluster!r} here and {cluster!r} beside the filter.")]
            )
        cluster = cluster or which.cluster
        if cluster is not None:
            given["cluster"] = service.target(cluster).observer.cluster
        states, fates = given.pop("state"), given.pop("fate")
        user = given.pop("user")
        if user is None and which.account is None and which.parent is None:
            user = request.user.user  # who may act on others' jobs must say so: a short filter hits one's own
        wanted = wanted_of(request, user, given.pop("cluster"), states, fates, **given)
        documents = await service.store.read(repository.page, wanted, None, MAX_JOBS + 1)
        if len(documents) > MAX_JOBS:
            raise Refused([Refusal("filter", f"More than {MAX_JOBS} jobs are so; narrow the filter.")])
        return [job_of(document) for document in documents]


def order(verb: Verb, summary: str, more: str = "") -> Callable[[AnyCallable], HTTPRouteHandler]:
    """The decorator of a route that has one thing done with one job."""
    return post(
        f"/v1/jobs/{{job_id:str}}/{verb}",
        operation_id=f"V1JobsJobId{verb.title()}",
        tags=["jobs"],
        security=needs(Scope.JOBS_WRITE),
        status_code=202,
        responses=problems(409, 501),
        summary=summary,
        description=more + TAKEN + JOB_ID_IS,
    )


def plain(verb: Verb, summary: str, more: str = "") -> HTTPRouteHandler:
    """A route whose path says it all."""

    @order(verb, summary, more)
    async def handler(request: Asked, service: NamedDependency[Service], job_id: JobId, cluster: Cluster = None) -> Job:
        return await one(request, service, job_id, cluster, Wish(verb))

    return handler


@order(Verb.REQUEUE, "Requeue a job", "Running or ended; it waits and runs again under the same number. ")
async def requeue(
    request: Asked,
    service: NamedDependency[Service],
    job_id: JobId,
    data: JSONBody[RequeueRequest | None] = None,
    cluster: Cluster = None,
) -> Job:
    """Requeue."""
    return await one(request, service, job_id, cluster, Wish(Verb.REQUEUE, hold=data is not None and data.hold))


@order(Verb.SIGNAL, "Send a signal to a job")
async def signal(
    request: Asked,
    service: NamedDependency[Service],
    job_id: JobId,
    data: JSONBody[SignalRequest],
    cluster: Cluster = None,
) -> Job:
    """Signal."""
    return await one(request, service, job_id, cluster, Wish(Verb.SIGNAL, signal=data.signal, scope=data.scope))


ORDERS: Final = [
    plain(Verb.HOLD, "Hold a waiting job"),
    plain(Verb.RELEASE, "Release a held job"),
    plain(
        Verb.SUSPEND,
        "Suspend a running job",
        "Slurm 26.05 lets users suspend their own jobs, 24.11 only operators. It keeps its GPUs. ",
    ),
    plain(Verb.RESUME, "Resume a suspended job"),
    requeue,
    signal,
]
"""One route for each thing that can be done with one job; cancelling and changing it are DELETE and PATCH."""
