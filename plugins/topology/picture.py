"""A picture of fabrics as SVG: tiers as rows, cables as lines as thick as they are many, findings in red. Pure.

The same site and findings make the same text. It needs nothing from outside, is readable on a bright and on a dark
ground, and what it shows is in titles and text for who does not see it.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from math import log2, sqrt
from typing import Final

from hpcjobs.sbatch.hostlists import fold_hostlist
from hpcjobs_plugins.topology import svg
from hpcjobs_plugins.topology.checks.bandwidth import loads
from hpcjobs_plugins.topology.checks.findings import Finding, Severity, worst_first
from hpcjobs_plugins.topology.checks.words import gbps, number
from hpcjobs_plugins.topology.drawing import ARCH, HOSTS, SIZE, Box, Bundle, Drawing, draw
from hpcjobs_plugins.topology.fabric import Fabric, Network, Role, Site
from hpcjobs_plugins.topology.picture_parts import STYLE, WrittenOut, badge

MARGIN: Final = 24.0
SIDE: Final = 150.0
"""Of the words on the left that say what a row is."""

_ROWS: Final = {0: "Not connected", 1: "Leaves", 2: "Spines", 3: "Cores", 4: "Tops", HOSTS: "Hosts"}
_NETWORKS: Final = {Network.INFINIBAND: "InfiniBand", Network.ETHERNET: "Ethernet"}
_MISSING: Final = frozenset({"cable-missing", "rail-missing"})


def picture(what: Site | Fabric, findings: Iterable[Finding] = ()) -> str:
    """Draw fabrics below each other.

    Args:
        what: A site, or one fabric of it.
        findings: Of the same site; they are marked where they are and written out below.

    Returns:
        A document of SVG 1.1.
    """
    fabrics = what.fabrics if isinstance(what, Site) else (what,)
    found = worst_first(findings)
    blocks: list[str] = []
    y, widest, first = MARGIN, 0.0, 1
    for fabric in fabrics:
        block = _Block(fabric, [one for one in found if one.fabric == fabric.name], first)
        first += len(block.said.findings)
        blocks.append(svg.element("g", block.drawn(), transform=f"translate({MARGIN:g} {y:.1f})"))
        y += block.height + 2 * MARGIN
        widest = max(widest, block.width)
    of_all = [one for one in found if one.fabric not in {fabric.name for fabric in fabrics}]
    if of_all or not fabrics:
        said = WrittenOut(of_all, first, widest or 600.0)
        head = svg.text("Of the site" if fabrics else "No fabric", 0, 14, class_="head")
        blocks.append(svg.element("g", head + said.drawn(30), transform=f"translate({MARGIN:g} {y:.1f})"))
        y += 30 + said.height + MARGIN
    width = (widest or 600.0) + 2 * MARGIN
    parts = [
        svg.element("title", svg.safe(_title(fabrics)), id="title"),
        svg.element("desc", svg.safe(_description(fabrics, found)), id="desc"),
        svg.element("style", STYLE),
        svg.element("rect", class_="ground", width="100%", height="100%"),
        *blocks,
    ]
    return svg.element(
        "svg",
        "\n".join(parts),
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {width:.0f} {y:.0f}",
        width=f"{width:.0f}",
        height=f"{y:.0f}",
        role="img",
        aria_labelledby="title desc",
    )


def _title(fabrics: Sequence[Fabric]) -> str:
    return "; ".join(_head(fabric) for fabric in fabrics) or "No fabric"


def _head(fabric: Fabric) -> str:
    hosts = len(fabric.hosts)
    switches = len(fabric.switches)
    return (
        f"{fabric.name} · {_NETWORKS[fabric.network]} · {hosts:,} {'host' if hosts == 1 else 'hosts'} · "
        f"{switches:,} {'switch' if switches == 1 else 'switches'}"
    )


def _description(fabrics: Iterable[Fabric], findings: Sequence[Finding]) -> str:
    said = []
    for fabric in fabrics:
        tiers = Counter(switch.tier for switch in fabric.switches.values())
        rows = ", ".join(f"{tiers[tier]} on tier {tier}" for tier in sorted(tiers))
        said.append(f"Fabric {fabric.name} has {len(fabric.hosts)} hosts and switches: {rows}.")
    count = Counter(one.severity for one in findings)
    told = ", ".join(f"{count[severity]} {severity.value}s" for severity in Severity if count[severity])
    return " ".join([*said, f"Findings: {told or 'none'}."])


class _Block:
    """One fabric with its heading, its legend and its findings."""

    def __init__(self, fabric: Fabric, findings: Sequence[Finding], first: int) -> None:
        self.fabric = fabric
        self.findings = findings
        self.drawing: Drawing = draw(fabric)
        self.width = SIDE + self.drawing.width
        self.said = WrittenOut(findings, first, self.width)
        self.legend_y = 40 + self.drawing.height + 34
        self.height = self.legend_y + 26 + self.said.height
        crowd = Counter(self.drawing.boxes[bundle.lower].row for bundle in self.drawing.bundles)
        self.opacity = {row: 0.75 if count <= 120 else 0.45 if count <= 600 else 0.28 for row, count in crowd.items()}
        self.joined = {
            frozenset(pair)
            for pair in (
                *((trunk.a, trunk.b) for trunk in fabric.trunks),
                *((host.name, leaf) for host in fabric.hosts.values() for leaf in host.leaves),
            )
        }

    def drawn(self) -> str:
        bad = {index for one in self.findings if one.severity is not Severity.NOTE for index in self._subjects(one)}
        boxes = [self._box(box, bad=index in bad) for index, box in enumerate(self.drawing.boxes)]
        marks = list(self._marks())
        parts = [
            svg.text(_head(self.fabric), 0, 14, class_="head"),
            svg.element(
                "g",
                "\n".join([*self._sides(), *self._cables(), *marks, *boxes, *self._badges()]),
                transform="translate(0 40)",
            ),
            self._legend(marks),
            self.said.drawn(self.legend_y + 26),
        ]
        return "\n".join(parts)

    def _index(self, name: str) -> int | None:
        return self.drawing.box_of.get(name, self.drawing.box_of_host.get(name))

    def _subjects(self, finding: Finding) -> list[int]:
        """The boxes that a finding is about: the first that it names, or all if it is about no link."""
        indices = [index for name in finding.names if (index := self._index(name)) is not None]
        return list(dict.fromkeys(indices[:1] if finding.links else indices))

    # What is on the left: rows, and what goes up from them.

    def _sides(self) -> Iterator[str]:
        boxes, rows = self.drawing.boxes, list(self.drawing.rows)
        ratios = {load.tier: load.ratio for load in loads(self.fabric).tiers if load.down_gbps}
        for above, row in zip([0, *rows], rows, strict=False):
            its = [boxes[index] for index in self.drawing.rows[row]]
            middle = its[0].y + its[0].height / 2
            name = "Switches" if row == 1 and self.drawing.layers.top == 1 else _ROWS.get(row, f"Tier {row}")
            yield svg.text(name, 0, middle - 2, class_="side")
            yield svg.text(_counted(its, row), 0, middle + 13, class_="small")
            lines = self._between(row)
            if not lines:
                continue
            if row in ratios:
                lines.append(f"{ratios[row]:.2g} : 1 oversubscribed" if ratios[row] > 1.005 else "not oversubscribed")
            upper = boxes[self.drawing.rows[above][0]]
            y = (upper.y + upper.height + its[0].y) / 2 - 7 * len(lines) + 10
            for at, line in enumerate(lines):
                yield svg.text(line, 0, y + 14 * at, class_="small")

    def _between(self, row: int) -> list[str]:
        """How many cables go up from a row, and their rates."""
        its = [bundle for bundle in self.drawing.bundles if self.drawing.boxes[bundle.lower].row == row]
        up = [bundle for bundle in its if self.drawing.boxes[bundle.upper].row != row]
        count = sum(bundle.cables for bundle in up)
        if not count:
            return []
        rates: Counter[float] = Counter()
        for bundle in up:
            rates.update(bundle.rates)
        said = ["1 cable" if count == 1 else f"{count:,} cables"]
        if len(rates) == 1:
            return [*said, gbps(*rates)]
        often = sorted(rates.items(), key=lambda one: (-one[1], one[0]))
        return [*said, *(f"{many:,} × {gbps(rate)}" for rate, many in often[:3]), *["…"][: len(often) > 3]]

    # Cables.

    def _cables(self) -> Iterator[str]:
        ends = self._ends()
        for at, bundle in enumerate(self.drawing.bundles):
            lower, upper = self.drawing.boxes[bundle.lower], self.drawing.boxes[bundle.upper]
            title = f"{_name(lower)} to {_name(upper)}: {number(bundle.cables)}"
            if bundle.rates:
                title += ", " + ", ".join(f"{count} at {gbps(rate)}" for rate, count in sorted(bundle.rates.items()))
            yield svg.titled(
                "path",
                title,
                d=self._path(bundle, ends[at]),
                class_="cable",
                stroke_width=_thick(bundle.cables),
                opacity=f"{self.opacity[lower.row]}",
            )

    def _ends(self) -> list[tuple[float, float]]:
        """Where each bundle meets its lower and its upper box: beside each other, in the order of the other ends."""
        boxes = self.drawing.boxes
        meets: dict[tuple[int, bool], list[int]] = defaultdict(list)
        for at, bundle in enumerate(self.drawing.bundles):
            meets[bundle.lower, True].append(at)
            meets[bundle.upper, False].append(at)
        found = [[boxes[bundle.lower].x, boxes[bundle.upper].x] for bundle in self.drawing.bundles]
        for (index, top), its in meets.items():
            its.sort(key=lambda at: boxes[self.drawing.bundles[at].upper if top else self.drawing.bundles[at].lower].x)
            room = boxes[index].width * 0.7
            for place, at in enumerate(its):
                found[at][0 if top else 1] += room * ((place + 0.5) / len(its) - 0.5)
        return [(low, high) for low, high in found]

    def _path(self, bundle: Bundle, ends: tuple[float, float]) -> str:
        lower, upper = self.drawing.boxes[bundle.lower], self.drawing.boxes[bundle.upper]
        low, high = SIDE + ends[0], SIDE + ends[1]
        if lower.row != upper.row:
            return f"M{low:.1f} {lower.y:.1f}L{high:.1f} {upper.y + upper.height:.1f}"
        if abs(bundle.lower - bundle.upper) == 1:
            middle = lower.y + lower.height / 2
            return f"M{SIDE + lower.x:.1f} {middle:.1f}L{SIDE + upper.x:.1f} {middle:.1f}"
        control = lower.y - 2 * min(ARCH, 14 + abs(high - low) / 12)
        return f"M{low:.1f} {lower.y:.1f}Q{(low + high) / 2:.1f} {control:.1f} {high:.1f} {upper.y:.1f}"

    # Boxes.

    def _box(self, box: Box, *, bad: bool) -> str:
        x, y = SIDE + box.x - box.width / 2, box.y
        kind = box.role.value if box.row == HOSTS else f"tier{min(box.row, 4)}"
        parts = svg.element("rect", x=x, y=y, width=box.width, height=box.height, rx=5)
        room = box.height - 10 if box.upright else box.width - 10
        lines = [(svg.cut(box.label, SIZE, room), "label")]
        if box.note:
            lines.append((svg.cut(box.note, SIZE - 2, room), "note"))
        middle, center = y + box.height / 2, SIDE + box.x
        for at, (line, style) in enumerate(lines):
            off = 4.0 if len(lines) == 1 else (-3.0, 12.0)[at]
            if box.upright:
                turn = f"translate({center + off:.1f} {middle:.1f}) rotate(-90)"
                parts += svg.text(line, 0, 0, text_anchor="middle", class_=style, transform=turn)
            else:
                parts += svg.text(line, center, middle + off, text_anchor="middle", class_=style)
        return svg.titled("g", self._about(box), parts, class_=f"box {kind}{' bad' if bad else ''}")

    def _about(self, box: Box) -> str:
        """What is shown of a box to who points at it."""
        names = fold_hostlist(box.names)
        if box.row == HOSTS:
            return names if len(box.names) == 1 else f"{len(box.names)} hosts: {names}"
        hung = {plug.host.name for name in box.names for plug in self.drawing.layers.plugs[name]}
        hosts = f"; {len(hung)} {'host' if len(hung) == 1 else 'hosts'}: {fold_hostlist(hung)}" if hung else ""
        if len(box.names) > 1:
            return f"{len(box.names)} switches of tier {box.row}: {names}{hosts}"
        switch = self.fabric.switches[box.names[0]]
        chassis = f", of {switch.chassis}" if switch.chassis else ""
        return f"{names} ({switch.description}, {switch.guid}{chassis}), tier {switch.tier}{hosts}"

    # Findings.

    def _marks(self) -> Iterator[str]:
        """A line over each pair of neighbours whose cables are wrong, and a broken one where a cable is missing."""
        boxes = self.drawing.boxes
        done: set[tuple[int, int, str]] = set()
        for one in self.findings:
            for pair in one.links if one.severity is not Severity.NOTE else ():
                indices = [index for name in pair if (index := self._index(name)) is not None]
                if len(indices) < 2 or indices[0] == indices[1]:
                    continue
                indices.sort(key=lambda index: -boxes[index].y)
                style = "lacking" if one.code in _MISSING or frozenset(pair) not in self.joined else "wrong"
                if (*indices, style) in done:
                    continue
                done.add((indices[0], indices[1], style))
                low, high = indices
                path = self._path(Bundle(low, high), (boxes[low].x, boxes[high].x))
                yield svg.titled("path", f"{one.severity.value}: {one.text}", d=path, class_=style)

    def _badges(self) -> Iterator[str]:
        at: Counter[int] = Counter()
        for place, one in enumerate(self.said.findings, self.said.first):
            for index in self._subjects(one)[:1]:
                box = self.drawing.boxes[index]
                yield badge(place, one, SIDE + box.x + box.width / 2 - 17 * at[index], box.y)
                at[index] += 1

    def _legend(self, marks: Sequence[str]) -> str:
        most = max((bundle.cables for bundle in self.drawing.bundles), default=0)
        counts = [count for count in (1, 4, 16, 64, 256, 1024) if count <= most]
        keys = [("1 cable" if count == 1 else f"{count} cables", "cable", _thick(count)) for count in counts]
        for style, words in (("wrong", "wrong or slow"), ("lacking", "missing")):
            if any(f'class="{style}"' in mark for mark in marks):
                keys.append((words, style, 2.4))
        y, x = self.legend_y, 0.0
        parts = []
        for words, style, thick in keys:
            line = svg.element("path", d=f"M{x:g} {y:g}h28", class_=style, stroke_width=thick)
            parts += [line, svg.text(words, x + 34, y + 4, class_="small")]
            x += 34 + svg.width(words, 11) + 20
        return "".join(parts)


def _thick(cables: int) -> float:
    """How thick a bundle is drawn: its cross-section is that of its cables, but for bundles that would hide others."""
    return 1.1 * sqrt(cables) if cables <= 16 else 4.4 + 0.9 * log2(cables / 16)


def _name(box: Box) -> str:
    return fold_hostlist(box.names)


def _counted(boxes: Sequence[Box], row: int) -> str:
    if row != HOSTS:
        count = sum(len(box.names) for box in boxes)
        said = f"{count:,} {'switch' if count == 1 else 'switches'}"
        return f"{said} in {len(boxes)} {'group' if len(boxes) == 1 else 'groups'}" if len(boxes) < count else said
    roles = Counter({role: sum(len(box.names) for box in boxes if box.role is role) for role in Role})
    return ", ".join(
        f"{count} {'hosts' if role is Role.COMPUTE else role.value}" for role, count in roles.items() if count
    ).replace("1 hosts", "1 host", 1 if roles[Role.COMPUTE] == 1 else 0)
