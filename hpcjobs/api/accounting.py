"""``/v1/clusters/{cluster}/accounting``: what Slurm's accounting knows of jobs."""

from __future__ import annotations

import re
from typing import Annotated, Final

from litestar import get
from litestar.di import NamedDependency
from litestar.params import QueryParameter

from hpcjobs.api.access import Asked, needs
from hpcjobs.api.common import ClusterName, problems
from hpcjobs.errors import Refusal, Refused
from hpcjobs.identity import Scope, policy
from hpcjobs.model.history import AccountedList, HistoryQuery
from hpcjobs.sbatch.hostlists import expand_hostlist
from hpcjobs.service import Service
from hpcjobs.slurm.states import TABLE

Words = list[str] | None
MOST_WORDS: Final = 1000
"""Values of one parameter."""
MOST_NUMBER: Final = 0x03FF_FFFF
"""Slurm's largest job number."""
LATEST: Final = 4_000_000_000
LIST_WORD: Final = re.compile(r"[^\s,\0-\x1f\x7f-][^,\0-\x1f\x7f]{0,254}")
"""A value that is one in a list of Slurm's, and no option."""
NODES: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._,\[\]-]{0,4000}")
LISTS: Final = {"users": "user", "accounts": "account", "partitions": "partition", "names": "name", "qos": "qos",
         "wckeys": "wckey", "reasons": "reason", "groups": "group", "constraints": "constraint"}  # fmt: skip
"""Conditions that are texts, and the parameters that say them."""
COUNTS: Final = re.compile(r"[0-9]{1,9}(-[0-9]{1,9})?")


def _is_hostlist(text: str) -> bool:
    """Whether a text names nodes, and not without end: slurmdbd writes it out."""
    try:
        return bool(NODES.fullmatch(text) and expand_hostlist(text))
    except ValueError:
        return False


def check(query: HistoryQuery) -> None:
    """Let a question pass that Slurm's commands take for what it is.

    Raises:
        Refused: A value cannot be one.
    """
    faults = []
    for field, parameter in LISTS.items():
        faults += [
            Refusal(parameter, f"{word[:80]!r} is no name that Slurm could have", "bad-value")
            for word in getattr(query, field)
            if not LIST_WORD.fullmatch(word)
        ]
    faults += [
        Refusal("state", f"{word[:80]!r} is no state of Slurm; there are {', '.join(sorted(TABLE))}.", "bad-value")
        for word in query.states
        if word not in TABLE
    ]
    if query.nodes and not _is_hostlist(query.nodes):
        faults.append(Refusal("nodes", f"{query.nodes[:80]!r} is no list of nodes.", "bad-value"))
    for field in ("cpus", "node_count"):
        if getattr(query, field) and not COUNTS.fullmatch(getattr(query, field)):
            faults.append(Refusal(field, "It is neither a count, as 4, nor a range, as 2-8.", "bad-value"))
    if any(not 0 < number <= MOST_NUMBER for number in query.numbers):
        faults.append(Refusal("number", f"Slurm's numbers go from 1 to {MOST_NUMBER}.", "bad-value"))
    if any(len(getattr(query, field)) > MOST_WORDS for field in ("numbers", "states", *LISTS)):
        faults.append(Refusal("", f"A parameter may be given {MOST_WORDS} times.", "too-many"))
    if faults:
        raise Refused(faults)


@get(
    "/v1/clusters/{cluster:str}/accounting",
    security=needs(Scope.JOBS_READ),
    responses=problems(501),
    summary="Jobs of Slurm's accounting",
    description="What slurmdbd knows of one's own jobs and those of accounts that one coordinates; for operators of "
    "all. Every condition that is given must hold. Asked of slurmdbd itself, two questions at a time: 503 "
    "`unavailable` when it is away or busy, 422 `too-many` for more than 20,000 jobs. Without `since` and `number`, "
    "the whole time is searched, which can be much. A requeued job is its last run, unless `duplicates` is true.",
    tags=["jobs"],
)
async def accounting(
    request: Asked,
    service: NamedDependency[Service],
    cluster: ClusterName,
    number: Annotated[
        list[int] | None,
        QueryParameter(description="Slurm's number; that of an array or heterogeneous job means all of it."),
    ] = None,
    since: Annotated[
        int, QueryParameter(ge=0, le=LATEST, description="Eligible, running or ended then or later, in Unix seconds.")
    ] = 0,
    until: Annotated[int, QueryParameter(ge=0, le=LATEST, description="So before this Unix second; 0: until now.")] = 0,
    steps: Annotated[bool, QueryParameter(description="Whether the steps come too.")] = False,
    user: Annotated[Words, QueryParameter(description="Of one of these users.")] = None,
    account: Annotated[Words, QueryParameter(description="Of one of these accounts.")] = None,
    partition: Annotated[Words, QueryParameter(description="In one of these partitions.")] = None,
    name: Annotated[Words, QueryParameter(description="With one of these names.")] = None,
    job_state: Annotated[
        Words,
        QueryParameter(name="state", description="In one of these states (Slurm's words) from since to until."),
    ] = None,
    nodes: Annotated[str, QueryParameter(description="That ran on one of these nodes: a hostlist.")] = "",
    qos: Annotated[Words, QueryParameter(description="With one of these qualities of service.")] = None,
    wckey: Annotated[Words, QueryParameter(description="With one of these keys.")] = None,
    reason: Annotated[Words, QueryParameter(description="That waited for one of these reasons last.")] = None,
    group: Annotated[Words, QueryParameter(description="Of one of these groups, by name or number.")] = None,
    constraint: Annotated[Words, QueryParameter(description="That asked for all of these features.")] = None,
    association: Annotated[
        list[int] | None, QueryParameter(description="Of one of these associations, by Slurm's number.")
    ] = None,
    cpus: Annotated[str, QueryParameter(description="On so many CPUs: `4` or `2-8`.")] = "",
    node_count: Annotated[str, QueryParameter(description="On so many nodes: `4` or `2-8`.")] = "",
    duplicates: Annotated[
        bool, QueryParameter(description="Whether every run of a requeued job is told, not only the last.")
    ] = False,
) -> AccountedList:
    """List."""
    query = HistoryQuery(
        numbers=tuple(number or ()),
        since=since,
        until=until,
        steps=steps,
        users=tuple(user or ()),
        accounts=tuple(account or ()),
        partitions=tuple(partition or ()),
        names=tuple(name or ()),
        states=tuple(job_state or ()),
        nodes=nodes,
        qos=tuple(qos or ()),
        wckeys=tuple(wckey or ()),
        reasons=tuple(reason or ()),
        groups=tuple(group or ()),
        constraints=tuple(constraint or ()),
        associations=tuple(map(str, association or ())),
        cpus=cpus,
        node_count=node_count,
        duplicates=duplicates,
    )
    check(query)
    observer = service.target(cluster).observer
    return await service.accounting.of(query, observer.backend, observer.cluster, policy.visibility(request.user))
