"""``?listed=true``: only what Slurm's controller lists now, each task and component for itself, as squeue shows it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from hpcjobs.errors import Refusal, Refused
from hpcjobs.model.job import JobRecord
from hpcjobs.service import Service
from hpcjobs.store import repository
from hpcjobs.store.repository import JobFilter

Reader = Callable[[str | None, int], Awaitable[list[str]]]
"""Reads the documents of a page: those older than an id (None: the newest), at most so many."""

NOT_BESIDE: Final = ("parent", "since", "until")
"""Filters that ask for what a listing does not hold."""


def reader(service: Service, wanted: JobFilter, listed: bool) -> Reader:
    """What reads a list of jobs page by page.

    Args:
        service: Whose.
        wanted: Which jobs.
        listed: Whether only what the controllers list now.

    Raises:
        Refused: The filter asks for what a listing does not hold.
    """
    if not listed:
        return lambda before, limit: service.store.read(repository.page, wanted, before, limit)
    if beside := [name for name in NOT_BESIDE if getattr(wanted, name) is not None]:
        raise Refused([Refusal(name, "This does not go with listed=true.") for name in beside])
    ids = _ids(service, wanted)

    async def read(before: str | None, limit: int) -> list[str]:
        some = [job_id for job_id in ids if before is None or job_id < before][:limit]
        return await service.store.read(repository.documents_of, some)

    return read


def _ids(service: Service, wanted: JobFilter) -> list[str]:
    """Our ids of what is listed and wanted, newest first."""
    return sorted(
        (
            job.id
            for target in service.targets.values()
            if wanted.cluster in (None, target.observer.cluster)
            for job in target.observer.listed()
            if _matches(wanted, job.record, target.observer.cluster)
        ),
        reverse=True,
    )


def _matches(wanted: JobFilter, record: JobRecord, cluster: str) -> bool:
    return (
        wanted.user in (None, record.user)
        and wanted.account in (None, record.account)
        and wanted.partition in (None, record.partition)
        and wanted.name in (None, record.name)
        and (not wanted.states or record.state in wanted.states)
        and (not wanted.fates or record.fate in wanted.fates)
        and (wanted.visible is None or wanted.visible.covers(record.user, cluster, record.account))
    )
