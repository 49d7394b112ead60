"""Cables of hosts held against those of their like: a rail that is missing, on the wrong leaf, or crossed. Pure.

The like of a host are those whose names differ in numbers only: a login node with one cable beside GPU nodes with
eight lacks nothing. Rails that were moved from leaf to leaf are found by where the cables go. Rails that were exchanged
within a host are found by their numbers, and those come of the names or GUIDs of adapters.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence

from hpcjobs.sbatch.hostlists import fold_hostlist, natural
from hpcjobs_plugins.topology.checks.departures import Misplaced, Pair, sort_out
from hpcjobs_plugins.topology.checks.findings import Finding, Severity, Value
from hpcjobs_plugins.topology.checks.pattern import MOST, Pattern, Want, pattern, usual
from hpcjobs_plugins.topology.checks.survey import Survey, Surveyed, kind_of_name
from hpcjobs_plugins.topology.checks.words import number
from hpcjobs_plugins.topology.fabric import Host, Role


def check_rails(survey: Survey) -> Iterator[Finding]:
    """Hosts that are not cabled as their like, each with what is wrong of it once."""
    for surveyed in survey.fabrics:
        for hosts in _kinds(surveyed).values():
            yield from _Rails(surveyed, hosts).findings()


def check_planes(survey: Survey) -> Iterator[Finding]:
    """Hosts that are missing from a fabric that their like are on."""
    on: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for surveyed in survey.fabrics:
        for kind, hosts in _kinds(surveyed).items():
            for host in hosts:
                on[kind][host.name].add(surveyed.fabric.name)
    for places in on.values():
        common = usual(frozenset(fabrics) for fabrics in places.values())
        if common is None or sum(fabrics == common for fabrics in places.values()) < MOST[1]:
            continue
        lacking: dict[str, list[str]] = defaultdict(list)
        for name, fabrics in places.items():
            for fabric in common - fabrics if fabrics < common else ():
                lacking[fabric].append(name)
        for fabric, found in lacking.items():
            names = sorted(found, key=natural)
            text = f"{fold_hostlist(names)} {_is(names)} not on {fabric}, where the others of this kind are"
            evidence: dict[str, Value] = {"hosts": fold_hostlist(names), "count": len(names)}
            yield Finding("host-not-on-fabric", Severity.WARNING, fabric, text, evidence, fabric, tuple(names))


def _is(names: Sequence[str]) -> str:
    return "is" if len(names) == 1 else "are"


def _kinds(surveyed: Surveyed) -> dict[str, list[Host]]:
    """Compute hosts by what their names have in common."""
    found: dict[str, list[Host]] = defaultdict(list)
    for host in surveyed.fabric.hosts.values():
        if host.role is Role.COMPUTE:
            found[kind_of_name(host.name)].append(host)
    return found


class _Rails:
    """Hosts of one kind in one fabric."""

    def __init__(self, surveyed: Surveyed, hosts: Sequence[Host]) -> None:
        self.fabric = surveyed.fabric.name
        self.hosts = {host.name: host for host in hosts}
        self.cables: dict[str, Mapping[str, int]] = {
            host.name: Counter(point.switch for point in host.endpoints) for host in hosts
        }
        self.pattern: Pattern = pattern(self.cables)
        self.found = sort_out(self.pattern.too_few, self.pattern.too_many)
        self.wrong = {name for name, _ in (*self.pattern.too_few, *self.pattern.too_many)}

    def findings(self) -> Iterator[Finding]:
        for one in self.found.upper_ends:
            yield self._misplaced(one)
        for one in self.found.lower_ends:
            yield self._mixed_up(one)
        for pair in self.found.crossed:
            yield self._exchanged(*pair)
        yield from self._missing()
        yield from self._fewer()
        yield from self._alike_but_fewer()
        yield from self._one_leaf()
        yield from self._crossed()

    def _finding(
        self,
        code: str,
        severity: Severity,
        hosts: Sequence[str],
        text: str,
        links: Sequence[Pair],
        evidence: Mapping[str, Value],
    ) -> Finding:
        names = tuple(dict.fromkeys([*hosts, *(leaf for _, leaf in links)]))
        return Finding(code, severity, fold_hostlist(hosts), text, evidence, self.fabric, names, tuple(links))

    def _usual(self, want: Want, leaf: str) -> str:
        count = want.cables.get(leaf)
        word = "none" if count is None else str(count) if count else "some"
        return f"{len(want.peers)} of {want.of} hosts of its group have {word}"

    def _places(self, host: str, leaf: str) -> tuple[str, ...]:
        """The cables between a host and a leaf."""
        return tuple(
            f"{leaf}:{point.switch_port} - {host} (rail {point.rail})"
            for point in self.hosts[host].endpoints
            if point.switch == leaf
        )

    def _misplaced(self, one: Misplaced) -> Finding:
        host, wrong, right = one
        want = self.pattern.wants[host]
        has = self.cables[host]
        text = (
            f"{host} has {number(has.get(wrong, 0))} to {wrong} and {number(has.get(right, 0))} to {right}; to {right} "
            f"{self._usual(want, right)}, to {wrong} {self._usual(want, wrong).rsplit(' ', 1)[1]}"
        )
        evidence: dict[str, Value] = {"cables": self._places(host, wrong), "belongs": right}
        return self._finding("rail-misplaced", Severity.ERROR, [host], text, [(host, wrong), (host, right)], evidence)

    def _mixed_up(self, one: Misplaced) -> Finding:
        leaf, wrong, right = one
        text = (
            f"{wrong} has {number(self.cables[wrong].get(leaf, 0))} to {leaf} and {right} has "
            f"{number(self.cables[right].get(leaf, 0))}; {self._usual(self.pattern.wants[right], leaf)}"
        )
        evidence: dict[str, Value] = {"cables": self._places(wrong, leaf), "belongs": right}
        return self._finding("rail-misplaced", Severity.ERROR, [right], text, [(wrong, leaf), (right, leaf)], evidence)

    def _exchanged(self, one: Pair, other: Pair) -> Finding:
        text = (
            f"{one[0]} and {other[0]} are crossed: {one[0]} goes to {one[1]} and should go to {other[1]}, {other[0]} "
            f"goes to {other[1]} and should go to {one[1]}"
        )
        evidence: dict[str, Value] = {"cables": (*self._places(*one), *self._places(*other))}
        return self._finding("rail-misplaced", Severity.ERROR, [one[0], other[0]], text, [one, other], evidence)

    def _missing(self) -> Iterator[Finding]:
        of_hosts: dict[str, list[str]] = defaultdict(list)
        for host, leaf in self.found.missing:
            of_hosts[host].append(leaf)
        alike: dict[tuple[str, ...], list[str]] = defaultdict(list)
        for host, lacking in of_hosts.items():
            alike[tuple(sorted(lacking, key=natural))].append(host)
        for leaves, hosts in sorted(alike.items()):
            want = self.pattern.wants[hosts[0]]
            text = (
                f"{fold_hostlist(hosts)} {'has' if len(hosts) == 1 else 'have'} too few cables to "
                f"{fold_hostlist(leaves)}: {self._usual(want, leaves[0])}{' to each' if len(leaves) > 1 else ' there'}"
            )
            links = [(host, leaf) for host in hosts for leaf in leaves]
            evidence: dict[str, Value] = {"leaves": leaves, "hosts": fold_hostlist(hosts)}
            yield self._finding("rail-missing", Severity.WARNING, hosts, text, links, evidence)

    def _fewer(self) -> Iterator[Finding]:
        """Hosts with fewer cables than their like where it cannot be said which, if those beside them have more."""
        if not any(odd < 0 for odd in self.pattern.odd_totals.values()):
            return
        beside: dict[str, Counter[int]] = defaultdict(Counter)
        for has in self.cables.values():
            for leaf in has:
                beside[leaf][sum(has.values())] += 1
        found: dict[tuple[int, int], list[str]] = defaultdict(list)
        for host, odd in self.pattern.odd_totals.items():
            has = self.cables[host]
            total = sum(has.values())
            if odd < 0 and all(beside[leaf][total] * 2 <= beside[leaf].total() for leaf in has):
                found[total, total - odd].append(host)
                self.wrong.add(host)
        for (total, common), hosts in found.items():
            text = (
                f"{fold_hostlist(hosts)} {'has' if len(hosts) == 1 else 'have'} {number(total)}; most hosts of this "
                f"kind have {common}"
            )
            evidence: dict[str, Value] = {"hosts": fold_hostlist(hosts), "has": total, "usual": common}
            yield self._finding("rail-missing", Severity.WARNING, hosts, text, [], evidence)

    def _alike_but_fewer(self) -> Iterator[Finding]:
        """Hosts that agree with those beside them but have fewer cables than most of their kind: a leaf may be gone."""
        totals = {name: sum(has.values()) for name, has in self.cables.items()}
        common = usual(totals.values()) or 0
        found: dict[int, list[str]] = defaultdict(list)
        for name, total in totals.items():
            if total < common and name not in self.wrong and len(totals) >= MOST[1]:
                found[total].append(name)
        for total, hosts in found.items():
            folded = fold_hostlist(hosts)
            have = f"has {number(total)}" if len(hosts) == 1 else f"have {number(total)} each"
            text = f"{folded} {have}, as those beside them; most hosts of this kind have {common}"
            evidence: dict[str, Value] = {"hosts": folded, "has": total, "usual": common}
            yield self._finding("rails-differ", Severity.NOTE, hosts, text, [], evidence)

    def _one_leaf(self) -> Iterator[Finding]:
        several = {name: has for name, has in self.cables.items() if sum(has.values()) > 1}
        alone = [name for name, has in several.items() if len(has) == 1 and name not in self.wrong]
        if not alone or len(alone) * MOST[1] > len(several) * (MOST[1] - MOST[0]):
            return
        for host in alone:
            (leaf,) = self.cables[host]
            self.wrong.add(host)
            text = (
                f"{host} has all its {self.cables[host][leaf]} cables on {leaf}; {len(several) - len(alone)} of "
                f"{len(several)} hosts of its kind are on several leaves"
            )
            evidence: dict[str, Value] = {"cables": self._places(host, leaf)}
            yield self._finding("host-on-one-leaf", Severity.WARNING, [host], text, [(host, leaf)], evidence)

    def _crossed(self) -> Iterator[Finding]:
        """Hosts whose rails are on the leaves of other rails, where a leaf is one of a rail."""
        rails: dict[str, list[int]] = defaultdict(list)
        common = usual(len(host.endpoints) for host in self.hosts.values()) or 0
        for host in self.hosts.values():
            if len(host.endpoints) == common > 1:
                for point in host.endpoints:
                    rails[point.switch].append(point.rail)
        rail_of = {leaf: usual(found) for leaf, found in rails.items() if len(found) >= MOST[1]}
        if not rail_of or None in rail_of.values() or len(set(rail_of.values())) < common:
            return  # several rails share a leaf
        for host in self.hosts.values():
            if host.name in self.wrong or any(point.switch not in rail_of for point in host.endpoints):
                continue
            goes = [(point, rail_of[point.switch] or 0) for point in host.endpoints]
            ordered = sorted(rail for _, rail in goes)
            off = [(point, rail) for (point, rail), due in zip(goes, ordered, strict=True) if rail != due]
            if not off or len(set(ordered)) < len(ordered):
                continue
            said = ", ".join(f"rail {point.rail} is on {point.switch}, a leaf of rail {rail}" for point, rail in off)
            text = (
                f"{host.name}'s rails are crossed: {said}; or an adapter was replaced, and rails are now numbered in "
                f"another order than they are cabled"
            )
            links = [(host.name, point.switch) for point, _ in off]
            cables = tuple(f"{point.switch}:{point.switch_port} - {host.name} (rail {point.rail})" for point, _ in off)
            yield self._finding("rails-crossed", Severity.WARNING, [host.name], text, links, {"cables": cables})
