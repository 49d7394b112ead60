"""What sbatch itself refuses of requests for GPUs; tests/slurm/test_sbatch_words.py asks the real one."""

from __future__ import annotations

import pytest

from hpcjobs.sbatch.command import read_command_line, read_line
from hpcjobs.sbatch.getopt import Misspelt
from hpcjobs.sbatch.options import SBATCH


def read(line: str) -> dict[str, object]:
    return read_command_line(read_line([*line.split(), "x.sh"], SBATCH), "#!/bin/sh\n", {}, SBATCH).request()


@pytest.mark.parametrize(
    ("line", "heard"),
    [
        ("--cpus-per-gpu=2", "Requested cpus_per_tres=gres/gpu:2 but did not request any GPU."),
        ("--gres=gpu:0 --mem-per-gpu=1G", "Requested mem_per_tres=gres/gpu:1024 but did not request any GPU."),
        ("--gpus-per-socket=1", "--gpus-per-socket option requires --sockets-per-node specification"),
        ("--gpus=1 -N2", "Failed to validate job spec, --gpus < -N"),
        ("--gpus=a100:4,h100:1 -N2", "Failed to validate job spec, --gpus < -N"),
        ("--gpus=3 --gres=gpu:2", "Failed to validate job spec, --gpus is not multiple of --gres=gpu/--gpus-per-node"),
        ("--gpus=4 --gpus-per-task=3", "Failed to validate job spec, --gpus not multiple of --gpus-per-task"),
        ("--gres=gpu:a100:1,gpu:1", "Invalid GRES specification (with and without type identification)"),
    ],
)
def test_what_cannot_be_is_said_in_sbatchs_words(line: str, heard: str):
    with pytest.raises(Misspelt) as misspelt:
        read(line)
    assert misspelt.value.heard[0] == f"error: {heard}"
    assert misspelt.value.exit_code == 1


@pytest.mark.parametrize(
    "line",
    [
        "--gpus=4 -N2", "--gpus=2 --gpus-per-node=1", "--gpus=a100:1 --gpus-per-node=h100:2", "--gpus-per-task=1 -N2",
        "--gpus-per-task=1 -n2", "--ntasks-per-gpu=2 -n4", "--gpus=4 --gpus-per-task=2 -n2", "--gres=shard:4",
        "--gpus-per-socket=1 -B 2", "--cpus-per-gpu=2 --gpus-per-task=1 -n1",
    ],
)  # fmt: skip
def test_what_can_be_is_left_to_slurm(line: str):
    assert read(line)["resources"]


def test_asking_for_no_gpu_is_asking_for_none():
    assert read("--gpus=0 --gpus-per-node=a100:0 --gpus-per-task=0") == {}
