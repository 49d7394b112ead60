"""What an admin sets: what is done about each kind of failure, and how often."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import msgspec

from hpcjobs.model.failure import FailureClass


class Remedy(StrEnum):
    """What helps against a kind of failure."""

    RESTART = "restart"
    ELSEWHERE = "elsewhere"  # on other nodes than those under suspicion
    SHRINK = "shrink"  # on fewer nodes, where the job can; else elsewhere
    HOLD = "hold"
    STOP = "stop"


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is done about one kind of failure.

    Attributes:
        do: What helps.
        budget: How often, since the job last came on; what is more is not tried. None: as often as it comes on.
        then: What is done where the budget is used up.
        pause_s: How long it waits before the first restart, in seconds; each further one, twice as long.
        most_pause_s: And no longer than this.
    """

    do: Remedy
    budget: Annotated[int, msgspec.Meta(ge=0, le=10_000)] | None = 0
    then: Remedy = Remedy.STOP
    pause_s: Annotated[float, msgspec.Meta(ge=0, le=86_400)] = 0.0
    most_pause_s: Annotated[float, msgspec.Meta(ge=0, le=86_400)] = 3_600.0


class Storm(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How many restarts are too many, whatever their reasons.

    Attributes:
        most: So many restarts of a job ...
        within_s: ... within so many seconds, without that it came on, hold it.
    """

    most: Annotated[int, msgspec.Meta(ge=1)] = 10
    within_s: Annotated[float, msgspec.Meta(gt=0)] = 3_600.0


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What an admin sets.

    Attributes:
        rules: By kind of failure, in place of those of the house (rules.toml).
        storm: How many restarts of one job are too many.
    """

    rules: dict[FailureClass, Rule] = {}
    storm: Storm = Storm()
