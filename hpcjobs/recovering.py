"""Runs that ended badly are diagnosed, what is to become of them is decided, and policies' words carry it out.

A decision is a row before anything is done about it, one for each run of a job. What is open is wished and done at each
turn of the policies until the listing shows that the job runs again: whoever is killed in between begins there anew.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Sequence
from typing import Final

from hpcjobs.errors import HpcjobsError
from hpcjobs.following import followers
from hpcjobs.hooks.host import Hooks
from hpcjobs.lives import Lives
from hpcjobs.model.cluster import ClusterView, Failure
from hpcjobs.model.event import Event, EventKind
from hpcjobs.model.failure import Activity, Diagnosis, Evidence, LogTail
from hpcjobs.model.hints import NO_HINTS, Hints
from hpcjobs.model.job import WAITING, Fate, Job
from hpcjobs.model.recovery import Ended, Hold, Recovery, RecoveryState, Retry, Stop, word_of
from hpcjobs.model.steering import Action, Depend
from hpcjobs.observe.observer import Observer
from hpcjobs.output import OutputReader
from hpcjobs.plugin import Recover
from hpcjobs.recovery.classify import diagnose
from hpcjobs.recovery.course import (
    ASKED_S,
    BY_SLURMS_WORD,
    Run,
    actions,
    last_run,
    launch_failed,
    requeued_for,
    run_before,
    state_of,
)
from hpcjobs.recovery.hang import idle
from hpcjobs.sbatch.hostlists import nodes_in
from hpcjobs.slurm.base import Op
from hpcjobs.steering.hinted import Hinted
from hpcjobs.steering.past import Past
from hpcjobs.store import recoveries, repository
from hpcjobs.store.repository import Known
from hpcjobs.store.store import Store

log = logging.getLogger(__name__)

TAIL_BYTES: Final = 64 * 1024
TAIL_S: Final = 1.5
"""So long is waited for the end of a job's logs."""
AT_ONCE: Final = 32
"""Runs that are diagnosed in one turn, the others in the next."""


class Recovering:
    """The runs of one cluster.

    Args:
        store: Where decisions are kept.
        hooks: The plugins, which decide.
        observer: Of the cluster.
        output: Reads the ends of logs, as their owners.
        past: Nodes that failed under jobs.
        lives: How far runs are, and whether they do anything.

    Attributes:
        decisions: How many there were since the start, by class of failure and word.
        decision_s: How long they took from the ends of the runs, in seconds, together.
    """

    def __init__(
        self, store: Store, hooks: Hooks, observer: Observer, output: OutputReader, past: Past, lives: Lives
    ) -> None:
        self.store = store
        self.hooks = hooks
        self.observer = observer
        self.output = output
        self.past = past
        self.lives = lives
        self._open: dict[tuple[str, int], Recovery] | None = None
        self._decided: set[tuple[str, int]] = set()
        self._known: set[str] = set()
        """Jobs of which it is known what was decided."""
        self._hinted = Hinted(store)
        self._followers: tuple[Depend, ...] = ()
        self.decisions: Counter[tuple[str, str]] = Counter()
        self.decision_s = 0.0

    @property
    def open_count(self) -> int:
        """How many decisions are not carried out yet."""
        return len(self._open or {})

    async def tick(self, now: float) -> bool:
        """Diagnose and decide what ended, and see what has been carried out.

        Args:
            now: Unix seconds.

        Returns:
            Whether anything was decided that is to be done now: who waits for the next listing does it a second later.
        """
        before = None
        try:
            if self._open is None:
                found = await self.store.read(recoveries.open_of, self.observer.cluster)
                self._open = {(one.job_id, one.run): one for one in found}
            wanted = any(not entry.broken for entry in self.hooks.at_work.having(Recover.kind))
            if not wanted and not self._open:
                self._followers = ()
                return False
            view = self.observer.fresh_view(None, now)
            await self._settle(view, now)
            self._followers = await followers(self.store, self.observer.listed())
            before = self.open_count
            if wanted:
                await self._decide_all((await self._ended(now))[:AT_ONCE], now)
        except HpcjobsError as error:
            log.warning("cluster %s: nothing is recovered now: %s", self.observer.cluster, error.detail)
        return before is not None and self.open_count > before

    async def _ended(self, now: float) -> list[Run]:
        """Runs that ended, or have hung, and of which nothing is decided."""
        listed = self.observer.listed()
        failed: dict[int, list[Failure]] = {}
        for one in await self.past.failures():
            failed.setdefault(one.slurm_job_id, []).append(one)
        ids = {known.id for known in listed}
        self._known &= ids
        self._decided = {key for key in self._decided if key[0] in ids}
        last = (last_run(known.id, known.record, failed.get(known.record.slurm_job_id, ()), now) for known in listed)
        candidates = [run for run in last if run is not None]
        there = {(run.job_id, run.run) for run in candidates} | self._decided
        candidates += await self._requeued(
            [known for known in listed if (known.id, known.record.restarts - 1) not in there], now
        )
        candidates += self._hung(listed, now)
        if unknown := {run.job_id for run in candidates} - self._known:
            for job_id, found in (await self.store.read(recoveries.of_jobs, unknown)).items():
                self._decided |= {(job_id, one.run) for one in found}
            self._known |= unknown
        await self._hinted.of({run.record.attempt for run in candidates if run.record.attempt})
        return [run for run in candidates if (run.job_id, run.run) not in self._decided and self._wanted(run)]

    def _hung(self, listed: Sequence[Known], now: float) -> list[Run]:
        """Runs that go on and do nothing, unless so many do that it cannot be their own fault."""
        hung = self.lives.hung()
        found = [
            Run(known.id, known.record, known.record.restarts, None, now)
            for known in listed
            if known.id in hung and (known.id, known.record.restarts) not in self._decided
        ]
        if not self.lives.by_chance(len(found)):
            log.warning(
                "cluster %s: %d jobs do nothing, all at the same time; none is started again for that",
                self.observer.cluster,
                len(found),
            )
            return []
        return found

    async def _requeued(self, listed: Sequence[Known], now: float) -> list[Run]:
        """Runs after which Slurm requeued the job by itself, with no node seen down: accounting knows of them."""
        asked = {
            known.record.slurm_job_id: known
            for known in listed
            if known.record.state in WAITING
            and known.record.restarts
            and now - ASKED_S < known.record.submit_time <= now + 1
        }
        if not asked or self.observer.backend.lacks(Op.HISTORY):
            return []
        since = min(known.record.submit_time for known in asked.values()) - ASKED_S
        try:
            told = await self.observer.backend.runs(int(since), 0)
        except HpcjobsError as error:
            log.warning("cluster %s: accounting says not why jobs wait again: %s", self.observer.cluster, error.detail)
            return []
        found = []
        for number, known in asked.items():
            last = run_before(known.record, (one for one in told if one.slurm_job_id == number))
            if last is None:
                continue  # accounting has not heard of it yet
            run = known.record.restarts - 1
            if (ended := requeued_for(last)) is None:
                self._decided.add((known.id, run))  # somebody has requeued it, a policy perhaps
                continue
            at, nodes = float(last.end_time), nodes_in(last.node_list)
            fate, word = ended
            failed = {nodes[0]: at} if len(nodes) == 1 and fate is Fate.NODE_FAIL else {}
            found.append(Run(known.id, known.record, run, fate, at, failed, nodes, word))
        return found

    def _wanted(self, run: Run) -> bool:
        """Whether anybody wants it to be recovered: it says so, or Slurm has requeued it itself, to run again."""
        return (run.waits and not launch_failed(run.record)) or self._hints(run).recover

    def _hints(self, run: Run) -> Hints:
        return self._hinted.known.get(run.record.attempt or "", NO_HINTS)

    async def _decide_all(self, runs: Sequence[Run], now: float) -> None:
        ids = [run.job_id for run in runs]
        if not ids:
            return
        jobs = await self.store.read(repository.jobs_by_id, ids)
        before = await self.store.read(recoveries.of_jobs, ids)
        there = [run for run in runs if run.job_id in jobs]
        await asyncio.gather(*(self._decide(run, jobs[run.job_id], before.get(run.job_id, []), now) for run in there))

    async def _decide(self, run: Run, job: Job, before: Sequence[Recovery], now: float) -> None:
        hints = self._hints(run)
        diagnosis = await self._diagnosis(run, job, hints, now)
        if diagnosis is None:
            return
        last = await self.lives.last(run.job_id, run.record, run.run, hints, now)
        progress = last.checkpoint_step if last is not None else None
        ended = Ended(
            fate=run.fate,
            diagnosis=diagnosis,
            at=run.at,
            progress=progress,
            nodes=max(run.record.nodes, 1),
            nodes_min=hints.nodes_min,
        )
        with self.hooks.held() as at_work:
            said = await self.hooks.ask.recover(at_work, ended, recoveries.tried_of(before), now)
        if said is None:
            return  # no plugin has anything to say, or it failed: it is asked again
        plugin, decision = said
        over = isinstance(decision, Stop) or (isinstance(decision, Hold) and not (run.waits or run.hangs))
        recovery = Recovery(
            cluster=self.observer.cluster,
            job_id=run.job_id,
            slurm_job_id=run.record.slurm_job_id,
            run=run.run,
            at=run.at,
            progress=progress,
            diagnosis=diagnosis,
            decision=decision,
            plugin=plugin,
            decided_at=now,
            state=RecoveryState.OVER if over else RecoveryState.OPEN,
        )
        kept = await self.store.write(recoveries.add, recovery, [_event(recovery, job)])
        self._decided.add((run.job_id, run.run))
        if kept:
            self.decisions[diagnosis.failure.value, word_of(decision)] += 1
            self.decision_s += max(0.0, now - run.at)
        if kept and not over and self._open is not None:
            self._open[run.job_id, run.run] = recovery

    async def _diagnosis(self, run: Run, job: Job, hints: Hints, now: float) -> Diagnosis | None:
        record = run.record
        seen = self.lives.activity(run.job_id, run.run)
        idled = seen is not None and idle(*seen, after_s=hints.hang_s) is not None
        logs = () if (run.word or run.fate in BY_SLURMS_WORD) and not idled else await self._logs(job)
        return await asyncio.to_thread(
            diagnose,
            Evidence(
                fate=run.fate,
                raw_state=run.word or (run.fate.value if run.waits and run.fate is not None else record.raw_state),
                exit_code=None if run.waits else record.exit_code,
                exit_signal=None if run.waits else record.exit_signal,
                reason=record.reason,
                nodes=nodes_in(record.node_list) or run.nodes or tuple(run.failed),
                failed_nodes=run.failed,
                logs=logs,
                activity=seen[0] if seen is not None else Activity(),
                hang_s=hints.hang_s,
                now=seen[1] if seen is not None and run.hangs else run.at or now,
            ),
        )

    async def _logs(self, job: Job) -> tuple[LogTail, ...]:
        """The ends of its logs, as far as they can be read in time."""
        paths = dict.fromkeys(path for path in (job.stderr, job.stdout) if path)
        found: list[LogTail] = []
        try:
            async with asyncio.timeout(TAIL_S):
                for path in paths:
                    try:
                        chunk = await self.output.read(job, path, -TAIL_BYTES, TAIL_BYTES)
                    except HpcjobsError:
                        continue
                    source = "stdout" if path == job.stdout != job.stderr else "stderr"
                    found.append(LogTail(source, chunk.data.decode(errors="replace")))
        except TimeoutError:
            log.warning("job %s: its logs cannot be read in time", job.id)
        return tuple(found)

    async def _settle(self, view: ClusterView, now: float) -> None:
        """See which decisions are carried out, or were given up because somebody cancelled the job."""
        if self._open:
            still = await self.store.read(recoveries.of_jobs, {job_id for job_id, _ in self._open})
            found = (one for all_ in still.values() for one in all_ if one.state is RecoveryState.OPEN)
            self._open = {(one.job_id, one.run): one for one in found}
        for key, one in list((self._open or {}).items()):
            record = view.jobs.get(one.slurm_job_id)
            state = state_of(one, record, now)
            if state is not RecoveryState.OPEN:
                await self.store.write(recoveries.settle, one.job_id, one.run, state)
                if self._open is not None:
                    del self._open[key]

    def wants(self, view: ClusterView, now: float) -> tuple[Action, ...]:
        """What is to be done, in the words of policies.

        Args:
            view: The last listing.
            now: Unix seconds.
        """
        found: list[Action] = [*self._followers]
        for one in (self._open or {}).values():
            record = view.jobs.get(one.slurm_job_id)
            if record is not None:
                found += actions(one, record, now)
        return tuple(found)


def _event(one: Recovery, job: Job) -> Event:
    decision = one.decision
    data: dict[str, str | int | float | bool | None] = {
        "slurm_job_id": one.slurm_job_id,
        "run": one.run,
        "failure": one.diagnosis.failure.value,
        "decision": word_of(decision),
        "why": decision.why,
        "plugin": one.plugin,
    }
    if isinstance(decision, Retry) and decision.avoid:
        data["avoid"] = ",".join(decision.avoid)
    return Event(0, one.decided_at, EventKind.JOB_RECOVERY, one.cluster, one.job_id, job.user, job.account, data)
