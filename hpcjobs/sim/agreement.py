"""How far two runs of the same jobs agree, as of Slurm and of the simulator: makespan, order, nodes. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from itertools import combinations
from typing import NamedTuple

import msgspec

from hpcjobs.errors import Refusal, Refused


class Started(NamedTuple):
    """How one job was run.

    Attributes:
        start_s: When it started, in seconds since a moment that both runs share.
        end_s: When it ended.
        nodes: Its nodes.
    """

    start_s: float
    end_s: float
    nodes: Collection[str | int] = ()


class Agreement(msgspec.Struct, frozen=True, kw_only=True):
    """How far a simulation agrees with what was seen.

    Attributes:
        jobs: Number of jobs.
        makespan_s: As seen, from the first submission to the last end.
        makespan_off: By what part of it the simulated one is longer; below 0: shorter.
        pairs: Pairs of jobs whose starts, as seen, are further apart than the tolerance.
        order_off: The part of them that the simulation starts in the other order; a pair that it starts at the same
            moment counts half.
        start_off_s: Mean of how far a job's simulated start is from the one seen.
        same_nodes: The part of the jobs that had the same nodes.
    """

    jobs: int
    makespan_s: float
    makespan_off: float
    pairs: int
    order_off: float
    start_off_s: float
    same_nodes: float


def agreement(
    seen: Mapping[int, Started], simulated: Mapping[int, Started], *, submitted_s: float, tolerance_s: float
) -> Agreement:
    """Compare two runs of the same jobs.

    The order is compared by the distance of Kendall between two rankings, over the number of pairs, where ties are half
    a fault: K^(1/2) of R. Fagin, R. Kumar, D. Sivakumar, "Comparing Top k Lists", SIAM J. Discrete Math. 17(1), 2003.
    Pairs that started within the tolerance are no pairs here: who of them was first is chance in reality too.

    Args:
        seen: As it was, by job.
        simulated: The same jobs as simulated.
        submitted_s: When the first was submitted, on the same clock.
        tolerance_s: A period of the scheduler.

    Raises:
        Refused: They are not the same jobs, or there is none, or all ended before the first was submitted.
    """
    if not seen or seen.keys() != simulated.keys():
        strange = sorted(seen.keys() ^ simulated.keys())[:5]
        what = f"jobs {strange} are in one of the runs only" if strange else "there are no jobs"
        raise Refused([Refusal("jobs", f"{what}: nothing to compare", "bad-case")], kept="nothing was compared")
    makespan_s = max(one.end_s for one in seen.values()) - submitted_s
    if makespan_s <= 0:
        text = f"all jobs ended by {submitted_s}, when the first was submitted"
        raise Refused([Refusal("submitted_s", text, "bad-case")], kept="nothing was compared")
    pairs, faults = 0, 0.0
    for one, other in combinations(sorted(seen), 2):
        apart_s = seen[other].start_s - seen[one].start_s
        if abs(apart_s) <= tolerance_s:
            continue
        pairs += 1
        simulated_s = simulated[other].start_s - simulated[one].start_s
        if not simulated_s:
            faults += 0.5
        elif (simulated_s > 0) != (apart_s > 0):
            faults += 1
    return Agreement(
        jobs=len(seen),
        makespan_s=makespan_s,
        makespan_off=(max(one.end_s for one in simulated.values()) - submitted_s) / makespan_s - 1,
        pairs=pairs,
        order_off=faults / pairs if pairs else 0.0,
        start_off_s=sum(abs(simulated[job].start_s - one.start_s) for job, one in seen.items()) / len(seen),
        same_nodes=sum(set(one.nodes) == set(simulated[job].nodes) for job, one in seen.items()) / len(seen),
    )


def table(found: Mapping[str, Agreement]) -> str:
    """Agreements as lines of text, one for each name."""
    wide = max((len(name) for name in found), default=0)
    lines = [f"{'RUN':{wide}}  JOBS  MAKESPAN  DEVIATION  PAIRS  ORDER  STARTS  SAME NODES"]
    for name, one in found.items():
        lines.append(
            f"{name:{wide}}  {one.jobs:4}  {one.makespan_s:6.0f} s  {one.makespan_off:+8.1%}   {one.pairs:5}  "
            f"{one.order_off:5.1%}  {one.start_off_s:4.1f} s  {one.same_nodes:10.0%}"
        )
    return "\n".join(lines)
