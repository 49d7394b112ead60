"""A comparison at work: each seed, each case; files as they come, tables at the end."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final, NamedTuple

from hpcjobs import __version__
from hpcjobs.cli.common import print_json
from hpcjobs.cli.simulate.command import Asked
from hpcjobs.cli.simulate.inputs import refused, workloads
from hpcjobs.cli.simulate.out import Out
from hpcjobs.cli.simulate.policies import Steering
from hpcjobs.errors import HpcjobsError
from hpcjobs.sim.cases import Case, check, parse_case, parse_named, scheduler_of, space_of
from hpcjobs.sim.engine import simulate
from hpcjobs.sim.failures import Failures
from hpcjobs.sim.report.figures import Trial, trial
from hpcjobs.sim.report.report import Report, case_report
from hpcjobs.sim.result import Result
from hpcjobs.sim.scale import capacity_of, unit_of, work_s
from hpcjobs.sim.workload import SimNode, Workload

SAMPLES: Final = 400
"""About so many samples are taken of a simulation in which no job waits for long."""
SLACK: Final = 20.0
"""After so many times what a full fleet would take for all work, and the longest job, a simulation stops."""
MOST_CASES: Final = 16
ALONE: Final = "simulated"
"""Name of the case where only one is simulated."""

ASSUMPTIONS: Final = (
    "A scheduler's pass and a policy's tick take no time, and what a policy orders happens at once.",
    "Limits of users, accounts, QOS and partitions, dependencies, licenses and preemption by QOS are not modelled; "
    "jobs start in the order of submission, which no priority changes but that by size and age where a case has one.",
    "A job runs as long wherever it is placed: neither the network nor its neighbours slow it down.",
)
_UNCHECKED: Final = "A job that makes no checkpoints begins anew when a node fails under it or it is requeued."
Tell = Callable[[int], None]


class Outcome(NamedTuple):
    """What is kept of the cases: what is told of each trial, and of the first seed what pictures need."""

    trials: dict[str, list[Trial]]
    first: dict[str, Result]
    nodes: dict[str, Sequence[SimNode]]


def run(asked: Asked) -> None:
    """Do what was asked.

    Raises:
        HpcjobsError: It cannot be done.
    """
    if asked.from_live:
        from hpcjobs.cli.simulate.live import run_live

        run_live(asked)
        return
    for option, value in (("--add-nodes", asked.add_nodes), ("--without", asked.without), ("--predict", asked.predict)):
        if value:
            raise refused(option, "it goes with --from-live")
    cases = cases_of(asked)
    if any(case.add_nodes or case.without for case in cases):
        raise refused("--case", "add-nodes and without go with --from-live")
    if asked.seeds > 1 and not asked.generate and not asked.failures:
        raise refused("--seeds", "nothing here depends on chance: neither --generate nor --failures was said")
    made = workloads(asked)
    steering = {case.name: Steering(case, asked.period_s) for case in cases}
    out = Out(asked.out)
    seeds = tuple(range(asked.seed, asked.seed + asked.seeds))
    first = made(seeds[0])
    outcome = Outcome({case.name: [] for case in cases}, {}, {case.name: first.nodes for case in cases})
    with progress(len(cases) * len(seeds), len(first.jobs)) as tell:
        for seed in seeds:
            workload = first if seed == seeds[0] else made(seed)
            for case in cases:
                result = _one(asked, case, workload, seed, steering[case.name], tell)
                outcome.trials[case.name].append(trial(result, seed))
                outcome.first.setdefault(case.name, result)
                out.trial(case.name, seed, result, workload.nodes)
    report = Report(
        version=__version__,
        origin=first.origin,
        nodes=len(first.nodes),
        gpus=first.gpus,
        jobs=len(first.jobs),
        assumptions=_assumptions(asked, cases),
        dropped=first.dropped,
        remarks=first.remarks,
        seeds=seeds,
        cases=tuple(case_report(case, outcome.trials[case.name]) for case in cases),
    )
    finish(asked, report, outcome, steering, out)


def _assumptions(asked: Asked, cases: Sequence[Case]) -> tuple[str, ...]:
    seldom = f"Policies are asked every {asked.period_s:g} s at most."
    told = [(_UNCHECKED, bool(asked.failures)), (seldom, asked.period_s > 0 and any(case.policies for case in cases))]
    return (*ASSUMPTIONS, *(line for line, counts in told if counts))


def finish(asked: Asked, report: Report, outcome: Outcome, steering: dict[str, Steering], out: Out) -> None:
    """Write and show what came of it."""
    from hpcjobs.cli.simulate import shown

    out.report(report, outcome.first, outcome.nodes)
    print_json(report) if asked.as_json else shown.report(report)
    shown.troubles(report, {name: one.troubles for name, one in steering.items()})


def cases_of(asked: Asked, usual: Case = Case(name=ALONE)) -> list[Case]:  # noqa: B008  frozen
    """The cases of a call.

    Args:
        asked: The call.
        usual: Says what scheduler and placement are where the call says nothing.

    Raises:
        Refused: One is none, or two are called the same.
    """
    base = Case(
        name=ALONE,
        scheduler=parse_named(asked.scheduler, "--scheduler") if asked.scheduler else usual.scheduler,
        policies=tuple(parse_named(text, "--policy") for text in asked.policy),
        placement=asked.placement or usual.placement,
        add_nodes=asked.add_nodes,
        without=asked.without,
    )
    cases = [parse_case(text, base) for text in asked.case] or [base]
    if len(cases) > MOST_CASES:
        raise refused("--case", f"{len(cases)} cases; there may be up to {MOST_CASES}")
    names = [case.name for case in cases]
    for case in cases:
        check(case)
        if names.count(case.name) > 1:
            raise refused("--case", f"two are called {case.name!r}")
    return cases


def _one(asked: Asked, case: Case, workload: Workload, seed: int, steering: Steering, tell: Tell) -> Result:
    steering.renew()
    failures = None
    if asked.failures:
        lemons, lemon_failures = asked.lemons
        failures = Failures(
            per_1000_node_days=asked.failures, repair_s=asked.repair_s, seed=seed, lemons=lemons,
            lemon_failures=lemon_failures,
        )  # fmt: skip
    with of_case(case):
        return simulate(
            workload,
            scheduler_of(case, workload),
            space=space_of(case, workload),
            policies=steering.policies(),
            failures=failures,
            sample_s=sample_s(workload),
            until_s=horizon_s(workload) if asked.until_s is None else asked.until_s,
            requeue_s=asked.requeue_s,
            begin_s=steering.begin_s(),
            progress=lambda _now, ended: tell(ended),
        )


@contextmanager
def of_case(case: Case) -> Iterator[None]:
    """An error says in which case it is."""
    try:
        yield
    except HpcjobsError as error:
        raise refused(f"--case {case.name}", error.detail.rstrip(".")) from error


def sample_s(workload: Workload) -> float:
    """Seconds between two samples: by the time in which jobs are submitted and the longest of them runs."""
    jobs = workload.jobs
    span_s = jobs[-1].submit_s - jobs[0].submit_s if jobs else 0.0
    return max(1.0, (span_s + max((min(job.run_s, job.wall_s) for job in jobs), default=0.0)) / SAMPLES)


def horizon_s(workload: Workload) -> float:
    """When a simulation stops at the latest, so that jobs which never end (each begins anew before) do not go on.

    That is some time after all work would be done if the fleet were always full.
    """
    jobs = workload.jobs
    if not jobs:
        return 0.0
    longest_s = max(job.wall_s for job in jobs)
    capacity = capacity_of(workload, unit_of(workload))
    full_s = work_s(workload) / capacity if capacity else 0.0
    return jobs[-1].submit_s + SLACK * (full_s + longest_s)


@contextmanager
def progress(trials: int, jobs: int) -> Iterator[Tell]:
    """A bar on stderr, on a terminal only; what is told is how many jobs of the trial at hand have ended."""
    if not sys.stderr.isatty():
        yield lambda _ended: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("Simulating", total=max(1, trials * jobs))
        done = last = 0

        def tell(ended: int) -> None:
            nonlocal done, last
            done += ended - last if ended >= last else ended
            last = ended
            bar.update(task, completed=done)

        yield tell
