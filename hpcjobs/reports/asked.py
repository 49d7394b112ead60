"""What somebody asks of a report, checked. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

import msgspec

from hpcjobs.errors import Refusal, Refused
from hpcjobs.reports.dimensions import DIMENSIONS, FILTERS
from hpcjobs.reports.measures import MEASURES
from hpcjobs.reports.periods import STEPS, Period, buckets, period_of, zone_of

BUCKETS: Final = ("hour", *STEPS)
DEFAULT_MEASURES: Final = ("gpu_hours_equivalent", "cpu_hours", "runs", "wait_mean_s", "failed_share")
MOST_ROWS: Final = 100_000
MOST_WORDS: Final = 1_000


class ReportQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A question.

    Attributes:
        period: ``2026-10``, ``last-month``, ``30d``, ``2026-01-01..2026-02-15``; the last date is not in it.
        timezone: IANA name of the time zone whose calendar counts; ``""``: the service's.
        by: What rows are told apart by, the first the most: ``project``, ``gpu``, ``user``, ``month``; none: one row.
        measures: Which; none: some usual ones.
        where: Only runs with one of these words, by ``user``, ``project``, ``partition``, ``gpu``, ``state`` and so on.
        order: The measure by which rows are ordered, the largest first, with ``-`` before it the smallest; ``""``: the
            first measure; where rows are told apart by time, time.
        limit: At most so many rows; 0: MOST_ROWS.
    """

    period: str = "this-month"
    timezone: str = ""
    by: tuple[str, ...] = ()
    measures: tuple[str, ...] = ()
    where: dict[str, tuple[str, ...]] = {}
    order: str = ""
    limit: int = 0


class Asked(NamedTuple):
    """A question that can be answered.

    Attributes:
        period: Which.
        zone: Whose calendar.
        by: What rows are told apart by.
        step: What of it cuts time, or ``""``.
        pieces: What it cuts time into, in order; none without.
        measures: Which.
        where: Conditions.
        order: The column by which rows are ordered.
        falling: Whether the largest comes first.
        limit: At most so many rows.
    """

    period: Period
    zone: ZoneInfo
    by: tuple[str, ...]
    step: str
    pieces: tuple[Period, ...]
    measures: tuple[str, ...]
    where: dict[str, tuple[str, ...]]
    order: str
    falling: bool
    limit: int

    @property
    def period_text(self) -> str:
        """The period and whose calendar, in words."""
        return f"{self.period.label} ({self.zone.key})"


def several(words: Iterable[str]) -> tuple[str, ...]:
    """Words that were given one by one, with commas, or both."""
    return tuple(word for text in words for word in text.split(",") if word)


def check(query: ReportQuery, timezone: str, now: float) -> Asked:
    """Understand a question.

    Args:
        query: The question.
        timezone: The service's time zone.
        now: Unix seconds.

    Raises:
        Refused: Every fault of it.
    """
    faults: list[Refusal] = []
    zone, period = ZoneInfo("UTC"), Period("", 0, 1)
    try:
        zone = zone_of(query.timezone or timezone)
        period = period_of(query.period, zone, now)
    except Refused as error:
        faults += error.refusals
    known = [*DIMENSIONS, *BUCKETS]
    told = (("by", query.by, known), ("measures", query.measures, MEASURES), ("where", query.where, FILTERS))
    for field, words, there in told:
        faults += [Refusal(field, _unknown(word, there), f"{field}-unknown") for word in words if word not in there]
    for field, words in (("by", query.by), ("measures", query.measures)):
        if len(set(words)) != len(words):
            faults.append(Refusal(field, f"{field} names something twice.", "twice"))
    steps = [word for word in query.by if word in BUCKETS]
    if len(steps) > 1:
        faults.append(Refusal("by", f"Rows can be of one length of time only, not of {' and '.join(steps)}.", "steps"))
    if any(len(words) > MOST_WORDS for words in query.where.values()):
        faults.append(Refusal("where", f"At most {MOST_WORDS} words of a kind.", "too-many"))
    if not 0 <= query.limit <= MOST_ROWS:
        faults.append(Refusal("limit", f"A limit is 0 to {MOST_ROWS}.", "limit"))
    measures = query.measures or DEFAULT_MEASURES
    order = query.order.removeprefix("-")
    if order and order not in (*measures, *query.by):
        faults.append(Refusal("order", f"{order[:80]!r} is none of its columns: {', '.join((*query.by, *measures))}."))
    if faults:
        raise Refused(faults)
    rising = query.order.startswith("-") or (bool(steps) and not order) or order in query.by
    step = steps[0] if steps else ""
    return Asked(
        period, zone, query.by, step, tuple(buckets(period, step, zone)) if step else (), measures, query.where,
        order or step or measures[0], not rising, query.limit or MOST_ROWS,
    )  # fmt: skip


def _unknown(word: str, known: Iterable[str]) -> str:
    return f"{word[:80]!r} is none of {', '.join(known)}."
