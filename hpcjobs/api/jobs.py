"""``/v1/jobs``: submit, look, change, cancel."""

from __future__ import annotations

import operator
import re
import time
from collections.abc import AsyncIterator
from typing import Annotated, Final

import msgspec
from litestar import Controller, Response, delete, get, patch, post
from litestar.di import NamedDependency
from litestar.params import JSONBody, QueryParameter
from litestar.response import Stream

from hpcjobs.admission.container import for_operators
from hpcjobs.api import manners, submitted
from hpcjobs.api.access import SUBMITS, Asked, needs
from hpcjobs.api.common import (
    JOB_ID_IS,
    Account,
    Cluster,
    Fates,
    IdempotencyKey,
    JobId,
    MaxAge,
    States,
    User,
    answers,
    check_fresh,
    find_job,
    one,
    own_job,
    problems,
)
from hpcjobs.api.described import Either, Lines
from hpcjobs.api.fields import Fields, JobPart, Selection
from hpcjobs.api.listed import Reader, reader
from hpcjobs.errors import Refusal, Refused, ViewStale
from hpcjobs.identity import Identity, Scope, policy
from hpcjobs.model.detail import JobDetail
from hpcjobs.model.job import Fate, Job, JobPage, State
from hpcjobs.model.job_runs import JobRuns
from hpcjobs.model.job_usage import JobUsage
from hpcjobs.model.order import Changes, Verb, Verdict
from hpcjobs.model.spec import JobSpec
from hpcjobs.orders import Wish
from hpcjobs.reports.one_job import usage_of
from hpcjobs.service import Service
from hpcjobs.store.repository import JobFilter

OUR_ID = re.compile(r"^[0-9a-f]{32}$")
MAX_LIMIT: Final = 1000
JSON: Final = "application/json"
NDJSON: Final = "application/x-ndjson"
STALE: Final = "Hpcjobs-Stale"
"""Of NDJSON: the clusters of which what is shown is older than was accepted; a page has ``stale`` for it."""

_SPEC_FIELDS: Final = operator.attrgetter(*JobSpec.__struct_fields__)


class SubmitRequest(JobSpec, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A job to submit.

    Attributes:
        cluster: Where; None is the default cluster.
    """

    cluster: str | None = None

    def spec(self) -> JobSpec:
        """The spec without the cluster."""
        return JobSpec(*_SPEC_FIELDS(self))


def allowed(who: Identity, *specs: JobSpec) -> None:
    """Refuse what only operators may ask for.

    Raises:
        Refused: With every field of it.
    """
    refusals = [] if who.sees_all else [refusal for spec in specs for refusal in for_operators(spec)]
    if refusals:
        raise Refused(refusals)


class JobPartPage(msgspec.Struct, frozen=True):
    """Some fields of jobs, newest first.

    Attributes:
        items: The fields that were asked for, of each job.
        next_cursor: Ask for the next page with it; None: this was the last.
        observed_at: Unix seconds of the listing behind the answer, by cluster.
        stale: Why what is shown of a cluster is older than was accepted, by cluster.
    """

    items: list[JobPart]  # type: ignore[valid-type]
    next_cursor: str | None
    observed_at: dict[str, float]
    stale: dict[str, str] = {}


def wanted_of(
    request: Asked,
    user: str | None,
    cluster: str | None,
    states: list[State] | None,
    fates: list[Fate] | None,
    **more: object,
) -> JobFilter:
    """The filter of a list, narrowed to what the caller may see."""
    return JobFilter(
        user=user,
        cluster=cluster,
        states=tuple(states or ()),
        fates=tuple(fates or ()),
        visible=policy.visibility(request.user),
        **more,  # type: ignore[arg-type]
    )


def ages(service: Service, cluster: str | None, max_age_s: float | None) -> tuple[dict[str, float], dict[str, str]]:
    """When the listings behind an answer were made, and which of them are too old, by cluster.

    Raises:
        ViewStale: All of them are.
    """
    observed_at: dict[str, float] = {}
    stale: dict[str, ViewStale] = {}
    for target in [service.target(cluster)] if cluster else service.targets.values():
        observer = target.observer
        try:
            observed_at[observer.cluster] = observer.fresh_view(max_age_s, time.time()).asked_at
        except ViewStale as error:
            stale[observer.cluster] = error
            if observer.view:
                observed_at[observer.cluster] = observer.view.asked_at
    if len(stale) == len(service.targets) or (cluster and stale):
        raise next(iter(stale.values()))
    return observed_at, {name: error.detail for name, error in stale.items()}


class JobsController(Controller):
    """Submit, look, change, cancel."""

    path = "/v1/jobs"
    tags = ("jobs",)

    @post(
        security=needs(Scope.JOBS_WRITE),
        opt=SUBMITS,
        responses=submitted.documents(Job),
        summary="Submit a job",
        description="201: Slurm has the job. 202: the job is kept and goes to Slurm, once and after what its user "
        "sent before, as soon as Slurm answers; it is listed as SUBMITTING until then. With an Idempotency-Key the "
        "same request can be sent any number of times and makes one job. `#SBATCH` lines of the script fill in what "
        "the request leaves out.",
    )
    async def submit(
        self,
        request: Asked,
        service: NamedDependency[Service],
        data: JSONBody[SubmitRequest],
        idempotency_key: IdempotencyKey = None,
    ) -> Response[Job]:
        """Submit."""
        target = service.target(data.cluster)
        allowed(request.user, data)
        made = await service.submission.submit(request.user.user, target, data.spec(), idempotency_key)
        return submitted.answer(made.job, [made.job], replayed=made.replayed)

    @post(
        "/validate",
        security=needs(Scope.JOBS_WRITE),
        status_code=200,
        responses=problems(413),
        summary="What would come of a submission",
        description="Nothing is submitted or kept. Either everything that is against it, or when it would start.",
    )
    async def validate(
        self, request: Asked, service: NamedDependency[Service], data: JSONBody[SubmitRequest]
    ) -> Verdict:
        """Judge."""
        allowed(request.user, data)
        return await service.submission.validate(request.user.user, service.target(data.cluster), data.spec())

    @get(
        security=needs(Scope.JOBS_READ),
        responses=problems() | {200: answers("A page of jobs.", JobPage, JobPartPage)},
        operation_class=Lines,
        summary="List jobs",
        description="Newest first: one's own, those of accounts that one coordinates, for operators all. An array "
        "is one job; `tasks=true` lists the tasks that Slurm has split off beside it. With `Accept: "
        "application/x-ndjson` the whole list comes as one stream, a job a line, without `limit`.",
    )
    async def page(
        self,
        request: Asked,
        service: NamedDependency[Service],
        user: User = None,
        cluster: Cluster = None,
        job_state: States = None,
        fate: Fates = None,
        account: Account = None,
        partition: Annotated[str | None, QueryParameter(description="In this partition.")] = None,
        name: Annotated[str | None, QueryParameter(description="With exactly this name.")] = None,
        parent: Annotated[str | None, QueryParameter(description="Only tasks or components of this job.")] = None,
        tasks: Annotated[bool, QueryParameter(description="Whether tasks and components are listed too.")] = False,
        listed: Annotated[
            bool,
            QueryParameter(description="Only what Slurm lists now, tasks and components too: as squeue shows it."),
        ] = False,
        since: Annotated[float | None, QueryParameter(description="Known since this Unix second or later.")] = None,
        until: Annotated[float | None, QueryParameter(description="Known before this Unix second.")] = None,
        cursor: Annotated[str | None, QueryParameter(description="`next_cursor` of the page before.")] = None,
        limit: Annotated[int, QueryParameter(ge=1, le=MAX_LIMIT, description="Most jobs of the page.")] = 100,
        fields: Fields = None,
        max_age_s: MaxAge = None,
    ) -> Response[JobPage]:
        """List."""
        selection = None if fields is None else Selection(Job, fields)
        if cursor is not None and not OUR_ID.fullmatch(cursor):
            raise Refused([Refusal("cursor", "This is not a next_cursor of an earlier page.")])
        more = {"account": account, "partition": partition, "name": name, "parent": parent}
        times = {"tasks": tasks, "since": since, "until": until}
        wanted = wanted_of(request, user, cluster, job_state, fate, **more, **times)
        observed_at, stale = ages(service, cluster, max_age_s)
        read = reader(service, wanted, listed)
        if request.headers.get("accept", "").startswith(NDJSON):
            lines = every_line(read, cursor, selection)
            headers = {STALE: ", ".join(sorted(stale))} if stale else {}
            return Stream(lines, media_type=NDJSON, headers=headers)  # type: ignore[return-value]
        documents = await read(cursor, limit + 1)
        last = msgspec.json.decode(documents[limit - 1], type=_Id).id if len(documents) > limit else None
        items = f"[{','.join(documents[:limit])}]".encode()
        if selection is not None:
            items = selection.of_list(items)
        rest = msgspec.json.encode({"next_cursor": last, "observed_at": observed_at, "stale": stale})
        manners.tagged(request.scope, items, last or "", *stale)
        return Response(b'{"items":%b,%b' % (items, rest[1:]), media_type=JSON)  # type: ignore[arg-type]

    @get(
        "/{job_id:str}",
        security=needs(Scope.JOBS_READ),
        responses=problems() | {200: answers("The job.", Job, JobPart)},
        operation_class=Either,
        summary="One job",
        description=JOB_ID_IS,
    )
    async def show(
        self,
        request: Asked,
        service: NamedDependency[Service],
        job_id: JobId,
        cluster: Cluster = None,
        fields: Fields = None,
        max_age_s: MaxAge = None,
    ) -> Response[Job]:
        """Show."""
        selection = None if fields is None else Selection(Job, fields)
        job = await own_job(service, request, job_id, cluster)
        check_fresh(service, job, max_age_s)
        if selection is None:
            return Response(job)
        return Response(selection.of_list(msgspec.json.encode([job]))[1:-1], media_type=JSON)  # type: ignore[arg-type]

    @get(
        "/{job_id:str}/detail",
        security=needs(Scope.JOBS_READ),
        responses=problems(),
        summary="Everything about one job",
        description="What was asked for (script, arguments and environment for the owner and operators only), "
        "why it waits, its steps, attempts and events. " + JOB_ID_IS,
    )
    async def detail(
        self,
        request: Asked,
        service: NamedDependency[Service],
        job_id: JobId,
        cluster: Cluster = None,
        max_age_s: MaxAge = None,
    ) -> JobDetail:
        """Show all."""
        job = await own_job(service, request, job_id, cluster)
        check_fresh(service, job, max_age_s)
        whole = request.user.sees_all or request.user.user == job.user
        return await service.details.of(job, service.target(job.cluster).observer, whole)

    @get(
        "/{job_id:str}/runs",
        security=needs(Scope.JOBS_READ),
        responses=problems(),
        summary="What happened to a job, run by run",
        description="Each run since it was submitted: where, how it ended, why, what was decided then and by whom, "
        "when it ran again; and what will happen next. Lines of its logs are for the owner only. " + JOB_ID_IS,
    )
    async def runs(
        self, request: Asked, service: NamedDependency[Service], job_id: JobId, cluster: Cluster = None
    ) -> JobRuns:
        """Show."""
        job = await own_job(service, request, job_id, cluster)
        return await service.details.runs_of(job, request.user.user == job.user)

    @get(
        "/{job_id:str}/usage",
        security=needs(Scope.JOBS_READ),
        responses=problems(),
        summary="What a job used",
        description="Each run of it, as far as Slurm's accounting has been read: GPUs by kind, hours used and held, "
        "how busy they were. " + JOB_ID_IS,
    )
    async def usage(
        self, request: Asked, service: NamedDependency[Service], job_id: JobId, cluster: Cluster = None
    ) -> JobUsage:
        """Show."""
        job = await own_job(service, request, job_id, cluster)
        return await service.usage.read(usage_of, job, service.carbon)

    @patch(
        "/{job_id:str}",
        security=needs(Scope.JOBS_WRITE),
        status_code=202,
        responses=problems(409, 501),
        summary="Change a job",
        description="Same as scontrol update; a field that is left out stays. Answers when Slurm has taken it; what "
        "is shown follows within a listing.",
    )
    async def update(
        self,
        request: Asked,
        service: NamedDependency[Service],
        job_id: JobId,
        data: JSONBody[Changes],
        cluster: Cluster = None,
    ) -> Job:
        """Change."""
        return await one(request, service, job_id, cluster, Wish(Verb.UPDATE, changes=data))

    @delete(
        "/{job_id:str}",
        security=needs(Scope.JOBS_WRITE),
        status_code=202,
        responses=problems(409, 501),
        summary="Cancel a job",
        description="Answers when Slurm has taken the order; the state follows within a listing. A job that still "
        "waits for Slurm to answer is cancelled at once.",
    )
    async def cancel(
        self, request: Asked, service: NamedDependency[Service], job_id: JobId, cluster: Cluster = None
    ) -> Job:
        """Cancel."""
        job = await one(request, service, job_id, cluster, Wish(Verb.CANCEL))
        return (await find_job(service, request, job.id, job.cluster)).job


class _Id(msgspec.Struct):
    id: str


async def every_line(read: Reader, cursor: str | None, selection: Selection | None = None) -> AsyncIterator[bytes]:
    """The whole list, a job a line, page by page from the database."""
    while documents := await read(cursor, MAX_LIMIT):
        yield ("\n".join(documents) + "\n").encode() if selection is None else selection.of_lines(documents)
        if len(documents) < MAX_LIMIT:
            return
        cursor = msgspec.json.decode(documents[-1], type=_Id).id
