"""Everything about one job, gathered from where it is."""

from __future__ import annotations

import time
from functools import partial
from typing import Final

import msgspec

from hpcjobs.chain import chain, without_lines
from hpcjobs.errors import HpcjobsError
from hpcjobs.gangs.joining import members_of
from hpcjobs.model.detail import JobDetail
from hpcjobs.model.history import HistoryQuery, Step
from hpcjobs.model.job import Job, State
from hpcjobs.model.job_runs import JobRuns
from hpcjobs.model.spec import JobSpec
from hpcjobs.observe.observer import Observer
from hpcjobs.outlook import outlook
from hpcjobs.recovery.spent import spent
from hpcjobs.reports.one_job import runs_of
from hpcjobs.slurm.reasons import why
from hpcjobs.slurm.sparing import Sparing
from hpcjobs.store import attempts, events, happened, repository
from hpcjobs.store.listing import SKEW_S, same_job
from hpcjobs.store.store import Store
from hpcjobs.tenants.admission import QuotaRule
from hpcjobs.usage.store import UsageStore

STEPS_AGE_S: Final = 5.0
TURN_S: Final = 5.0
"""How long a question for steps waits for its turn, in seconds."""
MOST_KEPT: Final = 1000
MOST_EVENTS: Final = 200
MOST_RUNS: Final = 1_000


def _without_secrets(spec: JobSpec) -> JobSpec:
    container = None if spec.container is None else msgspec.structs.replace(spec.container, env={})
    return msgspec.structs.replace(
        spec, script="", args=(), environment={}, export=None, container=container, launch=None
    )


class Details:
    """Gathers.

    Args:
        store: Where the rows are.
        usage: Where accounting was read into.
        quotas: What projects have left.
    """

    def __init__(self, store: Store, usage: UsageStore, quotas: QuotaRule) -> None:
        self.store = store
        self.usage = usage
        self.quotas = quotas
        self._steps: dict[str, tuple[float, tuple[Step, ...]]] = {}
        self._sparing: Sparing[str, tuple[Step, ...]] = Sparing(TURN_S)
        """By our id."""

    async def of(self, job: Job, observer: Observer, whole: bool) -> JobDetail:
        """All about a job.

        Args:
            job: Which.
            observer: Of its cluster.
            whole: Whether the caller may read its script, arguments, environment and export: they can hold
                secrets, and Slurm gives them to the owner and to operators only.
        """
        spec = await self.store.read(repository.spec_of, job.parent or job.id)
        members = members_of(spec) if spec is not None else ()
        if spec is not None and not whole:
            spec, members = _without_secrets(spec), tuple(map(_without_secrets, members))
        steps, note = await self._steps_of(job, observer)
        return JobDetail(
            job=job,
            why=why(job, observer.view, time.time()),
            spec=spec,
            steps=steps,
            steps_note=note,
            attempts=await self.store.read(attempts.of_job, job.parent or job.id),
            events=await self.store.read(events.latest_of, job.id, MOST_EVENTS),
            observed_at=observer.view.asked_at if observer.view else None,
            members=members,
            quotas=() if job.final else await self._quotas_of(job),
        )

    async def runs_of(self, job: Job, own: bool) -> JobRuns:
        """What happened to a job, run by run, and what will.

        Args:
            job: Which.
            own: Whether it is the caller's, who alone may read its logs.
        """
        stored = await self.store.read(happened.to_job, job, MOST_RUNS)
        since = stored.attempts[0].created_at - SKEW_S if stored.attempts else 0.0 if job.restarts else job.submit_time
        accounted = await self.usage.read(runs_of, job, since) if job.slurm_job_id is not None else []
        decided = stored.recoveries if own else list(map(without_lines, stored.recoveries))
        runs = chain(job, stored.attempts, decided, accounted, stored.events, stored.progress)
        now = time.time()
        said, at = outlook(job, runs, stored.recover, now)
        asked_at = stored.attempts[0].created_at if stored.attempts else float(job.submit_time)
        more = max(len(runs) - MOST_RUNS, 0)
        return JobRuns(
            job=job,
            attempts=tuple(stored.attempts),
            runs=runs[more:],
            more=more,
            tasks=tuple(stored.tasks),
            time=spent(runs, asked_at, sum(job.gpus.values()), now),
            next=said,
            next_at=at,
        )

    async def _quotas_of(self, job: Job) -> tuple[str, ...]:
        try:
            return await self.quotas.notes(job.cluster, job.account) if job.account else ()
        except HpcjobsError as error:
            return (f"How its project stands is not known now: {error.detail}",)

    async def _steps_of(self, job: Job, observer: Observer) -> tuple[tuple[Step, ...], str]:
        """The steps, asked of accounting at most once in a while however many ask, and few at a time."""
        if job.slurm_job_id is None or job.state in (State.PENDING, State.HELD, State.SUBMITTING):
            return (), ""
        now = time.time()
        asked_at, steps = self._steps.get(job.id, (0.0, ()))
        if now - asked_at < STEPS_AGE_S:
            return steps, ""
        try:
            asked = partial(self._ask, job, job.slurm_job_id, observer)
            return await self._sparing.ask(observer.cluster, job.id, asked), ""
        except HpcjobsError as error:
            return (), error.detail

    async def stop(self) -> None:
        """Leave the questions under way without an answer."""
        await self._sparing.stop()

    async def _ask(self, job: Job, number: int, observer: Observer) -> tuple[Step, ...]:
        now = time.time()
        found = await observer.backend.history(HistoryQuery(numbers=(number,), steps=True))
        # The number may have been another's before or since.
        steps = next(
            (one.steps for one in found if one.record.slurm_job_id == number and same_job(job, one.record)), ()
        )
        if len(self._steps) >= MOST_KEPT:
            self._steps.clear()
        self._steps[job.id] = (now, steps)
        return steps
