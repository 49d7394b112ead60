"""What a listing changes in what is known. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from hpcjobs.model.cluster import ClusterView
from hpcjobs.model.job import JobRecord
from hpcjobs.store.listing import same_job, task_number
from hpcjobs.store.repository import Known


class Diff(msgspec.Struct, frozen=True):
    """What to write.

    Attributes:
        changed: Our id (None for a job that is new to the observer) and what Slurm says now.
        lost: Our ids of jobs that had not ended and that Slurm does not list any more, each once: their numbers are
            not listed, or mean other jobs now.
    """

    changed: tuple[tuple[str | None, JobRecord], ...]
    lost: tuple[str, ...]


def diff(known: Mapping[int, Known], view: ClusterView, expected: Iterable[Known] = ()) -> Diff:
    """Compare.

    Args:
        known: What the observer remembers, by Slurm's number.
        view: What the controller says now.
        expected: Jobs beside those that the listing should hold; two may have one number, of which Slurm then has
            lost one.

    Returns:
        New, changed and lost jobs. A job that ended and is not listed any more is not lost.
    """
    changed: list[tuple[str | None, JobRecord]] = []
    lost = [job.id for number, job in known.items() if number not in view.jobs and not job.final]
    for number, record in view.jobs.items():
        before = known.get(number)
        if before is None:
            changed.append((None, record))
        elif before.record is not record and before.record != record:
            # A number may have been given again: only the store can tell.
            changed.append((before.id if _continues(before, record) else None, record))
            if not before.final and not _same(before, record):
                lost.append(before.id)
    by_time: dict[int, Known] = {}
    for job in sorted(expected, key=lambda job: job.since):
        number = job.record.slurm_job_id
        listed = view.jobs.get(number)
        if job.final:
            continue
        if listed is None or not _same(job, listed):
            lost.append(job.id)
        elif not job.record.submit_time and listed.attempt is None:
            # Without a mark, of two that were given one number the later has it.
            if number in by_time:
                lost.append(by_time[number].id)
            by_time[number] = job
    return Diff(tuple(changed), tuple(dict.fromkeys(lost)))


def _same(before: Known, record: JobRecord) -> bool:
    return same_job(before.record, record, before.since)


def _continues(before: Known, record: JobRecord) -> bool:
    return _same(before, record) and task_number(record) == task_number(before.record)
