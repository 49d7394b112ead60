"""A try to bring a job into Slurm."""

from __future__ import annotations

from enum import StrEnum

import msgspec


class AttemptState(StrEnum):
    """How far an attempt has come."""

    WAITING = "WAITING"  # written, to be sent when Slurm answers and those before it are sent
    SENDING = "SENDING"  # Slurm is being called
    UNKNOWN = "UNKNOWN"  # called, and the answer was lost
    SENT = "SENT"  # Slurm has the job
    REFUSED = "REFUSED"  # Slurm would not have it
    UNSENT = "UNSENT"  # it did not reach Slurm
    CANCELLED = "CANCELLED"  # cancelled while it waited


class Attempt(msgspec.Struct, frozen=True):
    """One attempt as it is shown.

    Attributes:
        id: Travels in the job's comment.
        number: 1 for the first of the job.
        state: How far it came.
        created_at: Unix seconds.
        changed_at: Unix seconds of the last change of state.
        detail: Why it is not SENT, where that can be said.
        generation: The generation of plugins that admitted the job; 0: there were none.
    """

    id: str
    number: int
    state: AttemptState
    created_at: float
    changed_at: float
    detail: str = ""
    generation: int = 0
