"""What a placement is good for, in words and figures."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from hpcjobs_plugins.topology.placement.cost import Reach
from hpcjobs_plugins.topology.placement.planning import Groups, Plan
from hpcjobs_plugins.topology.placement.rankmap import slurm_side
from hpcjobs_plugins.topology.placement.request import Objective

_AIMS: Final = {
    Objective.PIPELINE: "the fewest hops between neighbours of a pipeline",
    Objective.DATA: "the fewest spines crossed by rings of data-parallel groups",
    Objective.BALANCED: "the least cost",
}
_HEAD: Final = ("", "pairs", "hops", "", "farthest", "", "over spines", "", "cost", "")
_BELOW: Final = ("", "", *("Slurm", "here") * 4)


class Compared(NamedTuple):
    """One kind of communication, as Slurm would have it and as it is here.

    Attributes:
        before: In Slurm's own order.
        after: In that of the plan.
    """

    before: Reach
    after: Reach


def compared(plan: Plan) -> list[Compared]:
    """Every kind of communication that the job has."""
    pairs = zip(plan.before.reach, plan.after.reach, strict=True)
    return [Compared(before, after) for before, after in pairs if after.pairs]


def explain(plan: Plan) -> str:
    """What a placement comes to beside Slurm's own, why these nodes, and what to tell Slurm."""
    request = plan.request
    degrees = f"tp={request.tp},pp={request.pp},dp={request.dp}" + (f",ep={request.ep}" if request.ep > 1 else "")
    lines = [
        f"{degrees}: {request.world:,} ranks on {len(plan.nodes):,} nodes of {request.gpus} GPUs, for "
        f"{_AIMS[plan.objective]} ({plan.objective})",
        "",
        *_table(plan),
        "",
        *_why(plan),
        *(f"note: {notice.text}" for notice in plan.notices),
        f"sbatch: {' '.join(slurm_side(plan).sbatch())}",
        f"srun: {' '.join(slurm_side(plan).srun())}, SLURM_HOSTFILE as written",
    ]
    return "\n".join(lines) + "\n"


def _table(plan: Plan) -> list[str]:
    rows: list[tuple[str, ...]] = [_HEAD, _BELOW]
    for before, after in compared(plan):
        rows.append(
            (
                str(after.kind),
                f"{after.pairs:,}",
                *(f"{each.mean_hops:.2f}" for each in (before, after)),
                *(f"{each.most_hops}" for each in (before, after)),
                *(f"{each.over_spines:,.0f}" for each in (before, after)),
                *(f"{each.cost:.4g}" for each in (before, after)),
            )
        )
    rows.append(("all", *("",) * 7, f"{plan.before.cost:.4g}", f"{plan.after.cost:.4g}"))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]).rstrip() for row in rows]


def _why(plan: Plan) -> Iterator[str]:
    yield f"nodes: {_spread(plan.groups)}"
    yield f"Slurm (topology/{plan.slurm}) would take {_spread(plan.default_groups)}"
    indices, stages = plan.tile
    if not indices:
        yield "order: Slurm's own is the best that was found"
        return
    what = "nodes" if plan.request.span == 1 else f"times {plan.request.span} nodes"
    yield (
        f"order: begun with tiles of {indices * stages} {what}, {indices} along the data-parallel groups by {stages} "
        f"along the pipelines, each below one leaf group where it fits"
    )


def _spread(groups: Groups) -> str:
    counts = ", ".join(map(str, groups.nodes))
    leaves, pods = _counted(groups.leaf_groups, "leaf group"), _counted(groups.pods, "pod")
    return f"{leaves} in {pods} ({counts} nodes)"


def _counted(number: int, what: str) -> str:
    return f"{number} {what}" + ("" if number == 1 else "s")
