from __future__ import annotations

import pytest

from hpcjobs.errors import Refusal
from hpcjobs.model.spec import Resources
from hpcjobs.slurm.explain import explain

from .builders import node, spec, view

VIEW = view(
    nodes=(
        node("n1"),
        node("n2", gpus={"h100": 4}, cpus=96, mem_bytes=2**41),
        node("c1", gpus={}, partitions=("cpu", "all"), cpus=16, mem_bytes=2**35),
    )
)
NO_PARTITION = Refusal("partition", "Slurm says: invalid partition", "ESLURM_INVALID_PARTITION_NAME")
NO_NODES = Refusal("resources", "Slurm says: not available", "ESLURM_REQUESTED_NODE_CONFIG_UNAVAILABLE")


def said(refusal: Refusal, asked: Resources | None = None, **fields: str) -> str:
    return explain(refusal, spec(resources=asked, **fields), VIEW).detail


def test_a_missing_partition_is_named_with_those_that_exist():
    assert said(NO_PARTITION, partition="gpu,nope") == (
        "There is no partition 'nope'; there are all, cpu, gpu. Slurm says: invalid partition"
    )


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (Resources(nodes=3), "3 nodes were asked for, partition gpu has 2."),
        (Resources(gpus_per_node=16), "16 GPUs a node were asked for; in partition gpu the largest node has 8."),
        (Resources(gpus_per_node="h100:8"), "8 h100 a node were asked for; in partition gpu the largest node has 4."),
        (Resources(gpus_per_node="b200:1"), "It holds 8 a100, 4 h100 on 2 nodes."),
        (Resources(gpus="a100:9"), "9 a100 were asked for; in partition gpu all nodes together have 8."),
        (Resources(gpus=13), "13 GPUs were asked for; in partition gpu all nodes together have 12."),
        (Resources(mem_per_node_bytes=2**42), f"{2**42} bytes a node were asked for, the largest node has {2**41}."),
        (Resources(cpus_per_task=97), "97 CPUs a task were asked for, the largest node has 96."),
    ],
)
def test_a_request_that_no_node_can_meet_is_told_what_there_is(asked, words):
    assert words in said(NO_NODES, asked, partition="gpu")
    assert said(NO_NODES, asked, partition="gpu").endswith(" Slurm says: not available")


def test_without_a_partition_the_whole_cluster_is_meant():
    assert "4 nodes were asked for, cluster big has 3." in said(NO_NODES, Resources(nodes=4))
    assert "1 GPUs a node were asked for; in partition cpu the largest node has 0. It holds no GPU on 1 nodes." in said(
        NO_NODES, Resources(gpus_per_node=1), partition="cpu"
    )


def test_a_node_in_two_partitions_is_counted_once():
    assert "2 nodes were asked for, partition cpu,all has 1." in said(NO_NODES, Resources(nodes=2), partition="cpu,all")


def test_a_request_that_fits_leaves_slurms_words_alone():
    assert said(NO_NODES, Resources(nodes=2, gpus_per_node="a100:8", gpus=12), partition="gpu") == NO_NODES.detail


def test_without_a_listing_or_for_another_refusal_slurms_words_stand():
    other = Refusal("qos", "Slurm says: invalid qos", "ESLURM_INVALID_QOS")
    assert explain(NO_PARTITION, spec(partition="nope"), None) == NO_PARTITION
    assert explain(other, spec(), VIEW) == other


def test_field_and_code_stay_and_an_empty_cluster_does_no_harm():
    explained = explain(NO_NODES, spec(resources=Resources(nodes=1, gpus=1, cpus_per_task=1)), view())
    assert (explained.field, explained.code) == (NO_NODES.field, NO_NODES.code)
    assert "cluster big has 0" in explained.detail
