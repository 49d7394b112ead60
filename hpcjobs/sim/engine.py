"""The simulation: from event to event, a scheduler's pass after each moment at which something happened.

A pass takes no time, and so does a policy's tick. Events of one moment happen before the pass: ends, repairs,
failures, arrivals, then ticks. Equal inputs give equal results.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from hpcjobs.errors import NotSupported, Refusal, Refused
from hpcjobs.sim.counts import NAMELESS, Counts
from hpcjobs.sim.failures import Failures
from hpcjobs.sim.nodes import Nodes
from hpcjobs.sim.result import Result
from hpcjobs.sim.schedulers.site import Scheduler
from hpcjobs.sim.simulation import Simulation
from hpcjobs.sim.space import Space
from hpcjobs.sim.steered import Policy
from hpcjobs.sim.workload import SimJob, Workload


def simulate(
    workload: Workload,
    scheduler: Scheduler,
    *,
    space: Space | None = None,
    policies: Sequence[Policy] = (),
    failures: Failures | None = None,
    sample_s: float | None = None,
    until_s: float | None = None,
    requeue_s: float = 0.0,
    begin_s: Callable[[SimJob], float] | None = None,
    progress: Callable[[float, int], None] | None = None,
) -> Result:
    """Simulate until no job runs or can start any more.

    Args:
        workload: The fleet and the jobs.
        scheduler: A scheduler that has not been used before.
        space: The fleet's nodes, not used before; None: node by node, taken in Slurm's order.
        policies: They are asked in this order, each from its first period on.
        failures: How nodes fail; None: they do not.
        sample_s: Seconds between two samples; None: none are taken.
        until_s: When it stops at the latest; None: it goes on to the end.
        requeue_s: So long a job waits at least that was requeued because of a node; Slurm: about 121 s by default.
        begin_s: How long after its submission a job may start at the earliest, as the admission of a policy's plugin
            would have it (``--begin``); None: all may at once.
        progress: Is told the simulated time and how many jobs have ended.

    Raises:
        Refused: Jobs that cannot be, or are not in the order of their submission.
        NotSupported: Failures where only the number of nodes is simulated.
    """
    _check(workload)
    if failures is not None:
        failures.check()
        if isinstance(space, Counts):
            raise NotSupported(f"nodes cannot fail: {NAMELESS}")
    simulation = Simulation(workload, scheduler, space or Nodes(workload.nodes), policies, failures, requeue_s, begin_s)
    return simulation.run(sample_s, float("inf") if until_s is None else until_s, progress)


def _check(workload: Workload) -> None:
    faults: list[Refusal] = []
    last: tuple[float, int] = (float("-inf"), -1)
    for place, job in enumerate(workload.jobs):
        if (job.submit_s, job.number) <= last or job.number <= last[1] or not job.submit_s < float("inf"):
            faults.append(Refusal(f"jobs[{place}]", f"job {job.number} is not in the order of submission and number"))
        if not 0 <= job.run_s < float("inf") or not 0 < job.wall_s < float("inf") or job.nodes < 1:
            faults.append(
                Refusal(f"jobs[{place}]", f"job {job.number} needs run_s of 0 or more, wall_s above 0, 1 or more nodes")
            )
        if job.checkpoint_s is not None and not job.checkpoint_s > 0:
            faults.append(
                Refusal(f"jobs[{place}]", f"job {job.number} has checkpoint_s {job.checkpoint_s}, not above 0")
            )
        last = (job.submit_s, job.number)
    if faults:
        raise Refused(faults)
