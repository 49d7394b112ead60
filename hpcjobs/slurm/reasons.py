"""Why a job waits, from Slurm's reason and the last listing. Pure; says no number that the listing does not hold."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Final

from hpcjobs.model.cluster import ClusterView
from hpcjobs.model.job import WAITING, Job, JobFacts, State
from hpcjobs.model.why import Why
from hpcjobs.sbatch.hostlists import in_hostlist
from hpcjobs.slurm.reason_words import WORDS, Limit, limit_of, word_of
from hpcjobs.slurm.room import nodes_text, one_line, room_text

_Answer = tuple[str, tuple[str, ...]]
_MOST = 5  # jobs or nodes named in one sentence
_WAITS_FOR_ITSELF: Final = frozenset({"Dependency", "DependencyNeverSatisfied", "BeginTime"})


def why(job: JobFacts, view: ClusterView | None, now: float) -> Why | None:
    """Say why a job does not run.

    Args:
        job: The job; a Job's id and detail are used where it is one.
        view: The last listing of its cluster, if there is one.
        now: Unix seconds.

    Returns:
        The answer; None for a job that neither waits nor is held: it runs, ends, has ended or is not known.
    """
    reason = "" if job.reason in ("None", "(null)") else job.reason
    flags = set(job.raw_state.upper().replace("+", ",").split(","))
    if job.state is State.SUBMITTING:
        detail = one_line(job.detail) if isinstance(job, Job) else ""
        return Why(reason, f"It is kept here and waits for Slurm to answer{f': {detail}' if detail else '.'}")
    if job.state is State.SUSPENDED:
        return Why(
            reason,
            "It is suspended: its processes stand still on its nodes and keep their GPUs.",
            (f"An operator resumes it: `hpcjobs resume {_id(job)}`.",),
        )
    if job.state is State.RUNNING and flags & {"CONFIGURING", "POWER_UP_NODE"}:
        return Why(reason, "It waits for its nodes, which are being booted or prepared.")
    if job.state not in WAITING:
        return None
    waits_for, would_help = _answer(job, view, now, reason, flags)
    if job.state is State.HELD:
        return Why(reason, waits_for, would_help)
    start = job.start_time if job.start_time > now and _moment(job.start_time) else None
    return Why(reason, waits_for, would_help, start, _ahead(job, view))


def _answer(job: JobFacts, view: ClusterView | None, now: float, reason: str, flags: set[str]) -> _Answer:
    word = word_of(reason)
    if job.state is State.HELD and "SPECIAL_EXIT" in flags:
        word = "job requeued in special exit state"
    elif job.state is State.HELD and word in ("JobHeldUser", "") and "REQUEUE_HOLD" in flags:
        word = "job requeued in held state"
    elif job.state is State.HELD and word == "":
        word = "JobHeldUser"
    if word is None:
        return f"Slurm gives as its reason: {one_line(reason)}", ()
    limit = limit_of(word)
    if limit:
        return _limited(limit, job, view)
    waits_for, *would_help = (text.format_map(_Names(job)) for text in WORDS[word])
    concrete = _CONCRETE.get(word)
    if concrete:
        more, instead = concrete(job, view, now)
        waits_for, would_help = more or waits_for, [*instead, *would_help]
    if reason not in WORDS and word != "ReqNodeNotAvail" and " " in reason:
        waits_for = f"{waits_for.removesuffix('.')} (Slurm says: {one_line(reason)})."
    return waits_for, tuple(would_help)


def _id(job: JobFacts) -> str:
    return job.id if isinstance(job, Job) else str(getattr(job, "slurm_job_id", "JOB"))


class _Names(dict[str, str]):
    """What the sentences' ``{partition}`` and its like stand for; a capital begins a sentence."""

    def __init__(self, job: JobFacts) -> None:
        names = {
            "partition": ("partition", job.partition),
            "account": ("account", job.account),
            "qos": ("QOS", job.qos),
            "user": ("user", job.user),
        }
        for name, (kind, value) in names.items():
            self[name] = f"{kind} {one_line(value)}" if value else f"its {kind}"
            self[name.capitalize()] = self[name][0].upper() + self[name][1:]
        super().__init__(self, release=f"`hpcjobs release {_id(job)}`")


def _ahead(job: JobFacts, view: ClusterView | None) -> int | None:
    if view is None or job.reason in _WAITS_FOR_ITSELF:
        return None
    wanted = set(job.partition.split(","))
    return sum(
        other.state is State.PENDING
        and other.priority > job.priority
        and other.reason not in _WAITS_FOR_ITSELF
        and not wanted.isdisjoint(other.partition.split(","))
        for other in view.jobs.values()
    )


def _moment(seconds: float) -> str:
    try:
        return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S} UTC" if seconds > 0 else ""
    except (ValueError, OverflowError, OSError):
        return ""


def _priority(job: JobFacts, view: ClusterView | None, now: float) -> _Answer:
    ahead = _ahead(job, view)
    if not ahead:
        return "", ()
    jobs = "1 pending job of higher priority wants" if ahead == 1 else f"{ahead} pending jobs of higher priority want"
    return f"It waits for its turn: {jobs} {_Names(job)['partition']} too.", ()


def _resources(job: JobFacts, view: ClusterView | None, now: float) -> _Answer:
    return room_text(job, view, _Names(job)["partition"]) if view else ("", ())


def _begin(job: JobFacts, view: ClusterView | None, now: float) -> _Answer:
    at = next((_moment(at) for at in (job.eligible_time, job.start_time) if at > now), "")
    return (f"It waits for its begin time, {at}." if at else ""), ()


def _not_available(job: JobFacts, view: ClusterView | None, now: float) -> _Answer:
    text = one_line(job.reason)
    _, found, named = text.partition("UnavailableNodes:")
    if "aintenance" in text:
        return "It waits for nodes that are reserved for maintenance.", (
            "A time limit that ends before the maintenance begins lets it start earlier.",
        )
    if "reserved for" in text and not text.startswith("Nodes required"):
        return "It waits for nodes that are reserved, perhaps for another job.", ()
    known = view.nodes.values() if view else ()
    if found:
        nodes = [node for node in known if in_hostlist(node.name, named)]
        return f"It waits for nodes that are not available: {nodes_text(nodes, _MOST) or named}.", ()
    wanted = set(job.partition.split(","))
    nodes = [node for node in known if not node.usable and not wanted.isdisjoint(node.partitions)]
    if not nodes:
        return "", ()
    where = _Names(job)["partition"]
    return f"It waits for nodes that are not available; not usable in {where} are {nodes_text(nodes, _MOST)}.", ()


_DEPENDENCY = re.compile(
    r"(?P<kind>[a-z]+)(?P<jobs>(?::[0-9]{1,10}(?:_(?:[0-9]{1,10}|\*))?(?:\+[0-9]{1,10})?)*)(?:\((?P<met>[a-z]+)\))?",
    re.IGNORECASE,
)
_ARRIVAL: Final[Mapping[str, str]] = {
    "after": "to start",
    "afterany": "to end",
    "afterok": "to end with exit code 0",
    "afternotok": "to fail",
    "aftercorr": "to end with exit code 0, task by task",
    "afterburstbuffer": "to end and have its burst buffer written back",
    "expand": "to be enlarged",
}


def _dependencies(job: JobFacts, view: ClusterView | None, met: frozenset[str]) -> Iterator[str]:
    for item in re.split(r"[,?]", job.dependency):
        match = _DEPENDENCY.fullmatch(item.strip())
        if match is None or (match["met"] or "unfulfilled").lower() not in met:
            continue
        kind = match["kind"].lower()
        if kind == "singleton":
            yield "earlier jobs of the same name and user to end"
        for other in match["jobs"].split(":")[1:]:
            name = other.partition("+")[0]
            yield (
                f"job {name} ({_state_of(name, view)}) {_ARRIVAL.get(kind, kind)}"
                if view
                else (f"job {name} {_ARRIVAL.get(kind, kind)}")
            )


def _state_of(name: str, view: ClusterView) -> str:
    number, _, task = name.partition("_")
    found = [
        other
        for key, other in view.jobs.items()
        if (key == int(number) and not task)
        or (other.array_job_id == int(number) and (task in ("", "*") or other.array_task == task))
    ]
    states = sorted({str(other.fate or other.state) for other in found})
    return "/".join(states) or "not in the last listing"


def _joined(sentences: Iterator[str], either: bool) -> str:
    known = list(dict.fromkeys(sentences))
    more = ["others"] if len(known) > _MOST else []
    return (" or " if either else " and ").join(known[:_MOST] + more)


def _dependency(job: JobFacts, view: ClusterView | None, now: float) -> _Answer:
    waits = _joined(_dependencies(job, view, frozenset({"unfulfilled", "unknown"})), "?" in job.dependency)
    return (f"It waits for {waits}." if waits else ""), ()


def _never(job: JobFacts, view: ClusterView | None, now: float) -> _Answer:
    broken = _joined(_dependencies(job, view, frozenset({"failed"})), "?" in job.dependency)
    return (f"It can never start: it needs {broken}, which can no longer come true." if broken else ""), ()


_CONCRETE: Final[Mapping[str, Callable[[JobFacts, ClusterView | None, float], _Answer]]] = {
    "Priority": _priority,
    "Resources": _resources,
    "BeginTime": _begin,
    "ReqNodeNotAvail": _not_available,
    "Dependency": _dependency,
    "DependencyNeverSatisfied": _never,
}

_RESOURCE: Final[Mapping[str, str]] = {
    "bb": "burst buffer",
    "billing": "billing units",
    "cpu": "CPUs",
    "energy": "energy",
    "gres": "GPUs or other generic resources",
    "job": "running jobs",
    "license": "licenses",
    "mem": "memory",
    "node": "nodes",
    "submit": "jobs, waiting ones included,",
    "unknown": "a resource",
    "wall": "wall time",
}


def _limited(limit: Limit, job: JobFacts, view: ClusterView | None) -> _Answer:
    names, what = _Names(job), _RESOURCE[limit.resource]
    by = names["qos"] if limit.scope == "qos" else names["account"]
    if limit.bound == "min":
        return f"It asks for less {what} than {by} demands of a job.", ("Ask for more, or use another QOS.",)
    if limit.measure != "amount":
        what = f"{what} x time"
    if limit.per in ("job", "node"):
        on = "on one node" if limit.per == "node" else "for one job"
        return f"It asks for more {what} than {by} allows {on}; as it stands it will not start.", (
            "Ask for less, or for a shorter time." if limit.resource == "wall" or limit.measure != "amount" else
            "Ask for less.", "Submit it with another QOS or account, if you may use one.",
        )  # fmt: skip
    whose = {"user": f"{names['user']} in {by}", "account": f"{names['account']} in {by}"}.get(limit.per, by)
    if limit.scope == "association" and limit.bound == "max":
        whose = f"{names['user']} in {by}"
    if limit.measure == "minutes" or limit.resource == "wall":
        return f"The jobs of {whose} have used up their budget of {what}, or this one would.", (
            "Wait until the budget is renewed or earlier use has faded, or ask for a shorter time.",
            "Submit it with another QOS or account, if you may use one.",
        )
    left = " that running jobs may still use" if limit.measure == "run-minutes" else " at one time"
    held = _held_now(limit, job, view)
    return f"The jobs of {whose} together may have only so much: the limit of {what}{left} is reached{held}.", (
        "Wait until some of those jobs have ended, or cancel some.",
        "Ask for less, if the job can do with less.",
        "Submit it with another QOS or account, if you may use one.",
    )


def _held_now(limit: Limit, job: JobFacts, view: ClusterView | None) -> str:
    """What the running jobs that a limit counts hold, as far as the listing shows."""
    count: Callable[[JobFacts], int] | None = {
        "gres": lambda other: sum(other.gpus.values()),
        "cpu": lambda other: other.cpus,
        "node": lambda other: other.nodes,
        "job": lambda other: 1,
    }.get(limit.resource)
    by_qos = limit.scope == "qos"
    if view is None or count is None or limit.measure != "amount" or not (job.qos if by_qos else job.account):
        return ""
    own_user = limit.per == "user" or (not by_qos and limit.bound == "max")
    held = sum(
        count(other)
        for other in view.jobs.values()
        if other.state in (State.RUNNING, State.SUSPENDED, State.COMPLETING)
        and (not by_qos or other.qos == job.qos)
        and ((by_qos and limit.per != "account") or other.account == job.account)
        and (not own_user or other.user == job.user)
    )
    unit = {"gres": "GPUs", "cpu": "CPUs", "node": "nodes", "job": "jobs"}[limit.resource]
    return f" (they {'are' if unit == 'jobs' else 'hold'} {held} {unit} now)"
