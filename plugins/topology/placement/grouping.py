"""Which leaf each rail of a host hangs on, and where the host's leaf group is in the fabric.

Leaf groups and pods are those that Slurm is told of (engines/groups.py): what is counted here as one leaf group is one
leaf of topology.conf, and --switches counts the same.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping
from typing import NamedTuple

from hpcjobs_plugins.topology.engines.groups import Group, Pod, groups_of, pods_of
from hpcjobs_plugins.topology.fabric import Fabric, Host

Path = tuple[int, ...]
"""Numbers from the widest part of something to its narrowest: two are the closer the more they share from the left."""

Leaves = tuple[str, ...]
"""Names of the leaves of a host, by rail."""


class Grouped(NamedTuple):
    """The hosts of a fabric, in groups.

    Attributes:
        leaves: Of each host.
        above: Of each host what its leaf group is below, as numbers; all are of one length.
        group: Of each host the number of its leaf group.
    """

    leaves: Mapping[str, Leaves]
    above: Mapping[str, Path]
    group: Mapping[str, int]


def grouped(fabric: Fabric, hosts: Collection[str]) -> Grouped:
    """Hosts of a fabric that have a cable, by what they hang on.

    Args:
        fabric: Where they hang.
        hosts: Names; those that are not on the fabric are left out.
    """
    found = [fabric.hosts[name] for name in hosts if name in fabric.hosts and fabric.hosts[name].endpoints]
    leaves = _leaves(found)
    groups, _ = groups_of(fabric, list(leaves))
    if not groups:
        return Grouped({}, {}, {})
    ways = list(_ways(pods_of(fabric, groups), ()))
    depth = max(len(way) for _, way in ways) - 1
    above: dict[str, Path] = {}
    number: dict[str, int] = {}
    for index, (group, way) in enumerate(ways):
        above.update(dict.fromkeys(group.hosts, (way + (0,) * depth)[:depth]))
        number.update(dict.fromkeys(group.hosts, index))
    return Grouped(leaves, above, number)


def _ways(pod: Pod | Group, way: Path) -> Iterator[tuple[Group, Path]]:
    """Every group of a pod with its number in it, below the numbers of the pods that it is in."""
    if isinstance(pod, Group):
        yield pod, way
        return
    for index, member in enumerate(pod.members):
        yield from _ways(member, (*way, index))


def _leaves(hosts: Collection[Host]) -> dict[str, Leaves]:
    """Of each host the leaf of each rail; it has as many rails as most hosts have cables."""
    counts = Counter(len(host.endpoints) for host in hosts)
    rails = max(counts, key=lambda count: (counts[count], count), default=0)
    by_leaf: dict[str, set[int]] = defaultdict(set)
    for host in hosts:
        if len(host.endpoints) == rails:
            for rail, point in enumerate(host.endpoints):
                by_leaf[point.switch].add(rail)
    return {host.name: _by_rail(host, rails, by_leaf) for host in hosts}


def _by_rail(host: Host, rails: int, by_leaf: Mapping[str, set[int]]) -> Leaves:
    """The leaf of each rail; what a host has no cable for it reaches over the first that it has."""
    points = [point.switch for point in host.endpoints]
    if len(points) == rails:
        return tuple(points)
    found: dict[int, str] = {}
    for leaf in points:
        free = sorted(by_leaf.get(leaf, set()) - found.keys())
        if free:
            found[free[0]] = leaf
    first = found[min(found)] if found else points[0]
    return tuple(found.get(rail, first) for rail in range(rails))
