"""Where everything of a fabric stands in its picture: rows of boxes, and bundles of cables between them. Pure.

A box is a switch, or several that go to the same others where a row has too many to be read; hosts are boxes of those
that hang on the same leaves, or one by one where they are few.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Final

import msgspec

from hpcjobs.sbatch.hostlists import fold_hostlist, natural
from hpcjobs_plugins.topology import svg
from hpcjobs_plugins.topology.fabric import Fabric, Role
from hpcjobs_plugins.topology.layers import Layers, components

MOST_BOXES: Final = 44
"""As many boxes as a row may have; more switches are put together."""

SINGLE_HOSTS: Final = 24
"""Up to as many hosts of a fabric are boxes of their own."""

SIZE: Final = 12.0
"""Of the letters in boxes, in pixels, as is everything here."""

WIDEST: Final = 1400.0
"""What a row may take with its text across; else its text runs upward."""

NARROWEST: Final = 560.0
_GAP: Final = 10.0
_MOST_LABEL: Final = 150.0
_UPRIGHT: Final = 26.0
ARCH: Final = 36.0
"""How far at most a cable between two switches of a row rises above them."""

HOSTS: Final = -1
"""The row of hosts."""


class Box(msgspec.Struct):
    """A switch or several, a host or several.

    Attributes:
        names: Of all that it stands for.
        row: 1: leaves; 0: switches that no leaf can be reached from; ``HOSTS``.
        label: Its first line.
        note: Its second line, or ``""``.
        role: Of hosts.
        upright: Whether its text runs upward.
        x: Of its middle, as all of these in pixels.
        y: Of its upper edge.
        width: From left to right.
        height: From top to bottom.
    """

    names: tuple[str, ...]
    row: int
    label: str
    note: str = ""
    role: Role = Role.COMPUTE
    upright: bool = False
    x: float = 0.0
    y: float = 0.0
    width: float = 0.0
    height: float = 0.0


class Bundle(msgspec.Struct):
    """The cables between two boxes.

    Attributes:
        lower: Index of the box in the lower row.
        upper: Index of the box in the upper row, or of the other one of the same row.
        cables: How many.
        rates: Rates in Gbit/s with how many cables each; without those that nobody says.
    """

    lower: int
    upper: int
    cables: int = 0
    rates: Counter[float] = msgspec.field(default_factory=Counter)


class Drawing(msgspec.Struct):
    """A fabric in its place, from the upper left corner.

    Attributes:
        layers: The fabric by rows.
        boxes: From the highest row down and from left to right.
        rows: The rows that there are with the indices of their boxes, from the highest.
        bundles: Each once.
        box_of: Index of the box by name of a switch.
        box_of_host: The same by name of a host.
        width: Of all rows.
        height: Of all rows.
    """

    layers: Layers
    boxes: list[Box]
    rows: dict[int, list[int]]
    bundles: list[Bundle]
    box_of: dict[str, int]
    box_of_host: dict[str, int]
    width: float = 0.0
    height: float = 0.0


def draw(fabric: Fabric) -> Drawing:
    """Put a fabric in its place."""
    layers = Layers(fabric)
    order = list(range(layers.top, 0, -1))
    if layers.names(0):
        order.append(0)
    drawing = Drawing(layers, [], {}, [], {}, {})
    places = _order(layers)
    for row in order:
        names = sorted(layers.names(row), key=lambda name: places[name])
        groups = [[name] for name in names] if len(names) <= MOST_BOXES else _together(layers, row, names)
        drawing.rows[row] = _add(drawing, row, groups)
    hosts = _host_groups(drawing)
    if hosts:
        drawing.rows[HOSTS] = [_host_box(drawing, role, names) for role, names in hosts]
    drawing.bundles = _bundles(drawing)
    _place(drawing)
    return drawing


def _order(layers: Layers) -> dict[str, tuple[int, tuple[tuple[int, int, str], ...]]]:
    """What to sort the switches of a row by: those that are connected from below beside each other, then by name."""
    leaves = {name: index for index, name in enumerate(sorted(layers.names(1), key=natural))}
    found = {name: (0, natural(name)) for name in layers.row}
    for row in range(2, layers.top + 1):
        low = [name for name, its in layers.row.items() if 0 < its <= row]
        for group in components(low, (pair for pair in layers.up if layers.row[pair[1]] <= row)):
            first = min((leaves[name] for name in group if name in leaves), default=len(leaves))
            found.update({name: (first, natural(name)) for name in group if layers.row[name] == row})
    return found


def _together(layers: Layers, row: int, names: Sequence[str]) -> list[list[str]]:
    """Switches of a row that go to the same ones; if that is not enough, also such that follow each other."""
    lowers: dict[str, list[str]] = defaultdict(list)
    for low, high in layers.up:
        lowers[high].append(low)
    reach: Mapping[str, Iterable[str]] = layers.uppers if row == 1 else lowers
    groups: dict[Hashable, list[str]] = defaultdict(list)
    for name in names:
        groups[frozenset(reach.get(name, ()))].append(name)
    found = list(groups.values())
    size = -(-len(found) // MOST_BOXES)
    return [[name for group in found[at : at + size] for name in group] for at in range(0, len(found), size)]


def _add(drawing: Drawing, row: int, groups: Iterable[list[str]]) -> list[int]:
    indices = []
    for names in groups:
        index = len(drawing.boxes)
        note = f"{len(names)} {'leaves' if row == 1 else 'switches'}" if len(names) > 1 else ""
        drawing.boxes.append(Box(tuple(names), row, fold_hostlist(names), note))
        drawing.box_of.update(dict.fromkeys(names, index))
        indices.append(index)
    return indices


def _host_groups(drawing: Drawing) -> list[tuple[Role, list[str]]]:
    """Hosts that hang on the same boxes, in the order of those."""
    fabric = drawing.layers.fabric
    alone = len(fabric.hosts) <= SINGLE_HOSTS
    groups: dict[tuple[tuple[int, ...], Role, str], list[str]] = defaultdict(list)
    for host in fabric.hosts.values():
        boxes = tuple(sorted({drawing.box_of[leaf] for leaf in host.leaves}))
        groups[boxes, host.role, host.name if alone else ""].append(host.name)
    if len(groups) > MOST_BOXES:
        merged: dict[tuple[tuple[int, ...], Role, str], list[str]] = defaultdict(list)
        for (boxes, role, _), names in groups.items():
            merged[boxes[len(boxes) // 2 :][:1], role, ""].extend(names)
        groups = merged
    ordered = sorted(
        groups.items(), key=lambda one: (sum(one[0][0]) / max(len(one[0][0]), 1), one[0][1], natural(one[1][0]))
    )
    return [(role, names) for (_, role, _), names in ordered]


def _host_box(drawing: Drawing, role: Role, names: list[str]) -> int:
    index = len(drawing.boxes)
    many = len(names) > 1
    what = "hosts" if role is Role.COMPUTE else role.value
    note = fold_hostlist(names) if many else "" if role is Role.COMPUTE else role.value
    drawing.boxes.append(Box(tuple(names), HOSTS, f"{len(names)} {what}" if many else names[0], note, role))
    drawing.box_of_host.update(dict.fromkeys(names, index))
    return index


def _bundles(drawing: Drawing) -> list[Bundle]:
    found: dict[tuple[int, int], Bundle] = {}

    def count(low: int, high: int, gbps: float) -> None:
        if low == high:
            return
        bundle = found.setdefault((low, high), Bundle(low, high))
        bundle.cables += 1
        if gbps:
            bundle.rates[gbps] += 1

    for trunk in drawing.layers.fabric.trunks:
        ends = sorted((trunk.a, trunk.b), key=lambda name: (drawing.layers.row[name], drawing.box_of[name]))
        count(drawing.box_of[ends[0]], drawing.box_of[ends[1]], trunk.gbps)
    for host in drawing.layers.fabric.hosts.values():
        for point in host.endpoints:
            count(drawing.box_of_host[host.name], drawing.box_of[point.switch], point.gbps)
    return [found[key] for key in sorted(found)]


def _place(drawing: Drawing) -> None:
    """Sizes, then places: rows below each other, the boxes of a row at equal distances."""
    widths: dict[int, float] = {}
    for row, indices in drawing.rows.items():
        boxes = [drawing.boxes[index] for index in indices]
        for box in boxes:
            box.width = min(max(_long(box), 44.0), _MOST_LABEL) + 16
            box.height = 38.0 if box.note else 28.0
        if sum(box.width + _GAP for box in boxes) > WIDEST:
            longest = min(max(map(_long, boxes)), _MOST_LABEL)
            for box in boxes:
                box.upright, box.width, box.height = True, 38.0 if box.note else _UPRIGHT, longest + 16
        widths[row] = sum(box.width + _GAP for box in boxes)
    drawing.width = max([NARROWEST, *widths.values()])
    above: dict[int, list[int]] = defaultdict(list)
    for bundle in drawing.bundles:
        above[bundle.lower].append(bundle.upper)
    top = max(row for row in drawing.rows)
    pairs = [(one.lower, one.upper) for one in drawing.bundles if drawing.boxes[one.lower].row == top]
    y = ARCH if any(upper - lower > 1 for lower, upper in pairs) else 0.0
    for row, indices in drawing.rows.items():
        boxes = [drawing.boxes[index] for index in indices]
        spare = (drawing.width - widths[row]) / len(boxes)
        tall = max(box.height for box in boxes)
        y += _room(drawing, [above[index] for index in indices]) if row != top else 0.0
        x = 0.0
        for box in boxes:
            share = box.width + _GAP + spare
            box.x, box.y, box.height = x + share / 2, y, tall
            x += share
        if row == HOSTS:
            _below(boxes, [[drawing.boxes[other].x for other in above[index]] for index in indices], drawing.width)
        y += tall
    drawing.height = y


def _long(box: Box) -> float:
    return max(svg.width(box.label, SIZE), svg.width(box.note, SIZE - 2))


def _room(drawing: Drawing, above: Sequence[Sequence[int]]) -> float:
    """How far a row is from the one above it: little if its boxes have one neighbour each there, else as it is wide."""
    crossing = sum(len(others) for others in above) > len(above)
    return min(max(drawing.width / 9, 80.0), 170.0) if crossing else 66.0


def _below(boxes: Sequence[Box], above: Sequence[Sequence[float]], width: float) -> None:
    """Put boxes, in their order, as near below their neighbours as there is room.

    Least squares under an order: neighbours that would overlap are put together and share their mean (Ayer and others
    1955, pool adjacent violators).
    """
    offset, pools = 0.0, []
    for box, others in zip(boxes, above, strict=True):
        wanted = sum(others) / len(others) if others else box.x
        pools.append([wanted - offset - (box.width + _GAP) / 2, 1])
        offset += box.width + _GAP
        while len(pools) > 1 and pools[-2][0] > pools[-1][0]:
            (one, count), (other, more) = pools[-2], pools[-1]
            pools[-2:] = [[(one * count + other * more) / (count + more), count + more]]
    starts = [min(max(start, 0.0), width - offset) for start, count in pools for _ in range(int(count))]
    offset = 0.0
    for box, start in zip(boxes, starts, strict=True):
        box.x = start + offset + (box.width + _GAP) / 2
        offset += box.width + _GAP
