"""The same jobs on real Slurm and in the simulator."""

from __future__ import annotations

import random
from typing import Final

from hpcjobs.sbatch.hostlists import expand_hostlist
from hpcjobs.sim.agreement import Agreement, Started, agreement
from hpcjobs.sim.cases import Case, Named, scheduler_of, space_of
from hpcjobs.sim.engine import simulate
from hpcjobs.sim.workload import SimJob, SimNode, Workload

from .twin import NODES, Asked, Seen

JOBS: Final = 44
ARRIVE_S: Final = 60.0
"""All are submitted within so many seconds."""
HALF_S: Final = 0.5
"""Slurm tells whole seconds of what happens somewhere within them; it starts jobs at their beginning."""
BF_INTERVAL_S: Final = 5
"""As in slurm-conf/common.conf, and so are the weights."""
AS_SLURM: Final = Case(
    name="as Slurm",
    scheduler=Named(
        "slurm", {"bf_interval": BF_INTERVAL_S, "by_clock": True, "priority": {"age": 1000, "job_size": 1000}}
    ),
    placement="consecutive",
)


def trace(seed: int, jobs: int = JOBS) -> list[Asked]:
    """Jobs of 1 to 4 nodes, 8 to 32 s of run time and 1 to 3 minutes of limit: work for about four minutes."""
    chance = random.Random(seed)
    times = sorted(round(chance.uniform(0, ARRIVE_S), 2) for _ in range(jobs))
    made = []
    for at_s in times:
        sleep_s = chance.randint(8, 32)
        made.append(Asked(at_s, chance.choice((1, 1, 1, 2, 2, 3, 4)), chance.randint(1, 3), sleep_s))
    return made


def as_seen(seen: list[Seen]) -> dict[int, Started]:
    """What was seen, by place in the trace; the clock begins at the full minute before the first submission.

    Slurm rounds its plans to full minutes.
    """
    zero = _zero(seen)
    return {
        number: Started(one.start_s - zero, one.end_s - zero, expand_hostlist(one.nodes))
        for number, one in enumerate(seen, start=1)
    }


def simulated(asked: list[Asked], seen: list[Seen]) -> dict[int, Started]:
    """The same in the simulator: submitted when Slurm saw it, and run for as long."""
    zero = _zero(seen)
    names = [f"n{number}" for number in range(1, NODES + 1)]
    fleet = tuple(SimNode(name=name, cpus=1) for name in names)
    jobs = tuple(
        SimJob(
            number=number,
            submit_s=was.submit_s - zero + HALF_S,
            run_s=was.end_s - was.start_s + HALF_S,
            wall_s=job.limit_min * 60.0,
            nodes=job.nodes,
        )
        for number, (job, was) in enumerate(zip(asked, seen, strict=True), start=1)
    )
    made = Workload(nodes=fleet, jobs=jobs, origin="the trace")
    result = simulate(made, scheduler_of(AS_SLURM, made), space=space_of(AS_SLURM, made))
    return {
        run.job: Started(run.start_s, (run.end_s or 0.0) - HALF_S, [names[index] for index in run.indices])
        for run in result.runs
    }


def compared(asked: list[Asked], seen: list[Seen]) -> Agreement:
    """How far both agree; a period of the scheduler is one of backfill."""
    first_s = min(one.submit_s for one in seen) - _zero(seen)
    return agreement(as_seen(seen), simulated(asked, seen), submitted_s=first_s, tolerance_s=BF_INTERVAL_S)


def _zero(seen: list[Seen]) -> float:
    return min(one.submit_s for one in seen) // 60 * 60
