"""What most do is the pattern, and who does otherwise departs from it: lower things and where they go up. Pure.

Lower things (leaves, spines, hosts) that go to the same upper ones (spines, cores, leaves) are a group. A group is a
pattern for its company: what goes to at least half of the same upper ones and is of a kind with it. It has to have two
thirds of its company, or more than half, if two thirds of the company go to each of its upper ones and to no other.
What is in no such company (a pod of two leaves that differ) is held against the commonest shape of all, and against
what the upper things say. Where nobody agrees there is no pattern and nothing is said.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from typing import Final, NamedTuple, TypeVar

MOST: Final = (2, 3)
"""The part of all that makes a pattern, as a fraction."""

NEARLY_ALL: Final = (9, 10)
"""The part of all that makes a number usual where nothing else is known."""

Some = TypeVar("Some", bound=Hashable)

Reach = frozenset[str]
"""The upper things that a lower one goes to."""

Cables = Mapping[str, Mapping[str, int]]
"""For each lower thing how many cables go to which upper one; nothing for one that has none."""


class Want(NamedTuple):
    """What a lower thing should have.

    Attributes:
        cables: How many to each upper thing; 0: some, it cannot be said how many; none to one that is not named.
        peers: Lower things that are so; none where it follows from what is usual elsewhere.
        of: How many are comparable.
    """

    cables: Mapping[str, int]
    peers: tuple[str, ...]
    of: int


class Pattern(NamedTuple):
    """What lower things should have, and what of it they do not.

    Attributes:
        wants: By lower thing; who is not named is not known to be wrong.
        too_few: Lower thing and upper thing with how many cables less than there should be.
        too_many: The same with how many more.
        odd_totals: Lower things that are alone in having more or fewer cables than nearly all, by how many, where it
            cannot be said which.
    """

    wants: dict[str, Want]
    too_few: dict[tuple[str, str], int]
    too_many: dict[tuple[str, str], int]
    odd_totals: dict[str, int]


def usual(values: Iterable[Some], part: tuple[int, int] = MOST) -> Some | None:
    """What at least a part (two thirds) of some values are, or None."""
    count = Counter(values)
    for value, often in count.most_common(1):
        if often * part[1] >= count.total() * part[0]:
            return value
    return None


class _Groups:
    """Lower things by the upper ones that they go to."""

    def __init__(self, cables: Cables, kind: Callable[[str], str]) -> None:
        self.lows: dict[Reach, list[str]] = defaultdict(list)
        for low, has in cables.items():
            if has:
                self.lows[frozenset(has)].append(low)
        self._kinds = {its: {kind(low) for low in lows} for its, lows in self.lows.items()}
        self._all: dict[str, list[Reach]] = defaultdict(list)
        self._of_several: dict[str, list[Reach]] = defaultdict(list)
        for its, lows in self.lows.items():
            for up in its:
                self._all[up].append(its)
                if len(lows) > 1:
                    self._of_several[up].append(its)

    def near(self, its: Reach, *, alone: bool) -> Iterator[tuple[int, Reach]]:
        """Groups that a group can be held against, with how many upper things they share.

        Of the same kind: half is shared, or all that it has. One of another kind: all but one.

        Args:
            its: What the group goes to.
            alone: Whether groups of one are asked for too.
        """
        holders = self._all if alone else self._of_several
        shared = Counter(other for up in its for other in holders[up])
        for other, count in shared.items():
            most = max(len(its), len(other))
            alike = bool(self._kinds[its] & self._kinds[other])
            one_less = len(self.lows[its]) == 1 and count + 1 >= most > 2
            if (2 * count >= most or count == len(its)) if alike else one_less:
                yield count, other


def pattern(cables: Cables, kind: Callable[[str], str] = lambda _: "") -> Pattern:
    """Infer it from all and hold all against it.

    Args:
        cables: Of all lower things that may be compared.
        kind: What names of lower things of one kind have in common.
    """
    groups = _Groups(cables, kind)
    found = Pattern({}, {}, {}, {})
    shapes = Counter(_shape(has) for has in cables.values() if has)
    common = usual(shapes.elements())
    common = () if common is None or shapes[common] < MOST[1] else common
    leaders, company = _leaders(groups)
    wants = {
        leader: _want(cables, groups.lows[leader], leader, company[leader], common) for leader in set(leaders.values())
    }
    for its, leader in leaders.items():
        for low in groups.lows[its]:
            _hold(found, low, cables[low], wants[leader])
    if common:
        _by_shape(found, cables, groups, common)
    _totals(found, cables)
    return found


def both_ways(upward: Pattern, cables: Cables) -> Pattern:
    """A pattern with what the upper things say of those lower ones that are in no company.

    A leaf of a pod of two is no pattern for the other, but the spines of the pod go to the same leaves.

    Args:
        upward: The pattern of the lower things, which is added to.
        cables: Of the same, as for ``pattern``.
    """
    silent = {low for low, has in cables.items() if has and low not in upward.wants}
    if not silent:
        return upward
    turned: dict[str, dict[str, int]] = defaultdict(dict)
    for low, has in cables.items():
        for up, count in has.items():
            turned[up][low] = count
    downward = pattern(turned)
    # What is only more than others have is no fault: another switch may well hang on one spine alone.
    silent &= {low for _, low in downward.too_few}
    due: dict[str, dict[str, int]] = {}
    for found, mine, sign in ((downward.too_few, upward.too_few, 1), (downward.too_many, upward.too_many, -1)):
        for (up, low), count in found.items():
            if low in silent:
                mine[low, up] = count
                its = due.setdefault(low, dict(cables[low]))
                its[up] = its.get(up, 0) + sign * count
    for low, its in due.items():
        upward.odd_totals.pop(low, None)
        upward.wants[low] = Want({up: count for up, count in its.items() if count}, (), 0)
    return upward


def _leaders(groups: _Groups) -> tuple[dict[Reach, Reach], Counter[Reach]]:
    """For each group the one that it is held against (a leader is its own), and how many things may be held so."""
    near = {its: list(groups.near(its, alone=False)) for its in groups.lows}
    company: Counter[Reach] = Counter()
    reached: dict[Reach, Counter[str]] = defaultdict(Counter)
    for its, others in near.items():
        for _, other in others:
            company[other] += len(groups.lows[its])
            for up in its:
                reached[other][up] += len(groups.lows[its])
    leading = set()
    for its, all_of_it in company.items():
        own = len(groups.lows[its])
        agreed = {up for up, often in reached[its].items() if often * MOST[1] >= all_of_it * MOST[0]}
        if own * MOST[1] >= all_of_it * MOST[0] or (own * 2 > all_of_it and agreed == its):
            leading.add(its)
    found: dict[Reach, Reach] = {}
    for its, others in near.items():
        # Of two groups with which as much is shared, the smaller one is more likely to have lost a member.
        best = max(
            (
                (other == its, count, -len(groups.lows[other]), sorted(other), other)
                for count, other in others
                if other in leading
            ),
            default=None,
        )
        if best is not None:
            found[its] = best[4]
    return found, company


def _want(cables: Cables, lows: list[str], leader: Reach, company: int, common: tuple[int, ...]) -> Want:
    """Of the leader's things: as many cables to each upper one as most of them have, or as is common elsewhere."""
    counts = {up: usual(cables[low][up] for low in lows) for up in leader}
    total = usual(sum(cables[low].values()) for low in lows)
    agreed = {up: count for up, count in counts.items() if count is not None}
    if len(agreed) < len(leader) or sum(agreed.values()) != total:
        # Spread unevenly on purpose: only where it goes is known. Unless everywhere else it is even.
        even = len(leader) == len(common) and len(set(common)) == 1
        agreed = dict.fromkeys(leader, common[0] if even else 0)
    like = [low for low in lows if all(cables[low][up] == count for up, count in agreed.items() if count)]
    return Want(agreed, tuple(like), company)


def _hold(found: Pattern, low: str, has: Mapping[str, int], want: Want) -> None:
    found.wants[low] = want
    for up in want.cables.keys() | has.keys():
        wanted, there = want.cables.get(up), has.get(up, 0)
        if wanted is None:
            found.too_many[low, up] = there
        elif there < max(wanted, 1):
            found.too_few[low, up] = max(wanted, 1) - there
        elif there > wanted > 0:
            found.too_many[low, up] = there - wanted


def _shape(has: Mapping[str, int]) -> tuple[int, ...]:
    return tuple(sorted(has.values()))


def _by_shape(found: Pattern, cables: Cables, groups: _Groups, common: tuple[int, ...]) -> None:
    """Hold what has no leader against a neighbour of the commonest shape."""
    for its, lows in groups.lows.items():
        odd = [low for low in lows if low not in found.wants and _shape(cables[low]) != common]
        near = [
            (count, min(groups.lows[other]), model)
            for count, other in (groups.near(its, alone=True) if odd else ())
            if (model := _in_shape(cables[groups.lows[other][0]], common))
        ]
        near.sort(key=lambda one: one[:2], reverse=True)
        if not near or (len(near) > 1 and near[0][0] == near[1][0]):
            continue
        for low in odd:
            _hold(found, low, cables[low], Want(near[0][2], (), 0))


def _in_shape(has: Mapping[str, int], common: tuple[int, ...]) -> dict[str, int] | None:
    """What something has if it is of the common shape, or should have if it goes to as many upper things."""
    if _shape(has) == common:
        return dict(has)
    if len(has) == len(common) and len(set(common)) == 1:
        return dict.fromkeys(has, common[0])
    return None


def _totals(found: Pattern, cables: Cables) -> None:
    """What has more or fewer cables than nearly all, or none where most have some, and departs in nothing else."""
    totals = {low: sum(has.values()) for low, has in cables.items()}
    often = usual(totals.values()) or 0
    nearly_all = usual(totals.values(), NEARLY_ALL) is not None
    departs = {low for low, _ in (*found.too_few, *found.too_many)}
    for low, total in totals.items():
        want = found.wants.get(low)
        told = want is not None and all(want.cables.values())
        if total != often and (nearly_all or not total) and low not in departs and not told:
            found.odd_totals[low] = total - often
