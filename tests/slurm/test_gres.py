"""What plugin gpu_accounting writes is what Slurm reads: nodes have what was declared, and jobs see their devices."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from hpcjobs.devices.family import families
from hpcjobs.model.cluster import Node
from hpcjobs.model.gres import parse_node_gres
from hpcjobs.plugin import Inventory
from hpcjobs_plugins.gpu_accounting.conf import GRES_CONF, PART, files_of
from hpcjobs_plugins.gpu_accounting.settings import Devices

from .conftest import Stack
from .scratch import Scratch

PORTS = 32_450
DECLARED = (
    Devices("g[1-2]", "a100", 4, files="/dev/fakegpu[0-3]", shards=4),
    Devices("g3", "h100", 2, files="/dev/fakegpu[0-1]", mps=True),
    Devices("g4", "a100", 2, files="/dev/fakegpu[0-1]"),
    Devices("g4", "v100", 2, files="/dev/fakegpu[2-3]"),
    Devices("g5", "a100_1g.5gb", 4, files="/dev/fakegpu[0-3]"),
    Devices("g5", "d910b", 2, family="ascend", files="/dev/fakegpu[4-5]"),
    Devices("g6", "mlu370", 4, family="cambricon", files="/dev/fakegpu[0-3]"),
)
NAMES = [f"g{number}" for number in range(1, 7)]


@pytest.fixture
def declared(stack: Stack) -> Iterator[Scratch]:
    """A controller with the files of the plugin, and nodes that say what it says they must."""
    nodes = {name: Node(name, "IDLE", True, 8, 0, 0, 0, {}, {}, (), ()) for name in NAMES}
    files = files_of(DECLARED, families(), Inventory("scratch", nodes, {}))
    part = files[PART].splitlines()
    lines = [line for line in part if line.startswith("GresTypes=")]  # without slurmdbd nothing is tracked
    said = [line.removeprefix("#   ") for line in part if line.startswith("#   NodeName=")]
    place = 0
    for line in said:
        head, gres = line.split(" ")
        low, _, high = head.removeprefix("NodeName=g").strip("[]").partition("-")
        for number in range(int(low), int(high or low) + 1):
            lines.append(
                f"NodeName=g{number} NodeHostname=slurmctld NodeAddr=127.0.0.1 Port={PORTS + place} CPUs=8 "
                f"RealMemory=1000 {gres}"
            )
            place += 1
    lines += ["SlurmdParameters=config_overrides", "SelectTypeParameters=CR_Core"]
    lines.append("PartitionName=p Nodes=ALL Default=YES")
    stack.run("slurmctld", "for n in 0 1 2 3 4 5; do [ -e /dev/fakegpu$n ] || mknod -m 666 /dev/fakegpu$n c 1 3; done")
    made = Scratch(stack, daemon=True, conf="\n".join(lines), topology=(GRES_CONF, files[GRES_CONF]))
    try:
        made.man(*NAMES)
        yield made
    finally:
        made.end()


def test_nodes_have_what_was_declared_and_jobs_see_their_devices(declared: Scratch) -> None:
    told = dict(line.split() for line in declared.command("sinfo -h -N -o '%N %G'").splitlines())
    assert parse_node_gres(told["g1"]) == parse_node_gres(told["g2"]) == {"a100": 4}
    assert sum(parse_node_gres(told["g1"], "shard").values()) == 16
    assert (parse_node_gres(told["g3"]), sum(parse_node_gres(told["g3"], "mps").values())) == ({"h100": 2}, 200)
    assert parse_node_gres(told["g4"]) == {"a100": 2, "v100": 2}
    assert (parse_node_gres(told["g5"]), parse_node_gres(told["g5"], "npu")) == ({"a100_1g.5gb": 4}, {"d910b": 2})
    assert parse_node_gres(told["g6"], "mlu") == {"mlu370": 4}

    def seen(options: str, variable: str) -> str:
        return declared.command(f"srun -t 1 {options} sh -c 'echo ${variable}' 2>&1").strip()

    assert seen("-w g4 --gres=gpu:v100:2", "CUDA_VISIBLE_DEVICES") == "2,3"
    assert seen("-w g5 --gres=gpu:a100_1g.5gb:1", "CUDA_VISIBLE_DEVICES") == "0"
    assert seen("-w g4 --gres=gpu:v100:1", "ROCR_VISIBLE_DEVICES") == "", "that is for GPUs of another vendor"
    assert seen("-w g1 --gres=shard:2", "SLURM_SHARDS_ON_NODE") == "2"
    assert seen("-w g3 --gres=mps:50", "CUDA_VISIBLE_DEVICES") == "0"
