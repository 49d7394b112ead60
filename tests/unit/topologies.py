"""Topologies as Slurm has them: random ones, and what scontrol prints of them."""

from __future__ import annotations

from hypothesis import strategies as st

from hpcjobs.sbatch.hostlists import fold_hostlist
from hpcjobs_plugins.topology.engines.model import Block, Graph, Kind, SwitchLine, Topology, graph, reached

names = st.from_regex(r"[a-z_][a-z0-9_.-]{0,6}[0-9]{0,3}", fullmatch=True)


@st.composite
def trees(draw: st.DrawFn) -> Topology:
    """Trees whose switches and nodes are called anything that is legal."""
    called = draw(st.lists(names, min_size=4, max_size=14, unique=True))
    leaves = draw(st.integers(1, len(called) - 3))
    nodes = draw(st.lists(names, min_size=leaves, max_size=30, unique=True))
    lines = [
        SwitchLine(called[index], tuple(nodes[index::leaves]), (), draw(st.sampled_from((1, 1, 50))))
        for index in range(leaves)
    ]
    free = [line.name for line in lines]
    for name in called[leaves:]:
        below = draw(st.sets(st.sampled_from(free), min_size=1))
        lines.append(SwitchLine(name, (), tuple(sorted(below))))
        free = [other for other in free if other not in below] + [name]
    return Topology(kind=Kind.TREE, switches=tuple(lines))


@st.composite
def blocks(draw: st.DrawFn) -> Topology:
    """Blocks of one size or more."""
    called = draw(st.lists(names, min_size=1, max_size=12, unique=True))
    size = draw(st.integers(1, 4))
    made = tuple(Block(name, tuple(f"n{index}-{node}" for node in range(size))) for index, name in enumerate(called))
    powers = draw(st.sets(st.integers(0, 5), min_size=1))
    sizes = tuple(size << power for power in sorted(powers | {0})) if draw(st.booleans()) else ()
    return Topology(kind=Kind.BLOCK, blocks=made, block_sizes=sizes)


def shown(topology: Topology) -> str:
    """What ``scontrol show topology`` prints; seen of Slurm 24.11 and 26.05 (tests/slurm/test_topology.py)."""
    of: Graph = graph(topology)
    if of.kind is Kind.TREE:
        below = reached(topology.switches)
        speeds = {line.name: line.link_speed for line in topology.switches}
        return "".join(
            f"SwitchName={name} Level={level} LinkSpeed={speeds[name]} Nodes={fold_hostlist(below[name])}"
            + (f" Switches={fold_hostlist(under)}" if level else "")
            + "\n"
            for name, (level, under) in of.switches.items()
        )
    index = {name: number for number, (name, _) in enumerate(of.blocks)}
    nodes = dict(of.blocks)
    base = min((size for size, _ in of.joined), default=0)
    lines = [
        f"BlockName={name} BlockIndex={index[name]} Nodes={fold_hostlist(nodes[name])} BlockSize={base}"
        for name in index
    ]
    joined = sorted((size, min(index[name] for name in names), names) for size, names in of.joined if size > base)
    lines += [
        f"AggregatedBlock={fold_hostlist(names)} BlockIndex={len(index) + number} "
        f"Nodes={fold_hostlist(node for name in names for node in nodes[name])} BlockSize={size}"
        for number, (size, _, names) in enumerate(joined)
    ]
    return "".join(f"{line}\n" for line in lines)
