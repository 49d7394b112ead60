"""A cluster's configuration as a case: what is modelled of it, what is told, and what a case may say otherwise."""

from __future__ import annotations

import pytest

from hpcjobs.model.scheduling import Scheduling
from hpcjobs.sim.cases import Case, Named, check
from hpcjobs.sim.live.configured import configured
from hpcjobs.sim.schedulers.priority import Weights

TUNED = Scheduling(
    parameters={"bf_interval": "5", "bf_window": "4320", "bf_continue": "", "defer": "", "bf_max_job_user": "3"},
    weights={"age": 1000, "jobsize": 500, "fairshare": 10_000, "qos": 7},
    favor_small=True,
    age_max_s=86_400,
    topology="topology/default",
    preempt="preempt/qos",
    preempt_mode=("REQUEUE",),
)
PRIORITY = {"age": 1000, "job_size": 500, "favor_small": True, "max_age_s": 86_400.0}
AS_IT_IS = {"bf_interval": 5, "bf_window": 4320, "by_clock": True, "priority": PRIORITY}


def test_scheduler_priorities_and_placement_are_those_of_the_cluster():
    found = configured(TUNED)
    assert found.scheduler == Named("slurm", AS_IT_IS)
    assert found.placement == "consecutive"
    assert found.weights == Weights(age=1000, job_size=500, favor_small=True, max_age_s=86_400.0)
    check(Case(name="as it is", scheduler=found.scheduler, placement=found.placement))


def test_what_is_not_heeded_is_told_and_what_means_nothing_here_is_not():
    first, ignored, fair = configured(TUNED).told
    assert first.startswith('The cluster is configured so: scheduler=slurm:{"bf_interval": 5,')
    assert first.endswith("placement=consecutive.")
    assert ignored == (
        "Of its configuration is not heeded: SchedulerParameters=defer,bf_max_job_user=3; PreemptType=preempt/qos; "
        "PreemptMode=REQUEUE."
    )
    assert "PriorityWeightFairshare=10000" in fair


@pytest.mark.parametrize(
    ("found", "scheduler", "placement", "ignored"),
    [
        (Scheduling(), "slurm", "consecutive", ""),
        (Scheduling(scheduler="sched/builtin"), "fcfs", "consecutive", ""),
        (Scheduling(select_parameters=("CR_CORE", "CR_LLN")), "slurm", "spread", ""),
        (Scheduling(topology="topology/tree"), "slurm", "order", "TopologyPlugin=topology/tree"),
        (Scheduling(topology_parameters=("dragonfly",)), "slurm", "consecutive", "TopologyParam=dragonfly"),
        (Scheduling(select="select/linear"), "slurm", "consecutive", "SelectType=select/linear"),
        (
            Scheduling(select_parameters=("CR_CORE_MEMORY", "CR_PACK_NODES")),
            "slurm",
            "consecutive",
            "SelectTypeParameters=CR_PACK_NODES",
        ),
        (Scheduling(parameters={"bf_interval": "-1"}), "slurm", "consecutive", "SchedulerParameters=bf_interval=-1"),
        (Scheduling(parameters={"bf_job_part_count_reserve": "0"}), "slurm", "consecutive", ""),
    ],
)
def test_each_kind_of_cluster_comes_to_what_is_nearest_to_it(found, scheduler, placement, ignored):
    case = configured(found)
    assert (case.scheduler.name, case.placement) == (scheduler, placement)
    assert case.told[1:] == ((f"Of its configuration is not heeded: {ignored}.",) if ignored else ())


def test_where_priorities_are_basic_the_queue_keeps_its_order():
    found = configured(Scheduling(priority="priority/basic", weights={"age": 5}))
    assert found.scheduler == Named("slurm", {"by_clock": True})
    assert found.weights == Weights()


def test_a_case_changes_of_the_clusters_settings_what_it_says():
    found = configured(TUNED)

    def under(scheduler: Named) -> Named:
        return found.under(Case(name="c", scheduler=scheduler)).scheduler

    assert under(Named("slurm")) == found.scheduler
    assert under(Named("slurm", {"bf_window": 60})).settings == AS_IT_IS | {"bf_window": 60}
    heavier = under(Named("slurm", {"priority": {"job_size": 9}})).settings
    assert heavier == AS_IT_IS | {"priority": PRIORITY | {"job_size": 9}}
    assert under(Named("slurm", {"priority": None})).settings == AS_IT_IS | {"priority": None}
    assert under(Named("easy", {"depth": 3})) == Named("easy", {"depth": 3})
