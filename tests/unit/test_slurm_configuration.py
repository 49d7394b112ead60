"""Slurm's configuration as scontrol prints it and slurmrestd says it: recorded from both clusters."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from hpcjobs.model.scheduling import Scheduling
from hpcjobs.slurm.configuration import ConfigurationTold, printed_scheduling, said_scheduling

DATA = Path(__file__).parent / "data"
HERE = Scheduling(
    parameters={"bf_interval": "5", "bf_continue": ""},
    weights={"age": 1000, "fairshare": 10000, "jobsize": 1000, "partition": 1000, "qos": 2000},
    select_parameters=("CR_CORE_MEMORY",),
    enforced=("associations", "limits", "qos", "safe"),
)


def said(**conf: object) -> Scheduling:
    return said_scheduling(ConfigurationTold(slurm_conf={key: raw(value) for key, value in conf.items()}))


def raw(value: object) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(value))


@pytest.mark.parametrize(("version", "topology"), [("26.05", "topology/flat"), ("24.11", "topology/default")])
def test_what_is_printed_is_read(version, topology):
    found = printed_scheduling((DATA / f"config_{version}.txt").read_text())
    assert found == msgspec.structs.replace(HERE, topology=topology)


def test_what_slurmrestd_says_is_read_as_the_same():
    told = msgspec.json.decode((DATA / "config_26.05.json").read_bytes(), type=ConfigurationTold)
    assert said_scheduling(told) == HERE


def test_everything_that_can_be_said_is_read_of_either():
    text = """AccountingStorageEnforce = associations,limits,qos,safe
PreemptMode             = GANG,SUSPEND
PreemptType             = preempt/partition_prio
PriorityFavorSmall      = yes
PriorityMaxAge          = 1-00:00:00
PriorityType            = priority/multifactor
PriorityWeightFairShare = 0
PriorityWeightAge       = 7
PriorityWeightTRES      = gres/gpu=10,mem=1
SchedulerParameters     = defer,BF_Window=4320, bf_max_job_user=3
SchedulerType           = sched/builtin
SelectType              = select/linear
SelectTypeParameters    = CR_CPU,CR_LLN
TopologyParam           = RoutePart,SwitchAsNodeRank
TopologyPlugin          = topology/tree
"""
    found = printed_scheduling(text)
    assert found == Scheduling(
        scheduler="sched/builtin",
        parameters={"defer": "", "bf_window": "4320", "bf_max_job_user": "3"},
        weights={"age": 7},
        weights_tres="gres/gpu=10,mem=1",
        favor_small=True,
        age_max_s=86_400,
        select="select/linear",
        select_parameters=("CR_CPU", "CR_LLN"),
        topology="topology/tree",
        topology_parameters=("RoutePart", "SwitchAsNodeRank"),
        preempt="preempt/partition_prio",
        preempt_mode=("GANG", "SUSPEND"),
        enforced=("associations", "limits", "qos", "safe"),
    )
    assert said(
        AccountingStorageEnforce=["ASSOCIATIONS", "LIMITS", "QOS", "SAFE"],
        PreemptMode=["GANG", "SUSPEND"], PreemptType="preempt/partition_prio", PriorityFavorSmall=True,
        PriorityMaxAge="1-00:00:00", PriorityWeightFairshare=0, PriorityWeightAge=7,
        PriorityWeightTRES="gres/gpu=10,mem=1", SchedulerType="sched/builtin", SelectType="select/linear",
        SchedulerParameters=["defer", "BF_Window=4320", "bf_max_job_user=3"], SelectTypeParameters=["CR_CPU", "CR_LLN"],
        TopologyParam=["RoutePart", "SwitchAsNodeRank"], TopologyPlugin="topology/tree", Other={"not": "read"},
    ) == found  # fmt: skip


def test_what_is_not_told_is_as_slurm_has_it_by_default():
    assert (
        printed_scheduling(
            "Configuration data as of now\nSchedulerParameters = (null)\nAccountingStorageEnforce = none\n"
        )
        == Scheduling()
    )
    assert said(SchedulerParameters=[], PreemptType="", PreemptMode=["DISABLED"]) == Scheduling()
