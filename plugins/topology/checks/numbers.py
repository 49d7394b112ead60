"""Numbers of cables that differ from what is usual in a tier, where no pattern says which cables they are. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator

from hpcjobs.sbatch.hostlists import fold_hostlist, natural
from hpcjobs_plugins.topology.checks.findings import Finding, Severity, Value
from hpcjobs_plugins.topology.checks.pattern import MOST, NEARLY_ALL, usual
from hpcjobs_plugins.topology.checks.survey import Survey, Surveyed, kind_of_name
from hpcjobs_plugins.topology.checks.words import number, tier_word


def check_uplinks(survey: Survey) -> Iterator[Finding]:
    """Switches that agree with each other but have fewer cables up than most of their kind: a pod without a spine."""
    for surveyed in survey.fabrics:
        layers = surveyed.layers
        for row, found in surveyed.patterns.items():
            told = {low for low, _ in (*found.too_few, *found.too_many)} | found.odd_totals.keys()
            kinds: dict[str, dict[str, int]] = defaultdict(dict)
            for name, has in layers.upward(row).items():
                kinds[kind_of_name(name)][name] = has.total()
            for totals in kinds.values():
                common = usual(totals.values())
                if common is None or len(totals) < MOST[1]:
                    continue
                fewer: dict[int, list[str]] = defaultdict(list)
                for name, total in totals.items():
                    if 0 < total < common and name not in told:
                        fewer[total].append(name)
                for total, names in fewer.items():
                    yield _fewer(surveyed, row, names, total, common)


def _fewer(surveyed: Surveyed, row: int, names: list[str], total: int, common: int) -> Finding:
    folded = fold_hostlist(names)
    have = f"has {number(total)}" if len(names) == 1 else f"have {number(total)} each"
    text = f"{folded} {have} to the tier above; most {tier_word(row, 2)} of their kind have {common}"
    evidence: dict[str, Value] = {"has": total, "usual": common, "switches": folded}
    return Finding("uplinks-differ", Severity.NOTE, folded, text, evidence, surveyed.fabric.name, tuple(names))


def check_within(survey: Survey) -> Iterator[Finding]:
    """Switches with fewer cables to their own tier than nearly all of it, where such cables are usual (dragonfly)."""
    for surveyed in survey.fabrics:
        layers = surveyed.layers
        count: Counter[str] = Counter()
        for pair, trunks in layers.within.items():
            for name in pair:
                count[name] += len(trunks)
        for row in range(1, layers.top + 1):
            names = layers.names(row)
            common = usual((count[name] for name in names), NEARLY_ALL)
            lacking = sorted((name for name in names if count[name] < (common or 0)), key=natural)
            if lacking:
                yield _lacking(surveyed, lacking, count, common or 0)


def _lacking(surveyed: Surveyed, names: list[str], count: Counter[str], common: int) -> Finding:
    said = ", ".join(f"{name} has {number(count[name])}" for name in names)
    text = f"Within its tier {said}; nearly all others have {common}"
    pair = (names[0], names[-1])
    links = (pair,) if len(names) == 2 and pair not in surveyed.layers.within else ()
    if links:
        text += f". There is none between {names[0]} and {names[1]}"
    evidence: dict[str, Value] = {"usual": common, "count": sum(common - count[name] for name in names)}
    folded = fold_hostlist(names)
    return Finding("cable-missing", Severity.WARNING, folded, text, evidence, surveyed.fabric.name, tuple(names), links)
