"""Workload inflation: jobs come one after the other and none ends; how much of the GPUs can be given away?

The experiment of the FGD paper (Weng et al., USENIX ATC 2023), as its artifact does it
(hkust-adsl/kubernetes-scheduler-simulator, 2023_0511). Each job of the trace comes once, more are drawn from the trace
with replacement until they ask for ``DRAWN`` times the fleet's GPUs, and all are shuffled; so are the nodes, of which
the first wins a tie. Jobs are then submitted in that order until they have asked for as much as the stated demand;
one that does not fit when it comes is not tried again.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Final

import numpy as np

from hpcjobs.errors import Refusal, Refused
from hpcjobs.sim.fleet import Chooser, Fleet
from hpcjobs.sim.placed import Floats
from hpcjobs.sim.workload import SimJob, SimNode

DRAWN: Final = 1.3
"""So many times the fleet's GPUs are asked for by the jobs among which the order is drawn."""


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Inflation:
    """What came of it.

    Attributes:
        total_gpus: GPUs of the fleet.
        asked_gpus: GPUs asked for so far, after each job; shape (jobs,).
        given_gpus: GPUs given so far, after each job; shape (jobs,).
        failed: Numbers of the jobs that did not fit.
    """

    total_gpus: int
    asked_gpus: Floats
    given_gpus: Floats
    failed: tuple[int, ...]

    @property
    def demand(self) -> float:
        """GPUs asked for in the end, as a part of the fleet's."""
        return float(self.asked_gpus[-1]) / self.total_gpus

    @property
    def allocated(self) -> float:
        """GPUs given in the end, as a part of the fleet's."""
        return float(self.given_gpus[-1]) / self.total_gpus


def arrivals(jobs: Sequence[SimJob], gpus: float, seed: int, *, drawn: float = DRAWN) -> list[SimJob]:
    """Jobs in the order in which they come.

    Args:
        jobs: Those of the trace.
        gpus: GPUs of the fleet.
        seed: Of what is drawn.
        drawn: How many times the fleet's GPUs they ask for together, unless the trace alone asks for more.

    Returns:
        Each job of the trace at least once; those that come again have its number.

    Raises:
        Refused: No job of the trace asks for a GPU.
    """
    if not any(job.gpus > 0 for job in jobs):
        raise Refused([Refusal("jobs", "no job asks for a GPU, so that demand cannot grow")])
    rng = np.random.default_rng(seed)
    coming = list(jobs)
    asked = sum(job.gpus for job in jobs)
    while asked < drawn * gpus:
        job = jobs[int(rng.integers(len(jobs)))]
        coming.append(job)
        asked += job.gpus
    return [coming[number] for number in rng.permutation(len(coming))]


def in_drawn_order(nodes: Sequence[SimNode], seed: int) -> Fleet:
    """The empty fleet, its nodes in an order drawn from a seed."""
    rng = np.random.default_rng([seed, 1])  # another stream than that of the arrivals
    return Fleet([nodes[number] for number in rng.permutation(len(nodes))])


def inflate(fleet: Fleet, coming: Sequence[SimJob], chooser: Chooser, *, demand: float = 1.0) -> Inflation:
    """Submit jobs until they have asked for so much.

    Args:
        fleet: The fleet, which is filled.
        coming: Jobs in the order in which they come.
        chooser: Chooses among the nodes with room.
        demand: GPUs that are asked for in the end, as a part of the fleet's.

    Returns:
        What came of it; it ends earlier where ``coming`` does.

    Raises:
        Refused: The fleet has no GPU, or there are no jobs, or one asks for what cannot be.
    """
    if not fleet.total_gpus or not coming:
        raise Refused([Refusal("fleet" if coming else "coming", "there is nothing to be given, or nobody to take it")])
    asked = 0.0
    asked_gpus, given_gpus, failed = [], [], []
    for job in coming:
        asked += job.gpus
        placed = fleet.find(job, chooser)
        if placed is None:
            failed.append(job.number)
        else:
            fleet.take(placed)
        asked_gpus.append(asked)
        given_gpus.append(fleet.allocated_gpus)
        if asked >= demand * fleet.total_gpus:
            break
    return Inflation(fleet.total_gpus, np.array(asked_gpus), np.array(given_gpus), tuple(failed))
