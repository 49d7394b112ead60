"""``--from-live``: what the service says of a cluster, and what would become of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from hpcjobs import __version__
from hpcjobs.cli.common import service
from hpcjobs.cli.simulate.command import Asked
from hpcjobs.cli.simulate.inputs import refused
from hpcjobs.cli.simulate.out import Out
from hpcjobs.cli.simulate.policies import Steering
from hpcjobs.cli.simulate.run import Outcome, cases_of, finish, horizon_s, of_case, progress, sample_s
from hpcjobs.client.problems import NotFound, NotSupported
from hpcjobs.model.cluster import Node
from hpcjobs.model.hints import Hints
from hpcjobs.model.job import Fate, Job, State
from hpcjobs.model.partition import Partition
from hpcjobs.model.scheduling import Scheduling
from hpcjobs.sim.cases import COUNTS, Case, scheduler_of, space_of
from hpcjobs.sim.engine import simulate
from hpcjobs.sim.live.changed import more_nodes, without_nodes
from hpcjobs.sim.live.configured import Configured, configured
from hpcjobs.sim.live.predicted import Predictor
from hpcjobs.sim.live.resumed import Resumed
from hpcjobs.sim.live.snapshot import ASSUMPTIONS, Snapshot, snapshot
from hpcjobs.sim.live.starts import displaced, expected
from hpcjobs.sim.report.figures import trial
from hpcjobs.sim.report.report import Report, case_report
from hpcjobs.sim.result import Result
from hpcjobs.sim.schedulers.priority import Multifactor
from hpcjobs.sim.workload import SimJob

if TYPE_CHECKING:
    from hpcjobs.client import Client

AS_IS: Final = "as it is"
WHAT_IF: Final = "what if"
MOST_HINTS: Final = 500
"""Of so many jobs that wait it is asked what they tell the policies."""
MOST_HISTORY: Final = 5000
"""Of so many jobs that have ended it is asked how long they ran."""
_POLICIES: Final = "Policies see jobs under other numbers, and a clock that is not that of the cluster."


class Heard(NamedTuple):
    """What the service said."""

    cluster: str
    observed_at: float
    nodes: list[Node]
    partitions: list[Partition]
    jobs: list[Job]
    hints: dict[str, Hints]
    history: list[Job]
    assumed: tuple[str, ...]


def run_live(asked: Asked) -> None:
    """Do what was asked.

    Raises:
        HpcjobsError: It cannot be done.
    """
    _check(asked)
    with service() as client:
        cluster = asked.cluster or client.clusters()[0].name
        known = _configured(client, cluster)
        cases = _cases(asked, known)
        steering = {case.name: Steering(case, asked.period_s) for case in cases}
        heard = _heard(client, cluster, asked, any(case.policies for case in cases))
    out = Out(asked.out)
    begins: dict[str, Snapshot] = {}
    for case in cases:
        begins[case.name] = _begin(heard, case, Multifactor.of(known.weights, heard.nodes))
    outcome = Outcome({}, {}, {name: begin.workload.nodes for name, begin in begins.items()})
    first = begins[cases[0].name]
    with progress(len(cases), len(first.workload.jobs)) as tell:
        for case in cases:
            begin = begins[case.name]
            with of_case(case):
                result = simulate(
                    begin.workload,
                    Resumed(scheduler_of(case, begin.workload), begin),
                    space=space_of(case, begin.workload),
                    policies=steering[case.name].policies(),
                    sample_s=sample_s(begin.workload),
                    until_s=horizon_s(begin.workload) if asked.until_s is None else asked.until_s,
                    requeue_s=asked.requeue_s,
                    begin_s=_begin_s(begin, steering[case.name]),
                    progress=lambda _now, ended: tell(ended),
                )
            outcome.first[case.name] = result
            outcome.trials[case.name] = [trial(result, asked.seed, begin.waits)]
            out.trial(case.name, asked.seed, result, begin.workload.nodes)
    report = Report(
        version=__version__,
        origin=first.workload.origin,
        nodes=len(first.workload.nodes),
        gpus=first.workload.gpus,
        jobs=len(first.workload.jobs),
        assumptions=(*known.told, *ASSUMPTIONS, *heard.assumed),
        dropped=first.workload.dropped,
        remarks=first.workload.remarks | _remarks(begins, outcome.first),
        seeds=(asked.seed,),
        cases=tuple(case_report(case, outcome.trials[case.name]) for case in cases),
        observed_at=heard.observed_at,
        expected=expected({name: (begin, outcome.first[name]) for name, begin in begins.items()}),
    )
    finish(asked, report, outcome, steering, out)


def _check(asked: Asked) -> None:
    """See whether anything was said that does not go with a real cluster."""
    beside = {
        "FILE": asked.files, "--fleet": asked.fleet, "--generate": asked.generate, "--topology": asked.topology,
        "--demand": asked.demand, "--window": asked.window, "--failures": asked.failures, "--format": asked.format_name,
        "--stretch-limits": asked.stretch_limits,
    }  # fmt: skip
    for option, value in beside.items():
        if value:
            raise refused(option, "it does not go with --from-live")
    if asked.seeds > 1:
        raise refused("--seeds", "nothing depends on chance with --from-live")


def _configured(client: Client, cluster: str) -> Configured:
    """How the cluster schedules; where nobody tells, Slurm's defaults."""
    try:
        return configured(client.scheduling(cluster))
    except (NotSupported, NotFound) as error:
        usual = configured(Scheduling())
        why = f"How the cluster is configured is not told ({error.detail.rstrip('.')}): Slurm's defaults are assumed."
        return usual._replace(told=(why, *usual.told))


def _cases(asked: Asked, known: Configured) -> list[Case]:
    """The cases; beside what differs from the cluster as it is, that is a case too."""
    as_is = Case(name=AS_IS, scheduler=known.scheduler, placement=known.placement)
    cases = [known.under(case) for case in cases_of(asked, as_is)]
    if not asked.case:
        only = msgspec.structs.replace(cases[0], name=AS_IS)
        cases = [as_is] if only == as_is else [as_is, msgspec.structs.replace(only, name=WHAT_IF)]
    for case in cases:
        if case.placement == COUNTS:
            raise refused("--placement", "counts knows no nodes, and jobs run on some already")
    return cases


def _heard(client: Client, cluster: str, asked: Asked, with_hints: bool) -> Heard:
    nodes, partitions = client.nodes(cluster), client.partitions(cluster)
    jobs = list(client.jobs(cluster=cluster, listed=True))
    assumed: list[str] = []
    hints: dict[str, Hints] = {}
    if with_hints:
        assumed.append(_POLICIES)
        asking = [job for job in jobs if job.state is State.PENDING and job.attempt is not None]
        for job in asking[:MOST_HINTS]:
            spec = client.detail(job.id).spec
            if spec is not None:
                hints[job.id] = spec.hints
        if len(asking) > MOST_HINTS:
            assumed.append(f"What {len(asking) - MOST_HINTS} of the jobs tell the policies was not asked.")
    history: list[Job] = []
    if asked.predict:
        fates = [Fate.COMPLETED, Fate.TIMEOUT]
        history = list(client.jobs(MOST_HISTORY, cluster=cluster, fate=fates))
        assumed.append(
            f"Run times are the median of jobs of the same user and name, of the last {len(history)} that ended; where "
            "fewer than 3 are like it, the limit holds."
        )
    return Heard(
        cluster, nodes.observed_at, nodes.items, partitions.items, jobs, hints, history, tuple(assumed)
    )  # fmt: skip


def _begin(heard: Heard, case: Case, priority: Multifactor) -> Snapshot:
    nodes: Sequence[Node] = heard.nodes
    with of_case(case):
        if case.add_nodes:
            nodes = more_nodes(nodes, case.add_nodes)
        if case.without:
            nodes = without_nodes(nodes, case.without)
    return snapshot(
        heard.cluster, heard.observed_at, nodes, heard.partitions, heard.jobs,
        hints=heard.hints, predictor=Predictor(heard.history), priority=priority,
    )  # fmt: skip


def _begin_s(begin: Snapshot, steering: Steering) -> Callable[[SimJob], float]:
    admitted = steering.begin_s()

    def begin_s(job: SimJob) -> float:
        own_s = begin.begin_s.get(job.number, 0.0)
        if admitted is None or not begin.waits(job):
            return own_s
        return max(own_s, admitted(job))

    return begin_s


def _remarks(begins: dict[str, Snapshot], results: dict[str, Result]) -> dict[str, int]:
    found: dict[str, int] = {}
    for name, begin in begins.items():
        if count := displaced(begin, results[name]):
            found[f"{name}: running jobs that their nodes have no room for, as far as it is told: they wait"] = count
    return found
