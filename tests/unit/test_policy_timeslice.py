"""The part of slurm.conf for jobs that take turns, and what does not go well with it."""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import Any, ClassVar

import msgspec
import pytest

from hpcjobs.conformance import PluginConformance
from hpcjobs.model.partition import Partition
from hpcjobs.plugin import Inventory
from hpcjobs_plugins.policies import timeslice

from .builders import node

NODES = {
    one.name: one
    for one in (
        msgspec.structs.replace(node("c1"), partitions=("cpu", "all"), gpus={}),
        msgspec.structs.replace(node("c2"), partitions=("gpu", "all"), gpus={"a100": 8}),
    )
}
PARTITIONS = {name: Partition(name=name) for name in ("cpu", "gpu", "all")} | {
    "alone": Partition(name="alone", exclusive="NODE")
}


def written(**settings: Any) -> str:
    (text,) = timeslice.configure(
        timeslice.Settings(**settings), Inventory(cluster="x", nodes=NODES, partitions=PARTITIONS)
    ).values()
    return text


class TestTimesliceConforms(PluginConformance):
    plugin = timeslice.PLUGIN
    settings: ClassVar[dict[str, Any]] = {"partitions": ["gpu"]}


def test_it_is_found_by_its_name():
    (point,) = entry_points(group="hpcjobs.plugins", name="timeslice")
    assert point.load() is timeslice.PLUGIN


def test_turns_need_a_preempt_mode_a_slice_and_an_oversubscribe_of_each_partition():
    assert written(partitions=("cpu", "alone", "elsewhere"), jobs=3, slice_s=60) == (
        "# slurm.conf: jobs of cpu, alone take turns of 60 s on the same CPUs\n"
        "PreemptMode=GANG\n"
        "SchedulerTimeSlice=60\n"
        "# PartitionName=cpu ... OverSubscribe=FORCE:3\n"
        "# PartitionName=alone ... OverSubscribe=FORCE:3\n"
        "# CPUs are shared, memory is not: jobs that take turns must fit beside each other.\n"
        "# cpu shares nodes with all. Slurm slices each partition by itself.\n"
        "# alone gives whole nodes to one job (Exclusive): OverSubscribe takes the place of that.\n"
    )


def test_nodes_with_gpus_are_told_of_and_a_higher_tier_takes_a_preempt_type():
    text = written(partitions=("all",), suspend=True)
    assert "PreemptType=preempt/partition_prio\nPreemptMode=SUSPEND,GANG\n" in text
    assert "# all: 1 of its 2 nodes have GPUs. A suspended job keeps them: such jobs take no turns.\n" in text


def test_a_cluster_without_the_partitions_has_no_part_of_it():
    assert (
        timeslice.configure(
            timeslice.Settings(partitions=("nope",)), Inventory(cluster="x", nodes=NODES, partitions=PARTITIONS)
        )
        == {}
    )


@pytest.mark.parametrize(
    "settings", [{}, {"partitions": []}, {"partitions": ["a"], "slice_s": 4}, {"partitions": ["a"], "jobs": 1}]
)
def test_settings_that_slurm_would_not_take_are_refused(settings):
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(settings, timeslice.Settings)
