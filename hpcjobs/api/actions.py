"""``/v1/jobs/{job_id}/<verb>`` and ``/v1/jobs/actions``: things done with one job, or with many in one call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Final

import msgspec
from litestar import Controller, post
from litestar.di import NamedDependency
from litestar.handlers import HTTPRouteHandler
from litestar.params import JSONBody
from litestar.types import AnyCallable

from hpcjobs.api.access import Asked, needs
from hpcjobs.api.common import JOB_ID_IS, Cluster, JobId, do, find_job, one, problems
from hpcjobs.api.jobs import wanted_of
from hpcjobs.api.problems import Problem, problem_of
from hpcjobs.api.trail import ABOUT
from hpcjobs.errors import HpcjobsError, Refusal, Refused
from hpcjobs.identity import Scope
from hpcjobs.lookup import Found
from hpcjobs.model.job import Fate, Job, State
from hpcjobs.model.order import Changes, SignalScope, Verb
from hpcjobs.orders import Wish
from hpcjobs.service import Service
from hpcjobs.store import repository
from hpcjobs.store.rows import job_of

MAX_JOBS: Final = 1000
TAKEN: Final = "Answers when Slurm has taken the order; the state follows within a listing. "


class RequeueRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How to requeue.

    Attributes:
        hold: Whether it is held, so that it does not start again until it is released.
    """

    hold: bool = False


class SignalRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which signal, and to whom.

    Attributes:
        signal: Name without SIG (``USR1``, ``TERM``) or number (``10``).
        scope: Which of the job's processes get it.
    """

    signal: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9+_-]{1,16}$")]
    scope: SignalScope = SignalScope.STEPS


class JobSet(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which jobs: every field that is given must hold. At least one is needed.

    One's own, where neither user, account nor parent says otherwise.

    Attributes:
        user: Of this user.
        cluster: On this cluster.
        state: In one of these states.
        fate: Ended in one of these ways.
        account: Charged to this account.
        partition: In this partition.
        name: With exactly this name.
        parent: Tasks of the array, or components of the heterogeneous job, with this id.
    """

    user: str | None = None
    cluster: str | None = None
    state: list[State] | None = None
    fate: list[Fate] | None = None
    account: str | None = None
    partition: str | None = None
    name: str | None = None
    parent: str | None = None


class ActionRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The same for many jobs.

    Attributes:
        verb: What.
        jobs: By name: our ids or Slurm's numbers, also ``123_4`` and ``123_[1-5]``. Either this or ``filter``.
        filter: By what they are: those that are so now; 1000 at the most.
        cluster: On which cluster Slurm's numbers in ``jobs`` count.
        signal: For signal.
        scope: For signal.
        hold: For requeue.
        changes: For update.
    """

    verb: Verb
    jobs: Annotated[list[str], msgspec.Meta(max_length=MAX_JOBS)] | None = None
    filter: JobSet | None = None
    cluster: str | None = None
    signal: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9+_-]{0,16}$")] = ""
    scope: SignalScope = SignalScope.STEPS
    hold: bool = False
    changes: Changes | None = None


class ActionResult(msgspec.Struct, frozen=True, omit_defaults=True):
    """What became of one job.

    Attributes:
        job: As it was named, or our id.
        done: Whether Slurm has taken the order.
        problem: Why not.
    """

    job: str
    done: bool
    problem: Problem | None = None


class ActionReport(msgspec.Struct, frozen=True):
    """What became of each job.

    Attributes:
        results: One for each, in the order of the request.
        done: How many orders Slurm has taken.
        failed: How many not.
    """

    results: list[ActionResult]
    done: int
    failed: int


class ActionsController(Controller):
    """Many jobs in one call."""

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


def order(verb: Verb, summary: str, more: str = "") -> Callable[[AnyCallable], HTTPRouteHandler]:
    """The decorator of a route that has one thing done with one job."""
    return post(
        f"/v1/jobs/{{job_id:str}}/{verb}",
        operation_id=f"V1JobsJobId{verb.title()}",
        tags=["jobs"],
        security=needs(Scope.JOBS_WRITE),
        status_code=202,
        responses=problems(409, 422, 501),
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
    plain(Verb.SUSPEND, "Suspend a running job", "Operators only, as in Slurm. A suspended job keeps its GPUs. "),
    plain(Verb.RESUME, "Resume a suspended job"),
    requeue,
    signal,
]
"""One route for each thing that can be done with one job; cancelling and changing it are DELETE and PATCH."""
