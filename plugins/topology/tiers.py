"""Which switches are leaves, and on which tier the others are, told by most of a switch's cables. Pure.

Leaves. A switch with hosts of the fabric's kind is a leaf: compute hosts if the fabric has any, else all. Three things
that real fabrics have are set right:

1. A few hosts (a login node on a spine, a node in the wrong switch) do not make a leaf of a switch above leaves: it
   joins leaves, which do not join each other as in a ring or a mesh, or it joins pods: what it goes to has other leaves
   under it each. Few is at most one for ``FEW`` cables to switches, or for ``FEW`` hosts where most hosts hang. If that
   is so of all, the leaves are those that have the most for their cables and do not join others with hosts.
2. A leaf of other hosts (storage in a compute fabric) hangs on spines as a core does. It is a leaf unless it has
   ``FEWER`` times as many cables to switches as hosts, or few hosts and joins pods.
3. A leaf whose hosts are all down hangs on spines too. It is a leaf if it is named as leaves are and as no spine is,
   and if most that are so named are leaves, or most leaves are so named, or it joins no pods.

Tiers. A switch is on the tier above those that it goes to, unless most of its cables speak against it: a core with a
wrong cable to a leaf stays a core, so that the cable sticks out.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from statistics import median, median_high
from typing import Final

FEW: Final = 4
"""A switch has few hosts if there are as many cables to switches, or hosts where most hosts hang, for each of them."""

FEWER: Final = 8
"""A switch on spines is no leaf of storage if it has as many cables to switches for each host."""

POD: Final = 0.6
"""A switch joins pods if no larger part of its cables downward goes to where about the same leaves are."""

_DIGITS: Final = re.compile(r"[0-9]+")
_CHASSIS_SPINE: Final = re.compile(r"-S[0-9]+-U[0-9]+$")
_CHASSIS_LINE: Final = re.compile(r"-L[0-9]+-U[0-9]+$")

Links = Mapping[str, Mapping[str, int]]
"""How many cables go from a switch to each other one, both ways."""


def links_of(names: Iterable[str], cables: Iterable[tuple[str, str]]) -> dict[str, Counter[str]]:
    """Links of cables between switches.

    Args:
        names: Of all switches.
        cables: Both ends of each.
    """
    found: dict[str, Counter[str]] = {name: Counter() for name in names}
    for a, b in cables:
        found[a][b] += 1
        found[b][a] += 1
    return found


def tiers(links: Links, kind: Mapping[str, int], hosts: Mapping[str, int]) -> dict[str, int]:
    """Tier of each switch; 1: a leaf; 0: no leaf can be reached from it.

    Each switch above the leaves has a cable to one that is a tier below it.

    Args:
        links: Of all switches, by name.
        kind: How many cables to hosts of the fabric's kind a switch has.
        hosts: How many to hosts of any kind.
    """
    tree = _Tree(links)
    leaves, few = _sorted_out(tree, kind)
    tree.rise(leaves)
    if empty := _named_as_leaves(tree, leaves, {name for name in links if not kind.get(name)}):
        leaves |= empty
        tree.rise(leaves)
    others = {
        name
        for name, tier in tree.tier.items()
        if (tier >= 3 or not leaves) and name not in few and hosts.get(name, 0) * FEWER > tree.cables[name]
    }
    doubtful = few | {name for name in others if hosts[name] * FEW <= tree.cables[name]}
    if more := (few | others) - _above(tree, leaves, few, doubtful):
        tree.rise(leaves | more)
    return tree.tier


class _Tree:
    """Switches above some leaves.

    Attributes:
        links: Of all switches.
        cables: How many each has to switches.
        tier: Of each.
    """

    def __init__(self, links: Links) -> None:
        self.links = links
        self.cables = {name: sum(near.values()) for name, near in links.items()}
        self.tier = dict.fromkeys(links, 0)

    def rise(self, leaves: Collection[str]) -> None:
        """Tell all tiers anew, one after the other from these leaves.

        Of the switches that are cabled to the last tier those are on the next one whose share of such cables is more
        than half of the usual, and those that have no more cables to these than to the last tier: the spine of a pod
        with a single leaf goes to cores, but a core with a cable to a leaf goes to spines.
        """
        links, cables = self.links, self.cables
        self.tier = tier = dict.fromkeys(links, 0)
        tier.update(dict.fromkeys(leaves, 1))
        edge: Collection[str] = leaves
        level = 1
        while edge:
            level += 1
            down: Counter[str] = Counter()
            for name in edge:
                for other, count in links[name].items():
                    if not tier[other]:
                        down[other] += count
            shares = {name: count / cables[name] for name, count in down.items()}
            least = median(shares.values()) / 2 if shares else 0.0
            clear = {name for name, share in shares.items() if share > least}
            edge = [name for name, count in down.items() if name in clear or _cables_to(links[name], clear) <= count]
            tier.update(dict.fromkeys(edge, level))

    def below(self, name: str) -> dict[str, int]:
        """The cables of a switch to those one tier below it."""
        return {other: count for other, count in self.links[name].items() if self.tier[other] == self.tier[name] - 1}

    def reach(self) -> dict[str, int]:
        """The leaves under each switch, as bits."""
        found = dict.fromkeys(self.links, 0)
        for number, name in enumerate(sorted((name for name in found if self.tier[name]), key=self.tier.__getitem__)):
            if self.tier[name] == 1:
                found[name] = 1 << number
            for other in self.below(name):
                found[name] |= found[other]
        return found


def _sorted_out(tree: _Tree, kind: Mapping[str, int]) -> tuple[set[str], set[str]]:
    """Switches that are leaves for their hosts alone, and others with hosts, which are few."""
    having = {name: kind[name] for name in tree.links if kind.get(name)}
    usual = _usual(having, having)
    few = {name for name, count in having.items() if count * FEW <= max(tree.cables[name], usual) if tree.cables[name]}
    if leaves := having.keys() - few:
        return leaves, few
    part = {name: count / tree.cables[name] for name, count in having.items()}
    least = _usual(part, having) / 2
    most = {name for name in few if part[name] > least}
    apart = {name for name in most if 2 * _cables_to(tree.links[name], having) <= tree.cables[name]}
    return apart or most, few - (apart or most)


def _usual(values: Mapping[str, float], hosts: Mapping[str, int]) -> float:
    """What there is where most hosts hang: the median of all hosts."""
    return median_high(values[name] for name, count in hosts.items() for _ in range(count)) if hosts else 0.0


def _cables_to(near: Mapping[str, int], names: Collection[str]) -> int:
    return sum(count for other, count in near.items() if other in names)


def _above(tree: _Tree, leaves: Collection[str], few: Collection[str], doubtful: Collection[str]) -> set[str]:
    """Switches with few hosts that are above leaves: also those with several others with few hosts beyond them."""
    tier = tree.tier
    joining = {name for name in doubtful if tier[name] == 2 and _joins_leaves(tree, name, leaves, few)}
    high = [name for name in doubtful if tier[name] > 2]
    between = {
        name for name in high if sum(other in few and tier[other] > tier[name] for other in tree.links[name]) > 1
    }
    return joining | between | _joining_pods(tree, high)


def _joins_leaves(tree: _Tree, name: str, leaves: Collection[str], few: Collection[str]) -> bool:
    """Whether a switch next to leaves joins them, and is neither at the end of a chain nor among equals."""
    below, near = tree.below(name), tree.links[name]
    equals = [other for other in near if other in few and tree.tier[other] == 2]
    inside = sum(_cables_to(tree.links[leaf], leaves) for leaf in below)
    return (
        (len(below) > 1 or any(tree.tier[other] == 3 for other in near))
        and 3 * _cables_to(near, equals) <= sum(below.values())
        and 2 * inside < sum(tree.cables[leaf] for leaf in below)
    )


def _joining_pods(tree: _Tree, names: Collection[str]) -> set[str]:
    """Switches that go to switches of the tier below them under which there are other leaves each."""
    reach = tree.reach() if names else {}
    found = set()
    for name in names:
        parts: Counter[int] = Counter()
        for other, count in tree.below(name).items():
            parts[reach[other]] += count
        most = max(sum(count for other, count in parts.items() if _about_the_same(one, other)) for one in parts)
        if most <= POD * parts.total():
            found.add(name)
    return found


def _about_the_same(one: int, other: int) -> bool:
    return 2 * (one & other).bit_count() >= max(one.bit_count(), other.bit_count())


def _named_as_leaves(tree: _Tree, leaves: Collection[str], empty: Iterable[str]) -> set[str]:
    having = Counter(_stem(name) for name in leaves)
    spines = {_stem(name) for name, tier in tree.tier.items() if tier == 2}
    named = {name: stem for name in empty if tree.tier[name] >= 3 and (stem := _stem(name)) in having.keys() - spines}
    lacking = Counter(named.values())
    odd = [name for name, stem in named.items() if 2 * having[stem] <= min(len(leaves), having[stem] + lacking[stem])]
    return named.keys() - _joining_pods(tree, odd)


def _stem(name: str) -> str:
    """What names of one kind of switches have in common: all but their numbers; for chips of a director the slot."""
    slot = _CHASSIS_SPINE.search(name) or _CHASSIS_LINE.search(name)
    return _DIGITS.sub("0", slot[0] if slot else name)
