"""Views for the tests of policies: nodes on which jobs run, with what these have of them."""

from __future__ import annotations

from collections import Counter
from typing import Any

import msgspec

from hpcjobs.model.cluster import ClusterView, Node
from hpcjobs.model.hints import Hints
from hpcjobs.model.job import JobRecord, State
from hpcjobs.model.reservation import Reservation
from hpcjobs.model.suspicion import Standing, Suspicion
from hpcjobs.sbatch.hostlists import expand_hostlist
from tests.unit.builders import node, record, view

NOW = 100_000.0
PREEMPTIBLE = Hints(preemptible=True)


def asking(number: int, gpus: int, nodes: int = 1, kind: str = "a100", **facts: Any) -> JobRecord:
    """A job that has waited for 1000 s for room, 8 CPUs a GPU."""
    told = {"nodes": nodes, "cpus": 8 * gpus, "gpus": {kind: gpus}, "partition": "gpu", "reason": "Resources",
            "eligible_time": int(NOW) - 1000, "submit_time": int(NOW) - 1000, "account": "a"}  # fmt: skip
    return record(number, **(told | facts))


def running(number: int, where: str, gpus: int, since_s: float = 3600, **facts: Any) -> JobRecord:
    """A job that has run for so long on so many GPUs, evenly."""
    told = {"state": State.RUNNING, "node_list": where, "start_time": int(NOW - since_s), "reason": "",
            "end_time": int(NOW) + 50_000}  # fmt: skip
    return asking(number, gpus, len(expand_hostlist(where)), **(told | facts))


def nodes_named(*names: str, **facts: Any) -> tuple[Node, ...]:
    """Idle nodes of 8 GPUs and 64 CPUs."""
    return tuple(node(name, **facts) for name in names)


def suspicions(**points: float) -> dict[str, Suspicion]:
    """Nodes with so many points: below 1.5 good, below 2.5 suspect, else lemons."""
    return {
        name: Suspicion(
            node=name,
            standing=Standing.LEMON if many >= 2.5 else Standing.SUSPECT if many >= 1.5 else Standing.GOOD,
            points=many,
            expected=0.1,
            chance=0.1**many,
            ratio=1 + many,
            node_days=15.0,
        )
        for name, many in points.items()
    }


def at_work(
    *jobs: JobRecord,
    nodes: tuple[Node, ...],
    hints: dict[int, Hints] | None = None,
    reservations: tuple[Reservation, ...] = (),
) -> ClusterView:
    """A view in which nodes are in use by what runs on them."""
    gpus: Counter[str] = Counter()
    cpus: Counter[str] = Counter()
    for job in jobs:
        if job.state in (State.RUNNING, State.COMPLETING):
            for name in expand_hostlist(job.node_list):
                gpus[name] += sum(job.gpus.values()) // job.nodes
                cpus[name] += job.cpus // job.nodes
    used = tuple(
        msgspec.structs.replace(one, cpus_alloc=cpus[one.name], gpus_alloc=dict.fromkeys(one.gpus, gpus[one.name]))
        for one in nodes
    )
    there = {one.name: one for one in reservations}
    return msgspec.structs.replace(view(*jobs, nodes=used, at=NOW), hints=hints or {}, reservations=there)
