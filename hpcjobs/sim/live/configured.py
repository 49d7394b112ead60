"""A cluster's configuration as a case of a simulation: scheduler, priorities and placement as they are. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import msgspec

from hpcjobs.model.scheduling import Scheduling
from hpcjobs.sim.cases import Case, Named
from hpcjobs.sim.schedulers import Fcfs, Slurm
from hpcjobs.sim.schedulers.priority import Weights
from hpcjobs.sim.schedulers.slurm import Parameters

BUILTIN: Final = "sched/builtin"
MULTIFACTOR: Final = "priority/multifactor"
FLAT: Final = frozenset({"topology/flat", "topology/default", "topology/none"})
"""Names by which releases of Slurm call it that there is no topology."""
LLN: Final = "CR_LLN"
PRIORITY: Final = "priority"

VOID: Final = frozenset(
    {
        "bf_continue", "bf_max_time", "bf_yield_interval", "bf_yield_rpc_cnt", "bf_yield_sleep", "max_rpc_cnt",
        "max_sched_time", "sched_interval", "sched_min_interval",
        "correspond_after_task_cnt", "disable_user_top", "enable_user_top", "max_script_size", "max_submit_line_size",
        "nohold_on_prolog_fail", "requeue_delay", "requeue_setup_env_fail", "salloc_wait_nodes", "sbatch_wait_nodes",
    }
)  # fmt: skip
"""SchedulerParameters that mean nothing where a pass takes no time, or are not about when and where jobs start."""
_SELECTED: Final = frozenset(
    {"CR_CPU", "CR_CORE", "CR_SOCKET", "CR_CPU_MEMORY", "CR_CORE_MEMORY", "CR_SOCKET_MEMORY", "CR_MEMORY", LLN}
)


class Configured(NamedTuple):
    """How a cluster schedules, as far as it is modelled.

    Attributes:
        scheduler: That of a case as things are.
        placement: Likewise.
        weights: Of its priorities.
        told: What of it is assumed and what is not heeded, as sentences for the report.
    """

    scheduler: Named
    placement: str
    weights: Weights
    told: tuple[str, ...]

    def under(self, case: Case) -> Case:
        """A case whose scheduler, where it is the cluster's, has the cluster's settings but for those that it says."""
        said = case.scheduler.settings
        if case.scheduler.name != self.scheduler.name:
            return case
        settings = self.scheduler.settings | said
        if isinstance(said.get(PRIORITY), dict):
            settings[PRIORITY] = self.scheduler.settings.get(PRIORITY, {}) | said[PRIORITY]
        return msgspec.structs.replace(case, scheduler=Named(case.scheduler.name, settings))


def configured(found: Scheduling) -> Configured:
    """What a cluster's configuration comes to.

    Args:
        found: As the controller has it.
    """
    weights = _weights(found)
    scheduler = Named(Fcfs.name) if found.scheduler == BUILTIN else Named(Slurm.name, _settings(found, weights))
    placement = "spread" if LLN in found.select_parameters else "consecutive" if found.topology in FLAT else "order"
    settings = f":{json.dumps(scheduler.settings)}" if scheduler.settings else ""
    told = [f"The cluster is configured so: scheduler={scheduler.name}{settings} placement={placement}."]
    if ignored := "; ".join(_ignored(found)):
        told.append(f"Of its configuration is not heeded: {ignored}.")
    if share := found.weights.get("fairshare"):
        told.append(
            f"Fair share (PriorityWeightFairshare={share}) counts as it does now, though it changes while jobs run."
        )
    return Configured(scheduler, placement, weights, tuple(told))


def _weights(found: Scheduling) -> Weights:
    if found.priority != MULTIFACTOR:
        return Weights()
    return Weights(
        age=found.weights.get("age", 0),
        job_size=found.weights.get("jobsize", 0),
        favor_small=found.favor_small,
        max_age_s=float(found.age_max_s or Weights().max_age_s),
    )


def _settings(found: Scheduling, weights: Weights) -> dict[str, Any]:
    numbers = {
        name: int(value)
        for name, value in found.parameters.items()
        if name in Parameters.__struct_fields__ and _sound(value)
    }
    if found.priority != MULTIFACTOR:
        return numbers | {"by_clock": True}
    return numbers | {"by_clock": True, PRIORITY: msgspec.to_builtins(weights)}


def _sound(value: str) -> bool:
    return value.isdecimal() and 0 < len(value) < 10 and int(value) > 0


def _ignored(found: Scheduling) -> Iterator[str]:
    """What can change when or where jobs start, and does not here."""
    words = [
        f"{name}={value}" if value else name
        for name, value in found.parameters.items()
        if name not in VOID and not (name in Parameters.__struct_fields__ and (_sound(value) or value == "0"))
    ]
    if words:
        yield f"SchedulerParameters={','.join(words)}"
    if found.select != Scheduling().select:
        yield f"SelectType={found.select}"
    if names := [name for name in found.select_parameters if name not in _SELECTED]:
        yield f"SelectTypeParameters={','.join(names)}"
    if found.topology not in FLAT:
        yield f"TopologyPlugin={found.topology}"
    if found.topology_parameters:
        yield f"TopologyParam={','.join(found.topology_parameters)}"
    if found.preempt:
        yield f"PreemptType={found.preempt}"
    if found.preempt_mode:
        yield f"PreemptMode={','.join(found.preempt_mode)}"
