"""One job's life in the simulation: how far its work is, what of it is safe, when it will be done.

Elastic jobs: the work of a job is its nodes times its run time, and goes on in proportion to the nodes that it has
(linear; a real job scales worse, so that this flatters whoever lets jobs grow).

Checkpoints: a job that makes them has saved its work as of the last one, every ``checkpoint_s`` of working time; what
a checkpoint and a restart from it cost is taken as nothing. A job that makes none begins anew.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import msgspec

from hpcjobs.sim.placed import Need
from hpcjobs.sim.result import End, Run
from hpcjobs.sim.workload import SimJob

ROUNDING = 1e-9
"""A checkpoint that is due within so many of its periods has been made: floating point."""


@dataclass(slots=True, eq=False)
class Life:
    """One job as it stands. Mutable: the engine's own.

    Attributes:
        born: The job as submitted.
        asked: The job as it asks now: policies may have changed its number of nodes.
        need: What it asks of each node.
        kind: A number that all jobs of the same need share, and no others.
        points: Points of priority that policies give it.
        saved: Part of its work that is safe, 0 to 1.
        fresh: Part that is done since, and lost when it is stopped.
        carry_s: Working time since the last checkpoint when the clock was last read.
        since_s: When the clock of its work was last read; None: it does not work.
        start_s: When it started; None: it does not run.
        until_s: When its time limit stops it, while it runs.
        completes: Whether it will have done its work by then.
        idle_from_s: Since when it has its nodes and does not work; None: it works, or does not run.
        indices: Its nodes, while it runs.
        gpus: The GPUs that it has, while it runs.
        idle_s: For so long it had its nodes and did not work, in this run.
        lost_s: Work lost in this run.
        generation: Grows whenever what was foreseen for its end does not hold any more.
        restarts: How often it was requeued.
        came_s: When it was submitted, or requeued: that is what Slurm's SubmitTime tells.
        held_s: Before this it cannot start, after a requeue.
        shunned: Indices of nodes that it does not start on again.
    """

    born: SimJob
    asked: SimJob
    need: Need
    kind: int
    points: int = 0
    saved: float = 0.0
    fresh: float = 0.0
    carry_s: float = 0.0
    since_s: float | None = None
    start_s: float | None = None
    until_s: float = 0.0
    completes: bool = False
    idle_from_s: float | None = None
    indices: tuple[int, ...] = ()
    gpus: float = 0.0
    idle_s: float = 0.0
    lost_s: float = 0.0
    generation: int = 0
    restarts: int = 0
    came_s: float = 0.0
    held_s: float = 0.0
    shunned: frozenset[int] = field(default_factory=frozenset)

    @classmethod
    def of(cls, job: SimJob, kinds: dict[Need, int]) -> Life:
        """That of a job which was just submitted; ``kinds`` are numbers by need, a new need is added."""
        need = Need.of(job)
        return cls(born=job, asked=job, need=need, kind=kinds.setdefault(need, len(kinds)), came_s=job.submit_s)

    @property
    def number(self) -> int:
        """The job's number."""
        return self.born.number

    @property
    def nodes(self) -> int:
        """Number of nodes that it asks for, or has."""
        return self.asked.nodes

    @property
    def wall_s(self) -> float:
        """Its time limit in seconds; it counts anew in each run, as in Slurm."""
        return self.born.wall_s

    @property
    def key(self) -> tuple[float, float, int]:
        """Its place in the queue: points, then time of submission. A requeue does not change it, as in Slurm."""
        return (-self.points, self.born.submit_s, self.born.number)

    @property
    def whole_s(self) -> float:
        """How long all of its work takes with the nodes that it asks for, or has."""
        if self.asked.nodes == self.born.nodes:
            return self.born.run_s
        return self.born.run_s * self.born.nodes / self.asked.nodes

    @property
    def left_s(self) -> float:
        """How long what is left takes, as of the last reading of the clock."""
        return max(0.0, 1.0 - self.saved - self.fresh) * self.whole_s

    def resize(self, nodes: int) -> None:
        """From now on with another number of nodes; its clock must have been read."""
        self.asked = msgspec.structs.replace(self.asked, nodes=nodes)

    def begin(self, now: float, until_s: float, indices: tuple[int, ...], gpus: float) -> None:
        """It has nodes from now on, and does not work yet."""
        self.start_s = self.idle_from_s = now
        self.until_s, self.indices, self.gpus = until_s, indices, gpus
        self.idle_s = self.lost_s = 0.0

    def work(self, now: float) -> None:
        """It begins to work, or goes on."""
        self.since_s = now
        self._idle_until(now)

    def foresee(self) -> float:
        """When it will end if nothing happens to it; ``completes`` says how."""
        self.generation += 1
        done_s = float("inf") if self.since_s is None else self.since_s + self.left_s
        self.completes = done_s <= self.until_s
        return min(done_s, self.until_s)

    def finish(self, now: float, end: End) -> Run:
        """It has its nodes no more; returns how it was with them. Its clock must have been read."""
        self._idle_until(now)
        run = self.run(now, end)
        self.start_s = self.since_s = None
        self.generation += 1
        return run

    def come_again(self, now: float, after_s: float) -> None:
        """It is requeued, and cannot start for so long."""
        self.restarts += 1
        self.came_s, self.held_s = now, now + after_s

    def pause(self, now: float) -> None:
        """Take stock while it runs."""
        self.read(now)
        self._idle_until(now)

    def run(self, now: float | None, end: End | None = None) -> Run:
        """Its run as it is, up to now; None: it still runs."""
        return Run(
            job=self.number,
            start_s=self.start_s or 0.0,
            end_s=now,
            nodes=self.nodes,
            indices=self.indices,
            gpus=self.gpus,
            gpus_asked=self.asked.gpus,
            end=end,
            idle_s=self.idle_s,
            lost_s=self.lost_s,
        )

    def _idle_until(self, now: float) -> None:
        if self.idle_from_s is not None:
            self.idle_s += now - self.idle_from_s
            self.idle_from_s = None

    def read(self, now: float) -> None:
        """Read the clock of its work."""
        if self.since_s is None:
            return
        elapsed_s = now - self.since_s
        self.since_s = now
        whole_s, every_s = self.whole_s, self.born.checkpoint_s
        if not elapsed_s or not whole_s:
            return
        self.carry_s += elapsed_s
        made = math.floor(self.carry_s / every_s + ROUNDING) if every_s else 0
        if made and every_s:
            after_s = max(0.0, self.carry_s - made * every_s)
            self.saved += self.fresh + (elapsed_s - after_s) / whole_s
            self.fresh, self.carry_s = after_s / whole_s, after_s
        else:
            self.fresh += elapsed_s / whole_s

    def lose(self, now: float) -> None:
        """It stops working, and what is not saved is lost."""
        if self.since_s is not None:
            self.idle_from_s = now
        self.read(now)
        self.lost_s += self.fresh * self.whole_s
        self.fresh = self.carry_s = 0.0
        self.since_s = None
