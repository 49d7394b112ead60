"""Nodes and partitions as Slurm prints them and as its JSON says them."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from hpcjobs.cli.slurm.scontrol_nodes import joined, node_lines, partition_lines
from hpcjobs.cli.slurm.times import Moment
from hpcjobs.model.amount import MIB
from hpcjobs.slurm.openapi_cluster import PartitionWords, partition_of
from hpcjobs.slurm.printed_nodes import blocks_of, node_of
from hpcjobs.slurm.printed_partitions import partitions_of

NODES = (Path(__file__).parent / "data" / "printed_nodes.txt").read_text()


def test_a_node_is_read_as_it_is_printed_whatever_its_texts_say():
    blocks = blocks_of(NODES)
    assert list(blocks) == ["c1", "c2"]
    node = node_of(blocks["c1"], {"root": 0}.get)
    told = node.particulars
    assert (node.name, node.raw_state, node.usable, node.cpus, node.cpus_alloc) == ("c1", "MIXED+DRAIN", False, 62, 19)
    assert (node.mem_bytes, node.mem_alloc_bytes) == (64000 * MIB, 9060 * MIB)
    assert (node.gpus, node.gpus_alloc) == ({"a100": 8}, {"a100": 6})
    assert (node.partitions, node.features, told.features_active) == (("gpu", "debug"), ("a100", "nvme"), ("a100",))
    assert node.reason == "fan broken [see wiki] State=IDLE\nsecond line"
    assert (told.reason_user, told.reason_uid, told.reason_time) == ("root", 0, 500)
    assert (told.address, told.hostname, told.broadcast_address, told.port) == ("10.0.0.1", "c1", "10.1.0.1", 7000)
    assert (told.os, told.cpus_total, told.cpu_load, told.weight) == ("Linux 6.1 #1 SMP CPUAlloc=99", 64, 1.7, 3)
    assert (told.cores_reserved, told.cpus_reserved, told.mem_reserved_bytes) == (1, "0-1", 512 * MIB)
    assert (told.cores_per_gpu_reserved, told.gpu_cores, told.cpu_bind) == (2, "0-15", "cores")
    assert (told.owner, told.owner_uid, told.mcs_label) == ("alice", 1001, "secret")
    assert (told.boot_time, told.slurmd_start_time, told.last_busy_time, told.resume_time) == (100, 200, 300, 400)
    assert (told.suspend_s, told.watts, told.watts_average) == (600, 120, 100)
    assert (told.comment, told.extra, told.instance_id, told.instance_type) == ("a comment", "x=y z", "i-1", "big")
    assert (told.reservation, told.topology) == ("maint_1", "tree:s1")


def test_what_is_not_known_of_a_node_is_none_or_empty():
    node = node_of(blocks_of(NODES)["c2"], {}.get)
    told = node.particulars
    assert (node.gpus, node.features, node.partitions, node.reason) == ({}, (), (), "")
    assert (told.cpu_load, told.free_mem_bytes, told.suspend_s, told.watts) == (None, None, None, None)
    assert (told.boot_time, told.last_busy_time, told.version, told.owner) == (0, 0, "", "")


def test_a_node_is_printed_again_as_it_was_read():
    for name, block in blocks_of(NODES).items():
        node = node_of(block, {"root": 0}.get)
        detail = "GresUsed" in block
        printed = joined(node_lines(node, Moment(0, "%s"), detail=detail), one_line=False)
        assert printed == f"{block}\n\n", name


PARTITIONS = (
    "PartitionName=gpu AllowGroups=ml,hpc DenyAccounts=guests AllowQos=normal,high AllocNodes=login[1-2] "
    "Alternate=slow Default=YES CpuBind=cores  QoS=limits DefaultTime=01:00:00 DisableRootJobs=YES Exclusive=USER "
    "GraceTime=60 "
    "Hidden=YES MaxNodes=8 MaxTime=2-00:00:00 MinNodes=2 LLN=YES MaxCPUsPerNode=32 MaxCPUsPerSocket=16 NodeSets=ALL "
    "Nodes=c[1-4] PriorityJobFactor=10 PriorityTier=3 RootOnly=YES ReqResv=YES OverSubscribe=FORCE:4 "
    "OverTimeLimit=UNLIMITED PreemptMode=REQUEUE Topology=flat State=DRAIN TotalCPUs=256 TotalNodes=4 "
    "SelectTypeParameters=CR_CORE JobDefaults=DefCpuPerGPU=2 DefMemPerCPU=900 MaxMemPerCPU=UNLIMITED "
    "TRES=cpu=256,mem=250G TRESBillingWeights=cpu=1,mem=0.5G ResumeTimeout=GLOBAL SuspendTimeout=30 "
    "SuspendTime=INFINITE PowerDownOnIdle=YES\n"
    "PartitionName=free AllowGroups=ALL AllowAccounts=ALL AllowQos=ALL AllocNodes=ALL Default=NO QoS=N/A "
    "DefaultTime=NONE DisableRootJobs=NO Exclusive=NO GraceTime=0 Hidden=NO MaxNodes=UNLIMITED MaxTime=UNLIMITED "
    "MinNodes=0 LLN=NO MaxCPUsPerNode=UNLIMITED MaxCPUsPerSocket=UNLIMITED Nodes=(null) PriorityJobFactor=1 "
    "PriorityTier=1 RootOnly=NO ReqResv=NO OverSubscribe=NO OverTimeLimit=NONE PreemptMode=OFF State=UP TotalCPUs=0 "
    "TotalNodes=0 SelectTypeParameters=NONE JobDefaults=(null) DefMemPerNode=1000 MaxMemPerNode=UNLIMITED TRES=(null)\n"
)


def test_partitions_are_read_and_printed_again_as_they_were():
    gpu, free = partitions_of(PARTITIONS)
    assert (gpu.allow_groups, gpu.deny_accounts, gpu.allow_accounts) == (("ml", "hpc"), ("guests",), ())
    assert (gpu.wall_default_s, gpu.wall_max_s, free.wall_default_s, free.wall_max_s) == (3600, 172800, None, None)
    assert (gpu.mem_default_per_cpu_bytes, gpu.mem_max_per_cpu_bytes) == (900 * MIB, 0)
    assert (free.mem_default_per_node_bytes, free.mem_max_per_node_bytes) == (1000 * MIB, None)
    assert (gpu.default, gpu.hidden, gpu.root_only, gpu.reservation_required, gpu.least_loaded) == (True,) * 5
    printed = "".join(joined(partition_lines(one), one_line=True) for one in (gpu, free))
    assert printed == PARTITIONS


def test_slurm_24_11_says_exclusive_in_other_keys():
    old = "PartitionName=a ExclusiveUser=NO ExclusiveTopo=NO OverSubscribe=EXCLUSIVE State=UP\n"
    old += "PartitionName=b ExclusiveUser=YES ExclusiveTopo=NO OverSubscribe=YES:4 State=UP\n"
    found = [(one.exclusive, one.oversubscribe) for one in partitions_of(old)]
    assert found == [("NODE", "NO"), ("USER", "YES:4")]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (
            {"partition": {"state": ["UP"], "exclusive": "NODE", "oversubscribe": "NO"}, "flags": []},
            ("NODE", "NO", True),
        ),
        ({"maximums": {"shares": 0, "oversubscribe": {"jobs": 0, "flags": []}}}, ("NODE", "NO", False)),
        ({"maximums": {"shares": 4, "oversubscribe": {"jobs": 4, "flags": []}}}, ("NO", "YES:4", False)),
        ({"maximums": {"shares": 4, "oversubscribe": {"jobs": 4, "flags": ["force"]}}}, ("NO", "FORCE:4", False)),
    ],
)
def test_the_json_of_every_version_is_read(words, expected):
    partition = partition_of(msgspec.convert({"name": "gpu"} | words, PartitionWords))
    assert (partition.exclusive, partition.oversubscribe, partition.flags_told) == expected


def test_what_people_write_of_a_node_makes_no_other_node():
    text = "NodeName=c1 Arch=x86_64 \n   Reason=first\n\n          NodeName=c2 State=DOWN\n\nNodeName=c3 A=1\n\n"
    blocks = blocks_of(text)
    assert list(blocks) == ["c1", "c3"]
    assert "NodeName=c2" in blocks["c1"]
