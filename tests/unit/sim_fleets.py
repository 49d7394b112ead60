"""Small made-up fleets and jobs, and what is free of a fleet as counted from what its jobs have."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from hypothesis import strategies as st

from hpcjobs.sim.fleet import Fleet
from hpcjobs.sim.placed import Placed
from hpcjobs.sim.workload import WHOLE_GPU, SimJob, SimNode


def node(name: str, gpus: int = 0, cpus: int = 8, mem_bytes: int = 64, gpu_type: str = "", *switches: str) -> SimNode:
    return SimNode(name=name, cpus=cpus, mem_bytes=mem_bytes, gpus=gpus, gpu_type=gpu_type, switches=switches)


def job(number: int = 1, **asked: object) -> SimJob:
    return SimJob(number=number, submit_s=0.0, run_s=1.0, wall_s=1.0, **asked)


NODES = st.builds(
    SimNode,
    name=st.just(""),
    cpus=st.integers(0, 6),
    mem_bytes=st.integers(0, 4),
    gpus=st.integers(0, 4),
    gpu_type=st.sampled_from(["", "A", "B"]),
    switches=st.sampled_from([(), ("l1", "s1"), ("l2", "s1"), ("l3", "s2"), ("l4",)]),
)
FLEETS = st.lists(NODES, min_size=1, max_size=6).map(
    lambda nodes: [
        SimNode(**{name: getattr(one, name) for name in one.__struct_fields__} | {"name": f"n{number}"})
        for number, one in enumerate(nodes)
    ]
)


@st.composite
def jobs(draw: st.DrawFn, most_nodes: int = 3) -> SimJob:
    gpus = draw(st.integers(0, 3))
    return job(
        draw(st.integers(1, 9)),
        nodes=draw(st.integers(1, most_nodes)),
        exclusive=draw(st.booleans()),
        cpus_per_node=draw(st.integers(0, 4)),
        mem_per_node_bytes=draw(st.integers(0, 3)),
        gpus_per_node=gpus,
        gpu_milli=0 if gpus else draw(st.sampled_from([0, 1, 250, 400, 500, 999, 1000])),
        gpu_types=draw(st.sampled_from([(), ("A",), ("A", "B"), ("C",)])),
    )


class Ledger:
    """What is free, counted anew from what each job has. Nothing of it is fast."""

    def __init__(self, nodes: Iterable[SimNode]) -> None:
        self.nodes = list(nodes)
        self.taken: list[Placed] = []
        self.down: set[int] = set()

    def on(self, index: int) -> list[tuple[int, int, list[int], bool]]:
        """CPUs, memory, thousandths of each GPU, and whether the node is its own, of each job on a node."""
        return [
            (int(cpus), int(mem_bytes), [int(one) for one in milli], placed.exclusive)
            for placed in self.taken
            for number, cpus, mem_bytes, milli in zip(
                placed.nodes, placed.cpus, placed.mem_bytes, placed.milli, strict=True
            )
            if number == index
        ]

    def free(self, index: int) -> tuple[int, int, list[int]]:
        one, on = self.nodes[index], self.on(index)
        gpus = [WHOLE_GPU - sum(milli[gpu] for _, _, milli, _ in on) for gpu in range(one.gpus)]
        return one.cpus - sum(c for c, *_ in on), one.mem_bytes - sum(m for _, m, *_ in on), gpus

    def room(self, index: int, asked: SimJob) -> bool:
        """Whether one node has room for one of a job's."""
        one, on = self.nodes[index], self.on(index)
        if index in self.down or any(exclusive for *_, exclusive in on) or (asked.exclusive and on):
            return False
        wants_gpus = asked.gpus_per_node or asked.gpu_milli
        if wants_gpus and asked.gpu_types and one.gpu_type not in asked.gpu_types:
            return False
        cpus, mem_bytes, gpus = self.free(index)
        return (
            cpus >= asked.cpus_per_node
            and mem_bytes >= asked.mem_per_node_bytes
            and gpus.count(WHOLE_GPU) >= asked.gpus_per_node
            and (not asked.gpu_milli or max(gpus, default=0) >= asked.gpu_milli)
        )

    def agrees(self, fleet: Fleet) -> None:
        """Whether the fleet says the same."""
        for index, one in enumerate(self.nodes):
            cpus, mem_bytes, gpus = self.free(index)
            assert min(cpus, mem_bytes, *gpus, 0) == 0, "more was given than there is"
            assert (cpus, mem_bytes) == (fleet.free_cpus[index], fleet.free_mem_bytes[index])
            assert gpus == fleet.free_milli[index][: one.gpus].tolist()
            assert not fleet.free_milli[index][one.gpus :].any()
            assert fleet.free_gpus[index] == gpus.count(WHOLE_GPU)
            assert fleet.most_milli[index] == max(gpus, default=0)
            assert fleet.left_milli[index] == sum(gpus)
            assert fleet.jobs[index] == len(self.on(index))
            assert fleet.usable[index] == (index not in self.down)
        assert fleet.allocated_gpus == sum(int(placed.milli.sum()) for placed in self.taken) / WHOLE_GPU


def state_of(fleet: Fleet) -> dict[str, object]:
    """Everything of a fleet that can change, but its version."""
    return {
        name: value.tolist()
        for name, value in vars(fleet).items()
        if isinstance(value, np.ndarray) and name != "changed"
    } | {"allocated": fleet.allocated_gpus}
