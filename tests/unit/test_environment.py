"""The variables that sbatch itself would have put into the job."""

from __future__ import annotations

import pytest

from hpcjobs.model.job import JobSpec, Resources
from hpcjobs.sbatch.environment import submission_environment

ALWAYS = {"SLURM_SUBMIT_DIR": "/home/alice", "SLURM_SUBMIT_HOST": "login", "SLURM_PRIO_PROCESS": "0"}


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (Resources(), {}),
        (Resources(nodes=4), {}),
        (Resources(ntasks=3), {"SLURM_NTASKS": "3", "SLURM_NPROCS": "3"}),
        (
            Resources(nodes=4, ntasks_per_node=8),
            {"SLURM_NTASKS": "32", "SLURM_NPROCS": "32", "SLURM_NTASKS_PER_NODE": "8"},
        ),
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
    ],
)
def test_what_was_asked_for_is_said_and_nothing_else(asked, said):
    spec = JobSpec("#!/bin/sh\n", resources=asked, workdir="/scratch")
    assert submission_environment(spec, "/home/alice", "login") == ALWAYS | said
