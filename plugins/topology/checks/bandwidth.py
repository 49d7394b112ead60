"""What goes up against what comes from below: oversubscription by tier and by leaf; spines that bear more than others.

Rates that nobody says are taken for the usual ones of their tier; where a tier or its hosts have none at all, cables
are counted instead. Pure.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from statistics import median
from typing import NamedTuple

import msgspec

from hpcjobs.sbatch.hostlists import fold_hostlist, natural
from hpcjobs_plugins.topology.checks.findings import Finding, Severity, Value
from hpcjobs_plugins.topology.checks.pattern import usual
from hpcjobs_plugins.topology.checks.survey import Survey, Surveyed
from hpcjobs_plugins.topology.checks.words import gbps, tier_word
from hpcjobs_plugins.topology.fabric import Fabric
from hpcjobs_plugins.topology.layers import Layers


class Load(msgspec.Struct, frozen=True, gc=False):
    """What a switch, or a tier of them, takes from below and gives upward.

    Attributes:
        tier: 1: leaves.
        down_gbps: Bandwidth from hosts and lower switches in Gbit/s, or cables where rates are not known.
        up_gbps: The same to the tier above.
        counted: Whether these are cables, because rates are not known.
    """

    tier: int
    down_gbps: float
    up_gbps: float
    counted: bool = False

    @property
    def ratio(self) -> float:
        """Down by up; 1.0: nothing is blocked."""
        return self.down_gbps / self.up_gbps


class Loads(NamedTuple):
    """Of one fabric.

    Attributes:
        tiers: Of each tier that has one above it, from below; without the switches that have no cable up.
        switches: Of each switch with cables up, by name.
    """

    tiers: list[Load]
    switches: dict[str, Load]


def loads(fabric: Fabric) -> Loads:
    """Oversubscription of a fabric, by tier and by switch."""
    return _loads(Layers(fabric))


def _loads(layers: Layers) -> Loads:
    down: dict[str, float] = defaultdict(float)
    up: dict[str, float] = defaultdict(float)
    host_rate = _rate(plug.point.gbps for plugs in layers.plugs.values() for plug in plugs)
    trunk_rate = _rate(trunk.gbps for trunk in layers.fabric.trunks)
    counted = not (host_rate and trunk_rate)
    for name, plugs in layers.plugs.items():
        down[name] += sum(1.0 if counted else plug.point.gbps or host_rate for plug in plugs)
    for (low, high), trunks in layers.up.items():
        rate = sum(1.0 if counted else trunk.gbps or trunk_rate for trunk in trunks)
        up[low] += rate
        down[high] += rate
    switches = {
        name: Load(layers.row[name], down[name], up[name], counted) for name in layers.fabric.switches if up[name]
    }
    tiers = []
    for row in range(1, layers.top):
        its = [load for load in switches.values() if load.tier == row]
        if its:
            tiers.append(Load(row, sum(load.down_gbps for load in its), sum(load.up_gbps for load in its), counted))
    return Loads(tiers, switches)


def _rate(rates: Iterable[float]) -> float:
    known = [rate for rate in rates if rate]
    return median(known) if known else 0.0


def check_oversubscription(survey: Survey) -> Iterator[Finding]:
    """Tiers, and of tiers that are well the single switches, that take more from below than is allowed.

    Where rates are not known it is a note: cables of unknown rates say little.
    """
    limit = survey.settings.oversubscription
    for surveyed in survey.fabrics:
        found = _loads(surveyed.layers)
        for tier in found.tiers:
            its = {name: load for name, load in found.switches.items() if load.tier == tier.tier}
            over = sorted((name for name, load in its.items() if load.ratio > limit), key=natural)
            said = f"{tier_word(tier.tier, 2)} of {surveyed.fabric.name}"
            if tier.ratio > limit:
                down, up = (
                    f"{share:.0f} cables" if tier.counted else gbps(share) for share in (tier.down_gbps, tier.up_gbps)
                )
                text = (
                    f"The {said} take {down} from below and have {up} upward: "
                    f"{tier.ratio:.2f} to 1, where {limit:g} to 1 is allowed"
                )
                subject, code = f"{surveyed.fabric.name} tier {tier.tier}", "tier-oversubscribed"
                names: tuple[str, ...] = ()
            elif over:
                worst = max(over, key=lambda name: its[name].ratio)
                text = (
                    f"Of the {said} {fold_hostlist(over)} {'takes' if len(over) == 1 else 'take'} more from below than "
                    f"is allowed: {worst} {its[worst].ratio:.2f} to 1, all together {tier.ratio:.2f} to 1"
                )
                subject, code = fold_hostlist(over), "switch-oversubscribed"
                names = tuple(over)
            else:
                continue
            evidence: dict[str, Value] = {
                "ratio": round(tier.ratio, 3),
                "allowed": limit,
                "switches": fold_hostlist(over),
            }
            severity = Severity.NOTE if tier.counted else Severity.WARNING
            yield Finding(code, severity, subject, text, evidence, surveyed.fabric.name, names)


def check_balance(survey: Survey) -> Iterator[Finding]:
    """Upper switches of one group that have unequal shares of its cables or of its bandwidth."""
    for surveyed in survey.fabrics:
        wants = (want for found in surveyed.patterns.values() for want in found.wants.values())
        # Where cables are spread unevenly from switch to switch, only many of them tell how it comes out.
        peers = dict.fromkeys(want.peers for want in wants if len(want.peers) > (1 if all(want.cables.values()) else 3))
        for lows in peers:
            yield from _balance(surveyed, lows, survey.settings.imbalance)


def _balance(surveyed: Surveyed, peers: tuple[str, ...], limit: float) -> Iterator[Finding]:
    layers = surveyed.layers
    highs: dict[str, list[float]] = defaultdict(list)
    for low in peers:
        for high in layers.uppers[low]:
            highs[high].extend(trunk.gbps for trunk in layers.up[low, high])
    cables = {high: len(rates) for high, rates in highs.items()}
    # One slow link is told by itself: a spine's rate is what most of its cables have.
    rates = {high: (usual(its) or _rate(its)) * len(its) for high, its in highs.items()}
    for what, shares in (("cables", cables), ("Gbit/s", rates)):
        least, most = (pick(shares, key=lambda high: (shares[high], high)) for pick in (min, max))
        if shares[most] <= shares[least] * limit or not shares[least]:
            continue
        few = [high for high in shares if shares[high] * limit < shares[most]]
        many = [high for high in shares if high not in few]
        text = (
            f"Of the {tier_word(layers.row[least], 2)} that {fold_hostlist(peers)} go to, {fold_hostlist(few)} "
            f"{'has' if len(few) == 1 else 'have'} {shares[least]:g} {what} and {fold_hostlist(many)} {shares[most]:g}"
        )
        evidence: dict[str, Value] = {"least": float(shares[least]), "most": float(shares[most]), "allowed": limit}
        subject, fabric = fold_hostlist(few), surveyed.fabric.name
        yield Finding("spines-unbalanced", Severity.WARNING, subject, text, evidence, fabric, (*few, *many))
        return
