"""What can be asked of a cluster, and which way does it."""

from __future__ import annotations

from enum import StrEnum

import msgspec


class Op(StrEnum):
    """What a backend may be asked for: one line of the capability table each."""

    VIEW = "view"
    SCHEDULING = "scheduling"
    FIND = "find"
    HISTORY = "history"
    SUBMIT = "submit"
    ESTIMATE = "estimate"
    CANCEL = "cancel"
    HOLD = "hold"
    RELEASE = "release"
    REQUEUE = "requeue"
    SUSPEND = "suspend"
    RESUME = "resume"
    SIGNAL = "signal"
    UPDATE = "update"
    NODES = "nodes"
    RESERVE = "reserve"
    LEDGER = "ledger"


class Capability(msgspec.Struct, frozen=True):
    """One line of the capability table.

    Attributes:
        op: What may be asked.
        way: Which way does it: the first that can; ``""``: none can, and asking is answered with 501.
        lacking: By way: why it cannot do this at all.
        limits: By way: what of it it cannot do; that goes to the next way that can.
    """

    op: Op
    way: str
    lacking: dict[str, str] = {}
    limits: dict[str, str] = {}
