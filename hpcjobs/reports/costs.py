"""What of a question costs what, by price; and what of it has no price, which a report tells beside its costs."""

from __future__ import annotations

from typing import Final, NamedTuple

import duckdb

from hpcjobs.identity.policy import Visibility
from hpcjobs.reports.asked import Asked
from hpcjobs.reports.dimensions import UNRESOLVED
from hpcjobs.reports.query import COSTS, may_see, relation
from hpcjobs.usage.charges import GPU, HOUR, TARIFF

NO_PRICES: Final = "There are no prices: nothing has a cost."


class Charge(NamedTuple):
    """What was used of one resource at one price.

    Attributes:
        resource: ``gpu``, ``cpu``, ``mem_gib`` or ``node``.
        kind: Of GPUs; ``""``: not known, or no GPU.
        micros: Its price in millionths; None: it has none.
        part_s: So much: HOUR of these are an hour of one. A whole number where no nodes are told apart.
    """

    resource: str
    kind: str
    micros: int | None
    part_s: int | float

    @property
    def name(self) -> str:
        """As prices call it: ``gpu:a100``."""
        return f"{self.resource}:{self.kind}" if self.kind else self.resource


def charges_of(connection: duckdb.DuckDBPyConnection, asked: Asked, visible: Visibility) -> list[Charge]:
    """All that a question meets, by resource and price.

    Args:
        connection: To usage, where the tables are made that the question reads (hpcjobs.reports.made).
        asked: The question.
        visible: What whoever asks may see.
    """
    condition, parameters = may_see(visible)
    parameters |= {"since": asked.period.since, "until": asked.period.until}
    parameters |= {f"where_{name}": list(words) for name, words in asked.where.items()}
    lines = "\nUNION ALL BY NAME\n".join(relation(asked, (), "", of, condition) for of in sorted(COSTS))
    rows = connection.execute(
        f"SELECT resource, kind, micros, sum(part_s * share) AS part_s FROM ({lines})"
        " GROUP BY ALL HAVING sum(part_s) > 0 ORDER BY ALL",
        parameters,
    ).fetchall()
    return [Charge(*row) for row in rows]


def notes(connection: duckdb.DuckDBPyConnection, asked: Asked, visible: Visibility) -> tuple[str, ...]:
    """What one should know who reads costs: what was used and has no price."""
    prices = asked.prices
    if not any(price.currency == prices.currency for price in prices.prices):
        return (NO_PRICES,)
    if connection.execute(f"FROM {TARIFF} WHERE micros IS NULL LIMIT 1").fetchone() is None:
        return ()
    lacking = [charge for charge in charges_of(connection, asked, visible) if charge.micros is None]
    told = ", ".join(
        f"{charge.part_s / HOUR:,.2f} h of {f'{GPU} ({UNRESOLVED})' if charge.name == GPU else charge.name}"
        for charge in lacking
    )
    return (f"Without a price, and in no cost: {told}.",) if told else ()
