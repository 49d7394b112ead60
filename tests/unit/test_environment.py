"""The variables that sbatch itself would have put into the job."""

from __future__ import annotations

import pytest

from hpcjobs.model.spec import Component, JobSpec, Resources
from hpcjobs.sbatch.environment import submission_environment

EXTERNAL = "--external-launcher"
LAUNCHERS = {
    "OMPI_MCA_plm_slurm_args": EXTERNAL, "PRTE_MCA_plm_slurm_args": EXTERNAL, "HYDRA_BOOTSTRAP": "slurm",
    "HYDRA_LAUNCHER_EXTRA_ARGS": EXTERNAL, "I_MPI_HYDRA_BOOTSTRAP": "slurm",
    "I_MPI_HYDRA_BOOTSTRAP_EXEC_EXTRA_ARGS": EXTERNAL,
}  # fmt: skip
ALWAYS = {"SLURM_SUBMIT_DIR": "/home/alice", "SLURM_SUBMIT_HOST": "login", "SLURM_PRIO_PROCESS": "0"} | LAUNCHERS
LOGIN = {"SLURM_GET_USER_ENV": "1"}


def said_of(**fields: object) -> dict[str, str]:
    spec = JobSpec("#!/bin/sh\n", workdir="/scratch", **fields)
    said = submission_environment(spec, "/home/alice", "login")
    assert ALWAYS.items() <= said.items()
    return {name: value for name, value in said.items() if name not in ALWAYS}


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (Resources(), {}),
        (Resources(nodes=4), {}),
        (Resources(gres="gpu:2", mem_per_node_bytes=2**30, overcommit=True, exclusive=True), {}),
        (Resources(ntasks=3), {"SLURM_NTASKS": "3", "SLURM_NPROCS": "3"}),
        (Resources(nodes=4, ntasks_per_node=8), {"SLURM_NTASKS_PER_NODE": "8"}),  # slurmd works the rest out
        (Resources(ntasks_per_node=8), {"SLURM_NTASKS_PER_NODE": "8"}),
        (Resources(cpus_per_task=2), {"SLURM_CPUS_PER_TASK": "2", "SLURM_TRES_PER_TASK": "cpu=2"}),
        (
            Resources(cpus_per_task=2, gpus_per_task="a100:1"),
            {
                "SLURM_CPUS_PER_TASK": "2",
                "SLURM_TRES_PER_TASK": "cpu=2,gres/gpu:a100=1",
                "SLURM_TRES_BIND": "gres/gpu:per_task:1",
            },
        ),
        (Resources(gpus=4, gpus_per_node="h100:2"), {"SLURM_GPUS": "4", "SLURM_GPUS_PER_NODE": "h100:2"}),
        (Resources(gpus="2", gpu_bind="closest"), {"SLURM_GPUS": "2", "SLURM_TRES_BIND": "gres/gpu:closest"}),
        (Resources(gpu_freq="medium", gpus_per_socket="1"), {"SLURM_GPU_FREQ": "medium", "SLURM_GPUS_PER_SOCKET": "1"}),
        (Resources(mem_per_gpu_bytes=1500 * 1024), {"SLURM_MEM_PER_GPU": "2"}),
        (Resources(cpus_per_gpu=2, ntasks_per_gpu=3), {"SLURM_CPUS_PER_GPU": "2", "SLURM_NTASKS_PER_GPU": "3"}),
        (
            Resources(ntasks_per_socket=1, ntasks_per_core=2),
            {"SLURM_NTASKS_PER_SOCKET": "1", "SLURM_NTASKS_PER_CORE": "2"},
        ),
        (Resources(hint="compute_bound"), {"SLURM_HINT": "compute_bound", "SLURM_THREADS_PER_CORE": "1"}),
        (Resources(hint="multithread"), {"SLURM_HINT": "multithread", "SLURM_NTASKS_PER_CORE": "65535"}),
        (Resources(hint="compute_bound", threads_per_core=2), {"SLURM_THREADS_PER_CORE": "2"}),
        (
            Resources(extra_node_info="2:4:1"),
            {"SLURM_NTASKS": "8", "SLURM_NPROCS": "8", "SLURM_THREADS_PER_CORE": "1"},
        ),
        (Resources(distribution="cyclic:*:*,NoPack"), {"SLURM_DISTRIBUTION": "cyclic:cyclic:cyclic,nopack"}),
        (Resources(distribution="plane=4"), {"SLURM_DISTRIBUTION": "plane", "SLURM_DIST_PLANESIZE": "4"}),
        (Resources(mem_bind="quiet,local"), {"SLURM_MEM_BIND": "local", "SLURM_MEM_BIND_VERBOSE": "quiet"}),
        (Resources(mem_bind="v,rank"), {"SLURM_MEM_BIND": "verbose,rank", "SLURM_MEM_BIND_VERBOSE": "verbose"}),
    ],
)
def test_what_was_asked_for_is_said_and_nothing_else(asked, said):
    assert said_of(resources=asked) == LOGIN | said


def test_what_the_whole_job_asked_for_is_said():
    assert said_of(dependency="afterok:1", oci_bundle="/c", container_id="i", container_type="t") == LOGIN | {
        "SLURM_JOB_DEPENDENCY": "afterok:1",
        "SLURM_CONTAINER": "/c",
        "SLURM_CONTAINER_ID": "i",
        "SLURM_CONTAINER_TYPE": "t",
    }


@pytest.mark.parametrize(
    ("export", "said"),
    [
        ("NONE", LOGIN),
        ("NIL", {}),
        ("ALL,A=1", {"A": "1"} | LOGIN),
        ("A=x=y,B", {"A": "x=y"} | LOGIN),
    ],
)
def test_export_sets_variables_and_only_nil_forgoes_the_login_environment(export, said):
    assert said_of(export=export) == {"SLURM_EXPORT_ENV": export} | said


def test_a_heterogeneous_job_finds_what_each_component_asked_for():
    het = (Component(Resources(nodes=2, gpus_per_node="1")),)
    assert said_of(resources=Resources(ntasks=1), het=het) == LOGIN | {
        "SLURM_NTASKS_HET_GROUP_0": "1",
        "SLURM_NTASKS_PACK_GROUP_0": "1",
        "SLURM_NPROCS_HET_GROUP_0": "1",
        "SLURM_NPROCS_PACK_GROUP_0": "1",
        "SLURM_GPUS_PER_NODE_HET_GROUP_1": "1",
        "SLURM_GPUS_PER_NODE_PACK_GROUP_1": "1",
    }


def test_the_callers_words_win_over_where_the_job_comes_from_and_not_over_what_it_asks_for():
    own = {"SLURM_SUBMIT_DIR": "/here", "HYDRA_BOOTSTRAP": "ssh", "SLURM_NTASKS": "9", "SLURM_CPUS_PER_TASK": "9"}
    spec = JobSpec("#!/bin/sh\n", resources=Resources(ntasks=2), environment=own, get_user_env=False)
    said = submission_environment(spec, "/home/alice", "login")
    assert said["SLURM_SUBMIT_DIR"] == "/here"
    assert (said["HYDRA_BOOTSTRAP"], "HYDRA_LAUNCHER_EXTRA_ARGS" in said) == ("ssh", False)
    assert (said["SLURM_NTASKS"], said["SLURM_CPUS_PER_TASK"]) == ("2", "9")
    assert "SLURM_GET_USER_ENV" not in said
