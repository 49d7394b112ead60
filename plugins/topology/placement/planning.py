"""A placement: which nodes a job takes, and which ranks lie on which of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import product
from math import lcm
from typing import Final, NamedTuple

import msgspec

from hpcjobs.sbatch.hostlists import natural
from hpcjobs_plugins.topology.engines.model import Release
from hpcjobs_plugins.topology.fabric import Notice, Site
from hpcjobs_plugins.topology.placement.blocks import Blocks, in_blocks
from hpcjobs_plugins.topology.placement.choose import Place, choose, places
from hpcjobs_plugins.topology.placement.cost import Score, score
from hpcjobs_plugins.topology.placement.default import RANKS_SINCE, Slurm, block_of, in_default_order
from hpcjobs_plugins.topology.placement.distance import Distances, leaf_groups
from hpcjobs_plugins.topology.placement.layout import Traffic, traffic
from hpcjobs_plugins.topology.placement.mend import Mending, matrices
from hpcjobs_plugins.topology.placement.order import Unit, lines, packed, tiles, units
from hpcjobs_plugins.topology.placement.request import Objective, Request

MENDED: Final = 512
"""As many units are in the orders that are mended, the best ones, at least four of them."""


WAITS: Final = "slurm-would-wait"
"""Code of the notice that Slurm would not give a job these nodes, though all of them are idle."""

SPARE: Final = 2
"""As many places of a cell that nothing was put on may be exchanged for others in mending."""


class Groups(msgspec.Struct, frozen=True):
    """Where the nodes of a job lie.

    Attributes:
        leaf_groups: How many have nodes of it.
        pods: How many; a pod is what one tier of spines joins.
        nodes: Of each leaf group, in the order of groups.
    """

    leaf_groups: int
    pods: int
    nodes: tuple[int, ...]


class Plan(msgspec.Struct, frozen=True):
    """Nodes in the order of ranks, and what that comes to.

    Attributes:
        request: What was asked for.
        objective: What it is best at.
        slurm: What Slurm knows of the fabric; ``before`` is by that.
        nodes: Each once, in the order of ranks: rank r lies on GPU ``r % gpus`` of node ``r // gpus``.
        excluded: Every other node that the site or the caller knows, sorted.
        after: What it comes to.
        groups: Where the nodes lie.
        default_nodes: What Slurm would do by itself, in its order of ranks.
        before: What that would come to.
        default_groups: Where those nodes lie.
        tile: Data-parallel indices and pipeline stages of the tiles that the order began with (order.py), in nodes or,
            where tensor groups lie on several, in those; (0, 0): Slurm's own order is best.
        notices: What was odd.
    """

    request: Request
    objective: Objective
    slurm: Slurm
    nodes: tuple[str, ...]
    excluded: tuple[str, ...]
    after: Score
    groups: Groups
    default_nodes: tuple[str, ...]
    before: Score
    default_groups: Groups
    tile: tuple[int, int]
    notices: tuple[Notice, ...] = ()


class _Try(NamedTuple):
    """An order that was tried: how good it is (key, leaf groups and domains), what it is, and how it came about."""

    key: tuple[float, ...]
    parts: int
    nodes: tuple[str, ...]
    tile: tuple[int, int]
    chosen: list[Place]
    where: list[int]


def plan(
    site: Site,
    usable: Sequence[str],
    request: Request,
    objective: Objective | str,
    *,
    slurm: Slurm = Slurm.TREE,
    blocks: Blocks | None = None,
    release: Release = RANKS_SINCE,
    tasks_each: int = 0,
) -> Plan:
    """Place a job on usable nodes, best by an objective. The same input gives the same plan.

    Args:
        site: Fabrics and NVLink domains.
        usable: Names of idle nodes that the job may have, each with the GPUs that the request says.
        request: Parallel degrees.
        objective: What to be best at; it is never worse by that than what Slurm would do by itself.
        slurm: What Slurm knows of the fabric.
        blocks: Those that it knows, with topology/block; None: those that engines/block.py makes of the site.
        release: Of Slurm.
        tasks_each: Tasks of a node; 0: one for each GPU.

    Raises:
        ValueError: The request cannot be, or not on these nodes; with the reason.
    """
    objective = Objective(objective)
    request.check()
    names = sorted(set(usable), key=natural)
    if len(names) < request.nodes:
        raise ValueError(
            f"{request.world:,} ranks need {request.nodes:,} nodes of {request.gpus} GPUs; {len(names):,} are usable"
        )
    distances = Distances(site, names)
    segment = request.segment if slurm is Slurm.BLOCK and request.segment <= request.nodes else 0
    unit = lcm(request.span, segment or 1) // request.span
    block = block_of(distances) if slurm is Slurm.BLOCK else None
    every = places(distances, names, request.span, block)
    wanted = request.nodes // request.span
    if choose(every, wanted, unit=unit) is None:
        raise ValueError(_why_not(request, every, segment))
    sent = traffic(request)
    blocks = (blocks or Blocks.of_site(site)) if slurm is Slurm.BLOCK else None

    def in_order(topology: Slurm) -> list[str] | None:
        return in_default_order(
            site, distances, names, request.nodes, topology, request.segment,
            tasks_each=tasks_each or request.gpus, release=release, blocks=blocks,
        )  # fmt: skip

    def given(nodes: Iterable[str]) -> bool:
        if blocks is None:
            return True
        return in_blocks(blocks, set(nodes), request.nodes, request.segment, release) is not None

    default = in_order(slurm)
    alone = default or in_order(Slurm.FLAT) or []
    before = score(request, sent, distances, alone)
    best = _best(request, sent, distances, every, unit, objective, alone if default else [], given)
    after = score(request, sent, distances, best.nodes)
    if before.key(objective) < best.key and (default or slurm is not Slurm.BLOCK):
        best, after = best._replace(nodes=tuple(alone), tile=(0, 0)), before
    known = {host.name for fabric in site.fabrics for host in fabric.compute}.union(*site.domains.values(), names)
    return Plan(
        request=request,
        objective=objective,
        slurm=slurm,
        nodes=best.nodes,
        excluded=tuple(sorted(known.difference(best.nodes), key=natural)),
        after=after,
        groups=_groups(distances, best.nodes),
        default_nodes=tuple(alone),
        before=before,
        default_groups=_groups(distances, alone),
        tile=best.tile,
        notices=tuple(_notices(request, distances, slurm, waits=default is None or not given(best.nodes))),
    )


def _best(
    request: Request,
    sent: Sequence[Traffic],
    distances: Distances,
    every: Sequence[Place],
    unit: int,
    objective: Objective,
    default: Sequence[str],
    given: Callable[[Iterable[str]], bool],
) -> _Try:
    """The best of all tiles on all choices, and of what mending makes of the best few.

    Nodes that Slurm would not give the job are no choice, unless there is no other.
    """
    tries: dict[tuple[str, ...], _Try] = {}

    def judge(chosen: list[Place], where: list[int], tile: tuple[int, int]) -> None:
        nodes = tuple(name for index in where for name in chosen[index].nodes)
        if nodes not in tries:
            key = score(request, sent, distances, nodes).key(objective)
            tries[nodes] = _Try(key, len({chosen[index].path for index in where}), nodes, tile, chosen, where)

    grid = units(request)
    found = list(_choices(distances, every, grid, unit, default))
    possible = [one for one in found if given(name for place in one[1] for name in place.nodes)]
    for tile, chosen in possible or found:
        for tiling in lines(grid, tile):
            judge(chosen, packed(tiling, chosen), tile)
    for one in sorted(tries.values(), key=_rank)[: max(4, MENDED // len(grid))]:
        around = one.chosen + (_spare(every, one.chosen) if unit == 1 else [])
        values = matrices(request, sent, distances, around, objective)
        where = Mending(grid, sent, request.span, values, around).mend(one.where)
        judge(around, where, one.tile)
    return min(tries.values(), key=_rank)


def _spare(every: Sequence[Place], chosen: Sequence[Place]) -> list[Place]:
    """A few places beside those that were chosen, below the same leaves."""
    taken = {place.nodes for place in chosen}
    room = dict.fromkeys((place.cell for place in chosen), SPARE)
    spare = []
    for place in every:
        if place.nodes not in taken and room.get(place.cell, 0):
            room[place.cell] -= 1
            spare.append(place)
    return spare


def _rank(one: _Try) -> tuple[tuple[float, ...], int]:
    return one.key, one.parts


def _choices(
    distances: Distances, every: Sequence[Place], grid: Sequence[Unit], unit: int, default: Sequence[str]
) -> Iterator[tuple[tuple[int, int], list[Place]]]:
    """Every tile with places taken as tightly as can be, in multiples of the tile, and as Slurm would."""
    on_fabric = [place for place in every if distances.cells[place.cell].fabric]
    if choose(on_fabric, len(grid), unit=unit) is None:
        on_fabric = list(every)
    wanted = frozenset(default)
    chosen: dict[tuple[int, bool], list[Place]] = {}
    choices = [sorted(place for place in every if wanted.issuperset(place.nodes))]
    for tile in tiles(grid):
        size = tile[0] * tile[1]
        for multiple, pods in product(sorted({1, size}), (True, False)):
            if (multiple, pods) not in chosen:
                chosen[multiple, pods] = choose(on_fabric, len(grid), multiple, unit, pods=pods) or []
        choices[1:] = [chosen[multiple, pods] for multiple in sorted({1, size}) for pods in (True, False)]
        for index, found in enumerate(choices):
            if len(found) == len(grid) and found not in choices[:index]:
                yield tile, found


def _groups(distances: Distances, nodes: Sequence[str]) -> Groups:
    counts = leaf_groups(distances, nodes)
    return Groups(len(counts), len({group[:-1] for group in counts}), tuple(counts.values()))


def _why_not(request: Request, every: Sequence[Place], segment: int) -> str:
    if segment:
        return (
            f"{request.nodes} nodes in segments of {segment}: the usable nodes of the blocks do not make "
            f"{request.nodes // segment} of them"
        )
    if request.span > 1:
        return (
            f"tensor groups of tp={request.tp} need {request.span} nodes of {request.gpus} GPUs in one NVLink domain "
            f"each: the usable nodes have room for {len(every)} of {request.nodes // request.span} groups"
        )
    return f"{request.nodes} nodes are wanted; {len(every)} usable ones are in a block"


def _notices(request: Request, distances: Distances, slurm: Slurm, *, waits: bool) -> Iterator[Notice]:
    cells = distances.cells
    lost = sum(not cells[index].fabric for index in distances.cell.values())
    if lost:
        yield Notice("node-without-fabric", f"{lost} usable nodes are on no fabric that is known")
    if waits:
        text = (
            f"with topology {slurm} Slurm would let the job wait; it is compared with Slurm's order without a topology"
        )
        yield Notice(WAITS, text)
    if request.segment and slurm is not Slurm.BLOCK:
        yield Notice(
            "segment-without-block", f"--segment is of block topologies; with topology {slurm} it does nothing"
        )
