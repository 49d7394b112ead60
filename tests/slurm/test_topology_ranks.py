"""What we say that Slurm does by itself is what controllers do: which nodes a job gets, and where its ranks lie."""

from __future__ import annotations

import random
import re
import shlex
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import msgspec
import pytest

from hpcjobs.sbatch.hostlists import expand_hostlist, fold_hostlist
from hpcjobs.slurmconf.bring import End
from hpcjobs.slurmconf.controller import Place
from hpcjobs_plugins.topology.apply import Order, apply
from hpcjobs_plugins.topology.engines.block import By, block
from hpcjobs_plugins.topology.engines.model import Plan, Topology
from hpcjobs_plugins.topology.engines.topology_conf import write_conf
from hpcjobs_plugins.topology.engines.tree import tree
from hpcjobs_plugins.topology.fabric import Site
from hpcjobs_plugins.topology.gathering import Feed, Reader, gather
from hpcjobs_plugins.topology.naming import Naming
from hpcjobs_plugins.topology.placement.blocks import Blocks
from hpcjobs_plugins.topology.placement.default import Slurm, in_default_order
from hpcjobs_plugins.topology.placement.distance import Distances
from hpcjobs_plugins.topology.placement.planning import plan
from hpcjobs_plugins.topology.placement.rankmap import task_hostfile
from hpcjobs_plugins.topology.placement.request import Objective, Request
from hpcjobs_plugins.topology.providers.source import Fetched, SourceSettings
from hpcjobs_plugins.topology.twin import Shape, fat_tree

from .conftest import Stack
from .scratch import RELEASES, Scratch, machine

PODS = fat_tree(Shape(hosts=24, hosts_per_leaf=4, spines=2, cores=2, pods=2))
CASES = 40

CLOUD = """\
TopologyPlugin=topology/{kind}
SuspendProgram=/bin/true
ResumeProgram=/bin/true
SuspendTime=-1
NodeName={nodes} State=CLOUD CPUs=8 RealMemory=1000
PartitionName=p Nodes=ALL Default=YES"""
"""A controller takes nodes that are in a cloud and switched off for idle: it schedules on them without a slurmd."""


class Case(NamedTuple):
    """A job on a cluster where some nodes are idle."""

    idle: list[str]
    count: int
    segment: int


def cases(names: Sequence[str], slurm: Slurm, seed: str) -> Iterator[Case]:
    """Jobs that fit, whatever the topology makes of it; each fourth one of a single node."""
    dice = random.Random(seed)
    for number in range(CASES):
        idle = sorted(dice.sample(names, dice.randint(4, len(names))))
        count = dice.randint(1, min(len(idle), 12)) if number % 4 else 1
        segment = dice.choice([0, 1, 2, 4]) if slurm is Slurm.BLOCK else 0
        fitting = count if count <= segment or not segment else count // segment * segment
        yield Case(idle, fitting, segment)


def given(scratch: Scratch, names: Sequence[str], asked: Sequence[Case]) -> list[list[str] | None]:
    """The nodes that a controller would give each job at once; None: it would let it wait."""
    every = fold_hostlist(names)
    lines = [f"export SLURM_CONF={scratch.dir}/slurm.conf"]
    for case in asked:
        lines.append(f"scontrol update nodename={every} state=resume 2>/dev/null")
        if busy := set(names).difference(case.idle):
            lines.append(f"scontrol update nodename={fold_hostlist(busy)} state=drain reason=busy")
        segment = f"--segment={case.segment}" if case.segment else ""
        lines.append(f"sbatch --test-only --nodes={case.count} --exclusive {segment} --wrap true 2>&1 | tail -n 1")
    found: list[list[str] | None] = []
    for line in scratch.stack.said("slurmctld", "\n".join(lines)).splitlines():
        nodes = re.search(r" on nodes (\S+) in partition p", line)
        assert nodes or "configuration is not available" in line, line
        found.append(expand_hostlist(nodes[1]) if nodes else None)
    return found


def drawn(site: Site, slurm: Slurm, sizes: tuple[int, ...]) -> Topology:
    if slurm is Slurm.TREE:
        return tree(site).topology
    return msgspec.structs.replace(block(site, by=By.LEAVES).topology, block_sizes=sizes)


@pytest.mark.parametrize(
    ("slurm", "sizes"),
    [(Slurm.TREE, ()), (Slurm.FLAT, ()), (Slurm.BLOCK, (4, 8, 32)), (Slurm.BLOCK, (2, 4, 16))],
    ids=["tree", "flat", "block-4-8-32", "block-2-4-16"],
)
def test_a_job_gets_the_nodes_that_we_say(stack: Stack, slurm: Slurm, sizes: tuple[int, ...]):
    release = RELEASES[stack.cluster]
    names = list(PODS.fabrics[0].hosts)
    kind = "default" if slurm is Slurm.FLAT else slurm.value
    text = "" if slurm is Slurm.FLAT else write_conf(topology := drawn(PODS, slurm, sizes))
    blocks = Blocks.of(topology) if slurm is Slurm.BLOCK else None
    conf = CLOUD.format(kind=kind, nodes=fold_hostlist(names))
    asked = list(cases(names, slurm, f"{stack.cluster} {sizes}"))
    scratch = Scratch(stack, daemon=False, conf=conf, topology=("topology.conf", text))
    try:
        taken = given(scratch, names, asked)
    finally:
        scratch.end()
    for case, nodes in zip(asked, taken, strict=True):
        ours = in_default_order(
            PODS, Distances(PODS, case.idle), case.idle, case.count, slurm, case.segment, release=release, blocks=blocks
        )
        assert (ours and sorted(ours)) == nodes, case


STEPS = """\
ranks() {
  srun "$@" bash -c 'echo "$SLURM_PROCID $SLURMD_NODENAME"' | sort -n | cut -d ' ' -f 2 | paste -s -d ' '
}
ranks --ntasks-per-node=2
ranks --distribution=block --ntasks=$((2 * SLURM_NNODES))
ranks --ntasks-per-node=1
ranks --distribution=cyclic --ntasks-per-node=2
ranks --distribution=plane=2 --ntasks=$((4 * SLURM_NNODES))
SLURM_HOSTFILE=$1 ranks --distribution=arbitrary --ntasks=$((2 * SLURM_NNODES))
SLURM_HOSTFILE=$2 ranks --distribution=arbitrary --ntasks=$SLURM_NNODES
"""


def test_ranks_lie_where_we_say_and_where_a_hostfile_has_them(stack: Stack, writable: str):
    names = stack.said("slurmctld", "scontrol show hostnames $(sinfo -ho %N -p gpu)").split()
    # The order of leaves is not that of names: c2 and c4 on the first one, c1 and c3 on the second.
    table = [f"{name},leaf{1 + (index + 1) % 2},spine1,100" for index, name in enumerate(names)]
    rows = "\n".join(["host,switch,above,gbps", *table, ""])
    source = SourceSettings(path="hand.csv")
    site = gather([Feed(Reader.TABLE, source)], Naming(), None, 0.0, get=lambda _: Fetched(rows.encode()))
    applied = apply(machine(stack), Place(), Order(Plan((tree(site).topology,)), tried=False))
    assert (applied.end, applied.reasons) == (End.APPLIED, ())

    request = Request(pp=2, dp=len(names), gpus=2)
    placed = plan(site, names, request, Objective.PIPELINE, release=RELEASES[stack.cluster])
    for file, text in (("each", task_hostfile(placed)), ("node", task_hostfile(placed, per_node=True))):
        stack.as_user("alice", f"printf {shlex.quote(text)} >hosts.{file}")
    script = f"bash -c {shlex.quote(STEPS)} steps hosts.each hosts.node"
    said = stack.as_user("alice", f"salloc -Q -N{len(names)} --exclusive -t1 {script}; rm hosts.each hosts.node")
    of_two, of_block, of_one, cyclic, plane, each, node = (line.split() for line in said.splitlines())

    def ours(tasks_each: int) -> list[str]:
        found = in_default_order(
            site, Distances(site, names), names, len(names), Slurm.TREE, tasks_each=tasks_each,
            release=RELEASES[stack.cluster],
        )  # fmt: skip
        assert found is not None
        return [name for name in found for _ in range(tasks_each)]

    assert of_two == of_block == ours(2)
    assert (of_two == sorted(of_two)) == (stack.cluster == "slurm2411")
    assert of_one == ours(1) == names
    assert cyclic == names * 2
    assert plane == [name for name in names for _ in range(2)] * 2
    assert each == task_hostfile(placed).split()
    assert node == list(placed.nodes)
