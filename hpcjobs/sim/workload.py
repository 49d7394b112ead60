"""What is simulated: a fleet of nodes and a list of jobs. Frozen, no I/O; where they come from: sim/traces/."""

from __future__ import annotations

from typing import Final

import msgspec

from hpcjobs.model.hints import NO_HINTS, Hints
from hpcjobs.model.job import Fate

WHOLE_GPU: Final = 1000
"""Thousandths of a GPU that make one."""


class SimNode(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """One node.

    Attributes:
        name: Its name.
        cpus: CPUs.
        mem_bytes: Memory in bytes.
        gpus: GPUs.
        gpu_type: Their type; ``""`` where there are none, or nobody says.
        switches: Names of the switches above it, the leaf first; empty: nobody knows.
        features: Its features.
        datasets: Names of the data sets that lie in its cache.
        weight: Slurm's Weight: nodes of less are taken first.
    """

    name: str
    cpus: int = 1
    mem_bytes: int = 0
    gpus: int = 0
    gpu_type: str = ""
    switches: tuple[str, ...] = ()
    features: tuple[str, ...] = ()
    datasets: tuple[str, ...] = ()
    weight: int = 0


class SimJob(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """One job: what it asks for, and what only the simulator knows of it.

    Attributes:
        number: Its number, which grows with ``submit_s`` and is Slurm's number for the policies.
        submit_s: When it is submitted, in seconds since the start of the trace.
        run_s: How long it runs undisturbed with ``nodes`` nodes, in seconds; it is cut at ``wall_s``.
        wall_s: Its time limit in seconds.
        nodes: Number of nodes.
        exclusive: Whether it has its nodes for itself.
        cpus_per_node: CPUs on each node.
        mem_per_node_bytes: Memory on each node in bytes.
        gpus_per_node: Whole GPUs on each node.
        gpu_milli: A share of one GPU in thousandths, on one node, for jobs with ``gpus_per_node`` 0.
        gpu_types: Types of GPU that will do; empty: any.
        user: Its owner.
        account: Its project.
        partition: Its partition.
        name: Its name, by which like jobs are known as like.
        checkpoint_s: Seconds between two checkpoints; None: it makes none and begins anew after a failure.
        fate: How it ends by itself; only reports heed it.
        hints: What it tells the policies.
        priority: Its priority but for size and age, where the scheduler goes by priorities.
        waited_s: How long it had waited when it was submitted here, which counts for its age.
    """

    number: int
    submit_s: float
    run_s: float
    wall_s: float
    nodes: int = 1
    exclusive: bool = False
    cpus_per_node: int = 1
    mem_per_node_bytes: int = 0
    gpus_per_node: int = 0
    gpu_milli: int = 0
    gpu_types: tuple[str, ...] = ()
    user: str = ""
    account: str = ""
    partition: str = "main"
    name: str = ""
    checkpoint_s: float | None = None
    fate: Fate = Fate.COMPLETED
    hints: Hints = NO_HINTS
    priority: int = 0
    waited_s: float = 0.0

    @property
    def gpus(self) -> float:
        """GPUs of the whole job, shares as fractions."""
        return self.nodes * (self.gpus_per_node + self.gpu_milli / WHOLE_GPU)


class Workload(msgspec.Struct, frozen=True):
    """What is simulated.

    Attributes:
        nodes: The fleet, in the order in which Slurm would take nodes of equal weight.
        jobs: In the order of their submission, numbered upwards.
        origin: Where it is from, a sentence for the report.
        dropped: What of the source was left out and why: count by reason.
        remarks: What was taken otherwise than it stands in the source, or was put in where it says nothing: count by
            remark.
        started_at: Unix seconds at which ``submit_s`` is 0; None: nobody knows.
    """

    nodes: tuple[SimNode, ...]
    jobs: tuple[SimJob, ...]
    origin: str
    dropped: dict[str, int] = {}
    remarks: dict[str, int] = {}
    started_at: float | None = None

    @property
    def gpus(self) -> int:
        """GPUs of the fleet."""
        return sum(node.gpus for node in self.nodes)
