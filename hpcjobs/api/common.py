"""What the routes share: parameters, problem documents, the job that a path names."""

from __future__ import annotations

import functools
import operator
import time
from typing import Annotated, Final, cast

import msgspec
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import HeaderParameter, PathParameter, QueryParameter

from hpcjobs import lookup
from hpcjobs.api.access import Asked
from hpcjobs.errors import JobUnknown
from hpcjobs.identity import check_may_run, policy
from hpcjobs.lookup import Found
from hpcjobs.model.job import Fate, Job, State
from hpcjobs.model.problem import Problem
from hpcjobs.orders import Wish
from hpcjobs.service import Service

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
        403: "The token's scopes or the user's role are not enough.",
        404: "No such job, cluster or output, or none that the caller may see.",
        409: "The request contradicts what is already so: a key used for another request, a job that has ended.",
        413: "The body is larger than the limit.",
        415: "The body is announced as something else than JSON.",
        422: "Admission or Slurm refuses it; `errors` has one entry per fault.",
        429: "The user asks more often than the settings allow; try again after Retry-After.",
        501: "No way to this cluster can do it; the detail says why.",
        503: "Slurm, a worker or the database does not answer; try again after Retry-After.",
    }.items()
}


def answers(description: str, *kinds: type[msgspec.Struct]) -> ResponseSpec:
    """An answer that is one of several kinds."""
    either = cast("type", functools.reduce(operator.or_, kinds))
    return ResponseSpec(either, description=description, generate_examples=False)


def problems(*more: int) -> dict[int, ResponseSpec]:
    """The problem documents of a route: those that any may give, and its own.

    Any route may refuse a value that has the right form: a cursor of no page, a text that the database cannot hold.
    """
    return {status: ALL_PROBLEMS[status] for status in (400, 401, 403, 404, 422, 429, 503, *more)}


IdempotencyKey = Annotated[
    str | None,
    HeaderParameter(
        name="Idempotency-Key",
        min_length=1,
        max_length=255,
        description="The same key and request make one job, however often they are sent.",
    ),
]
MaxAge = Annotated[
    float | None,
    QueryParameter(name="max_age_s", ge=0, description="How old the listing may be that answers, in seconds."),
]
Cluster = Annotated[
    str | None, QueryParameter(description="Name of the cluster; the default cluster where it is left out.")
]
JobId = Annotated[
    str, PathParameter(description="Our id, or Slurm's number: `123`, a task `123_4`, a component `123+1`.")
]
ClusterName = Annotated[str, PathParameter(description="Name of the cluster.")]
User = Annotated[str | None, QueryParameter(description="Of jobs of this user.")]
Account = Annotated[str | None, QueryParameter(description="Of jobs of this account.")]
States = Annotated[list[State] | None, QueryParameter(name="state", description="In one of these states.")]
Fates = Annotated[list[Fate] | None, QueryParameter(description="Ended in one of these ways.")]
JOB_ID_IS: Final = (
    "`job_id` is our id, or Slurm's number on `cluster`, also of a task (`123_4`) or component (`123+1`)."
)


async def find_job(service: Service, request: Asked, job_id: str, cluster: str | None) -> Found:
    """A job that the caller may see, by any of its names.

    Raises:
        JobUnknown: There is none, or none that they may know of: the two look alike.
    """
    visible = policy.visibility(request.user)
    return await lookup.find(service.store, service.target(cluster).observer.cluster, job_id, visible)


async def own_job(service: Service, request: Asked, job_id: str, cluster: str | None) -> Job:
    """The same, for what concerns one job: of several tasks, their array."""
    return (await find_job(service, request, job_id, cluster)).job


def check_fresh(service: Service, job: Job, max_age_s: float | None) -> None:
    """A job that Slurm may have moved on must come from a young listing."""
    if job.final or job.slurm_job_id is None:
        return
    service.target(job.cluster).observer.fresh_view(max_age_s, time.time())


def actor_of(service: Service, request: Asked, job: Job) -> str:
    """As whom Slurm is asked to act on a job: the caller wherever Slurm lets them, the service's user for operators.

    Raises:
        JobUnknown: As nobody.
        NotAllowed: As a system account.
    """
    settings = service.settings
    name = policy.actor(request.user, job.user, job.cluster, job.account, settings.service_user)
    if name is None:
        raise JobUnknown(f"There is no job {job.id!r}.")
    if name == request.user.user:
        check_may_run(name, settings.forbidden, settings.min_uid)
    return name


async def one(request: Asked, service: Service, job_id: str, cluster: str | None, wish: Wish) -> Job:
    """Have something done with the job that a path names."""
    found = await find_job(service, request, job_id, cluster)
    await do(request, service, found.job, msgspec.structs.replace(wish, tasks=found.tasks))
    return found.job


async def do(request: Asked, service: Service, job: Job, wish: Wish) -> None:
    """Have something done with a job, in the caller's name."""
    observer = service.target(job.cluster).observer
    await service.orders.do(job, actor_of(service, request, job), request.user.user, wish, observer)
