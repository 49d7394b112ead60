"""A placement as launchers and Slurm read it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import msgspec

from hpcjobs.sbatch.hostlists import fold_hostlist
from hpcjobs_plugins.topology.placement.default import Slurm
from hpcjobs_plugins.topology.placement.layout import coordinates
from hpcjobs_plugins.topology.placement.planning import Plan
from hpcjobs_plugins.topology.shown import Table


class Rank(NamedTuple):
    """Where a rank lies, and what it is.

    Attributes:
        rank: From 0.
        node: Name.
        gpu: Of the node, from 0: the local rank.
        tp: Index in its tensor group.
        pp: Pipeline stage.
        dp: Index in its data-parallel group.
        ep: Index in its expert group.
    """

    rank: int
    node: str
    gpu: int
    tp: int
    pp: int
    dp: int
    ep: int


class SlurmSide(msgspec.Struct, frozen=True):
    """What to tell Slurm.

    The order of ranks belongs to steps, not to the allocation: there topology/block refuses it (``eval_nodes_block``)
    and topology/tree stops looking at the topology (``eval_nodes_tree``). srun takes it from the file that
    SLURM_HOSTFILE names, as long as it is given no --nodelist; ``task_hostfile`` is that file. Its lines have to be as
    many as the step has tasks.

    Attributes:
        nodes: --nodes.
        nodelist: --nodelist; "": not told. On block topologies nodes are excluded, not required.
        exclude: --exclude; "": not told.
        switches: --switches, with the topology/tree that engines/tree.py writes; 0: not told.
        segment: --segment, with topology/block; 0: not told.
        ntasks: --ntasks of a step of one task a rank.
        distribution: --distribution of steps.
    """

    nodes: int
    nodelist: str
    exclude: str
    switches: int
    segment: int
    ntasks: int
    distribution: str = "arbitrary"

    def sbatch(self) -> list[str]:
        """Options of sbatch."""
        told = {
            "nodelist": self.nodelist,
            "exclude": self.exclude,
            "switches": self.switches,
            "segment": self.segment,
        }
        return [f"--nodes={self.nodes}", *(f"--{name}={value}" for name, value in told.items() if value)]

    def srun(self) -> list[str]:
        """Options of srun in the job, with SLURM_HOSTFILE in its environment."""
        return [f"--distribution={self.distribution}", f"--ntasks={self.ntasks}"]


def slurm_side(plan: Plan) -> SlurmSide:
    """What to tell Slurm of a placement."""
    block = plan.slurm is Slurm.BLOCK
    return SlurmSide(
        nodes=len(plan.nodes),
        nodelist="" if block else fold_hostlist(plan.nodes),
        exclude=fold_hostlist(plan.excluded) if block else "",
        switches=plan.groups.leaf_groups if plan.slurm is Slurm.TREE else 0,
        segment=plan.request.segment if block else 0,
        ntasks=plan.request.world,
    )


def ranks(plan: Plan) -> Iterator[Rank]:
    """Every rank, in order."""
    for rank in range(plan.request.world):
        node, gpu = divmod(rank, plan.request.gpus)
        yield Rank(rank, plan.nodes[node], gpu, *coordinates(plan.request, rank))


def rank_table(plan: Plan) -> Table:
    """Every rank as a row."""
    return Table(tuple(name.upper() for name in Rank._fields), [tuple(map(str, rank)) for rank in ranks(plan)])


def hostfile(plan: Plan) -> str:
    """A line a node in the order of ranks, ``n0001 slots=8``, as DeepSpeed and Open MPI read it."""
    world, gpus = plan.request.world, plan.request.gpus
    return "".join(f"{node} slots={min(gpus, world - gpus * slot)}\n" for slot, node in enumerate(plan.nodes))


def task_hostfile(plan: Plan, *, per_node: bool = False) -> str:
    """For SLURM_HOSTFILE: a node a line, once for each task of it.

    Args:
        plan: The placement.
        per_node: For steps of one task a node (torchrun), which is then node rank n in line n; else one a rank.
    """
    return "".join(f"{node}\n" for node in (plan.nodes if per_node else (rank.node for rank in ranks(plan))))
