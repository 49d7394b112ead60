"""What a listing changes in what is known. Pure."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from hpcjobs.model.cluster import ClusterView
from hpcjobs.model.job import JobRecord
from hpcjobs.store.listing import task_number
from hpcjobs.store.repository import Known


class Diff(msgspec.Struct, frozen=True):
    """What to write.

    Attributes:
        changed: Our id (None for a job that is new to the observer) and what Slurm says now.
        lost: Slurm's numbers of jobs that had not ended and are not listed any more.
    """

    changed: tuple[tuple[str | None, JobRecord], ...]
    lost: tuple[int, ...]


def diff(known: Mapping[int, Known], view: ClusterView) -> Diff:
    """Compare.

    Args:
        known: What the observer remembers, by Slurm's number.
        view: What the controller says now.

    Returns:
        New, changed and lost jobs. A job that ended and is not listed any more is not lost.
    """
    changed: list[tuple[str | None, JobRecord]] = []
    for number, record in view.jobs.items():
        before = known.get(number)
        if before is None:
            changed.append((None, record))
        elif before.record is not record and before.record != record:
            # A number may have been given again: only the store can tell.
            changed.append((before.id if _continues(before.record, record) else None, record))
    lost = tuple(number for number, job in known.items() if number not in view.jobs and not job.final)
    return Diff(tuple(changed), lost)


def _continues(before: JobRecord, record: JobRecord) -> bool:
    return (
        record.user == before.user
        and (record.submit_time == before.submit_time or record.restarts > before.restarts)
        and task_number(record) == task_number(before)
    )
