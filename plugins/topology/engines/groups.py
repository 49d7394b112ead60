"""Which hosts hang on the same leaves, and which of those groups are near each other. Pure.

A rail-optimised host has a cable to each of eight leaves; Slurm knows one leaf for a node. What Slurm can be told
is which hosts share their leaves: they are one hop from each other on every rail. Above that, groups that hang on the
same switches of a tier are a pod of that tier, as far as the tiers tell groups apart.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Final

import msgspec

from hpcjobs.sbatch.hostlists import fold_hostlist, natural
from hpcjobs_plugins.topology.engines.names import group_name
from hpcjobs_plugins.topology.fabric import Fabric, Host, Notice

FEW: Final = 2
"""Hosts that miss some leaf of a group, or have one of another, are counted to it where it has this many times more."""


class Group(msgspec.Struct, frozen=True):
    """Hosts that share their leaves.

    Attributes:
        name: Made of the leaves' names.
        leaves: Sorted as people count.
        hosts: Sorted as people count.
    """

    name: str
    leaves: tuple[str, ...]
    hosts: tuple[str, ...]


class Pod(msgspec.Struct, frozen=True):
    """Groups that are near each other.

    Attributes:
        name: Made of the names of the switches that join them; ``""`` for all of a fabric.
        members: Pods of the tier below, or groups; sorted as people count.
    """

    name: str
    members: tuple[Pod | Group, ...]


def groups_of(fabric: Fabric, hosts: Collection[str]) -> tuple[list[Group], list[Notice]]:
    """Groups of the hosts that are named, and what was odd about some.

    A few hosts with a cable missing, or in the wrong leaf, stay with those that they share most leaves with.

    Args:
        fabric: Where they hang.
        hosts: Names of hosts of it.
    """
    exact: dict[frozenset[str], list[str]] = {}
    for name in hosts:
        if leaves := frozenset(fabric.hosts[name].leaves):
            exact.setdefault(leaves, []).append(name)
    order = sorted(exact, key=lambda leaves: (-len(exact[leaves]), -len(leaves), sorted(leaves)))
    kept: dict[frozenset[str], list[str]] = {}
    on_leaf: dict[str, list[frozenset[str]]] = {}
    notices: list[Notice] = []
    for leaves in order:
        few = exact[leaves]
        near = dict.fromkeys(other for leaf in sorted(leaves) for other in on_leaf.get(leaf, ()))
        fitting = [other for other in near if len(few) * FEW <= len(exact[other]) and _alike(leaves, other)]
        if fitting:
            home = max(fitting, key=lambda other: len(other & leaves))
            kept[home] += few
            notices.append(_off(few, leaves, home))
        else:
            kept[leaves] = list(few)
            for leaf in leaves:
                on_leaf.setdefault(leaf, []).append(leaves)
    found = [Group(group_name(leaves), _sorted(leaves), _sorted(names)) for leaves, names in kept.items()]
    return sorted(found, key=lambda group: [natural(leaf) for leaf in group.leaves]), notices


def _alike(few: frozenset[str], many: frozenset[str]) -> bool:
    return few < many or 2 * len(few & many) > max(len(few), len(many))


def _off(names: Sequence[str], leaves: frozenset[str], home: frozenset[str]) -> Notice:
    missing, more = fold_hostlist(home - leaves), fold_hostlist(leaves - home)
    text = " and ".join(
        [*([f"no cable to {missing}"] if missing else []), *([f"one to {more} instead"] if more else [])]
    )
    return Notice(
        "host-off-group",
        f"{fold_hostlist(names)} has {text}: counted to {group_name(home)}, whose other leaves it shares",
        subject=_sorted(names)[0],
    )


def pods_of(fabric: Fabric, groups: Sequence[Group]) -> Pod:
    """The groups as a tree: under one pod is what hangs on the same switches of a tier, or on most of the same.

    One cable in a wrong switch does not make one pod of two. Tiers that tell nothing apart make no pod. Hosts on a
    spine are a group of the pod that the spine joins.

    Args:
        fabric: Where they hang.
        groups: Of it; at least one.
    """
    members: list[Pod | Group] = list(groups)
    below = [set(group.leaves) for group in groups]
    above = _upwards(fabric)
    tier_of = {name: switch.tier for name, switch in fabric.switches.items()}
    for tier in range(1, 1 + max(tier_of.values(), default=0)):
        cables = [
            Counter(up for switch in switches for up in (switch, *above.get(switch, ())) if tier_of[up] == tier)
            for switches in below
        ]
        parts = _near([frozenset(counts) for counts in cables])
        if len(parts) == 1:
            break
        homes = _homes(parts, cables)
        following: list[Pod | Group] = []
        for index, part in enumerate(parts):
            one = members[part[0]]
            inside = tuple(members[member] for member in part)
            following.append(one if len(part) == 1 else Pod(group_name(homes[index] or _leaves(inside)), inside))
        below = [set().union(homes[index], *(below[member] for member in part)) for index, part in enumerate(parts)]
        members = following
    return Pod("", tuple(members))


def _upwards(fabric: Fabric) -> dict[str, list[str]]:
    """The switches of the next tier that each is cabled to, each as often as there are cables."""
    above: dict[str, list[str]] = {}
    for trunk in fabric.trunks:
        if 0 < fabric.switches[trunk.a].tier < fabric.switches[trunk.b].tier:
            above.setdefault(trunk.a, []).append(trunk.b)
    return above


def _near(hung: Sequence[frozenset[str]]) -> list[list[int]]:
    """Indexes of those that share more than half of what one of them hangs on, put together; in order."""
    alike: dict[frozenset[str], list[int]] = {}
    for index, switches in enumerate(hung):
        alike.setdefault(switches, []).append(index)
    home = {switches: switches for switches in alike}
    on_switch: dict[str, list[frozenset[str]]] = {}
    for switches in alike:
        for other in dict.fromkeys(other for name in sorted(switches) for other in on_switch.get(name, ())):
            if 2 * len(switches & other) > min(len(switches), len(other)):
                home[_root(home, switches)] = _root(home, other)
        for name in switches:
            on_switch.setdefault(name, []).append(switches)
    parts: dict[object, list[int]] = {}
    for index, switches in enumerate(hung):
        parts.setdefault(_root(home, switches) or index, []).append(index)
    return list(parts.values())


def _root(home: dict[frozenset[str], frozenset[str]], switches: frozenset[str]) -> frozenset[str]:
    while home[switches] != switches:
        home[switches] = switches = home[home[switches]]
    return switches


def _homes(parts: Sequence[Sequence[int]], cables: Sequence[Counter[str]]) -> list[list[str]]:
    """Each switch of a tier with the part that has the most cables to it."""
    most: dict[str, tuple[int, int]] = {}
    for index, part in enumerate(parts):
        counts: Counter[str] = Counter()
        for member in part:
            counts.update(cables[member])
        for name, count in counts.items():
            most[name] = max(most.get(name, (0, 0)), (count, -index))
    homes: list[list[str]] = [[] for _ in parts]
    for name, (_, index) in most.items():
        homes[-index].append(name)
    return homes


def _leaves(members: Iterable[Pod | Group]) -> list[str]:
    return [leaf for member in members for group in groups_in(member) for leaf in group.leaves]


def _sorted(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(names, key=natural))


def groups_in(pod: Pod | Group) -> Iterator[Group]:
    """Every group of a pod, from left to right."""
    if isinstance(pod, Group):
        yield pod
    else:
        for member in pod.members:
            yield from groups_in(member)


def wanted_hosts(
    fabric: Fabric, nodes: Collection[str] | None, placed: Collection[str]
) -> tuple[list[Host], list[str]]:
    """The compute hosts of a fabric that are to be placed, and the names of those that Slurm does not know.

    Args:
        fabric: Where they hang.
        nodes: Slurm's; None: every compute host is one.
        placed: Names of those that have a place already.
    """
    compute = [host for host in fabric.compute if host.endpoints and host.name not in placed]
    if nodes is None:
        return compute, []
    return [host for host in compute if host.name in nodes], [host.name for host in compute if host.name not in nodes]
