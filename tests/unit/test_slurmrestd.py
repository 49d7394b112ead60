from __future__ import annotations

import msgspec
import pytest

from hpcjobs.model.amount import MIB
from hpcjobs.model.job import Fate, State
from hpcjobs.model.spec import Resources
from hpcjobs.slurm.base import Launch
from hpcjobs.slurm.openapi import JobWords, Reply, record_of
from hpcjobs.slurm.openapi_cluster import NodeWords, node_of
from hpcjobs.slurm.slurmrestd_body import job_body

from .builders import SCRIPT, spec

ATTEMPT = "a" * 32


def number(value: int) -> dict[str, object]:
    return {"set": True, "infinite": False, "number": value}


INFINITE = {"set": True, "infinite": True, "number": 0}
UNSET = {"set": False, "infinite": False, "number": 0}

RUNNING = {
    "job_id": 41,
    "user_name": "alice",
    "job_state": ["RUNNING"],
    "state_reason": "None",
    "name": "train",
    "account": "physics",
    "partition": "gpu",
    "qos": "normal",
    "comment": f"mine hpcjobs:{ATTEMPT}",
    "node_count": number(2),
    "nodes": "n[1-2]",
    "tasks": number(16),
    "cpus": number(64),
    "tres_req_str": "cpu=64,mem=200G,node=2,billing=64,gres/gpu=16",
    "tres_alloc_str": "cpu=64,mem=256G,node=2,billing=64,gres/gpu=16,gres/gpu:a100=16",
    "time_limit": number(90),
    "submit_time": number(1000),
    "eligible_time": number(1001),
    "start_time": number(1002),
    "end_time": number(6402),
    "exit_code": {"status": ["SUCCESS"], "return_code": number(0), "signal": {"id": UNSET, "name": ""}},
    "restart_cnt": 1,
    "priority": number(4294901759),
    "dependency": "",
    "current_working_directory": "/home/alice",
    "standard_output": "/home/alice/slurm-%j.out",
    "stdout_expanded": "/home/alice/slurm-41.out",
    "standard_error": "",
    "stderr_expanded": "",
    "unknown_field_of_a_later_version": {"deep": [1, 2]},
}


def read(**changes: object):
    return record_of(msgspec.convert(RUNNING | changes, JobWords))


def test_a_running_job_is_read_in_full():
    job = read()
    assert (job.slurm_job_id, job.attempt, job.comment, job.user) == (41, ATTEMPT, "mine", "alice")
    assert (job.state, job.fate, job.raw_state, job.reason) == (State.RUNNING, None, "RUNNING", "")
    assert (job.nodes, job.node_list, job.ntasks, job.cpus) == (2, "n[1-2]", 16, 64)
    assert (job.gpus, job.mem_bytes, job.wall_s) == ({"a100": 16}, 256 * 2**30, 5400)
    assert (job.submit_time, job.eligible_time, job.start_time, job.end_time) == (1000, 1001, 1002, 6402)
    assert (job.exit_code, job.exit_signal, job.restarts, job.priority) == (0, 0, 1, 4294901759)
    assert (job.stdout, job.stderr) == ("/home/alice/slurm-41.out",) * 2


def test_a_pending_job_shows_what_it_asked_for():
    job = read(job_state=["PENDING"], state_reason="Resources", tres_alloc_str="", nodes="")
    assert (job.state, job.reason, job.gpus, job.mem_bytes) == (State.PENDING, "Resources", {"": 16}, 200 * 2**30)


def test_a_requeued_job_that_waits_shows_what_it_asked_for_and_not_its_last_allocation():
    assert read(job_state=["PENDING", "REQUEUED"]).mem_bytes == 200 * 2**30


def test_a_job_whose_allocation_is_gone_keeps_what_it_asked_for():
    assert read(job_state=["CANCELLED"], tres_alloc_str="").mem_bytes == 200 * 2**30


@pytest.mark.parametrize("limit", [INFINITE, UNSET])
def test_no_time_limit_is_none(limit):
    assert read(time_limit=limit).wall_s is None


def test_an_exit_code_and_a_signal_are_told_apart():
    failed = read(job_state=["FAILED"], exit_code={"return_code": number(255), "signal": {"id": UNSET}})
    assert (failed.fate, failed.exit_code, failed.exit_signal) == (Fate.FAILED, 255, 0)
    killed = read(job_state=["FAILED"], exit_code={"return_code": UNSET, "signal": {"id": number(9)}})
    assert (killed.exit_code, killed.exit_signal) == (0, 9)


def test_stderr_is_its_own_file_where_it_has_one():
    assert read(stderr_expanded="/e").stderr == "/e"
    assert read(standard_error="/e-%j").stderr == "/e-%j"
    assert read(stdout_expanded="").stdout == "/home/alice/slurm-%j.out"


def test_a_job_of_which_only_the_number_is_told_is_unknown_and_not_final():
    job = record_of(msgspec.json.decode(b'{"jobs": [{"job_id": 9}], "errors": []}', type=Reply).jobs[0])
    assert (job.slurm_job_id, job.state, job.fate, job.attempt) == (9, State.UNKNOWN, None, None)


def test_a_node_is_read_in_full():
    node = node_of(
        NodeWords(
            name="n1",
            state=("MIXED", "DRAIN"),
            effective_cpus=64,
            alloc_cpus=8,
            real_memory=1000,
            alloc_memory=10,
            gres="gpu:a100:8(S:0-1)",
            gres_used="gpu:a100:3(IDX:0-2)",
            partitions=("gpu", "all"),
            features=("ib",),
            reason="bad fan",
        )
    )
    assert (node.raw_state, node.usable, node.reason) == ("MIXED+DRAIN", False, "bad fan")
    assert (node.cpus, node.cpus_alloc) == (64, 8)
    assert (node.mem_bytes, node.mem_alloc_bytes) == (1000 * MIB, 10 * MIB)
    assert (node.gpus, node.gpus_alloc) == ({"a100": 8}, {"a100": 3})
    assert (node.partitions, node.features) == (("gpu", "all"), ("ib",))


def test_a_job_with_nothing_asked_for_leaves_everything_to_slurm():
    assert job_body(Launch(spec(), ATTEMPT)) == {
        "script": SCRIPT,
        "job": {
            "comment": f"hpcjobs:{ATTEMPT}",
            "standard_input": "/dev/null",
            "environment": [],
            "oom_kill_step": 0xFFFE,  # not set: left out, slurmrestd would send 0
        },
    }


def test_a_job_with_everything_asked_for_says_all_of_it_in_slurmrestds_words():
    asked = spec(
        args=("a b", "c"),
        script_name="train.sh",
        name="train",
        account="physics",
        partition="gpu",
        qos="high",
        reservation="maint",
        dependency="afterok:1",
        comment="mine",
        workdir="/home/alice",
        stdout="o",
        stderr="e",
        stdin="i",
        environment={"A": "1", "B": "x=y"},
        requeue=False,
        hold=True,
        resources=Resources(
            nodes=2,
            nodes_max=4,
            ntasks_per_node=8,
            cpus_per_task=4,
            gpus="a100:16,h100:1",
            gpus_per_node=8,
            gpus_per_task="a100:1",
            mem_per_node_bytes=MIB + 1,
            mem_per_cpu_bytes=2 * MIB,
            wall_s=61,
            constraint="ib",
            nodelist="n1",
            exclude="n2",
            exclusive=True,
        ),
    )
    assert job_body(Launch(asked, ATTEMPT)) == {
        "script": SCRIPT,
        "job": {
            "name": "train",
            "account": "physics",
            "partition": "gpu",
            "qos": "high",
            "reservation": "maint",
            "dependency": "afterok:1",
            "comment": f"mine hpcjobs:{ATTEMPT}",
            "current_working_directory": "/home/alice",
            "standard_output": "o",
            "standard_error": "e",
            "standard_input": "i",
            "environment": ["A=1", "B=x=y"],
            "argv": ["train.sh", "a b", "c"],
            "requeue": False,
            "hold": True,
            "nodes": "2-4",
            "tasks": 17,
            "tasks_per_node": 8,
            "oom_kill_step": 0xFFFE,
            "cpus_per_task": 4,
            "tres_per_job": "gres/gpu:a100:16,gres/gpu:h100:1",
            "tres_per_node": "gres/gpu:8",
            "tres_per_task": "cpu=4,gres/gpu:a100=1",
            "tres_bind": "gres/gpu:per_task:1",
            "flags": ["EXACT_CPU_COUNT_REQUESTED"],
            "memory_per_node": {"set": True, "number": 2},
            "memory_per_cpu": {"set": True, "number": 2},
            "time_limit": {"set": True, "number": 2},
            "constraints": "ib",
            "required_nodes": "n1",
            "excluded_nodes": "n2",
            "shared": ["none"],
        },
    }


@pytest.mark.parametrize(
    ("asked", "nodes"), [(Resources(nodes=3), "3-3"), (Resources(nodes_max=3), "1-3"), (Resources(ntasks=64), None)]
)
def test_nodes_are_a_range_where_they_are_asked_for(asked, nodes):
    assert job_body(Launch(spec(resources=asked), ATTEMPT))["job"].get("nodes") == nodes
