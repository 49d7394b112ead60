"""What is printed of a site: a tree, tables, and plain data for JSON. Pure: commands print it.

A fat tree is no tree. What is printed is one: switches of a tier that are connected below it are one line, under which
are the parts that remain without them: cores, under them the spines of each pod, under them the leaves.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

import msgspec

from hpcjobs.sbatch.hostlists import fold_hostlist, natural
from hpcjobs_plugins.topology.changes import Change
from hpcjobs_plugins.topology.checks.bandwidth import loads
from hpcjobs_plugins.topology.checks.findings import Finding, Severity
from hpcjobs_plugins.topology.checks.words import gbps, tier_word
from hpcjobs_plugins.topology.fabric import Fabric, Notice, Role, Site, Trunk
from hpcjobs_plugins.topology.layers import Layers, components, shown

MOST_ODD: Final = 20
"""As many cables that are in no tree are printed one by one."""

_UNICODE: Final = ("├─ ", "└─ ", "│  ", "   ")
_ASCII: Final = ("|- ", "`- ", "|  ", "   ")


class _Branch(NamedTuple):
    """A line with what is below it."""

    line: str
    below: list[_Branch]


def tree(site: Site, *, unicode: bool = True, brief: bool = False) -> list[str]:
    """A site as an indented tree.

    Args:
        site: What was found.
        unicode: Whether lines may be drawn with box characters; else with ASCII.
        brief: Whether leaves of a part are one line all together; else each that has hosts of its own is.
    """
    branches = [_fabric(fabric, brief=brief) for fabric in site.fabrics]
    if site.domains:
        nodes = [_Branch(f"{key}: {_hosts(names)}", []) for key, names in site.domains.items()]
        branches.append(_Branch(f"NVLink: {_count(len(nodes), 'domain')}", nodes))
    lines = [line for branch in branches for line in _written(branch, _UNICODE if unicode else _ASCII)]
    return lines or ["no fabric"]


def _written(branch: _Branch, strokes: Sequence[str]) -> Iterator[str]:
    yield branch.line
    for index, one in enumerate(branch.below):
        last = index == len(branch.below) - 1
        first, *others = _written(one, strokes)
        yield strokes[1 if last else 0] + first
        for line in others:
            yield strokes[3 if last else 2] + line


def _count(count: int, what: str, many: str = "") -> str:
    return f"{count} {what if count == 1 else many or f'{what}s'}"


def _hosts(names: Iterable[str]) -> str:
    every = list(names)
    folded = fold_hostlist(every)
    return f"{folded} ({len(every)})" if len(every) > 1 else folded


def _rates(rates: Iterable[float]) -> str:
    """`` at 200 Gbit/s``, or each rate with how many there are of it; nothing where no rate is known."""
    count = Counter(rate for rate in rates if rate)
    if len(count) == 1:
        return f" at {gbps(*count)}"
    each = ", ".join(f"{many} at {gbps(rate)}" for rate, many in sorted(count.items(), reverse=True))
    return f" ({each})" if each else ""


def _fabric(fabric: Fabric, *, brief: bool) -> _Branch:
    layers = Layers(fabric)
    head = (
        f"{fabric.name}: {fabric.network.value}, {_count(len(fabric.hosts), 'host')}, "
        f"{_count(len(fabric.switches), 'switch', 'switches')} on {_count(layers.top, 'tier')}"
    )
    if fabric.trunks:
        head += f", {_count(len(fabric.trunks), 'cable')} between them"
    others = Counter(host.role for host in fabric.hosts.values() if host.role is not Role.COMPUTE)
    if others:
        head += "; " + ", ".join(f"{count} {role.value}" for role, count in sorted(others.items()))
    names = [name for name, row in layers.row.items() if row]
    parts = [part for group in _parts(layers, names, layers.top) for part in _part(layers, group, layers.top, brief)]
    apart = layers.names(0)
    if apart:
        parts.append(_Branch(f"connected to no leaf: {fold_hostlist(apart)}", []))
    for words, cables in (("within a tier", layers.within), ("past a tier", layers.across)):
        trunks = [trunk for its in cables.values() for trunk in its]
        if trunks:
            lines = [_Branch(f"{shown(trunk)}{_rates([trunk.gbps])}", []) for trunk in trunks[:MOST_ODD]]
            if len(trunks) > MOST_ODD:
                lines.append(_Branch(f"and {len(trunks) - MOST_ODD} more", []))
            parts.append(_Branch(f"{_count(len(trunks), 'cable')} {words}", lines))
    return _Branch(head, parts)


def _parts(layers: Layers, names: Iterable[str], row: int) -> list[list[str]]:
    """Switches up to a row in the groups that hang together by it and what is below it."""
    inside = [name for name in names if layers.row[name] <= row]
    groups = [sorted(group, key=natural) for group in components(inside, layers.up)]
    return sorted(groups, key=lambda group: natural(min(group, key=lambda name: (layers.row[name], natural(name)))))


def _part(layers: Layers, names: Sequence[str], row: int, brief: bool) -> list[_Branch]:
    """The branches of a part: its highest switches with what is below them, or what is below if it has none there."""
    if row == 1:
        return _leaves(layers, names, brief=brief)
    own = [name for name in names if layers.row[name] == row]
    if row == 2:
        below = _leaves(layers, [name for name in names if layers.row[name] == 1], brief=brief)
    else:
        below = [branch for group in _parts(layers, names, row - 1) for branch in _part(layers, group, row - 1, brief)]
    if not own:
        return below
    hung = sorted({plug.host.name for name in own for plug in layers.plugs[name]}, key=natural)
    if hung:
        below = [*below, _Branch(f"hosts here: {_hosts(hung)}", [])]
    return [
        _Branch(
            f"{fold_hostlist(own)}: {_count(len(own), tier_word(row, 1), tier_word(row, 2))}{_up(layers, own)}", below
        )
    ]


def _up(layers: Layers, names: Iterable[str]) -> str:
    trunks: list[Trunk] = [trunk for name in names for high in layers.uppers[name] for trunk in layers.up[name, high]]
    return f", {_count(len(trunks), 'cable')} up{_rates(trunk.gbps for trunk in trunks)}" if trunks else ""


def _leaves(layers: Layers, names: Sequence[str], *, brief: bool) -> list[_Branch]:
    """Leaves, those together that have the same hosts (one for each rail), or all that go to the same switches."""
    groups: dict[tuple[bool, frozenset[str]], list[str]] = defaultdict(list)
    for name in names:
        hosts = frozenset(plug.host.name for plug in layers.plugs[name])
        alike = hosts if hosts and not brief else frozenset(layers.uppers[name])
        groups[bool(hosts) or brief, alike].append(name)
    found = []
    for leaves in groups.values():
        plugs = [plug for name in leaves for plug in layers.plugs[name]]
        hung = sorted({plug.host.name for plug in plugs}, key=natural)
        many = f" ({len(leaves)} leaves)" if len(leaves) > 1 else ""
        what = f"{_hosts(hung)}, {_count(len(plugs), 'cable')}{_rates(plug.point.gbps for plug in plugs)}"
        found.append(_Branch(f"{fold_hostlist(leaves)}{many}: {what if hung else 'no host'}{_up(layers, leaves)}", []))
    return found


class Table(NamedTuple):
    """Rows under a heading.

    Attributes:
        head: Of each column.
        rows: What is in each column.
    """

    head: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]


def aligned(table: Table, *, width: int = 0) -> list[str]:
    """A table in columns of blanks.

    Args:
        table: Its last column is not padded.
        width: Letters of a line, at most; the last column is cut; 0: it is not.
    """
    every = [table.head, *table.rows]
    widths = [max(len(row[column]) for row in every) for column in range(len(table.head))]
    lines = ["  ".join(cell.ljust(size) for cell, size in zip(row, widths, strict=True)).rstrip() for row in every]
    return [line if not width or len(line) <= width else f"{line[: max(width - 3, 0)]}..." for line in lines]


def findings_table(findings: Iterable[Finding]) -> Table:
    """Findings, one a row, in their order."""
    rows = [(one.severity.value, one.fabric or "-", one.code, one.subject, one.text) for one in findings]
    return Table(("SEVERITY", "FABRIC", "CODE", "SUBJECT", "WHAT"), rows)


def changes_table(changes: Iterable[Change]) -> Table:
    """Changes, one a row, in their order."""
    return Table(("CODE", "SUBJECT", "WAS", "NOW", "WHAT"), [_change(one) for one in changes])


def _change(one: Change) -> tuple[str, ...]:
    return one.code, one.subject, one.was or "-", one.now or "-", one.text


def switches_table(site: Site) -> Table:
    """Switches, one a row: where they are, how many hosts and cables they have, and what they take to what goes up."""
    rows = []
    for fabric in site.fabrics:
        layers, found = Layers(fabric), loads(fabric).switches
        for name in sorted(fabric.switches, key=lambda name: (fabric.switches[name].tier, natural(name))):
            switch = fabric.switches[name]
            up = sum(len(layers.up[name, high]) for high in layers.uppers[name])
            ratio = f"{found[name].ratio:.2f}" if name in found and found[name].down_gbps else "-"
            used = len(layers.plugs[name]) + len(layers.trunks[name])
            rows.append(
                (
                    fabric.name, name, str(switch.tier), str(len({plug.host.name for plug in layers.plugs[name]})),
                    str(up), ratio, f"{used}/{switch.ports}" if switch.ports else str(used), switch.guid,
                )
            )  # fmt: skip
    return Table(("FABRIC", "SWITCH", "TIER", "HOSTS", "UP", "RATIO", "PORTS", "GUID"), rows)


class FabricSummary(msgspec.Struct, frozen=True):
    """A fabric in numbers.

    Attributes:
        name: Its name.
        network: What it carries.
        hosts: How many by role.
        switches: How many by tier, as text: JSON has no other keys.
        trunks: Cables between switches.
        oversubscription: Of each tier with one above it, from below: bandwidth down by bandwidth up.
    """

    name: str
    network: str
    hosts: dict[str, int]
    switches: dict[str, int]
    trunks: int
    oversubscription: list[float]


class SiteSummary(msgspec.Struct, frozen=True):
    """A site in numbers.

    Attributes:
        found_at: Unix seconds of the discovery.
        fabrics: Each.
        domains: NVLink domains with how many nodes each.
        notices: How many by code.
    """

    found_at: float
    fabrics: list[FabricSummary]
    domains: dict[str, int]
    notices: dict[str, int]


def summary(site: Site) -> SiteSummary:
    """A site in numbers."""
    return SiteSummary(
        site.found_at,
        [_summary(fabric) for fabric in site.fabrics],
        {key: len(nodes) for key, nodes in site.domains.items()},
        _by_code(site.notices),
    )


def _by_code(notices: Iterable[Notice]) -> dict[str, int]:
    count: Counter[str] = Counter()
    for notice in notices:
        count[notice.code] += notice.count
    return dict(sorted(count.items()))


def _summary(fabric: Fabric) -> FabricSummary:
    tiers = Counter(switch.tier for switch in fabric.switches.values())
    roles = Counter(host.role.value for host in fabric.hosts.values())
    ratios = [round(load.ratio, 3) for load in loads(fabric).tiers]
    return FabricSummary(
        fabric.name,
        fabric.network.value,
        dict(sorted(roles.items())),
        {str(tier): tiers[tier] for tier in sorted(tiers)},
        len(fabric.trunks),
        ratios,
    )


class Report(msgspec.Struct, frozen=True):
    """What a check or a comparison says, for JSON.

    Attributes:
        site: The site in numbers; of a comparison the later one.
        findings: Of a check.
        changes: Of a comparison.
        counts: Findings by severity.
    """

    site: SiteSummary
    findings: list[Finding] = []
    changes: list[Change] = []
    counts: dict[str, int] = {}


def report(site: Site, findings: Iterable[Finding] = (), changes: Iterable[Change] = ()) -> Report:
    """Put together what is to be printed as JSON."""
    found = list(findings)
    counts = Counter(one.severity for one in found)
    return Report(
        summary(site), found, list(changes), {severity.value: counts[severity] for severity in Severity if found}
    )


def plain(value: Site | Report | SiteSummary) -> dict[str, object]:
    """Data of which JSON can be made: dicts, lists, text and numbers."""
    return msgspec.json.decode(msgspec.json.encode(value), type=dict[str, object])
