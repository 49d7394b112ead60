"""What a job of a gang may ask for. Pure."""

from __future__ import annotations

from typing import Final

import msgspec

from hpcjobs.model.gres import parse_gpus
from hpcjobs.model.spec import JobSpec, Resources
from hpcjobs.sbatch.asks import JOINED

UNEVEN: Final = (
    "Slurm takes GPUs of the whole job (--gpus) unevenly, as 7 and 1 of two nodes, and another job of the gang may "
    "then find none on the node that is kept for it: say how many nodes, and GPUs that can be divided among them, or "
    "say gpus_per_node."
)


def not_kept(spec: JobSpec) -> str:
    """The field by which a job asks for what no nodes can be kept for (see board.ask_of), or ``""``."""
    asked = spec.resources
    told = {
        "resources.nodelist": asked.nodelist, "resources.contiguous": asked.contiguous,
        "resources.segment": asked.segment, "resources.licenses": asked.licenses,
        "resources.constraint": not JOINED.isdisjoint(asked.constraint or ""),
        "het": spec.het,
    }  # fmt: skip
    return next((field for field, value in told.items() if value), "")


def evened(asked: Resources) -> Resources | None:
    """The same with so many GPUs of each node in place of GPUs of the whole job.

    Beside a job that has some GPUs of a node, Slurm (24.11, 26.05) does not start one that asks for GPUs of the whole
    job, though another node has them all ("failed to satisfy gres-per-job counter" in slurmctld's log).

    Returns:
        None: they cannot be divided, or it is not said among how many nodes. One task is on one node.
    """
    if asked.gpus is None:
        return asked
    nodes = asked.nodes or (1 if asked.ntasks in (None, 1) else 0)
    ranged = asked.node_counts is not None or asked.nodes_max not in (None, nodes)
    counts = parse_gpus(str(asked.gpus))
    if not nodes or ranged or any(count % nodes for count in counts.values()):
        return None
    each = ",".join(f"{kind}:{count // nodes}" if kind else str(count // nodes) for kind, count in counts.items())
    return msgspec.structs.replace(asked, nodes=nodes, gpus=None, gpus_per_node=asked.gpus_per_node or each)
