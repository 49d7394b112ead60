"""Plugins as policies of a simulation: loaded as the service loads them, asked by the simulator."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from hpcjobs.cli.simulate.inputs import refused
from hpcjobs.errors import Refusal
from hpcjobs.hooks.loading import Loaded, NotLoaded, load
from hpcjobs.model.cluster import ClusterView
from hpcjobs.model.spec import JobSpec, Resources
from hpcjobs.model.steering import Action
from hpcjobs.plugin import Admit, Context, Tick
from hpcjobs.sbatch.when import parse_when
from hpcjobs.settings import PluginSettings
from hpcjobs.sim.cases import Case
from hpcjobs.sim.steered import Policy, Ticking
from hpcjobs.sim.view import EPOCH_S
from hpcjobs.sim.workload import SimJob

_SCRIPT = "#!/bin/sh\n"


class Steering:
    """The policies of one case, in their order.

    Attributes:
        troubles: By policy, the first that it raised; or that it would refuse jobs.

    Args:
        case: The case.
        period_s: No policy is asked more often than so, in seconds.

    Raises:
        Refused: A plugin cannot be loaded, does not want its settings, or is no policy.
    """

    def __init__(self, case: Case, period_s: float = 0.0) -> None:
        self.troubles: dict[str, str] = {}
        self._case = case
        self._period_s = period_s
        self.renew()

    def renew(self) -> None:
        """Their hooks are made anew: what one simulation left in them is gone in the next."""
        case = self._case
        self._loaded = [(named.name, _loaded(case, named.name, named.settings)) for named in case.policies]

    def policies(self) -> list[Policy]:
        """What is asked by the clock."""
        return [
            Ticking(name, self._told(name, tick), max(tick.period_s, self._period_s))
            for name, loaded in self._loaded
            if isinstance(tick := loaded.hooks.get(Tick.kind), Tick)
        ]

    def begin_s(self) -> Callable[[SimJob], float] | None:
        """How long after its submission a job may start, as the plugins admit it; None: none of them admits."""
        admits = [
            (name, admit) for name, loaded in self._loaded if isinstance(admit := loaded.hooks.get(Admit.kind), Admit)
        ]
        if not admits:
            return None

        def begin_s(job: SimJob) -> float:
            now = EPOCH_S + job.submit_s
            spec, context = _spec(job), Context(job.user, "simulated", now)
            for name, admit in admits:
                try:
                    judged = admit.run(spec, context)
                except Exception as error:  # noqa: BLE001  whatever a plugin does, the simulation goes on
                    self.troubles.setdefault(name, f"raised {type(error).__name__} when it admitted: {error}")
                    continue
                if isinstance(judged, JobSpec):
                    spec = judged
                else:
                    why = judged.detail if isinstance(judged, Refusal) else "; ".join(one.detail for one in judged)
                    self.troubles.setdefault(name, f"would refuse job {job.number}, which runs all the same: {why}")
            return max(0.0, parse_when(spec.begin, now) - now) if spec.begin is not None else 0.0

        return begin_s

    def _told(self, name: str, tick: Tick) -> Callable[[ClusterView, float], Sequence[Action]]:
        """A tick; the first that it raises is kept in words."""

        def run(view: ClusterView, now: float) -> Sequence[Action]:
            try:
                return tuple(tick.run(view, now))
            except Exception as error:
                self.troubles.setdefault(name, f"raised {type(error).__name__}: {error}")
                raise

        return run


def _loaded(case: Case, name: str, settings: dict[str, object]) -> Loaded:
    try:
        loaded = load(PluginSettings(name, settings=settings))
    except NotLoaded as error:
        raise refused("--policy", f"{case.name}: {str(error).rstrip('.')}") from error
    if Tick.kind not in loaded.hooks and Admit.kind not in loaded.hooks:
        raise refused("--policy", f"{case.name}: {name} is no policy; it has {', '.join(loaded.hooks)}")
    return loaded


def _spec(job: SimJob) -> JobSpec:
    """A simulated job as it would be submitted."""
    return JobSpec(
        _SCRIPT,
        name=job.name or None,
        account=job.account or None,
        partition=job.partition or None,
        resources=Resources(
            nodes=job.nodes,
            gpus_per_node=job.gpus_per_node or None,
            wall_s=int(job.wall_s),
        ),
        hints=job.hints,
    )
