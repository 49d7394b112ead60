"""What a cluster's configuration says of how its jobs are scheduled."""

from __future__ import annotations

import msgspec


class Scheduling(msgspec.Struct, frozen=True, kw_only=True):
    """The keys of slurm.conf(5) that decide when and where jobs start; the defaults are Slurm's.

    Attributes:
        scheduler: SchedulerType.
        parameters: SchedulerParameters: values by name in small letters, ``""`` of a word that has none.
        priority: PriorityType.
        weights: PriorityWeightAge and the like by what they weigh in small letters, as ``age``, ``jobsize``,
            ``fairshare``; without those that are 0.
        weights_tres: PriorityWeightTRES.
        favor_small: PriorityFavorSmall.
        age_max_s: PriorityMaxAge in seconds.
        select: SelectType.
        select_parameters: SelectTypeParameters in capitals, as ``CR_CORE_MEMORY``.
        topology: TopologyPlugin.
        topology_parameters: TopologyParam.
        preempt: PreemptType; ``""``: none.
        preempt_mode: PreemptMode in capitals; empty: off.
        enforced: AccountingStorageEnforce in small letters; empty: Slurm holds no limits of accounts and QOS.
    """

    scheduler: str = "sched/backfill"
    parameters: dict[str, str] = {}
    priority: str = "priority/multifactor"
    weights: dict[str, int] = {}
    weights_tres: str = ""
    favor_small: bool = False
    age_max_s: int = 7 * 86_400
    select: str = "select/cons_tres"
    select_parameters: tuple[str, ...] = ()
    topology: str = "topology/flat"
    topology_parameters: tuple[str, ...] = ()
    preempt: str = ""
    preempt_mode: tuple[str, ...] = ()
    enforced: tuple[str, ...] = ()
