"""Links that are slower than those beside them, and tiers in which several speeds are at work. Pure.

A link is slow if it is slower than most of the others at both its ends: an old leaf all of whose links are slow is an
old leaf and not many faults.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import NamedTuple

from hpcjobs.sbatch.hostlists import fold_hostlist, natural
from hpcjobs_plugins.topology.checks.findings import Finding, Severity, Value
from hpcjobs_plugins.topology.checks.pattern import MOST, usual
from hpcjobs_plugins.topology.checks.survey import Survey, Surveyed, kind_of_name
from hpcjobs_plugins.topology.checks.words import gbps, tier_word


class _Link(NamedTuple):
    """A cable to be compared.

    Attributes:
        gbps: Its rate.
        lower: What is comparable at its lower end.
        upper: What is comparable at its upper end.
        pair: Its ends.
        shown: The cable.
    """

    gbps: float
    lower: tuple[str, ...]
    upper: tuple[str, ...]
    pair: tuple[str, str]
    shown: str


def check_speeds(survey: Survey) -> Iterator[Finding]:
    """Slow links, and a note for each tier that has several speeds beside them."""
    for surveyed in survey.fabrics:
        for where, links in _tiers(surveyed).items():
            slow = _slow(links)
            yield from _told(surveyed, slow)
            counted = Counter(link.gbps for link in links if link not in slow)
            if len(counted) > 1:
                said = ", ".join(f"{count} at {gbps(rate)}" for rate, count in sorted(counted.items(), reverse=True))
                text = f"Links {where} of {surveyed.fabric.name} are of several speeds: {said}"
                evidence: dict[str, Value] = {f"{rate:g}": count for rate, count in sorted(counted.items())}
                subject = f"{surveyed.fabric.name} {where}"
                yield Finding("speeds-mixed", Severity.NOTE, subject, text, evidence, surveyed.fabric.name)


def _tiers(surveyed: Surveyed) -> dict[str, list[_Link]]:
    """Links whose rate is known, by what they connect."""
    layers = surveyed.layers
    found: dict[str, list[_Link]] = defaultdict(list)
    for switch, plugs in layers.plugs.items():
        for host, point in plugs:
            if point.gbps:
                kind = kind_of_name(host.name)
                own = (host.name,) if len(host.endpoints) >= MOST[1] else ()
                pair = host.name, switch
                shown = f"{switch}:{point.switch_port} - {host.name} (rail {point.rail})"
                found["to hosts"].append(_Link(point.gbps, own, (switch, kind), pair, shown))
    for (low, high), trunks in layers.up.items():
        where = f"from {tier_word(layers.row[low], 2)} up"
        for trunk in trunks:
            if trunk.gbps:
                shown = f"{trunk.a}:{trunk.a_port} - {trunk.b}:{trunk.b_port}"
                found[where].append(_Link(trunk.gbps, (low,), (high,), (low, high), shown))
    return found


def _slow(links: list[_Link]) -> dict[_Link, float]:
    """Links that are slower than the usual at both ends, with what is usual."""
    rates: dict[tuple[str, tuple[str, ...]], list[float]] = defaultdict(list)
    for link in links:
        rates["lower", link.lower].append(link.gbps)
        rates["upper", link.upper].append(link.gbps)
    common = {group: usual(its) for group, its in rates.items() if len(its) >= MOST[1] and group[1]}
    of_all = usual(link.gbps for link in links) if len(links) >= MOST[1] else None
    found: dict[_Link, float] = {}
    for link in links:
        ends = [rate for rate in (common.get(("lower", link.lower)), common.get(("upper", link.upper))) if rate]
        ends = ends or ([of_all] if of_all else [])
        if ends and all(link.gbps < rate for rate in ends):
            found[link] = min(ends)
    return found


def _told(surveyed: Surveyed, slow: dict[_Link, float]) -> Iterator[Finding]:
    """Slow links of one switch at one rate together."""
    groups: dict[tuple[str, float, float], list[_Link]] = defaultdict(list)
    for link, due in slow.items():
        groups[link.pair[1], link.gbps, due].append(link)
    for (switch, rate, due), links in groups.items():
        links.sort(key=lambda link: natural(link.shown))
        shown = tuple(link.shown for link in links)
        many = f"The link {shown[0]} runs" if len(links) == 1 else f"{len(links)} links of {switch} run"
        part = due / rate
        lanes = f", as one lane of {part:g} would" if part in (2, 4) else ""
        text = f"{many} at {gbps(rate)}{lanes}; those beside {'it' if len(links) == 1 else 'them'} run at {gbps(due)}"
        if len(links) > 1:
            text += f": {fold_hostlist({link.pair[0] for link in links})}"
        subject = links[0].pair[0] if len(links) == 1 else switch
        hosts = dict.fromkeys(link.pair[0] for link in links)
        names = (*hosts, switch) if len(links) == 1 else (switch, *hosts)
        pairs = tuple(dict.fromkeys(link.pair for link in links))
        evidence: dict[str, Value] = {"links": shown, "gbps": rate, "usual_gbps": due}
        yield Finding("link-slow", Severity.WARNING, subject, text, evidence, surveyed.fabric.name, names, pairs)
