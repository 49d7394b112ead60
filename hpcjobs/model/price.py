"""Prices: what an hour of something costs, for whom, from when on."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Literal

import msgspec

from hpcjobs.model.money import MICRO_DIGITS, parsed

Basis = Literal["held", "used"]
"""Whether what a job kept from others is charged, with time suspended, or what it used, without."""
Amount = Annotated[str, msgspec.Meta(pattern=r"^(0|[1-9][0-9]{0,5})(\.[0-9]{1,6})?$")]
"""Of money, as text: exact."""
Resource = Annotated[str, msgspec.Meta(pattern=r"^(cpu|mem_gib|node|gpu(:[A-Za-z0-9_.-]{1,63})?)$")]
"""``gpu:a100``; ``gpu``: GPUs of a kind that has no price of its own; ``cpu``; ``mem_gib``; ``node``."""
Word = Annotated[str, msgspec.Meta(max_length=64)]
When = Annotated[str, msgspec.Meta(max_length=40)]
"""A date, which begins at midnight of the service's time zone, or an instant (ISO 8601)."""


class PriceAsked(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A price to be entered. What is ``""`` of the last five holds for all.

    Attributes:
        resource: Of what.
        amount: Of the service's currency, for one of it, an hour.
        since: From when on.
        until: Until before when; ``""``: until it is ended.
        cluster: Only on this cluster.
        project: Only for this project.
        partition: Only in this partition.
        qos: Only with this quality of service.
    """

    resource: Resource
    amount: Amount
    since: When
    until: When = ""
    cluster: Word = ""
    project: Word = ""
    partition: Word = ""
    qos: Word = ""


class PriceEnd(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """From when on a price holds no longer.

    Attributes:
        until: No sooner than it begins, and sooner than it ends; where it begins: it never held.
    """

    until: When


class Price(msgspec.Struct, frozen=True):
    """A price as it was entered; it is never changed, only ended.

    Attributes:
        id: Its number.
        resource: Of what.
        amount: For one of it, an hour.
        currency: Of what money (ISO 4217).
        since: Unix seconds from which it holds.
        until: Unix seconds before which it holds; None: it has no end.
        cluster: Only on this cluster; ``""``: on all.
        project: Only for this project.
        partition: Only in this partition.
        qos: Only with this quality of service.
        entered_by: Who entered it.
        entered_at: Unix seconds.
        ended_by: Who ended it last, or ``""``.
        ended_at: Unix seconds at which they did.
    """

    id: int
    resource: Resource
    amount: Amount
    currency: str
    since: int
    until: int | None = None
    cluster: str = ""
    project: str = ""
    partition: str = ""
    qos: str = ""
    entered_by: str = ""
    entered_at: float = 0.0
    ended_by: str = ""
    ended_at: float | None = None

    @property
    def micros(self) -> int:
        """The amount in millionths."""
        return parsed(self.amount, MICRO_DIGITS)

    @property
    def key(self) -> tuple[str, ...]:
        """What it is the price of; no two of one key hold at a time."""
        return self.resource, self.currency, self.cluster, self.project, self.partition, self.qos

    def meets(self, since: int, until: int | None) -> bool:
        """Whether it holds at any time from since until before until (None: for ever)."""
        ends = self.until is None or self.until > max(self.since, since)
        return ends and (until is None or until > max(since, self.since))


class PriceList(msgspec.Struct, frozen=True):
    """All prices of a service.

    Attributes:
        currency: Of what is charged now (ISO 4217).
        basis: What is charged now: what jobs held, or what they used.
        prices: By resource, the oldest first; those in other currencies too.
    """

    currency: str = ""
    basis: Basis = "held"
    prices: tuple[Price, ...] = ()


def overlapping(price: Price, others: Iterable[Price]) -> Price | None:
    """The first of others that is a price of the same at some time at which this one is. Pure."""
    return next((one for one in others if one.key == price.key and one.meets(price.since, price.until)), None)
