"""Which nodes fail more often than chance lets them: one judgement for policies, lists and people. Pure.

What speaks against a node (signals.py) is gathered into incidents, fades with its age, and is compared with what a node
of this cluster would have had that ran for as long. Days of running fade alike, so that both are of the same time.

    points    k = sum over incidents of  p 2^(-age/T)          T the half-life, p = 1 - product of (1 - w/m) over its
                                                               signals: that one of them is right, of m nodes each
    days      x = integral of u(t) 2^(-age/T) dt               u: 1 where it ran jobs, less where it was idle
    expected  e = x (a + K - k) / (a / r + X - x)              K, X: of all nodes; the rate of the others
    chance    P(N >= k), N Poisson with mean e                 Gamma(k) where k is no whole number
    ratio     (g + k) / (g + e)                                mean of a Gamma(g, g) after that evidence

The rate of the others is the mean of a Gamma distribution that begins with ``a`` failures at rate ``r``, so that a
cluster of few nodes, or one that has just been taken over, is not judged by its own first failure. An incident counts
at most 1, so faded points vary less than a Poisson number of the same mean, and good nodes are called lemons no more
often than is said: by ``chance = 0.001``, two of 2000. Signals and window: Kokolis et al., HPCA 2025 (arXiv
2410.21680).
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from functools import cache
from importlib import resources
from typing import Any, Final

import msgspec

from hpcjobs.errors import SettingsError
from hpcjobs.model.suspicion import (
    LemonRules,
    Pardon,
    Signal,
    SignalEvidence,
    SignalKind,
    Standing,
    Suspicion,
)
from hpcjobs.recovery.poisson import at_least

DAY_S: Final = 86_400.0


@cache
def usual_rules() -> LemonRules:
    """The rules of the house (lemons.toml)."""
    return rules_with({})


def rules_with(own: Mapping[str, Any]) -> LemonRules:
    """The rules of the house, some replaced by a site's.

    Args:
        own: What ``[lemons]`` of the settings says; tables are joined word by word.

    Raises:
        SettingsError: It has words that there are not, or values that cannot be.
    """
    usual = msgspec.toml.decode((resources.files("hpcjobs.recovery") / "lemons.toml").read_bytes())
    for name, value in own.items():
        there = usual.get(name)
        usual[name] = {**there, **value} if isinstance(there, dict) and isinstance(value, dict) else value
    try:
        return msgspec.convert(usual, LemonRules)
    except msgspec.ValidationError as error:
        raise SettingsError(f"lemons: {error}") from error


def faded_days(rules: LemonRules, since: float, until: float, now: float) -> float:
    """Days between two times, each by what it counts today; none of what is older than the window.

    Args:
        rules: Half-life and window.
        since: Unix seconds.
        until: Unix seconds, not after now.
        now: Unix seconds.
    """
    since = max(since, now - rules.window_days * DAY_S)
    if until <= since:
        return 0.0
    decay = math.log(2) / (rules.half_life_days * DAY_S)
    return (math.exp(-decay * (now - until)) - math.exp(-decay * (now - since))) / decay / DAY_S


def judge(
    nodes: Collection[str],
    signals: Iterable[Signal],
    ran_days: Mapping[str, float] | None,
    since: float,
    rules: LemonRules,
    now: float,
    pardons: Mapping[str, Pardon] | None = None,
) -> dict[str, Suspicion]:
    """Judge the nodes of a cluster.

    Args:
        nodes: Their names.
        signals: What speaks against them, in any order; what is of no node here counts for nothing.
        ran_days: Days in which each ran jobs, faded (see faded_days); None: nobody counted, all days count whole.
        since: Since when signals were gathered, Unix seconds: days before that do not count for anybody.
        rules: How.
        now: Unix seconds.
        pardons: The last pardon of each node that has one.

    Returns:
        By name, those against which something speaks, and those that were pardoned.
    """
    pardons = pardons or {}
    oldest = now - rules.window_days * DAY_S
    by_node: defaultdict[str, list[Signal]] = defaultdict(list)
    there = {*nodes}
    for signal in signals:
        begin = max(oldest, pardons[signal.node].at) if signal.node in pardons else oldest
        if signal.node in there and begin < signal.at <= now:
            by_node[signal.node].append(signal)
    days = {name: _days(name, ran_days, since, rules, now, pardons.get(name)) for name in there}
    points = {name: _points(found, rules, now) for name, found in by_node.items()}
    all_points, all_days = sum(points.values()), sum(days.values())
    prior_days = 1000 * rules.prior_failures / rules.prior_per_1000_node_days
    found = {}
    for name in by_node.keys() | (pardons.keys() & there):
        own = points.get(name, 0.0)
        others = (rules.prior_failures + all_points - own) / (prior_days + all_days - days[name])
        expected = max(0.0, others) * days[name]
        chance = at_least(own, expected)
        found[name] = Suspicion(
            node=name,
            standing=_standing(own, chance, rules),
            points=own,
            expected=expected,
            chance=chance,
            ratio=(rules.alike + own) / (rules.alike + expected),
            node_days=days[name],
            evidence=_evidence(by_node.get(name, ()), rules, now),
            pardon=pardons.get(name),
        )
    return found


def rate_of(points: float, node_days: float, rules: LemonRules) -> float:
    """Points in 1000 node-days, as long as there are few days by what is known of other clusters.

    Args:
        points: Of all nodes.
        node_days: Of all nodes.
        rules: What is known of others.
    """
    prior_days = 1000 * rules.prior_failures / rules.prior_per_1000_node_days
    return 1000 * (rules.prior_failures + points) / (prior_days + node_days)


def worst_first(found: Iterable[Suspicion]) -> list[Suspicion]:
    """In the order in which people look at them."""
    order = (Standing.LEMON, Standing.SUSPECT, Standing.GOOD)
    return sorted(found, key=lambda one: (order.index(one.standing), one.chance, -one.points, one.node))


def _standing(points: float, chance: float, rules: LemonRules) -> Standing:
    for standing, bound in ((Standing.LEMON, rules.lemon), (Standing.SUSPECT, rules.suspect)):
        if points >= bound.points and chance <= bound.chance:
            return standing
    return Standing.GOOD


def _days(
    name: str,
    ran_days: Mapping[str, float] | None,
    since: float,
    rules: LemonRules,
    now: float,
    pardon: Pardon | None,
) -> float:
    there = faded_days(rules, max(since, pardon.at if pardon else since), now, now)
    if ran_days is None:
        return there
    ran = min(ran_days.get(name, 0.0), there)  # several jobs at a time are one day
    return ran + rules.idle * (there - ran)


def _weight(signal: Signal, rules: LemonRules) -> float:
    return float(rules.weights.get(signal.kind, 0.0)) / max(1, signal.among)


def _faded(points: float, at: float, rules: LemonRules, now: float) -> float:
    return float(points * 0.5 ** ((now - at) / (rules.half_life_days * DAY_S)))


def _points(signals: Iterable[Signal], rules: LemonRules, now: float) -> float:
    """The points of one node. One failure is told in several ways, within a while: together they count once at most."""
    total, begun, good = 0.0, -math.inf, 1.0
    for signal in sorted(signals, key=lambda one: (one.at, one.kind, one.slurm_job_id, one.among)):
        if signal.at > begun + rules.incident_s:
            total += _faded(1 - good, begun, rules, now) if good < 1 else 0.0
            begun, good = signal.at, 1.0
        good *= 1 - _weight(signal, rules)
    return total + (_faded(1 - good, begun, rules, now) if good < 1 else 0.0)


def _evidence(signals: Iterable[Signal], rules: LemonRules, now: float) -> tuple[SignalEvidence, ...]:
    by_kind: defaultdict[SignalKind, list[Signal]] = defaultdict(list)
    for signal in signals:
        by_kind[signal.kind].append(signal)
    found = []
    for kind, several in by_kind.items():
        last = max(several, key=lambda one: (one.at, one.slurm_job_id))
        found.append(
            SignalEvidence(
                kind=kind,
                count=len(several),
                weight=float(rules.weights.get(kind, 0.0)),
                points=sum(_faded(_weight(one, rules), one.at, rules, now) for one in several),
                last_at=last.at,
                slurm_job_id=last.slurm_job_id,
                said=last.said,
            )
        )
    return tuple(sorted(found, key=lambda one: (-one.points, one.kind)))
