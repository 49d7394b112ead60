"""What a picture is dressed in: its style for bright and dark grounds, and findings with their numbers. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from hpcjobs_plugins.topology import svg
from hpcjobs_plugins.topology.checks.findings import Finding
from hpcjobs_plugins.topology.drawing import SIZE

MOST_FINDINGS: Final = 12
"""As many findings of a fabric are written out below it."""

_LINE: Final = 16.0

STYLE: Final = """
svg { color-scheme: light dark; }
text { font-family: system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; fill: #1b2430; }
.ground { fill: #ffffff; }
.head { font-size: 18px; font-weight: 600; }
.side { font-size: 12px; font-weight: 600; }
.small, .note { font-size: 11px; fill: #5a6675; }
.label { font-size: 12px; }
.note { font-size: 10px; }
.said { font-size: 12px; }
.box rect { stroke-width: 1.2; }
.tier1 rect { fill: #e2eefb; stroke: #4a80ba; }
.tier2 rect { fill: #ebe5fa; stroke: #7b61c2; }
.tier3 rect { fill: #fdf0d8; stroke: #b88a30; }
.tier4 rect { fill: #fbe6ee; stroke: #b05c80; }
.tier0 rect { fill: #eeeeee; stroke: #888888; stroke-dasharray: 4 3; }
.compute rect { fill: #e3f4e7; stroke: #4e9a62; }
.storage rect { fill: #f0ead9; stroke: #94804c; }
.other rect { fill: #ececec; stroke: #858585; }
.cable { stroke: #7d8aa0; fill: none; }
.bad rect { stroke: #cc1f2d; stroke-width: 2.4; }
.wrong { stroke: #cc1f2d; fill: none; stroke-width: 2.4; }
.lacking { stroke: #cc1f2d; fill: none; stroke-width: 2; stroke-dasharray: 6 4; }
.badge circle { fill: #ffffff; stroke: #cc1f2d; stroke-width: 1.6; }
.badge text { font-size: 10px; font-weight: 700; fill: #cc1f2d; }
.badge.error circle { fill: #cc1f2d; }
.badge.error text { fill: #ffffff; }
.badge.note circle { stroke: #5a6675; }
.badge.note text { fill: #5a6675; }
@media (prefers-color-scheme: dark) {
  text { fill: #e5eaf1; }
  .ground { fill: #13171e; }
  .small, .note { fill: #9ba7b7; }
  .tier1 rect { fill: #1b3049; stroke: #6ba3de; }
  .tier2 rect { fill: #2c2449; stroke: #a08be2; }
  .tier3 rect { fill: #3d3017; stroke: #d8ab52; }
  .tier4 rect { fill: #411f2e; stroke: #d483a5; }
  .tier0 rect { fill: #2a2a2a; stroke: #999999; }
  .compute rect { fill: #17351f; stroke: #6abd80; }
  .storage rect { fill: #37301b; stroke: #c0a869; }
  .other rect { fill: #2c2c2c; stroke: #a0a0a0; }
  .cable { stroke: #6d7b92; }
  .bad rect { stroke: #ff5c66; }
  .wrong, .lacking { stroke: #ff5c66; }
  .badge circle { fill: #13171e; stroke: #ff5c66; }
  .badge text { fill: #ff5c66; }
  .badge.error circle { fill: #ff5c66; }
  .badge.error text { fill: #13171e; }
  .badge.note circle { stroke: #9ba7b7; }
  .badge.note text { fill: #9ba7b7; }
}
"""


class WrittenOut:
    """Findings written out below each other, each with its number."""

    def __init__(self, findings: Sequence[Finding], first: int, width: float) -> None:
        self.findings = findings[:MOST_FINDINGS]
        self.first = first
        self.more = len(findings) - len(self.findings)
        self.lines = [
            list(svg.wrapped(f"{one.severity.value.capitalize()}: {one.text}", SIZE, width - 40))
            for one in self.findings
        ]
        self.height = sum(len(lines) * _LINE + 4 for lines in self.lines) + (_LINE if self.more else 0)

    def drawn(self, y: float) -> str:
        """Below each other, the first at a height."""
        parts = []
        for place, (one, lines) in enumerate(zip(self.findings, self.lines, strict=True), self.first):
            parts.append(badge(place, one, 9, y + 8))
            parts += [svg.text(line, 26, y + 12 + at * _LINE, class_="said") for at, line in enumerate(lines)]
            y += len(lines) * _LINE + 4
        if self.more:
            parts.append(svg.text(f"and {self.more} more", 26, y + 12, class_="small"))
        return "".join(parts)


def badge(place: int, finding: Finding, x: float, y: float) -> str:
    """The number of a finding in a circle about a point: a full one for an error."""
    kind = finding.severity.value
    shape = svg.element("circle", cx=x, cy=y, r=8) + svg.text(str(place), x, y + 3.6, text_anchor="middle")
    return svg.titled("g", f"{kind}: {finding.text}", shape, class_=f"badge {kind}")
