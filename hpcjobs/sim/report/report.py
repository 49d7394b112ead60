"""The report of a comparison. Frozen; report.json is this."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from hpcjobs.sim.cases import Case
from hpcjobs.sim.report.figures import Spread, Trial, over_seeds


class CaseReport(msgspec.Struct, frozen=True, kw_only=True):
    """One case.

    Attributes:
        case: What was simulated.
        figures: By name, over seeds; None: no seed has it.
        trials: Seed by seed.
    """

    case: Case
    figures: Mapping[str, Spread | None]
    trials: tuple[Trial, ...]


class Expected(msgspec.Struct, frozen=True, kw_only=True):
    """When a job that waits on the real cluster would start.

    Attributes:
        job: Slurm's name of it.
        id: Our id of it.
        name: Its name.
        user: Its owner.
        nodes: Nodes that it asks for.
        gpus: GPUs that it asks for.
        wall_s: Its limit in seconds, as it was simulated.
        starts: By case, Unix seconds; of an array, the first of its tasks that wait. None: not as things are.
    """

    job: str
    id: str
    name: str
    user: str
    nodes: int
    gpus: int
    wall_s: float
    starts: Mapping[str, float | None]


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a comparison.

    Attributes:
        version: Of hpcjobs.
        origin: What was simulated.
        nodes: Nodes of the fleet.
        gpus: Their GPUs.
        jobs: Jobs of the workload; of the first seed, where jobs are made.
        assumptions: What was taken as so because nobody says, or by the simulator's nature.
        dropped: What of the sources was left out, and why: count by reason.
        remarks: What was taken otherwise than it stands there: count by remark.
        seeds: The seeds.
        cases: The cases.
        observed_at: For a real cluster: Unix seconds of what it started from; else None.
        expected: For a real cluster: when each job would start, in the order of the queue.
    """

    version: str
    origin: str
    nodes: int
    gpus: int
    jobs: int
    assumptions: tuple[str, ...]
    dropped: Mapping[str, int]
    remarks: Mapping[str, int]
    seeds: tuple[int, ...]
    cases: tuple[CaseReport, ...]
    observed_at: float | None = None
    expected: tuple[Expected, ...] = ()


def case_report(case: Case, trials: Sequence[Trial]) -> CaseReport:
    """Of all seeds of a case."""
    return CaseReport(case=case, figures=over_seeds(trials), trials=tuple(trials))
