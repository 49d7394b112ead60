"""Cables between switches held against the pattern of their tier: in the wrong place, missing, or too many. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from hpcjobs.sbatch.hostlists import fold_hostlist, natural
from hpcjobs_plugins.topology.checks.departures import Misplaced, Pair, sort_out
from hpcjobs_plugins.topology.checks.findings import Finding, Severity, Value
from hpcjobs_plugins.topology.checks.pattern import Want
from hpcjobs_plugins.topology.checks.places import Places, listed
from hpcjobs_plugins.topology.checks.survey import Survey, Surveyed, kind_of_name
from hpcjobs_plugins.topology.checks.words import number, tier_word, which
from hpcjobs_plugins.topology.fabric import Trunk

USUAL: Final = 0.75
"""The part of a tier's switches that have cables within it, or past the next tier, where that is meant to be so."""

TOGETHER: Final = 3
"""If as many lower switches miss a cable to the same upper one, it is told of the upper one."""


def check_cabling(survey: Survey) -> Iterator[Finding]:
    """Every departure from the pattern of the tiers once, with the port where a cable should be if it can be said."""
    for surveyed in survey.fabrics:
        yield from _Cabling(surveyed).findings()


def check_hosts_above(survey: Survey) -> Iterator[Finding]:
    """Hosts on switches above the leaves: a mistake if their like are on leaves, else (a manager, storage) a note."""
    for surveyed in survey.fabrics:
        layers = surveyed.layers
        above: dict[str, list[str]] = defaultdict(list)
        kinds: Counter[str] = Counter()
        for switch, plugs in layers.plugs.items():
            for plug in plugs:
                if layers.row[switch] == 1:
                    kinds[kind_of_name(plug.host.name)] += 1
                elif layers.row[switch] > 1:
                    above[switch].append(plug.host.name)
        for switch, hosts in above.items():
            # One on each leaf, as of a kind that serves them, is not yet what leaves are for.
            like = any(kinds[kind_of_name(name)] > len(layers.names(1)) for name in hosts)
            folded = fold_hostlist(hosts)
            verb = "hangs" if len(set(hosts)) == 1 else "hang"
            text = f"{folded} {verb} on {switch}, which is of tier {layers.row[switch]}"
            yield Finding(
                "host-above-leaves",
                Severity.WARNING if like else Severity.NOTE,
                switch,
                f"{text}; other hosts of this kind hang on leaves" if like else text,
                {"hosts": folded, "tier": layers.row[switch]},
                surveyed.fabric.name,
                (switch, *sorted(set(hosts), key=natural)),
            )


class _Cabling:
    """One fabric."""

    def __init__(self, surveyed: Surveyed) -> None:
        self.layers = surveyed.layers
        self.fabric = surveyed.fabric.name
        self.places = Places(surveyed.layers)
        self.wants: dict[str, Want] = {}
        self.odd_totals: dict[str, int] = {}
        few: dict[Pair, int] = {}
        many: dict[Pair, int] = {}
        for found in surveyed.patterns.values():
            self.wants.update(found.wants)
            self.odd_totals.update(found.odd_totals)
            few.update(found.too_few)
            many.update(found.too_many)
        self.strays = dict([*self._stray(self.layers.within), *self._stray(self.layers.across)])
        self.found = sort_out(few, many, self.strays)

    def _stray(self, cables: Mapping[Pair, list[Trunk]]) -> Iterator[tuple[Pair, list[Trunk]]]:
        """Pairs of switches with cables that only few of their row have; a director's are its maker's, or as it is."""
        involved: dict[tuple[int, int], set[str]] = defaultdict(set)
        for low, high in cables:
            rows = self.layers.row[low], self.layers.row[high]
            involved[rows].update((low, high) if rows[0] == rows[1] else (low,))
        for (low, high), trunks in cables.items():
            rows = self.layers.row[low], self.layers.row[high]
            director = any(self.layers.fabric.switches[name].chassis for name in (low, high))
            usual = len(involved[rows]) >= USUAL * len(self.layers.names(rows[0]))
            if rows[0] and not director and not usual:
                yield (low, high), trunks

    def findings(self) -> Iterator[Finding]:
        for misplaced in self.found.upper_ends:
            yield self._upper_end(misplaced)
        for misplaced in self.found.lower_ends:
            yield self._lower_end(misplaced)
        for one, other in self.found.crossed:
            yield self._crossed(one, other)
        for pair, misplaced_stray in self.found.stray.items():
            yield self._strayed(pair, misplaced_stray)
        yield from self._missing()
        yield from self._extra()

    def _finding(
        self,
        code: str,
        severity: Severity,
        text: str,
        links: Sequence[Pair],
        evidence: Mapping[str, Value],
        subject: str,
    ) -> Finding:
        names = tuple(dict.fromkeys([subject, *(name for link in links for name in link)]))
        return Finding(code, severity, subject, text, evidence, self.fabric, names, tuple(links))

    def _usual(self, low: str, highs: Sequence[str]) -> str:
        """What a lower switch's like have to some upper ones: the second half of a sentence."""
        want = self.wants[low]
        counts = [want.cables.get(high) for high in highs]
        words = ["none" if count is None else str(count) if count else "some" for count in counts]
        if len(set(words)) == 1 and len(words) > 1:
            has = f"{words[0]} to each"
        elif len(words) > 3:
            has = "as many as there should be"
        else:
            has = " and ".join(f"{word} to {high}" for word, high in zip(words, highs, strict=True))
        if not want.peers:
            return f"by what is usual in this fabric {low} has {has}"
        word = tier_word(self.layers.row[low], want.of)
        return f"{len(want.peers)} of {want.of} {word} of its group have {has}"

    def _upper_end(self, one: Misplaced) -> Finding:
        low, wrong, right = one
        want = self.wants[low]
        has, lacks = len(self.layers.up.get((low, wrong), ())), len(self.layers.up.get((low, right), ()))
        cables = listed(self.places.wrong_ones(low, wrong, want, right), low)
        where = self.places.far_place(low, want, right)
        text = (
            f"{low} has {number(has)} to {wrong} and {number(lacks)} to {right}; {self._usual(low, (wrong, right))}. "
            f"{which(cables)} should go to {where}"
        )
        evidence: dict[str, Value] = {"cables": cables, "belongs": where, "like": len(want.peers), "of": want.of}
        return self._finding("cable-misplaced", Severity.ERROR, text, [(low, wrong), (low, right)], evidence, low)

    def _lower_end(self, one: Misplaced) -> Finding:
        high, wrong, right = one
        want = self.wants[right]
        has, lacks = len(self.layers.up.get((wrong, high), ())), len(self.layers.up.get((right, high), ()))
        cables = listed(self.places.wrong_ones(wrong, high, self.wants.get(wrong)), high)
        where = self.places.near_place(right, want, high)
        text = (
            f"{high} has {number(has)} to {wrong} and {number(lacks)} to {right}; {self._usual(right, (high,))}. "
            f"{which(cables)} should go to {where}"
        )
        evidence: dict[str, Value] = {"cables": cables, "belongs": where, "like": len(want.peers), "of": want.of}
        return self._finding("cable-misplaced", Severity.ERROR, text, [(wrong, high), (right, high)], evidence, high)

    def _crossed(self, one: Pair, other: Pair) -> Finding:
        cables = [
            listed(self.places.wrong_ones(low, high, self.wants[low], right), low)
            for (low, high), right in ((one, other[1]), (other, one[1]))
        ]
        text = (
            f"{one[0]} and {other[0]} are crossed: {one[0]} goes to {one[1]} and should go to {other[1]}, {other[0]} "
            f"goes to {other[1]} and should go to {one[1]}; {self._usual(one[0], (one[1], other[1]))}. Exchange "
            f"{' or '.join(cables[0])} and {' or '.join(cables[1])}"
        )
        links = [one, other, (one[0], other[1]), (other[0], one[1])]
        evidence: dict[str, Value] = {"cables": (*cables[0], *cables[1])}
        return self._finding("cables-crossed", Severity.ERROR, text, links, evidence, one[0])

    def _strayed(self, pair: Pair, belongs: Misplaced | None) -> Finding:
        low, high = pair
        rows = self.layers.row[low], self.layers.row[high]
        cables = listed(self.strays[pair], low)
        many = number(len(cables))
        links = [pair]
        evidence: dict[str, Value] = {"cables": cables}
        if rows[0] == rows[1]:
            alone = [name for name in pair if rows[0] < self.layers.top and not self.layers.uppers[name]]
            text = f"{low} and {high} are both {tier_word(rows[0], 2)} and have {many} between them"
            if len(alone) == 1:
                text += f"; {alone[0]} has no cable to the tier above, and all its traffic goes that way"
                return self._finding("switch-chained", Severity.WARNING, text, links, evidence, alone[0])
        else:
            text = f"{low} is a {tier_word(rows[0], 1)} and has {many} to {high}, which is of tier {rows[1]}"
        code = "cable-within-tier" if rows[0] == rows[1] else "cable-skips-tier"
        text += "; hardly any other has"
        if belongs is not None:
            links.append((belongs.stays, belongs.right))
            down = belongs.stays in self.wants and belongs.right in self.wants[belongs.stays].cables
            lower, upper = (belongs.stays, belongs.right) if down else (belongs.right, belongs.stays)
            want = self.wants[lower]
            where = (self.places.far_place if down else self.places.near_place)(lower, want, upper)
            evidence["belongs"] = where
            text += f". {which(cables)} should go from {belongs.stays} to {where}; {self._usual(lower, (upper,))}"
        return self._finding(code, Severity.ERROR, text, links, evidence, low)

    def _missing(self) -> Iterator[Finding]:
        rest = dict(self.found.missing)
        lacking: dict[str, list[str]] = defaultdict(list)
        for low, high in rest:
            lacking[high].append(low)
        for high, lows in lacking.items():
            if len(lows) < TOGETHER:
                continue
            lows.sort(key=natural)
            cables = tuple(self.places.cable(low, self.wants[low], high) for low in lows)
            count = sum(rest.pop((low, high)) for low in lows)
            text = f"{high} misses {number(count)}: to {fold_hostlist(lows)}; {self._usual(lows[0], (high,))}"
            links = [(low, high) for low in lows]
            yield self._finding(
                "cable-missing", Severity.WARNING, text, links, {"missing": cables, "count": count}, high
            )
        by_low: dict[str, list[str]] = defaultdict(list)
        for low, high in rest:
            by_low[low].append(high)
        for low, highs in by_low.items():
            highs.sort(key=natural)
            has = " and ".join(f"{number(len(self.layers.up.get((low, high), ())))} to {high}" for high in highs)
            cables = tuple(self.places.cable(low, self.wants[low], high) for high in highs)
            text = f"{low} has {has}; {self._usual(low, highs)}"
            if any(":" in cable for cable in cables):
                text += f". It would be {' and '.join(cables)}"
            evidence: dict[str, Value] = {"missing": cables, "count": sum(rest[low, high] for high in highs)}
            yield self._finding("cable-missing", Severity.WARNING, text, [(low, high) for high in highs], evidence, low)
        for low, odd in self.odd_totals.items():
            # What has none at all but cables to its own tier hangs on that, and is told so or meant to.
            chained = not self.layers.uppers[low] and any(low in pair for pair in self.layers.within)
            if odd < 0 and not chained:
                yield self._odd(low, odd, "cable-missing", Severity.WARNING)

    def _extra(self) -> Iterator[Finding]:
        for (low, high), count in self.found.extra.items():
            cables = listed(self.places.wrong_ones(low, high, self.wants[low]), low)
            has = len(self.layers.up.get((low, high), ()))
            text = f"{low} has {number(has)} to {high}; {self._usual(low, (high,))}"
            evidence: dict[str, Value] = {"cables": cables, "count": count}
            yield self._finding("cable-extra", Severity.NOTE, text, [(low, high)], evidence, low)
        for low, odd in self.odd_totals.items():
            if odd > 0:
                yield self._odd(low, odd, "cable-extra", Severity.NOTE)

    def _odd(self, low: str, odd: int, code: str, severity: Severity) -> Finding:
        has = sum(len(self.layers.up[low, high]) for high in self.layers.uppers[low])
        row = self.layers.row[low]
        text = f"{low} has {number(has)} to the tier above; most {tier_word(row, 2)} have {has - odd}"
        return self._finding(code, severity, text, [], {"has": has, "usual": has - odd, "count": abs(odd)}, low)
