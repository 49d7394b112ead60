"""What came of a simulation. Frozen; what is counted in it: metrics.py."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

import msgspec

from hpcjobs.model.steering import Action
from hpcjobs.sim.workload import SimJob


class End(StrEnum):
    """Why a run ended."""

    COMPLETED = "COMPLETED"
    TIMEOUT = "TIMEOUT"
    NODE_FAIL = "NODE_FAIL"  # a node failed under it; it is requeued, or that was its end
    FAILED = "FAILED"  # another of its gang had ended for good before its work was done
    CANCELLED = "CANCELLED"  # the same, and it waited: it has no run of that end
    REQUEUED = "REQUEUED"  # a policy requeued it
    SHRUNK = "SHRUNK"  # a policy made it smaller: it goes on in the next run at the same moment


class Run(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """A job on its nodes, from a start to an end.

    Attributes:
        job: The job's number.
        start_s: When it started, in seconds since the start of the trace; so are all times here.
        end_s: When it ended; None: it had not when the simulation stopped.
        nodes: Number of nodes.
        indices: Which, as indices in the fleet; empty where only their number is simulated.
        gpus: GPUs that it had, shares as fractions; with nodes of its own all that they have.
        gpus_asked: GPUs that it asked for.
        end: Why it ended; None: it had not.
        idle_s: For so long it had its nodes and did not work, because others of its gang were missing.
        lost_s: So much work was lost, in seconds of this run.
    """

    job: int
    start_s: float
    end_s: float | None
    nodes: int
    indices: tuple[int, ...]
    gpus: float
    gpus_asked: float
    end: End | None
    idle_s: float = 0.0
    lost_s: float = 0.0


class Sample(msgspec.Struct, frozen=True, gc=False):
    """The cluster at one moment, after the scheduler's pass.

    Attributes:
        at_s: When.
        waiting: Number of jobs that wait.
        running: Number of jobs that run.
        nodes_used: Nodes with a job.
        nodes_up: Nodes that are up.
        gpus_used: GPUs that jobs have.
        gpus_free: GPUs that are free, on nodes that are up.
        gpus_stuck: Those of them that no waiting job's need on one node fits; 0 where no job waits.
    """

    at_s: float
    waiting: int
    running: int
    nodes_used: int
    nodes_up: int
    gpus_used: float
    gpus_free: float
    gpus_stuck: float


class Acted(msgspec.Struct, frozen=True, gc=False):
    """What was done with one action of a policy.

    Attributes:
        at_s: When.
        policy: Name of the policy.
        action: The action.
        outcome: ``done``; ``wished`` for a wish that was not there before, ``withdrawn`` for one that is no more; or
            ``not done: `` and the reason.
    """

    at_s: float
    policy: str
    action: Action
    outcome: str


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a simulation.

    Attributes:
        scheduler: Name of the scheduler.
        nodes: Number of nodes of the fleet.
        gpus: Number of its GPUs.
        jobs: The jobs as submitted, by number.
        runs: What ran, in the order of ends; what runs still is last.
        ended: Why each job that has ended for good did so, by number.
        waiting: Numbers of the jobs that still waited, in the order of the queue.
        refused: Numbers of jobs that would not fit the fleet if it were empty.
        stopped_s: When the simulation stopped.
        samples: The cluster from time to time.
        acted: What was done for policies, in order.
        failures: When which node failed: time and index.
        policy_errors: How often each policy raised, by its name; what it wished before was kept then.
        passes: Number of the scheduler's passes.
    """

    scheduler: str
    nodes: int
    gpus: int
    jobs: Mapping[int, SimJob]
    runs: tuple[Run, ...]
    ended: Mapping[int, End]
    waiting: tuple[int, ...] = ()
    refused: tuple[int, ...] = ()
    stopped_s: float = 0.0
    samples: tuple[Sample, ...] = ()
    acted: tuple[Acted, ...] = ()
    failures: tuple[tuple[float, int], ...] = ()
    policy_errors: Mapping[str, int] = {}
    passes: int = 0
