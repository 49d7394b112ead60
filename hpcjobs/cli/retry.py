"""``hpcjobs retry``: the same once more."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, Final, NamedTuple

import click

from hpcjobs.cli.common import cluster_option, complain, json_option, print_json, service
from hpcjobs.cli.completion import values
from hpcjobs.cli.expand import as_tasks

if TYPE_CHECKING:
    from hpcjobs.client import Client
    from hpcjobs.model.detail import JobDetail
    from hpcjobs.model.job import Job
    from hpcjobs.model.spec import JobSpec

QUICKER_S: Final = 3.0
"""How long a listing is waited for, in seconds, that would tell why a job cannot be requeued."""
REQUEUED: Final = "requeued"
SUBMITTED: Final = "submitted"
LISTED_S: Final = 10.0
"""How long a requeued job is waited for, in seconds, until a listing has it."""


class Retried(NamedTuple):
    """What came of it.

    Attributes:
        how: ``requeued`` under the same number, or ``submitted`` as a new job.
        job: The job that runs again.
        why: Why it was not requeued, or ``""``.
    """

    how: str
    job: Job
    why: str = ""


class CannotRetry(ValueError):
    """It has not ended, or what was asked for is not known here."""


def failed_tasks(array: Job, tasks: Iterable[Job], numbers: Iterable[int]) -> list[int]:
    """Which tasks of an array that has ended did not complete. Pure.

    Args:
        array: The array.
        tasks: Those that Slurm has split off.
        numbers: All that were asked for.

    Returns:
        Their numbers. A task that was never split off was cancelled as it waited, where the array counts so many.
    """
    own = {task.task: task for task in tasks if task.task is not None}
    failed = [number for number, task in own.items() if task.final and task.fate != "COMPLETED"]
    never = [number for number in numbers if number not in own]
    counted = sum(array.tasks.get(fate, 0) for fate in array.tasks if fate not in ("COMPLETED", "UNKNOWN"))
    return sorted(failed + (never if never and counted >= len(failed) + len(never) else []))


def _spec_of(detail: JobDetail) -> JobSpec:
    name = detail.job.slurm_name or detail.job.id
    if detail.spec is None:
        raise CannotRetry(f"what job {name} asked for is not known here: it was not submitted through the service")
    if not detail.spec.script:
        raise CannotRetry(f"the script of job {name} is shown to {detail.job.user} and operators only")
    return detail.spec


def _array_of(client: Client, detail: JobDetail, spec: JobSpec) -> str:
    """The array of the failed tasks of a job."""
    from hpcjobs.model.spans import parse_spans

    job = detail.job
    if not spec.array or not job.array_size:
        raise CannotRetry(f"job {job.slurm_name or job.id} is no array")
    whole, percent, limit = spec.array.partition("%")
    numbers = {number for span in parse_spans(whole) for number in span}
    failed = failed_tasks(job, client.jobs(parent=job.id, tasks=True), numbers)
    if not failed:
        raise CannotRetry(f"no task of job {job.slurm_name or job.id} has failed")
    return as_tasks(failed) + percent + limit


def _submit(client: Client, detail: JobDetail, array: str | None, why: str) -> Retried:
    import msgspec

    spec, job = _spec_of(detail), detail.job
    me = client.me().user
    if me != job.user:
        against = f": {why}" if why else ""
        raise CannotRetry(f"job {job.slurm_name or job.id} is {job.user}'s, and would be submitted as {me}'s{against}")
    if array is None and job.parent and job.task is not None and spec.array:
        array = str(job.task)
    again = msgspec.structs.replace(spec, array=array) if array else spec
    return Retried(SUBMITTED, client.submit(again, cluster=job.cluster), why)


def retry_one(client: Client, job_id: str, cluster: str | None, *, failed: bool, new: bool) -> Retried:
    """Have a job that has ended run once more.

    Args:
        client: Whom to ask.
        job_id: Which.
        cluster: On which cluster Slurm's numbers count.
        failed: Only the tasks of an array that failed, as a new job.
        new: As a new job, though it could be requeued.

    Raises:
        CannotRetry: It has not ended, or cannot be said again.
        ApiProblem: The service refuses.
    """
    from hpcjobs.client import Conflict, NotFound, NotSupported, Refused

    detail = client.detail(job_id, cluster=cluster)
    job = detail.job
    if not job.final:
        raise CannotRetry(f"job {job.slurm_name or job.id} has not ended: it is {job.state}")
    if failed:
        return _submit(client, detail, _array_of(client, detail, _spec_of(detail)), "")
    if job.slurm_job_id is None or new or (detail.spec is not None and detail.spec.requeue is False):
        return _submit(client, detail, None, "" if new else "it may not be requeued")
    try:
        return Retried(REQUEUED, client.requeue(job))
    except (Conflict, NotFound, NotSupported, Refused) as problem:
        if isinstance(problem, Conflict) and _runs_again(client, job):
            raise CannotRetry(f"job {job.slurm_name} has been requeued meanwhile") from problem
        return _submit(client, detail, None, problem.detail)


def _runs_again(client: Client, job: Job) -> bool:
    """Whether a job that has ended is about to be listed as one that has not: somebody else was quicker."""
    with suppress(TimeoutError):
        client.wait(job, until=lambda found: not found.final, timeout_s=QUICKER_S)
        return True
    return False


def hurry(client: Client, jobs: Iterable[Job]) -> None:
    """Let requeued jobs start now: Slurm would let them wait for two minutes (DESIGN.md). No harm where it fails."""
    from hpcjobs.client import ApiProblem
    from hpcjobs.model.order import Changes, Verb

    now = Changes(begin=0)
    for job in jobs:
        with suppress(ApiProblem, TimeoutError):  # until it is listed as waiting, there is nothing to change
            client.wait(job, until=lambda found: not found.final, timeout_s=LISTED_S)
            if job.array_size:  # each task has a time of its own
                tasks = [task for task in client.jobs(parent=job.id, tasks=True) if not task.final]
                client.act(Verb.UPDATE, tasks, changes=now)
            else:
                client.update(job, now)


@click.command()
@click.argument("job_ids", metavar="JOB_IDS...", nargs=-1, required=True, shell_complete=values.ended_jobs)
@click.option("--failed", is_flag=True, help="Of an array only the tasks that did not complete, as a new job.")
@click.option("--new", is_flag=True, help="As a new job, though Slurm could requeue it.")
@cluster_option
@json_option
def retry(job_ids: tuple[str, ...], failed: bool, new: bool, cluster: str | None, as_json: bool) -> None:
    """Have jobs that have ended run once more.

    Slurm requeues a job that it still knows under its number; what it has forgotten or may not requeue is submitted
    again as it was asked for.
    """
    from hpcjobs.client import ApiProblem

    results: list[dict[str, object]] = []
    requeued: list[Job] = []
    with service() as client:
        for job_id in job_ids:
            told: dict[str, object] = {"asked": job_id, "done": False}
            results.append(told)
            try:
                done = retry_one(client, job_id, cluster, failed=failed, new=new)
            except ApiProblem as problem:
                complain(problem)
                told["detail"] = problem.detail
            except CannotRetry as error:
                click.echo(f"hpcjobs: error: {error}", err=True)
                told["detail"] = str(error)
            else:
                requeued += [done.job] if done.how == REQUEUED else []
                told |= {"done": True, "how": done.how, "job": done.job, "why": done.why}
                if not as_json:
                    click.echo(_line(job_id, done))
        hurry(client, requeued)
    if as_json:
        print_json(results)
    sys.exit(not all(one["done"] for one in results))


def _line(job_id: str, done: Retried) -> str:
    job = done.job
    if done.how == REQUEUED:
        return f"Requeueing job {job.slurm_name or job.id} on cluster {job.cluster}"
    if job.slurm_job_id is None:
        return f"Accepted as job {job.id} on cluster {job.cluster}: {job.detail}"
    return f"Submitted batch job {job.slurm_job_id} on cluster {job.cluster}"
