"""Which of the nodes that have room a job gets. Those with a module of their own: fgd.py, leaves.py.

Each is a pure function of the fleet and the need; ties go to the node that comes first in the fleet.
"""

from __future__ import annotations

import numpy as np

from hpcjobs.sim.fleet import Fleet
from hpcjobs.sim.placed import Floats, Ints, Need

CPU_PART = 0.5
"""How much CPUs count beside GPUs in best fit and spread."""


def least(scores: Floats | Ints, nodes: Ints, count: int) -> Ints:
    """The nodes of least score, those that come first among equals.

    Args:
        scores: Score of each node; shape (nodes,).
        nodes: Indices of nodes, ascending.
        count: How many are wanted, 1 to the number of nodes.

    Returns:
        So many of the nodes, in no order; shape (count,).
    """
    if count == 1:
        best = int(scores.argmin())
        return nodes[best : best + 1]
    if count >= nodes.size:
        return nodes
    border = np.partition(scores, count - 1)[count - 1]
    below = np.flatnonzero(scores < border)
    level = np.flatnonzero(scores == border)
    return nodes[np.concatenate((below, level[: count - below.size]))]


def tightest_gpu(fleet: Fleet, need: Need, nodes: Ints) -> Ints:
    """The GPU with the least room that is enough, of each node."""
    free = fleet.free_milli[nodes]
    tightest: Ints = np.where(free >= need.milli, free, np.iinfo(np.int64).max).argmin(axis=1)
    return tightest


def _left(fleet: Fleet, need: Need, nodes: Ints) -> Floats:
    """What would be left: half of it CPUs, half GPUs, each as a part of what the largest node has."""
    cpus = (fleet.free_cpus[nodes] - need.cpus) * (CPU_PART / max(int(fleet.cpus.max(initial=0)), 1))
    milli = (fleet.left_milli[nodes] - need.gpu_milli) * ((1 - CPU_PART) / max(1000 * fleet.free_milli.shape[1], 1))
    left: Floats = cpus + milli
    return left


class InOrder:
    """Nodes of less Weight first, then in the fleet's order; a share of the first GPU with room.

    That is how Slurm takes nodes one by one (weight, then order), and shards (measured: hpcjobs/model/shards.py). Its
    preference for runs of consecutive nodes is Consecutive's.
    """

    def choose(self, fleet: Fleet, need: Need, nodes: Ints, count: int) -> Ints:
        """As said by Chooser."""
        weights = fleet.weights[nodes]
        return least(weights, nodes, count) if weights.any() else nodes[:count]

    def share(self, fleet: Fleet, need: Need, nodes: Ints) -> Ints:
        """As said by Chooser."""
        first: Ints = (fleet.free_milli[nodes] >= need.milli).argmax(axis=1)
        return first


class Consecutive(InOrder):
    """Runs of consecutive nodes, as topology/flat (until 24.11: default) takes them.

    Of the runs of least Weight the shortest that is enough, else the longest, and so on (``_eval_nodes_consec`` in
    src/plugins/topology of Slurm, which measures runs by the CPUs that the job could use of them, not by nodes). Nodes
    of different Weight are in no run together.
    """

    def choose(self, fleet: Fleet, need: Need, nodes: Ints, count: int) -> Ints:
        """As said by Chooser."""
        weights = fleet.weights[nodes]
        runs = np.split(nodes, np.flatnonzero((np.diff(nodes) > 1) | (np.diff(weights) != 0)) + 1)
        runs.sort(key=lambda run: (int(fleet.weights[run[0]]), len(run)))  # stable: of equals the first
        taken: list[Ints] = []
        while count > 0:
            lightest = [run for run in runs if fleet.weights[run[0]] == fleet.weights[runs[0][0]]]
            best = next(run for run in lightest if len(run) >= min(count, len(lightest[-1])))
            runs = [run for run in runs if run is not best]
            taken.append(best[:count])
            count -= len(taken[-1])
        return np.sort(np.concatenate(taken))


class BestFit:
    """Nodes of which the job leaves least, CPUs and GPUs counting the same; a share likewise.

    The weighted sum of what is left, each kind as a part of the largest node's, is the Best-fit that the FGD paper
    compares with (Weng et al., USENIX ATC 2023, section 6).
    """

    def choose(self, fleet: Fleet, need: Need, nodes: Ints, count: int) -> Ints:
        """As said by Chooser."""
        return least(_left(fleet, need, nodes), nodes, count)

    def share(self, fleet: Fleet, need: Need, nodes: Ints) -> Ints:
        """As said by Chooser."""
        return tightest_gpu(fleet, need, nodes)


class Spread:
    """Nodes of which the job leaves most, as Slurm's LLN does for CPUs; a share of the emptiest GPU."""

    def choose(self, fleet: Fleet, need: Need, nodes: Ints, count: int) -> Ints:
        """As said by Chooser."""
        return least(-_left(fleet, need, nodes), nodes, count)

    def share(self, fleet: Fleet, need: Need, nodes: Ints) -> Ints:
        """As said by Chooser."""
        emptiest: Ints = fleet.free_milli[nodes].argmax(axis=1)
        return emptiest
