"""How often a job should save, and what it has to expect, of what its cluster and its own runs have shown."""

from __future__ import annotations

from statistics import fmean
from typing import Final

from hpcjobs.errors import Refusal, Refused
from hpcjobs.model.job import Job
from hpcjobs.model.reliability import DAY_S, Advised, FailureRate, Recovery
from hpcjobs.recovery.advice import PUBLISHED, REPAIR_S, RESTART_S, advise, counted_rate, known_rate
from hpcjobs.recovery.classify import OF_HARDWARE
from hpcjobs.store import progress, recoveries
from hpcjobs.store.store import Store
from hpcjobs.usage.reliability import Seen, seen
from hpcjobs.usage.store import UsageStore

WINDOW_DAYS: Final = 28
"""As far back failures are counted."""


class Advising:
    """Advises.

    Args:
        store: Where diagnoses are, and what agents in jobs told.
        usage: Where runs are.
    """

    def __init__(self, store: Store, usage: UsageStore) -> None:
        self.store = store
        self.usage = usage

    async def advise(
        self,
        cluster: str,
        now: float,
        *,
        job: Job | None = None,
        nodes: int | None = None,
        save_s: float | None = None,
        restart_s: float | None = None,
        interval_s: float | None = None,
    ) -> Advised:
        """What a job should do.

        Args:
            cluster: Where it is to run.
            now: Unix seconds.
            job: Which; None: any of so many nodes.
            nodes: How many it has; None: as the job.
            save_s: For so long a checkpoint stops the work; None: as the job's agent measured last.
            restart_s: What a restart takes; None: as others published.
            interval_s: Work between two checkpoints, as it is; None: as it should be.

        Raises:
            Refused: Nobody knows how many nodes it has, or how long saving takes; a number that cannot be.
            Unavailable: Usage or the database does not answer.
        """
        told: list[str] = []
        if save_s is None and job is not None:
            save_s = await self._saved(job)
            if save_s is not None:
                told.append(f"A checkpoint stops the work for {save_s:g} s, as the job's agent measured last.")
        nodes = nodes or (job.nodes if job is not None else 0)
        _check(nodes, save_s)
        since = now - WINDOW_DAYS * DAY_S
        found = await self.usage.read(seen, cluster, since, now)
        counted = await self._counted(cluster, found, since)
        rate = known_rate(counted)
        down_s = fmean(found.down_s) if found.down_s else 0.0
        recovery = Recovery(
            save_s=save_s or 0.0, restart_s=RESTART_S if restart_s is None else restart_s, down_s=down_s
        )
        told += [_rated(rate, counted), *_recovering(found, restart_s)]
        return Advised(
            cluster=cluster,
            job_id=job.id if job is not None else "",
            advice=advise(nodes, rate, recovery, repair_s=REPAIR_S, interval_s=interval_s),
            rate=rate,
            counted=counted,
            recovery=recovery,
            told=tuple(told),
        )

    async def _saved(self, job: Job) -> float | None:
        came = (await self.store.read(progress.of_jobs, [job.id])).get(job.id, [])
        return next((one.save_s for one in reversed(came) if one.save_s is not None), None)

    async def _counted(self, cluster: str, found: Seen, since: float) -> FailureRate | None:
        """Runs that a node's failure ended, as Slurm or a diagnosis says: each once, however many nodes it had."""
        if found.node_days <= 0:
            return None
        diagnosed = await self.store.read(recoveries.since, since)
        ended = {
            (one.slurm_job_id, one.run)
            for one in diagnosed
            if one.cluster == cluster and one.at >= since and one.diagnosis.failure in OF_HARDWARE
        }
        return counted_rate(len(ended | found.failed), found.node_days)


def _check(nodes: int, save_s: float | None) -> None:
    faults = []
    if nodes < 1:
        faults.append(Refusal("nodes", "How many nodes it has is not known: say so.", "required"))
    if save_s is None:
        faults.append(Refusal("save_s", "How long saving takes was not measured: say so, in seconds.", "required"))
    if faults:
        raise Refused(faults)


def _rated(rate: FailureRate, counted: FailureRate | None) -> str:
    if counted is None:
        return f"No job has run here in {WINDOW_DAYS} days: the rate is that of RSC-1 ({PUBLISHED:g}, Kokolis et al.)."
    told = (
        f"{counted.failures} failures in {counted.node_days:.1f} node-days of jobs in {WINDOW_DAYS} days: "
        f"{counted.per_1000_node_days:.3g} in 1000, {100 * counted.confidence:g} % bounds "
        f"{counted.low:.3g} to {counted.high:.3g}"
    )
    return (
        f"{told}." if rate is counted else f"{told}; too few, so that it goes by RSC-1 ({PUBLISHED:g}, Kokolis et al.)."
    )


def _recovering(found: Seen, restart_s: float | None) -> list[str]:
    told = []
    if restart_s is None:
        told.append(f"A restart takes {RESTART_S:g} s, as Kokolis et al. say.")
    if found.down_s:
        told.append(f"Jobs began again {fmean(found.down_s):.0f} s after a node failed, mean of {len(found.down_s)}.")
    else:
        told.append("How long a job waits until it begins again was not seen, and counts as 0 s.")
    return [*told, f"A node is away for {REPAIR_S / 3600:g} h, which is assumed."]
