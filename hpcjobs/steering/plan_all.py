"""All that policies want of a cluster, joined and compared with the listing. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hpcjobs.choice import Choice
from hpcjobs.model.aims import Aims, JobAim, Said, fold
from hpcjobs.model.cluster import ClusterView
from hpcjobs.model.steered import Key, Steered
from hpcjobs.model.steering import Avoid
from hpcjobs.steering.asked import as_asked
from hpcjobs.steering.plan import Step, plan_jobs
from hpcjobs.steering.plan_cluster import RESERVATION, ClusterStep, plan_nodes, plan_reservations


def plan_all(
    said: Sequence[Said], view: ClusterView, ids: Mapping[int, str], rows: Mapping[Key, Steered], now: float
) -> tuple[Aims, list[Step | ClusterStep]]:
    """Join and compare.

    Args:
        said: By policy, in order.
        view: The listing.
        ids: Our ids, by Slurm's number.
        rows: What has been changed.
        now: Unix seconds.

    Returns:
        What all of them want, and what must be done.
    """
    avoiding = {action.job for one in said for action in one.actions if isinstance(action, Avoid)}
    mine = {number: ids[number] for number in avoiding & ids.keys()}
    aims = fold(said, Choice(as_asked(view, mine, rows, now) if avoiding else view).is_enough)
    reservations = plan_reservations(aims.reservations, view, rows, now)
    ours = {key.subject for key in rows if key.kind == RESERVATION} & view.reservations.keys()
    ours |= {step.makes for step in reservations}
    for job in aims.jobs.values():
        # Nobody else's reservation is used; and of a node that is not there Slurm takes no order.
        if job.reservation not in ours:
            job.reservation = ""
        job.avoid &= view.nodes.keys()
    jobs = plan_jobs(aims.jobs, view.jobs, ids, rows, view.asked_at, now)
    return aims, [*jobs, *plan_nodes(aims.nodes, view, rows, now), *reservations]


def first_of(steps: Sequence[Step], aims: Mapping[int, JobAim], most: int) -> list[Step]:
    """The steps of one turn: the first ones, and all of jobs in one reservation with these, as a gang starts together.

    Args:
        steps: In order.
        aims: How jobs should stand, by Slurm's number.
        most: So many, but for those in one reservation with them.
    """
    inside = [aims[step.number].reservation if step.number in aims else "" for step in steps]
    begun = {*inside[:most]} - {""}
    return [step for at, (step, name) in enumerate(zip(steps, inside, strict=True)) if at < most or name in begun]


def name_of(step: Step | ClusterStep) -> str:
    """What a step is of, in words."""
    return step.what if isinstance(step, ClusterStep) else f"job {step.number}"
