"""A site as a tree for Slurm's topology/tree. Pure.

Grouped, which is the default: a leaf for each group of hosts that share their leaves, under pods, under a root for each
fabric. slurmctld takes a time that grows with the cube of the number of switches to load a tree (docs/TOPOLOGY.md), and
a host that hangs on eight leaves can be under one only. Physical: every switch that it can be told of.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple

from hpcjobs.sbatch.hostlists import fold_hostlist, natural
from hpcjobs_plugins.topology.engines.groups import Group, Pod, groups_of, pods_of, wanted_hosts
from hpcjobs_plugins.topology.engines.model import DEFAULT, Kind, SwitchLine, Topology, levels, reached
from hpcjobs_plugins.topology.engines.names import free_name, legal_name
from hpcjobs_plugins.topology.fabric import Fabric, FabricError, Notice, Site


class Drawn(NamedTuple):
    """A topology, and what was made of what is odd."""

    topology: Topology
    notices: tuple[Notice, ...]


def tree(
    site: Site,
    *,
    nodes: Collection[str] | None = None,
    fabrics: Sequence[str] = (),
    physical: bool = False,
    one_root: str = "",
    rest: str = "",
    name: str = DEFAULT,
) -> Drawn:
    """The tree of a site.

    A host is placed on the first of the fabrics that it hangs on: Slurm knows one place for a node.

    Args:
        site: What was found.
        nodes: Names of Slurm's nodes; hosts that are not among them are left out. None: all compute hosts are nodes.
        fabrics: Names of those to be translated, in this order; empty: all, in the site's order.
        physical: Every switch, not groups; a host that hangs on several leaves is put under its first rail's.
        one_root: Name of a switch above all fabrics; ``""``: none, and jobs stay within a fabric.
        rest: Name of a switch for nodes that hang on no fabric, beside the fabrics' roots; ``""``: they get none.
        name: Of the topology.

    Raises:
        FabricError: There is no such fabric, or no host to place.
    """
    taken = set(nodes or ()) | {host.name for fabric in site.fabrics for host in fabric.compute}
    drawing = _Drawing(taken)
    placed: set[str] = set()
    for fabric in chosen(site, fabrics):
        hosts, unknown = wanted_hosts(fabric, nodes, placed)
        if unknown:
            drawing.note("host-not-in-slurm", f"{fold_hostlist(unknown)} on {fabric.name}: not among Slurm's nodes")
        if hosts:
            names = [host.name for host in hosts]
            placed.update(names)
            drawing.physical(fabric, names) if physical else drawing.grouped(fabric, names)
    if not placed:
        raise FabricError("no host of the fabrics is a node of Slurm: there is nothing to translate")
    if rest and (without := set(nodes or ()) - placed):
        drawing.add(rest, nodes=sorted(without, key=natural))
        drawing.note("node-without-fabric", f"{fold_hostlist(without)}: on no fabric, put under {rest}")
    if one_root:
        drawing.join(one_root, drawing.roots())
    return Drawn(Topology(name, Kind.TREE, tuple(drawing.lines)), tuple(drawing.notices))


def chosen(site: Site, names: Sequence[str]) -> Iterator[Fabric]:
    """The fabrics of these names, in this order; all where none are named.

    Raises:
        FabricError: There is no such fabric.
    """
    by_name = {fabric.name: fabric for fabric in site.fabrics}
    for name in names or by_name:
        if name not in by_name:
            raise FabricError(f"there is no fabric {name}, but {', '.join(by_name) or 'none'}")
        yield by_name[name]


class _Drawing:
    """Lines as they are made, children before parents: slurmctld resolves such a file in one pass."""

    def __init__(self, taken: set[str]) -> None:
        self.lines: list[SwitchLine] = []
        self.notices: list[Notice] = []
        self._taken = taken

    def note(self, code: str, text: str, subject: str = "") -> None:
        self.notices.append(Notice(code, text, subject=subject))

    def add(self, name: str, nodes: Sequence[str] = (), children: Sequence[str] = ()) -> str:
        """A switch, under a name that nothing has: the name that it got."""
        name = free_name(legal_name(name), self._taken)
        self._taken.add(name)
        self.lines.append(SwitchLine(name, tuple(nodes), tuple(sorted(children, key=natural))))
        return name

    def join(self, name: str, children: Sequence[str]) -> str:
        """One switch above several; one alone needs none above it."""
        return children[0] if len(children) == 1 else self.add(name, children=children)

    def roots(self) -> list[str]:
        """Switches that are nobody's children."""
        below = {child for line in self.lines for child in line.children}
        return [line.name for line in self.lines if line.name not in below]

    def grouped(self, fabric: Fabric, names: Sequence[str]) -> None:
        groups, notices = groups_of(fabric, names)
        self.notices += notices
        for group in groups:
            if high := [leaf for leaf in group.leaves if fabric.switches[leaf].tier > 1]:
                text = f"{fold_hostlist(group.hosts)} on {fabric.name}: on {fold_hostlist(high)}, which is above leaves"
                self.note("hosts-above-leaves", f"{text}; made a leaf of its own, {group.name}", high[0])
        self._pod(pods_of(fabric, groups), fabric.name)

    def _pod(self, pod: Pod | Group, above: str) -> str:
        if isinstance(pod, Group):
            return self.add(pod.name, nodes=pod.hosts)
        return self.join(pod.name or above, [self._pod(member, above) for member in pod.members])

    def physical(self, fabric: Fabric, names: Sequence[str]) -> None:
        on_leaf: dict[str, list[str]] = {}
        several = []
        for name in sorted(names, key=natural):
            host = fabric.hosts[name]
            on_leaf.setdefault(min(host.endpoints, key=lambda endpoint: endpoint.rail).switch, []).append(name)
            several += [name] if len(host.leaves) > 1 else []
        if several:
            text = f"{fold_hostlist(several)} on {fabric.name}: put under the first rail's leaf, Slurm knows one only"
            self.note("host-under-several-leaves", text, several[0])
        below: dict[str, set[str]] = {}
        aside = 0
        for trunk in fabric.trunks:
            if fabric.switches[trunk.a].tier < fabric.switches[trunk.b].tier:
                below.setdefault(trunk.b, set()).add(trunk.a)
            else:
                aside += 1
        if aside:
            self.note("trunk-within-tier", f"{aside} cables of {fabric.name} join switches of one tier: left out")
        called: dict[str, str] = {}
        first = len(self.lines)
        empty = []
        for switch in sorted(fabric.switches.values(), key=lambda switch: (switch.tier, natural(switch.name))):
            nodes = on_leaf.get(switch.name, [])
            children = [called[child] for child in below.get(switch.name, ()) if child in called]
            if nodes and children:
                children.append(self.add(f"{switch.name}-hosts", nodes))
                text = f"{switch.name} has hosts and switches below it: its hosts are put under {children[-1]}"
                self.note("hosts-above-leaves", text, switch.name)
                nodes = []
            if nodes or children:
                called[switch.name] = self.add(switch.name, nodes, children)
            else:
                empty.append(switch.name)
        if empty:
            self.note("switch-without-nodes", f"{fold_hostlist(empty)} of {fabric.name}: no node below, left out")
        self._common_root(fabric, tuple(self.lines[first:]), frozenset(names))

    def _common_root(self, fabric: Fabric, lines: tuple[SwitchLine, ...], names: frozenset[str]) -> None:
        if names in reached(lines).values():
            return
        heights, children = levels(lines), {child for line in lines for child in line.children}
        tops = [name for name in heights if name not in children]
        root = self.add(fabric.name, children=tops)
        self.note("no-switch-reaches-all", f"no switch of {fabric.name} reaches all its nodes: {root} put above")
