"""What rows of a report are told apart by, and what they can be narrowed by. docs/REPORTS.md is about these."""

from __future__ import annotations

from typing import Final, NamedTuple

NO_GPU: Final = "none"
UNRESOLVED: Final = "unresolved"


class Dimension(NamedTuple):
    """One of them.

    Attributes:
        title: As people read it.
        sql: What it is of a run (``r``), of the kind of its GPUs (``kind``), of one of its nodes (``n.node``), of a
            time that was lost (``s``).
        definition: In a sentence.
    """

    title: str
    sql: str
    definition: str


def _sizes(amount: str) -> str:
    """Powers of two: ``1``, ``2-3``, ``4-7`` and so on; ``0``."""
    low = f"(1 << least(floor(log2({amount}))::INTEGER, 30))"
    text = f"CASE WHEN {amount} = 1 THEN '1' ELSE {low} || '-' || (2 * {low} - 1) END"
    return f"CASE WHEN {amount} < 1 THEN '0' ELSE {text} END"


DIMENSIONS: Final[dict[str, Dimension]] = {
    "user": Dimension("user", 'r."user"', "Whose job it is; empty: a user whom Slurm's accounting has forgotten."),
    "project": Dimension("project", "r.account", "The account that it is charged to."),
    "partition": Dimension("partition", "r.partition", "The partition where it ran."),
    "qos": Dimension("QOS", "r.qos", "Its quality of service."),
    "cluster": Dimension("cluster", "r.cluster", "The cluster."),
    "state": Dimension("state", "r.raw_state", "Slurm's state, the last that is known."),
    "reservation": Dimension("reservation", "r.reservation", "The reservation in which it ran."),
    "wckey": Dimension("wckey", "r.wckey", "Its workload characterization key."),
    "gpu": Dimension(
        "GPU", "kind", "Kind of its GPUs; `none` without, `unresolved` where the kind is not known. Of a run with "
        "several kinds, what is not of GPUs is counted with the one of which it has most."
    ),
    "node": Dimension(
        "node", "n.node", "One of its nodes. What a run used is spread evenly over its nodes; counts of runs are not."
    ),
    "nodes": Dimension("nodes", _sizes("r.nodes"), "How many nodes, in powers of two."),
    "cause": Dimension(
        "cause", "s.cause", "What it was lost to: the class of failure that ended the run, as diagnosed, or by Slurm's "
        "word (docs/RECOVERY.md)."
    ),
    "size": Dimension("GPUs", _sizes("gpus"), "How many devices, in powers of two."),
}  # fmt: skip
"""By name."""

FILTERS: Final = tuple(DIMENSIONS)
