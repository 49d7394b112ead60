from __future__ import annotations

import os
import subprocess
import sys

import pytest

from hpcjobs.model.amount import MIB
from hpcjobs.model.spec import Resources
from hpcjobs.slurm.base import Launch
from hpcjobs.slurm.pyslurm_description import NO_PROFILES, NO_VAL, description
from hpcjobs.slurm.pyslurm_listing import _dependency
from hpcjobs.slurm.pyslurm_session import exit_code_and_signal

from .builders import spec

ATTEMPT = "a" * 32


def described(**asked: object) -> dict[str, object]:
    return description(Launch(spec(resources=Resources(**asked)), ATTEMPT))


def test_the_module_is_imported_without_pyslurm():
    code = "import sys; sys.modules['pyslurm'] = None; import hpcjobs.slurm.pyslurm_agent"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("code", [0, 1, 2, 126, 127, 128, 129, 254, 255])
def test_an_exit_code_of_a_real_process_is_itself(code):
    pid = os.posix_spawn("/bin/sh", ["sh", "-c", f"exit {code}"], {})
    assert exit_code_and_signal(os.waitpid(pid, 0)[1]) == (code, 0)


@pytest.mark.parametrize("number", [9, 15, 11, 6])
def test_a_signal_of_a_real_process_is_itself(number):
    pid = os.posix_spawn("/bin/sh", ["sh", "-c", f"ulimit -c 0; kill -{number} $$"], {})
    assert exit_code_and_signal(os.waitpid(pid, 0)[1]) == (0, number)


def test_a_core_dump_does_not_hide_the_signal_and_not_set_is_nothing():
    assert exit_code_and_signal(0x80 | 11) == (0, 11)
    assert exit_code_and_signal(NO_VAL) == (0, 0)


def test_a_job_with_nothing_asked_for_leaves_everything_to_slurm():
    assert described() == {
        "comment": f"hpcjobs:{ATTEMPT}",
        "standard_in": "/dev/null",
        "environment": {},
        "nodes": f"{NO_VAL}-{NO_VAL}",
        "ntasks": NO_VAL,
        "min_cpus_per_node": 1,
        "profile_types": NO_PROFILES,
    }


def test_a_job_with_everything_asked_for_says_all_of_it_in_pyslurms_words():
    asked = spec(
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
        environment={"A": "1"},
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
    assert description(Launch(asked, ATTEMPT)) == {
        "name": "train",
        "account": "physics",
        "partitions": "gpu",
        "qos": "high",
        "reservations": "maint",
        "dependencies": "afterok:1",
        "comment": f"mine hpcjobs:{ATTEMPT}",
        "working_directory": "/home/alice",
        "standard_output": "o",
        "standard_error": "e",
        "standard_in": "i",
        "environment": {"A": "1"},
        "is_requeueable": False,
        "priority": 0,
        "nodes": "2-4",
        "ntasks": 17,
        "profile_types": NO_PROFILES,
        "ntasks_per_node": 8,
        "cpus_per_task": 4,
        "gpus": {"gpu:a100": 16, "gpu:h100": 1},
        "gpus_per_task": {"gpu:a100": 1},
        "gpu_binding": "gres/gpu:per_task:1",
        "gres_per_node": {"gpu": 8},
        "memory_per_node": "2M",
        "memory_per_cpu": "2M",
        "time_limit": "2:00",
        "constraints": "ib",
        "required_nodes": "n1",
        "excluded_nodes": "n2",
        "resource_sharing": "no",
    }


@pytest.mark.parametrize(
    ("asked", "nodes"),
    [
        ({"nodes": 3}, "3-3"),
        ({"nodes": 2, "nodes_max": 3}, "2-3"),
        ({"nodes_max": 3}, "1-3"),
        ({"ntasks": 64}, f"{NO_VAL}-{NO_VAL}"),
        ({"gpus": 64}, f"{NO_VAL}-{NO_VAL}"),
        ({"ntasks": 4, "ntasks_per_node": 3}, f"2-{NO_VAL}"),
    ],
)
def test_nodes_that_were_not_asked_for_are_not_limited_to_one(asked, nodes):
    assert described(**asked)["nodes"] == nodes


def test_a_minute_is_never_cut_off():
    assert [described(wall_s=wall_s)["time_limit"] for wall_s in (1, 60, 61, 86400)] == ["1:00", "1:00", "2:00",
        "1440:00"]  # fmt: skip


@pytest.mark.parametrize(
    ("parsed", "text"),
    [
        (None, ""),
        ({}, ""),
        ({"afterok": [1, 2], "afterany": [3], "satisfy": "all"}, "afterok:1:2,afterany:3"),
        ({"afterok": [1], "afterany": [3], "satisfy": "any"}, "afterok:1?afterany:3"),
        (
            {"afterok": ["1(unfulfilled)", "2_*(failed)"], "afterany": ["3(fulfilled)"], "satisfy": "all"},
            "afterok:1(unfulfilled),afterok:2_*(failed),afterany:3(fulfilled)",
        ),
        ({"singleton": True, "afterok": [], "satisfy": "all"}, "singleton"),
    ],
)
def test_a_dependency_reads_as_slurm_writes_it(parsed, text):
    assert _dependency(parsed) == text
