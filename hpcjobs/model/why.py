"""Why a job waits, in words for a person."""

from __future__ import annotations

import msgspec


class Why(msgspec.Struct, frozen=True):
    """The answer to "why does my job not run?".

    Attributes:
        reason: Slurm's word or text, untouched; ``""`` where Slurm gives none.
        waits_for: One sentence for a person: what it waits for.
        would_help: What the user could do or ask for, a sentence each; empty where only waiting helps.
        start_estimate: Slurm's own expected start in Unix seconds; None where it has none or that moment has passed.
        ahead: How many pending jobs of higher priority want the same partition; those that only wait for a
            dependency or their begin time are not counted, an array's undivided tasks count as one. None: the
            job does not queue, or no listing is at hand.
    """

    reason: str
    waits_for: str
    would_help: tuple[str, ...] = ()
    start_estimate: int | None = None
    ahead: int | None = None
