"""What plugin gpu_accounting writes is what Slurm reads: nodes have what was declared, and jobs see their devices."""

from __future__ import annotations

import re
import shlex
from collections import Counter
from collections.abc import Callable, Iterator, Sequence

import pytest

from hpcjobs.devices.family import Family, families
from hpcjobs.model.cluster import Node
from hpcjobs.model.gres import parse_node_gres
from hpcjobs.plugin import Inventory
from hpcjobs.sbatch.hostlists import expand_hostlist
from hpcjobs_plugins.gpu_accounting.conf import GRES_CONF, LINE, PART, files_of
from hpcjobs_plugins.gpu_accounting.settings import Devices

from .conftest import Stack
from .scratch import Scratch

PORTS = 32_450
DECLARED = (
    Devices("g[1-2]", "a100", 4, files="/dev/fakegpu[0-3]", shards=4),
    Devices("g3", "a100_3g.20gb", 2, multiple=("/dev/fakegpu[0-1]", "/dev/fakegpu0,/dev/fakegpu2")),
    Devices("g4", "a100", 2, files="/dev/fakegpu[0-1]", shards=8),
    Devices("g4", "v100", 2, files="/dev/fakegpu[2-3]"),
    Devices("g5", "a100_1g.5gb", 4, files="/dev/fakegpu[0-3]"),
    Devices("g5", "d910b", 2, family="ascend", files="/dev/fakegpu[4-5]"),
    Devices("g6", "mlu370", 4, family="cambricon", files="/dev/fakegpu[0-3]"),
)
PERCENTS = (Devices("g1", "h100", 2, files="/dev/fakegpu[0-1]", mps=True),)
Make = Callable[[Sequence[Devices]], Scratch]


def inventory(names: Sequence[str]) -> Inventory:
    return Inventory("scratch", {name: Node(name, "IDLE", True, 8, 0, 0, 0, {}, {}, (), ()) for name in names}, {})


def said_by(part: str) -> dict[str, str]:
    """Gres of each node, as the part of slurm.conf says it."""
    lines = [line.removeprefix(LINE).split(" Gres=") for line in part.splitlines() if line.startswith(LINE)]
    return {name: gres for names, gres in lines for name in expand_hostlist(names)}


@pytest.fixture
def declared(stack: Stack) -> Iterator[Make]:
    """Makes a controller with the files of the plugin, and nodes that say what it says they must."""
    stack.run("slurmctld", "for n in 0 1 2 3 4 5; do [ -e /dev/fakegpu$n ] || mknod -m 666 /dev/fakegpu$n c 1 3; done")
    made: list[Scratch] = []

    def make(devices: Sequence[Devices]) -> Scratch:
        names = [name for one in devices for name in expand_hostlist(one.nodes)]
        files = files_of(devices, families(), inventory(names))
        nodes = said_by(files[PART])
        lines = [line for line in files[PART].splitlines() if line.startswith("GresTypes=")]  # without slurmdbd
        lines += [
            f"NodeName={name} NodeHostname=slurmctld NodeAddr=127.0.0.1 Port={PORTS + place} CPUs=8 RealMemory=1000 "
            f"Gres={gres}"
            for place, (name, gres) in enumerate(nodes.items())
        ]
        lines += [
            "SlurmdParameters=config_overrides",
            "SelectTypeParameters=CR_Core",
            "PartitionName=p Nodes=ALL Default=YES",
        ]
        made.append(Scratch(stack, daemon=True, conf="\n".join(lines), topology=(GRES_CONF, files[GRES_CONF])))
        made[0].man(*nodes)
        return made[0]

    yield make
    for one in made:
        one.end()


def seen(cluster: Scratch, options: str, variable: str) -> str:
    return cluster.command(f"srun -t 1 {options} sh -c 'echo ${variable}' 2>&1").strip()


def test_nodes_have_what_was_declared_and_jobs_see_their_devices(declared: Make) -> None:
    cluster = declared(DECLARED)
    told = dict(line.split() for line in cluster.command("sinfo -h -N -o '%N %G'").splitlines())
    assert parse_node_gres(told["g1"]) == parse_node_gres(told["g2"]) == {"a100": 4}
    assert sum(parse_node_gres(told["g1"], "shard").values()) == 16
    assert parse_node_gres(told["g3"]) == {"a100_3g.20gb": 2}
    assert parse_node_gres(told["g4"]) == {"a100": 2, "v100": 2}
    assert (parse_node_gres(told["g5"]), parse_node_gres(told["g5"], "npu")) == ({"a100_1g.5gb": 4}, {"d910b": 2})
    assert parse_node_gres(told["g6"], "mlu") == {"mlu370": 4}

    assert sum(parse_node_gres(told["g4"], "shard").values()) == 16, "those of one of its types"
    assert seen(cluster, "-w g4 --gres=gpu:v100:2", "CUDA_VISIBLE_DEVICES") == "2,3"
    assert seen(cluster, "-w g5 --gres=gpu:a100_1g.5gb:1", "CUDA_VISIBLE_DEVICES") == "0"
    assert seen(cluster, "-w g4 --gres=gpu:v100:1", "ROCR_VISIBLE_DEVICES") == "", "that is for GPUs of another vendor"
    assert seen(cluster, "-w g1 --gres=shard:2", "SLURM_SHARDS_ON_NODE-$CUDA_VISIBLE_DEVICES") == "2-0"
    assert seen(cluster, "-w g4 --gres=shard:8", "CUDA_VISIBLE_DEVICES") in ("0", "1"), "the others are not shared"
    assert seen(cluster, "-w g3 --gres=gpu:2", "SLURM_GPUS_ON_NODE") == "2"


def test_jobs_get_percents_of_a_device(declared: Make) -> None:
    cluster = declared(PERCENTS)
    told = dict(line.split() for line in cluster.command("sinfo -h -N -o '%N %G'").splitlines())
    assert (parse_node_gres(told["g1"]), sum(parse_node_gres(told["g1"], "mps").values())) == ({"h100": 2}, 200)
    variables = "CUDA_MPS_ACTIVE_THREAD_PERCENTAGE-$CUDA_VISIBLE_DEVICES"
    assert seen(cluster, "-w g1 --gres=mps:50", variables) == "50-0"


_READ = """set -eu
dir=$(mktemp -d); trap 'rm -rf "$dir" $made' EXIT
made=
for file in $3; do
  if [ ! -e "$file" ]; then mkdir -p "${file%/*}"; mknod "$file" c 1 3; made="$made $file"; fi
done
printf %s "$1" >"$dir/slurm.conf"
printf %s "$2" >"$dir/gres.conf"
slurmd -G -N n1 -f "$dir/slurm.conf" 2>&1
"""


def test_slurmd_reads_what_is_written_of_each_family(stack: Stack) -> None:
    for family in families().values():
        devices = Devices("n1", "kind", 2, family.name, files="" if family.files else "/dev/fakegpu[0-1]")
        assert read_by_slurmd(stack, devices, family) == {(family.gres, "kind"): 2}, family.name


def read_by_slurmd(stack: Stack, devices: Devices, family: Family) -> Counter[tuple[str, str]]:
    """How many of each type slurmd finds on a node that has what is declared."""
    files = files_of([devices], families(), inventory(["n1"]))
    gres = said_by(files[PART])["n1"]
    conf = (
        f"ClusterName=x\nSlurmctldHost=n1\nAuthType=auth/none\nProctrackType=proctrack/linuxproc\n"
        f"GresTypes={family.gres}\nNodeName=n1 CPUs=1 Gres={gres}\n"
    )
    named = re.findall(r"File(?:s)?=(\S+)", files[GRES_CONF])
    paths = " ".join(path for names in named for path in expand_hostlist(names))
    said = stack.run("slurmctld", shlex.join(["sh", "-c", _READ, "sh", conf, files[GRES_CONF], paths]))
    found: Counter[tuple[str, str]] = Counter()
    for name, kind, count in re.findall(r"Gres Name=(\S+) Type=(\S+) Count=(\d+)", said):
        found[name, kind] += int(count)
    return found
