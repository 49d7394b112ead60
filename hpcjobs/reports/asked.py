"""What somebody asks of a report, checked. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from hpcjobs.errors import Refusal, Refused
from hpcjobs.model.losses import RunTold
from hpcjobs.model.price import PriceList
from hpcjobs.model.report import MOST_ROWS, ReportQuery
from hpcjobs.reports.dimensions import DIMENSIONS, FILTERS
from hpcjobs.reports.measures import MEASURES, Of
from hpcjobs.reports.periods import STEPS, Period, buckets, period_of, zone_of
from hpcjobs.usage.energy import CarbonFactor

BUCKETS: Final = ("hour", *STEPS)
DEFAULT_MEASURES: Final = ("gpu_hours_equivalent", "cpu_hours", "runs", "wait_mean_s", "failed_share")
OF_POOL: Final = ("cluster", "node", "gpu")
"""What GPUs are told apart by that nobody has."""
CAUSE: Final = "cause"
"""What only what was lost is told apart by."""
NO_PRICES: Final = PriceList()
MOST_WORDS: Final = 1_000


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
        prices: What things cost.
        carbon: What a kWh emits.
        told: What is known of runs beside accounting; of what was lost only.
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
    prices: PriceList
    carbon: tuple[CarbonFactor, ...]
    told: tuple[RunTold, ...] = ()

    @property
    def period_text(self) -> str:
        """The period and whose calendar, in words."""
        return f"{self.period.label} ({self.zone.key})"


def check(
    query: ReportQuery, timezone: str, now: float, prices: PriceList = NO_PRICES, carbon: Sequence[CarbonFactor] = ()
) -> Asked:
    """Understand a question.

    Args:
        query: The question.
        timezone: The service's time zone.
        now: Unix seconds.
        prices: What things cost.
        carbon: What a kWh emits.

    Raises:
        Refused: Every fault of it.
    """
    faults: list[Refusal] = []
    zone, period = ZoneInfo("UTC"), Period("", 0, 1)
    measures = query.measures or DEFAULT_MEASURES
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
    if others := sorted({*query.by, *query.where} - {*OF_POOL, *BUCKETS}):
        faults += [Refusal("measures", _nobodys(name, others), "pool") for name in measures if is_of_pool(name)]
    if CAUSE in {*query.by, *query.where}:
        faults += [
            Refusal("measures", f"{name} is not only of what failures took: it has no cause.", CAUSE)
            for name in measures
            if relations(name) - {Of.LOST}
        ]
    if any(len(words) > MOST_WORDS for words in query.where.values()):
        faults.append(Refusal("where", f"At most {MOST_WORDS} words of a kind.", "too-many"))
    if not 0 <= query.limit <= MOST_ROWS:
        faults.append(Refusal("limit", f"A limit is 0 to {MOST_ROWS}.", "limit"))
    order = query.order.removeprefix("-")
    if order and order not in (*measures, *query.by):
        faults.append(Refusal("order", f"{order[:80]!r} is none of its columns: {', '.join((*query.by, *measures))}."))
    if faults:
        raise Refused(faults)
    rising = query.order.startswith("-") or (bool(steps) and not order) or order in query.by
    step = steps[0] if steps else ""
    return Asked(
        period, zone, query.by, step, tuple(buckets(period, step, zone)) if step else (), measures, query.where,
        order or step or measures[0], not rising, query.limit or MOST_ROWS, prices,
        tuple(carbon),
    )  # fmt: skip


def relations(measure: str) -> frozenset[Of]:
    """What a measure, or what it is computed of, is of; nothing where there is no such measure."""
    known = MEASURES.get(measure)
    if known is None:
        return frozenset()
    return frozenset().union(*map(relations, known.parts)) if known.parts else frozenset({known.of})


def is_of_pool(measure: str) -> bool:
    """Whether a measure is of what nodes have, rather than of what runs had; False where there is no such measure."""
    return Of.POOL in relations(measure)


def _nobodys(measure: str, others: Iterable[str]) -> str:
    told = f"by {', '.join(OF_POOL)} and time, not by {', '.join(others)}"
    return f"{measure} is of what nodes have, which is nobody's: it can be asked for {told}."


def _unknown(word: str, known: Iterable[str]) -> str:
    return f"{word[:80]!r} is none of {', '.join(known)}."
