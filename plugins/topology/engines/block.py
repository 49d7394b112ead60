"""A site as blocks for Slurm's topology/block. Pure.

A block is an NVLink domain, or a group of hosts that share their leaves. Slurm joins neighbours in the order of the
file to larger blocks of base x 2^n nodes, so blocks are ordered as they lie in the fabric, and larger sizes are said
where they fall on the bounds of pods.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from enum import StrEnum
from itertools import groupby
from typing import Final

import msgspec

from hpcjobs.sbatch.hostlists import fold_hostlist, natural
from hpcjobs_plugins.topology.engines.groups import Group, Pod, groups_of, pods_of, wanted_hosts
from hpcjobs_plugins.topology.engines.model import DEFAULT, GAPS_SINCE, MOST_LEVELS, Block, Kind, Release, Topology
from hpcjobs_plugins.topology.engines.names import free_name, legal_name
from hpcjobs_plugins.topology.engines.tree import Drawn, chosen
from hpcjobs_plugins.topology.fabric import FabricError, Notice, Site

OLDEST: Final[Release] = (24, 11)
"""What Slurm is taken for where nobody says its release: what this one takes, all later ones take."""


class By(StrEnum):
    """What makes nodes a block."""

    DOMAINS = "domains"  # NVLink
    LEAVES = "leaves"


class _Part(msgspec.Struct, frozen=True):
    """A block before it is judged: where it lies, what it was made of."""

    name: str
    nodes: tuple[str, ...]
    place: tuple[int, ...]
    origin: str


def block(
    site: Site,
    *,
    by: By = By.DOMAINS,
    nodes: Collection[str] | None = None,
    fabrics: Sequence[str] = (),
    base: int = 0,
    release: Release = OLDEST,
    name: str = DEFAULT,
) -> Drawn:
    """The blocks of a site.

    Args:
        site: What was found.
        by: What makes nodes a block.
        nodes: Names of Slurm's nodes; others are left out. None: all are.
        fabrics: Names of those that say what is near what; empty: all.
        base: Nodes of the base block; 0: as most blocks have. Blocks with fewer are left out, with a comment that says
            why, where the release refuses them.
        release: Of Slurm.
        name: Of the topology.

    Raises:
        FabricError: There is nothing to make blocks of.
    """
    notices: list[Notice] = []
    places: dict[str, tuple[int, ...]] = {}
    groups: list[Group] = []
    for fabric in chosen(site, fabrics):
        hosts, _ = wanted_hosts(fabric, nodes, places)
        if hosts:
            found, odd = groups_of(fabric, [host.name for host in hosts])
            notices += odd if by is By.LEAVES else ()
            for group, place in _placed(pods_of(fabric, found), (len(groups),)):
                groups.append(group)
                places.update(dict.fromkeys(group.hosts, place))
    made = (
        _of_domains(site.domains, nodes, notices) if by is By.DOMAINS else {g.name: (g.hosts, g.name) for g in groups}
    )
    if not made:
        raise FabricError(f"there are no {by} with nodes of Slurm: there is nothing to make blocks of")
    nowhere = (1 << 30,)
    parts = [
        _Part(name, members, min(places.get(node, nowhere) for node in members), origin)
        for name, (members, origin) in made.items()
    ]
    parts.sort(key=lambda part: (part.place, natural(part.nodes[0])))
    base = base or _usual([len(part.nodes) for part in parts])
    kept, remarks = _judged(parts, base, release, notices)
    if nodes is not None and (left := set(nodes).difference(*(part.nodes for part in kept))):
        notices.append(Notice("node-without-block", f"{fold_hostlist(left)}: in no block", subject=min(left)))
    taken = set(places).union(nodes or ())
    blocks = []
    for part in kept:
        blocks.append(Block(free_name(legal_name(part.name), taken), part.nodes))
        taken.add(blocks[-1].name)
    sizes = tuple(base * count for count in _larger(kept))
    return Drawn(Topology(name, Kind.BLOCK, (), tuple(blocks), sizes, remarks=remarks), tuple(notices))


def _placed(pod: Pod | Group, place: tuple[int, ...]) -> Iterator[tuple[Group, tuple[int, ...]]]:
    """Every group of a pod with the way to it: as far as two ways are the same, their groups are near each other."""
    if isinstance(pod, Group):
        yield pod, place
    else:
        for index, member in enumerate(pod.members):
            yield from _placed(member, (*place, index))


def _of_domains(
    domains: Mapping[str, tuple[str, ...]], nodes: Collection[str] | None, notices: list[Notice]
) -> dict[str, tuple[tuple[str, ...], str]]:
    """Names of blocks with their nodes and the domain they are of."""
    found: dict[str, tuple[tuple[str, ...], str]] = {}
    taken: dict[str, str] = {}
    short = Counter(_short(domain) for domain in domains)
    for domain in sorted(domains):
        mine = sorted({node for node in domains[domain] if nodes is None or node in nodes}, key=natural)
        if strange := sorted(set(domains[domain]).difference(mine)):
            text = f"{fold_hostlist(strange)} of NVLink domain {domain}: not among Slurm's nodes"
            notices.append(Notice("host-not-in-slurm", text, subject=strange[0]))
        if twice := [node for node in mine if node in taken]:
            text = f"{fold_hostlist(twice)}: in NVLink domain {domain} and in {taken[twice[0]]}, counted to the latter"
            notices.append(Notice("host-in-two-domains", text, subject=twice[0]))
            mine = [node for node in mine if node not in taken]
        taken.update(dict.fromkeys(mine, domain))
        if mine:
            name = _short(domain)
            found[name if short[name] == 1 else f"nvl-{domain}"] = (tuple(mine), f"NVLink domain {domain}")
    return found


def _short(domain: str) -> str:
    """A domain's name as far as people read it: eight digits of the cluster and the clique."""
    uuid, _, clique = domain.partition(".")
    return f"nvl-{uuid[:8]}" + (f".{clique}" if clique else "")


def _usual(sizes: Sequence[int]) -> int:
    """As many nodes as most blocks have, or the larger of two numbers that are as usual."""
    return max(Counter(sizes).items(), key=lambda item: (item[1], item[0]))[0]


def _judged(
    parts: Sequence[_Part], base: int, release: Release, notices: list[Notice]
) -> tuple[list[_Part], tuple[str, ...]]:
    """The blocks that Slurm takes, and comments for the file: what each is, and which were left out."""
    kept: list[_Part] = []
    remarks: list[str] = []
    for part in parts:
        if len(part.nodes) >= base or release >= GAPS_SINCE:
            kept.append(part)
        if len(part.nodes) >= base:
            continue
        few = f"block {part.name} ({part.origin}) has {len(part.nodes)} nodes, fewer than the base size of {base}"
        if release < GAPS_SINCE:
            remarks.append(f"Left out: {few}: {fold_hostlist(part.nodes)}")
            notices.append(Notice("block-left-out", f"{few}: left out, Slurm refuses it", subject=part.name))
        else:
            notices.append(Notice("block-with-gaps", f"{few}: Slurm takes the rest for gaps", subject=part.name))
    if not kept:
        raise FabricError(f"no block has {base} nodes or more: choose a smaller base size")
    return kept, tuple(remarks)


def _larger(parts: Sequence[_Part]) -> Iterator[int]:
    """Sizes in base blocks: 1, then those that fill pods, then one that holds all.

    A size fills the pods of a tier where it divides the number of blocks of each but the last: then no joined block
    lies across the bound between two pods.
    """
    total = len(parts)
    sizes = {1}
    for depth in range(1, 1 + max(len(part.place) for part in parts)):
        counts = [len(list(run)) for _, run in groupby(parts, key=lambda part: part.place[:depth])]
        if len(counts) > 1:
            sizes.add(min(count & -count for count in counts[:-1]))
    sizes.add(1 << (total - 1).bit_length())
    yield from sorted(size for size in sizes if size < 1 << MOST_LEVELS)
