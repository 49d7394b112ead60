"""Jobs as the lines of squeue: tasks that wait together are one line, or a line each; which are shown. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from hpcjobs.cli.slurm.job_names import JobName, task_number, together
from hpcjobs.cli.slurm.job_states import SHOWN, base_state, is_in, time_used, words
from hpcjobs.model.spans import fold_tasks, parse_spans
from hpcjobs.sbatch.hostlists import in_hostlist

if TYPE_CHECKING:
    from hpcjobs.model.job import Job


def _replaced(job: Job, **fields: Any) -> Job:  # noqa: ANN401
    from msgspec.structs import replace  # loads slowly: where there are jobs it is there already

    return replace(job, **fields)


class Filters(NamedTuple):
    """Which lines are shown; None: whatever it is.

    Attributes:
        jobs: Of these.
        states: In one of these of Slurm's states; an empty list is every state.
        users: Of these users, by name or number.
        not_user: Not of this user.
        accounts: Of these accounts, in any case.
        qos: Of these QOS, in any case.
        names: Of these names, in any case.
        partitions: For one of these partitions.
        licenses: That ask for one of these licenses.
        reservations: In one of these reservations.
        nodes: On one of these nodes.
        over_s: That have run for so many seconds or more.
        under_s: That have run for less than so many seconds.
    """

    jobs: Sequence[JobName] | None = None
    states: Sequence[str] | None = None
    users: Sequence[str] | None = None
    not_user: str | None = None
    accounts: Sequence[str] | None = None
    qos: Sequence[str] | None = None
    names: Sequence[str] | None = None
    partitions: Sequence[str] | None = None
    licenses: Sequence[str] | None = None
    reservations: Sequence[str] | None = None
    nodes: Sequence[str] | None = None
    over_s: int | None = None
    under_s: int | None = None


def reason_text(job: Job) -> str:
    """Why a job waits, or how it ended."""
    return job.particulars.state_description or job.reason or "None"


def waiting_tasks(job: Job) -> list[int] | None:
    """The numbers of the tasks of a line; None: Slurm has cut their list short."""
    try:
        return sorted({task for span in parse_spans(job.array_task.partition("%")[0]) for task in span})
    except ValueError:
        return None


def with_tasks(job: Job, tasks: Sequence[int]) -> Job:
    """The line of some tasks of an array."""
    return _replaced(job, array_task=fold_tasks(tasks))


def combined(jobs: Sequence[Job]) -> list[Job]:
    """Tasks that wait under numbers of their own, put back to those that wait together."""
    whole = {job.array_job_id: job for job in jobs if together(job) and base_state(job) == "PENDING"}
    back: dict[int, list[Job]] = {}
    left = []
    for job in jobs:
        group = whole.get(job.array_job_id)
        same = group is not None and (group.name, group.partition) == (job.name, job.partition)
        if same and base_state(job) == "PENDING" and task_number(job) is not None:
            back.setdefault(job.array_job_id, []).append(job)
        else:
            left.append(job)
    return [_with(job, back[job.array_job_id]) if job is whole.get(job.array_job_id) and job.array_job_id in back
            else job for job in left]  # fmt: skip


def _with(group: Job, tasks: Sequence[Job]) -> Job:
    numbers = waiting_tasks(group)
    if numbers is None:
        return group
    reasons = [reason_text(group)]
    for task in tasks:
        reason = task.reason or "None"
        if not any(reason in told for told in reasons):
            reasons.append(reason)
    every = [*numbers, *(int(task.array_task) for task in tasks)]
    return _replaced(with_tasks(group, every), reason=",".join(reasons))


def apart(jobs: Iterable[Job]) -> list[Job]:
    """A line for each task."""
    lines = []
    for job in jobs:
        tasks = waiting_tasks(job) if together(job) else None
        lines += [job] if tasks is None else [_replaced(job, array_task=str(task)) for task in tasks]
    return lines


def by_partition(jobs: Iterable[Job]) -> list[Job]:
    """A line for each partition that a job waits for."""
    return [
        _replaced(job, partition=name)
        for job in jobs
        for name in (job.partition.split(",") if base_state(job) == "PENDING" else [job.partition])
    ]


def named(job: Job, names: Sequence[JobName]) -> Job | None:
    """What is left of a line of the jobs that were named; None: nothing."""
    wanted: set[int] = set()
    for name in names:
        if name.tasks is None:
            if name.number in (job.slurm_job_id, job.array_job_id, job.het_job_id):
                return job
        elif name.number == job.array_job_id:
            wanted |= name.tasks
    task = task_number(job)
    if task is not None:
        return job if task in wanted else None
    if not together(job) or not wanted:
        return None
    tasks = [number for number in waiting_tasks(job) or () if number in wanted]
    return with_tasks(job, tasks) if tasks else None


def _any_case(value: str, wanted: Sequence[str] | None) -> bool:
    return wanted is None or value.casefold() in {word.casefold() for word in wanted}


def shown(job: Job, filters: Filters, now: int) -> bool:
    """Whether a line is shown, whatever its number."""
    told = job.particulars
    checks: tuple[Callable[[], bool], ...] = (
        lambda: _in_states(job, filters.states),
        lambda: filters.users is None or bool({job.user, str(told.user_id)} & set(filters.users)),
        lambda: filters.not_user != job.user,
        lambda: _any_case(job.account, filters.accounts),
        lambda: _any_case(job.qos, filters.qos),
        lambda: _any_case(job.name, filters.names),
        lambda: filters.partitions is None or bool(set(job.partition.split(",")) & set(filters.partitions)),
        lambda: filters.licenses is None or bool(_names(told.licenses) & set(filters.licenses)),
        lambda: filters.reservations is None or bool(set(told.reservation.split(",")) & set(filters.reservations)),
        lambda: filters.nodes is None or any(in_hostlist(name, job.node_list) for name in filters.nodes),
        lambda: filters.over_s is None or (_runs(job) and time_used(job, now) >= filters.over_s),
        lambda: filters.under_s is None or (_runs(job) and time_used(job, now) < filters.under_s),
    )
    return all(check() for check in checks)


def _names(licenses: str) -> set[str]:
    return {one.partition(":")[0] for one in licenses.split(",")}


def _runs(job: Job) -> bool:
    return base_state(job) == "RUNNING"


def _in_states(job: Job, states: Sequence[str] | None) -> bool:
    if states is None:
        return base_state(job) in SHOWN or bool(words(job) & {"COMPLETING", "STAGE_OUT"})
    return not states or any(is_in(job, state) for state in states)


def chosen(jobs: Iterable[Job], filters: Filters, now: int) -> list[Job]:
    """The lines that are shown, in the order in which they came."""
    left = jobs if filters.jobs is None else (named(job, filters.jobs) for job in jobs)
    return [job for job in left if job is not None and shown(job, filters, now)]


def in_controllers_order(jobs: Iterable[Job]) -> list[Job]:
    """Jobs in the order in which the controller lists them: as they came.

    A task that Slurm splits off takes the place that the whole array had, and those that still wait together go to
    the end, under the array's number.
    """
    places: dict[int, int] = {}
    found: list[tuple[int, int, Job]] = []
    for job in sorted(jobs, key=lambda job: (job.slurm_job_id == job.array_job_id, job.slurm_job_id or 0)):
        number, array = job.slurm_job_id or 0, job.array_job_id
        found.append((places.get(array, array) if array else number, number, job))
        if array:
            places[array] = number
    return [job for _, _, job in sorted(found, key=lambda one: one[:2])]


def of_one_name(jobs: Sequence[Job]) -> list[Job]:
    """The jobs of one name as the controller answers for it: what waits together first, then the newest first."""
    if any(job.array_job_id for job in jobs):
        return sorted(jobs, key=lambda job: (job.slurm_job_id != job.array_job_id, -(job.slurm_job_id or 0)))
    return sorted(jobs, key=lambda job: job.slurm_job_id or 0)


def with_het_ids(jobs: Sequence[Job]) -> list[Job]:
    """The numbers of the components of each heterogeneous job, where the way to Slurm does not tell them."""
    from msgspec.structs import replace

    of: dict[int, list[int]] = {}
    for job in jobs:
        if job.het_job_id and not job.particulars.het_job_ids:
            of.setdefault(job.het_job_id, []).append(job.slurm_job_id or 0)
    return [
        _replaced(job, particulars=replace(job.particulars, het_job_ids=fold_tasks(of[job.het_job_id])))
        if job.het_job_id in of and job.het_job_id
        else job
        for job in jobs
    ]
