"""Jobs that wait in vain for one that has been started again (recovery/followers.py): as the store knows them."""

from __future__ import annotations

from collections.abc import Sequence

from hpcjobs.model.job import Fate, JobRecord
from hpcjobs.model.recovery import Retry
from hpcjobs.model.steering import Depend
from hpcjobs.recovery.followers import anew, awaited, stuck
from hpcjobs.store import recoveries, repository
from hpcjobs.store.repository import Known
from hpcjobs.store.store import Store


async def followers(store: Store, listed: Sequence[Known]) -> tuple[Depend, ...]:
    """What is to be said anew of who waits for whom.

    Args:
        store: Where it is written who was started again.
        listed: All jobs of the last listing.
    """
    waiting = stuck(known.record for known in listed)
    if not waiting:
        return ()
    by_number: dict[int, list[JobRecord]] = {}
    for known in listed:
        for number in {known.record.slurm_job_id, known.record.array_job_id} - {0}:
            by_number.setdefault(number, []).append(known.record)
    ids = {known.record.slurm_job_id: known.id for known in listed}
    failed = {ids[one.slurm_job_id] for record in waiting for one in awaited(record, by_number)}
    told = await store.read(recoveries.of_jobs, failed)
    again = {
        (one.slurm_job_id, one.run + 1) for found in told.values() for one in found if isinstance(one.decision, Retry)
    }
    jobs = await store.read(repository.jobs_by_id, failed)
    arrays = await store.read(repository.jobs_by_id, {job.parent for job in jobs.values() if job.parent})
    complete = {
        array.slurm_job_id for array in arrays.values() if array.tasks == {Fate.COMPLETED.value: array.array_size}
    }
    return tuple(
        anew(
            waiting,
            by_number,
            lambda record: (record.slurm_job_id, record.restarts) in again,
            complete.__contains__,
        )
    )
