"""What falls apart: switches that alone hold others, and parts that are no longer connected. Pure.

Missing cables are told by themselves (``cabling``): a switch alone holds others only if it would do so with all cables
that should be there.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from typing import Final

from hpcjobs.sbatch.hostlists import fold_hostlist, natural
from hpcjobs_plugins.topology.checks.findings import Finding, Severity, Value
from hpcjobs_plugins.topology.checks.survey import Survey, Surveyed
from hpcjobs_plugins.topology.checks.words import tier_word
from hpcjobs_plugins.topology.layers import components

MEANT: Final = 0.75
"""If such a part of a tier's switches hold others alone, the fabric is built so, and it is told once, as a note."""


def check_single_points(survey: Survey) -> Iterator[Finding]:
    """Switches, or directors as a whole, without which others cannot reach each other."""
    for surveyed in survey.fabrics:
        near = _joined(surveyed)
        rows: dict[str, int] = {}
        sizes: Counter[int] = Counter()
        for name, switch in surveyed.fabric.switches.items():
            unit = switch.chassis or name
            rows[unit] = max(rows.get(unit, 0), surveyed.layers.row[name])
        sizes.update(rows.values())
        hosts = dict.fromkeys(near, 0)
        for name, plugs in surveyed.layers.plugs.items():
            hosts[surveyed.fabric.switches[name].chassis or name] += len({plug.host.name for plug in plugs})
        cuts = {unit: parts for unit, parts in _cut_points(near, hosts).items() if parts}
        by_row: dict[int, list[str]] = defaultdict(list)
        for unit in cuts:
            by_row[rows[unit]].append(unit)
        for row, units in by_row.items():
            if len(units) >= MEANT * sizes[row]:
                yield _by_design(surveyed, sorted(units, key=natural), row)
            else:
                for unit in units:
                    yield _alone(surveyed, unit, cuts[unit])


def _joined(surveyed: Surveyed) -> dict[str, list[str]]:
    """Neighbours of each switch, a director being one, with the cables that are missing put in."""
    layers, switches = surveyed.layers, surveyed.fabric.switches
    pairs = {(trunk.a, trunk.b) for trunk in surveyed.fabric.trunks}
    for found in surveyed.patterns.values():
        pairs.update((low, high) for low, want in found.wants.items() for high in want.cables)
    near: dict[str, dict[str, None]] = {switches[name].chassis or name: {} for name in layers.row}
    for one, other in sorted(pairs):
        a, b = (switches[name].chassis or name for name in (one, other))
        if a != b:
            near[a][b] = near[b][a] = None
    return {name: list(others) for name, others in near.items()}


def _cut_points(near: Mapping[str, list[str]], weight: Mapping[str, int]) -> dict[str, list[list[str]]]:
    """Each node without which some with weight cannot reach the rest with weight, with those parts but the heaviest.

    Tarjan's depth-first search (1972) without recursion; a node cuts off the subtree of a child whose lowest reachable
    depth is not above its own. Linear in the edges, but for writing out what is cut off.
    """
    depth: dict[str, int] = {}
    low: dict[str, int] = {}
    order: list[str] = []
    parent: dict[str, str] = {}
    for root in near:
        if root in depth:
            continue
        depth[root] = low[root] = 0
        order.append(root)
        stack = [(root, iter(near[root]))]
        while stack:
            node, others = stack[-1]
            for other in others:
                if other not in depth:
                    depth[other] = low[other] = depth[node] + 1
                    parent[other] = node
                    order.append(other)
                    stack.append((other, iter(near[other])))
                    break
                if other != parent.get(node):
                    low[node] = min(low[node], depth[other])
            else:
                stack.pop()
                if stack:
                    low[stack[-1][0]] = min(low[stack[-1][0]], low[node])
    children: dict[str, list[str]] = defaultdict(list)
    for node, above in parent.items():
        children[above].append(node)
    total, heavy = sum(weight.values()), dict(weight)
    for node in reversed(order):
        if node in parent:
            heavy[parent[node]] += heavy[node]
    found: dict[str, list[list[str]]] = {}
    for node in order:
        apart = [child for child in children[node] if low[child] >= depth[node] and heavy[child]]
        rest = total - weight[node] - sum(heavy[child] for child in apart)
        if not apart or (len(apart) == 1 and not rest):
            continue
        parts = {child: _below(child, children) for child in apart}
        if rest > max(heavy[child] for child in apart):
            found[node] = list(parts.values())
            continue
        # The heaviest is what the others are cut off from.
        del parts[max(apart, key=lambda child: (heavy[child], child))]
        found[node] = list(parts.values())
        if rest:
            inside = {node}.union(*(_below(child, children) for child in apart))
            found[node].append([other for other in order if other not in inside])
    return found


def _below(node: str, children: Mapping[str, list[str]]) -> list[str]:
    found, edge = [], [node]
    while edge:
        one = edge.pop()
        found.append(one)
        edge.extend(children.get(one, ()))
    return found


def _by_design(surveyed: Surveyed, units: list[str], row: int) -> Finding:
    folded = fold_hostlist(units)
    if len(units) == 1:
        text = f"Everything of {surveyed.fabric.name} goes through {folded}: without it the leaves are apart"
    else:
        text = f"Each of {folded}, the {tier_word(row, 2)}, alone holds what is below it"
    evidence: dict[str, Value] = {"switches": folded}
    return Finding("switch-single-point", Severity.NOTE, folded, text, evidence, surveyed.fabric.name, tuple(units))


def _alone(surveyed: Surveyed, unit: str, parts: list[list[str]]) -> Finding:
    layers, switches = surveyed.layers, surveyed.fabric.switches
    lost = {name for part in parts for name in part}
    lost_switches = [name for name, switch in switches.items() if (switch.chassis or name) in lost]
    hosts = {plug.host.name for name in lost_switches for plug in layers.plugs[name]}
    text = (
        f"{unit} alone holds {fold_hostlist(sorted(lost, key=natural))} with {len(hosts)} "
        f"{'host' if len(hosts) == 1 else 'hosts'}: without it they are cut off"
    )
    evidence: dict[str, Value] = {"cut_off": fold_hostlist(lost), "hosts": len(hosts)}
    return Finding("switch-single-point", Severity.WARNING, unit, text, evidence, surveyed.fabric.name, (unit,))


def check_parts(survey: Survey) -> Iterator[Finding]:
    """Fabrics that are cut off from a larger one that they look to be of, or that are in pieces; switches apart."""
    for surveyed in survey.fabrics:
        fabric = surveyed.fabric
        parts = sorted(
            components(fabric.switches, ((trunk.a, trunk.b) for trunk in fabric.trunks)), key=len, reverse=True
        )
        for part in parts[1:]:
            folded = fold_hostlist(part)
            text = f"{folded} of {fabric.name} cannot be reached from its other switches"
            evidence: dict[str, Value] = {"switches": folded}
            yield Finding("part-disconnected", Severity.ERROR, folded, text, evidence, fabric.name, tuple(part))
    larger = [surveyed for surveyed in survey.fabrics if surveyed.layers.top > 1]
    for small in survey.fabrics:
        for large in larger:
            if _cut_off(small, large):
                yield _apart(small, large)
                break


def _cut_off(small: Surveyed, large: Surveyed) -> bool:
    """Whether a fabric looks like a piece of a larger one: fewer tiers and hosts, and only names like those there."""
    if small.fabric.network is not large.fabric.network or small.layers.top >= large.layers.top:
        return False
    if 2 * len(small.fabric.hosts) >= len(large.fabric.hosts):
        return False
    return all(its <= theirs for its, theirs in zip(small.kinds, large.kinds, strict=True))


def _apart(small: Surveyed, large: Surveyed) -> Finding:
    switches, hosts = fold_hostlist(small.fabric.switches), list(small.fabric.hosts)
    text = f"{switches} {'is' if len(small.fabric.switches) == 1 else 'are'} a fabric apart, {small.fabric.name}"
    if hosts:
        text += f", with {len(hosts)} {'host' if len(hosts) == 1 else 'hosts'} ({fold_hostlist(hosts)})"
    text += f"; by {'its name' if len(small.fabric.switches) == 1 else 'their names'} a part of {large.fabric.name}"
    evidence: dict[str, Value] = {"switches": switches, "hosts": fold_hostlist(hosts), "of": large.fabric.name}
    names = (*small.fabric.switches, *hosts)
    return Finding("part-disconnected", Severity.ERROR, switches, text, evidence, small.fabric.name, names)
