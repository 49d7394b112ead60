"""Where jobs go: what a scheduler asks of the cluster. Counted (counts.py) or node by node (nodes.py)."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import NamedTuple, Protocol

import msgspec

from hpcjobs.sim.lives import Life
from hpcjobs.sim.placed import Need
from hpcjobs.sim.workload import SimJob

NO_NODES: frozenset[int] = frozenset()


class Bounds(msgspec.Struct, frozen=True):
    """What policies say of where and when one job may start.

    Attributes:
        avoid: Indices of nodes that it does not start on.
        only: Indices of the nodes that it must keep to; None: any.
        after_s: Before this it does not start.
        time_min_s: Down to this its time limit may be shortened where it starts earlier so; None: not at all.
    """

    avoid: frozenset[int] = NO_NODES
    only: frozenset[int] | None = None
    after_s: float = 0.0
    time_min_s: float | None = None


UNBOUND = Bounds()


class Kept(NamedTuple):
    """Nodes that are kept for some jobs for a time.

    Attributes:
        start_s: From when.
        end_s: Until when.
        nodes: Number of nodes.
        indices: Which; empty where only their number is simulated.
        jobs: Numbers of the jobs that may have them.
    """

    start_s: float
    end_s: float
    nodes: int
    indices: frozenset[int]
    jobs: Collection[int]


class Plan(Protocol):
    """What is foreseen from one moment on: running jobs end at their limits, and what is booked stays free."""

    def earliest(self, life: Life, bounds: Bounds, after_s: float, until_s: float = float("inf")) -> Kept | None:
        """The earliest that a job could start beside all that runs and is booked.

        Args:
            life: The job.
            bounds: Where it may start.
            after_s: Not before this.
            until_s: Before this; nobody looks further.

        Returns:
            When and where; None: not in that time, as things are.
        """

    def book(self, kept: Kept) -> None:
        """Keep nodes."""

    def cancel(self, kept: Kept) -> None:
        """Keep them no more."""

    def start(self, life: Life, bounds: Bounds, now: float, until_s: float) -> tuple[int, ...] | None:
        """Start a job where it touches nothing that is booked before ``until_s``, if that can be.

        Returns:
            Indices of its nodes, empty where only their number is simulated; None: it cannot start now.
        """

    def may(self, life: Life, now: float, until_s: float) -> bool:
        """Whether a job may be able to start now and run until then: a quick question, to which no is certain.

        Bounds are not heeded, so that a yes has to be tried.
        """

    def edges(self, now: float, until_s: float) -> list[float]:
        """When what is booked begins between two times, latest first: a job that ends there is in nobody's way."""


class Space(Protocol):
    """The nodes, and which job has which."""

    @property
    def nodes(self) -> int:
        """Number of nodes."""

    @property
    def gpus(self) -> int:
        """Number of GPUs."""

    @property
    def full(self) -> bool:
        """Whether it is certain that no job at all can start."""

    def index_of(self, name: str) -> int | None:
        """Index of a node; None: there is none of this name."""

    def fits(self, job: SimJob) -> bool:
        """Whether it would fit if all nodes were up and empty."""

    def plan(self, now: float, kept: Iterable[Kept] = ()) -> Plan:
        """A plan, in which some nodes are kept already."""

    def gpus_of(self, number: int) -> float:
        """GPUs that a running job has."""

    def end(self, number: int) -> None:
        """A job ends: its nodes are free."""

    def shrink(self, number: int, nodes: int) -> tuple[int, ...]:
        """A job keeps so many of its nodes; returns their indices."""

    def on(self, node: int) -> tuple[int, ...]:
        """Numbers of the jobs on a node."""

    def down(self, node: int) -> None:
        """A node takes no jobs."""

    def up(self, node: int) -> None:
        """A node takes jobs again."""

    def weigh(self, weights: dict[int, int]) -> None:
        """What is added to the Weights of nodes, positive or negative; all others have their own."""

    def counted(self) -> tuple[int, int, float, float]:
        """Nodes with a job, nodes that are up, GPUs that jobs have, GPUs that are free on nodes that are up."""

    def stuck_gpus(self, needs: Iterable[tuple[Need, SimJob]]) -> float:
        """Free GPUs on nodes where none of some needs fits; each comes with a job that has it."""
