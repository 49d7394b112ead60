"""One simulation at work: what happens, what is done about it, and what schedulers and policies see and do."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from hpcjobs.sim.events import Agenda, Happening, Kind
from hpcjobs.sim.failures import Failures
from hpcjobs.sim.gangs import Gangs
from hpcjobs.sim.lives import Life
from hpcjobs.sim.outages import Outages
from hpcjobs.sim.placed import Need
from hpcjobs.sim.result import Acted, End, Result, Run, Sample
from hpcjobs.sim.schedulers.site import Scheduler
from hpcjobs.sim.space import UNBOUND, Bounds, Plan, Space
from hpcjobs.sim.steered import Policy, Steered
from hpcjobs.sim.waiting import Queue, Wanted
from hpcjobs.sim.workload import SimJob, Workload

MOST_FRUITLESS: Final = 1000
"""After so many ticks while nothing runs and no job comes, policies are asked no more until a job starts."""
PROGRESS_EVERY: Final = 256
"""After so many moments the progress is told."""


class Simulation:
    """One simulation. It is the Site that schedulers see, and what policies act upon.

    Attributes:
        lives: Every job that has been submitted and has not ended, by number.
        running: Those of them that run.
        waiting: Those of them that wait, also those that may not start.
        ended: Why each job that has ended for good did so.
        queue: Those that wait and may start; so on, see Site.
    """

    def __init__(
        self,
        workload: Workload,
        scheduler: Scheduler,
        space: Space,
        policies: Sequence[Policy] = (),
        failures: Failures | None = None,
        requeue_s: float = 0.0,
        begin_s: Callable[[SimJob], float] | None = None,
    ) -> None:
        self.queue = Queue()
        self.space = space
        self.freed = False
        self.arrived: list[Life] = []
        self.running: dict[int, Life] = {}
        self.waiting: dict[int, Life] = {}
        self.ended: dict[int, End] = {}
        self.agenda = Agenda()
        self.acted: list[Acted] = []
        self.outages = Outages(space, self.agenda, failures)
        self._steered = Steered(self, workload, policies) if policies else None
        self._workload = workload
        self._jobs = iter(workload.jobs)
        self._scheduler = scheduler
        self._fails_for_good = failures is not None and not failures.requeue
        self._requeue_s = requeue_s
        self._begin_s = begin_s
        self._gangs = Gangs()
        self._runs: list[Run] = []
        self._refused: list[int] = []
        self._samples: list[Sample] = []
        self._kinds: dict[Need, int] = {}
        self._wanted = Wanted()
        self._fruitless = 0
        self._dozing: list[int] = []
        self._passes = 0
        self._unsampled = False
        self._asked_again_s: float | None = None

    def run(self, sample_s: float | None, until_s: float, progress: Callable[[float, int], None] | None) -> Result:
        """Go from event to event."""
        first = self._workload.jobs[0].submit_s if self._workload.jobs else 0.0
        self._next_job()
        if sample_s is not None:
            self.agenda.add(first, Kind.SAMPLED)
        if self._steered:
            for place, policy in enumerate(self._steered.policies):
                self.agenda.add(first + policy.period_s, Kind.TICKS, place)
        self.outages.foresee(0.0)
        now, moments = min(first, until_s), 0
        while self._goes_on and self.agenda.next_s <= until_s:
            now = self.agenda.next_s
            sampled = False
            while (thing := self.agenda.due(now)) is not None:
                sampled = self._happens(thing, now) or sampled
            if self.freed or self.arrived or self._asked_again_s == now:
                self._pass(now)
            if sampled and sample_s:
                self._sample(now)
                self._unsampled = not self._lives  # until a job starts: it may wait for a year
                if self._lives:
                    self.agenda.add(now + sample_s, Kind.SAMPLED)
            moments += 1
            if progress and not moments % PROGRESS_EVERY:
                progress(now, len(self.ended))
        if self._goes_on:
            now = until_s
        return self._result(now)

    @property
    def _goes_on(self) -> bool:
        """Whether anything can still come of it."""
        asked = self._steered is not None and len(self._dozing) < len(self._steered.policies)
        return self._lives or bool(self.waiting and (self.agenda.awaited or asked))

    @property
    def _lives(self) -> bool:
        """Whether jobs run or will be submitted."""
        return bool(self.running) or self._coming is not None

    # What happens.

    def _happens(self, thing: Happening, now: float) -> bool:
        """Let one thing happen; whether a sample is wanted."""
        match thing.kind:
            case Kind.ENDS:
                life = self.running.get(thing.subject)
                if life is not None and life.generation == thing.generation:
                    self.stop(life, now, End.COMPLETED if life.completes else End.TIMEOUT)
            case Kind.ARRIVES:
                self._arrives(now)
            case Kind.FAILS:
                self.outages.foresee(now)
                for number in self.outages.fail(thing.subject, now):
                    if self._steered:
                        self._steered.view.lose(thing.subject, number, now)
                    if number in self.running:  # and has not failed with another of its gang
                        again = not self._fails_for_good
                        self.stop(self.running[number], now, End.NODE_FAIL, again=again, after_s=self._requeue_s)
            case Kind.REPAIRED:
                self.freed = self.outages.back(thing.subject, failed=bool(thing.generation)) or self.freed
            case Kind.WAKES:
                self._wakes(now)
            case Kind.TICKS if self._steered:
                policy = self._steered.policies[thing.subject]
                self._fruitless = 0 if self.running or self._coming else self._fruitless + 1
                self._steered.tick(policy, now)
                if self._fruitless < MOST_FRUITLESS:
                    self.agenda.add(now + policy.period_s, Kind.TICKS, thing.subject)
                else:
                    self._dozing.append(thing.subject)
        return thing.kind is Kind.SAMPLED

    def _next_job(self) -> None:
        self._coming = next(self._jobs, None)
        if self._coming is not None:
            self.agenda.add(self._coming.submit_s, Kind.ARRIVES)

    def _arrives(self, now: float) -> None:
        job = self._coming
        self._next_job()
        if job is None:
            return
        if not self.space.fits(job):
            self._refused.append(job.number)
        elif self._gangs.failed(life := Life.of(job, self._kinds)):
            self.ended[life.number] = End.CANCELLED
        else:
            life.held_s = now + self._begin_s(job) if self._begin_s else 0.0
            self.wait(life, now)

    def _wakes(self, now: float) -> None:
        if self._steered:
            self._steered.renew(now)
        for life in [life for life in self.waiting.values() if life not in self.queue]:
            self.admit(life, now)

    # What policies and the above do.

    def wait(self, life: Life, now: float) -> None:
        """A job waits from now on."""
        self.waiting[life.number] = life
        self._wanted.add(life)
        self.admit(life, now)

    def admit(self, life: Life, now: float) -> None:
        """Put a job that waits into the queue, or take it out, as it may start or not."""
        self.touch(life)
        after_s, points = life.held_s, 0
        if self._steered:
            after_s, points = self._steered.after_s(life.number, after_s), self._steered.points(life.number)
        if life in self.queue:
            if after_s > now:
                self.queue.remove(life)
                self.freed = True
            elif points != life.points:
                self.queue.reorder([(life, points)])
                self.freed = True
        elif after_s <= now:
            life.points = points
            self.queue.add(life)
            self.arrived.append(life)
        if now < after_s < float("inf"):
            self.agenda.wake(after_s)

    def touch(self, life: Life) -> None:
        """What policies see of a job is not so any more."""
        if self._steered:
            self._steered.view.touch(life.number)

    def stop(self, life: Life, now: float, end: End, *, again: bool = False, after_s: float = 0.0) -> None:
        """A running job ends; again: it waits anew, from then on."""
        if end in (End.COMPLETED, End.TIMEOUT):
            life.read(now)
        else:
            life.lose(now)
        self.space.end(life.number)
        del self.running[life.number]
        self._runs.append(run := life.finish(now, end))
        self.freed = True
        others = self._gangs.leave(life, done=end is End.COMPLETED)
        if not again:
            self._end(life, now, end, run)
            return
        for member in others:
            member.lose(now)
            self._foresee(member)
        life.come_again(now, after_s)
        self.wait(life, now)

    def _end(self, life: Life, now: float, end: End, run: Run | None) -> None:
        """A job ends for good, with a last run or from the queue; its gang too, if its work is not done."""
        self.ended[life.number] = end
        if self._steered:
            self._steered.view.finish(life, now, end, run)
        if end is End.COMPLETED or not self._gangs.fail(life):
            return
        for peer in [peer for peer in self.running.values() if self._gangs.failed(peer)]:
            self.stop(peer, now, End.TIMEOUT if peer.until_s <= now else End.FAILED)
        for peer in [peer for peer in self.waiting.values() if self._gangs.failed(peer)]:
            self._leave_queue(peer)
            self._end(peer, now, End.CANCELLED, None)

    def _leave_queue(self, life: Life) -> None:
        """A job waits no more."""
        if life in self.queue:
            self.queue.remove(life)
        del self.waiting[life.number]
        self._wanted.remove(life)

    def shrink(self, life: Life, nodes: int, now: float) -> None:
        """A running job gives nodes back and goes on with the others; nothing is lost."""
        life.read(now)
        since_s, until_s = life.since_s, life.until_s
        self._runs.append(life.finish(now, End.SHRUNK))
        indices = self.space.shrink(life.number, nodes)
        life.resize(nodes)
        life.begin(now, until_s, indices, self.space.gpus_of(life.number))
        if since_s is not None:
            life.work(now)
        self._foresee(life)
        self.freed = True
        self.touch(life)

    def resize(self, life: Life, nodes: int) -> None:
        """A waiting job asks for another number of nodes."""
        life.resize(nodes)
        self.freed = True
        self.touch(life)

    def _foresee(self, life: Life) -> None:
        self.agenda.add(life.foresee(), Kind.ENDS, life.number, life.generation)

    # What the scheduler asks.

    @property
    def tuned(self) -> Mapping[str, str]:
        """As said by Site."""
        return self._steered.tuned if self._steered else {}

    @property
    def shortens(self) -> bool:
        """As said by Site."""
        return self._steered is not None and self._steered.shortens

    def plan(self, now: float) -> Plan:
        """As said by Site."""
        return self.space.plan(now, self._steered.kept if self._steered else ())

    def bounds(self, life: Life) -> Bounds:
        """As said by Site."""
        return self._steered.bounds(life.number) if self._steered else UNBOUND

    def started(self, life: Life, indices: tuple[int, ...], now: float, until_s: float) -> None:
        """As said by Site."""
        self._leave_queue(life)
        self.running[life.number] = life
        self._fruitless = 0
        self._rouse(now)
        if self._unsampled:
            self._unsampled = False
            self.agenda.add(now, Kind.SAMPLED)
        life.begin(now, until_s, indices, self.space.gpus_of(life.number))
        at_work = self._gangs.join(life)
        for member in at_work:
            member.work(now)
            self._foresee(member)
        if life not in at_work:
            self._foresee(life)
        self.touch(life)

    def _rouse(self, now: float) -> None:
        """Policies that were asked no more are asked again."""
        if self._steered:
            for place in self._dozing:
                self.agenda.add(now + self._steered.policies[place].period_s, Kind.TICKS, place)
            self._dozing.clear()

    def _pass(self, now: float) -> None:
        self._passes += 1
        again_s = self._scheduler.run(self, now)
        self.freed = False
        self.arrived.clear()
        if again_s is not None and again_s != self._asked_again_s:
            self._asked_again_s = again_s
            self.agenda.wake(again_s)

    def _sample(self, now: float) -> None:
        stuck = self.space.stuck_gpus(self._wanted) if self.waiting else 0.0
        self._samples.append(Sample(now, len(self.waiting), len(self.running), *self.space.counted(), stuck))

    def _result(self, now: float) -> Result:
        for life in self.running.values():
            life.pause(now)
            self._runs.append(life.run(None))
        held = [number for number, life in sorted(self.waiting.items()) if life not in self.queue]
        return Result(
            scheduler=self._scheduler.name,
            nodes=self.space.nodes,
            gpus=self.space.gpus,
            jobs={job.number: job for job in self._workload.jobs},
            runs=tuple(self._runs),
            ended=self.ended,
            waiting=(*(life.number for life in self.queue), *held),
            refused=tuple(self._refused),
            stopped_s=now,
            samples=tuple(self._samples),
            acted=tuple(self.acted),
            failures=tuple(self.outages.struck),
            policy_errors=dict(self._steered.errors) if self._steered else {},
            passes=self._passes,
        )
