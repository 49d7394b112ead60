"""The one table from Slurm's states to ours.

Words and flags: job_state_string() and the JOB_STATE flags of slurm.h, Slurm 24.11 to 26.05. pyslurm gives one
word, slurmrestd a list; both are read by the same table. A word that is not in the table is UNKNOWN, and unknown
is never final.
"""

from __future__ import annotations

from typing import Final

from hpcjobs.model.job import Fate, State

TABLE: Final[dict[str, tuple[State, Fate | None]]] = {
    # Flags, the one that matters most first: a flag says more about now than the state under it.
    "COMPLETING": (State.COMPLETING, None),
    "STAGE_OUT": (State.COMPLETING, None),
    "REQUEUE_HOLD": (State.HELD, None),
    "SPECIAL_EXIT": (State.HELD, None),
    "RESV_DEL_HOLD": (State.HELD, None),
    "REQUEUE_FED": (State.PENDING, None),
    "REQUEUED": (State.PENDING, None),
    "REVOKED": (State.FINISHED, Fate.CANCELLED),
    "STOPPED": (State.SUSPENDED, None),
    "CONFIGURING": (State.RUNNING, None),
    "POWER_UP_NODE": (State.RUNNING, None),
    "RESIZING": (State.RUNNING, None),
    "SIGNALING": (State.RUNNING, None),
    # Base states.
    "PENDING": (State.PENDING, None),
    "RUNNING": (State.RUNNING, None),
    "EXPEDITING": (State.RUNNING, None),
    "SUSPENDED": (State.SUSPENDED, None),
    "COMPLETED": (State.FINISHED, Fate.COMPLETED),
    "CANCELLED": (State.FINISHED, Fate.CANCELLED),
    "FAILED": (State.FINISHED, Fate.FAILED),
    "TIMEOUT": (State.FINISHED, Fate.TIMEOUT),
    "NODE_FAIL": (State.FINISHED, Fate.NODE_FAIL),
    "PREEMPTED": (State.FINISHED, Fate.PREEMPTED),
    "BOOT_FAIL": (State.FINISHED, Fate.BOOT_FAIL),
    "DEADLINE": (State.FINISHED, Fate.DEADLINE),
    "OUT_OF_MEMORY": (State.FINISHED, Fate.OUT_OF_MEMORY),
}

SILENT: Final = frozenset({"LAUNCH_FAILED", "RECONFIG_FAIL", "UPDATE_DB"})
"""Flags that say nothing of where the job is in its life."""

HELD_REASONS: Final = frozenset(
    {
        # Words with which Slurm sets a pending job's priority to 0: it waits for a release, not for its turn.
        "JobHeldUser",
        "JobHeldAdmin",
        "JobHoldMaxRequeue",
        "BadConstraints",
        "BurstBufferOperation",
        "ReservationDeleted",
        "ReservationInvalid",
        # Descriptions that pyslurm gives in the word's place.
        "job requeued in held state",
        "job requeued in special exit state",
        "launch failed requeued held",
        "launch failure limit exceeded requeued held",
        "user env retrieval failed requeued held",
    }
)


def read_state(raw_state: str, reason: str = "") -> tuple[State, Fate | None]:
    """Read a raw state.

    Args:
        raw_state: Slurm's words, comma-separated (``COMPLETED,COMPLETING``).
        reason: Slurm's reason word; it tells a held job from a waiting one.

    Returns:
        Our state, and the fate where the state is final.
    """
    words = set(raw_state.upper().split(",")) - SILENT
    state, fate = next((TABLE[word] for word in TABLE if word in words), (State.UNKNOWN, None))
    if state is State.FINISHED and not words <= TABLE.keys():
        state, fate = State.UNKNOWN, None
    if state is State.PENDING and reason in HELD_REASONS:
        state = State.HELD
    return state, fate


UNUSABLE: Final = frozenset({"DOWN", "DRAIN", "DRAINED", "DRAINING", "FAIL", "FAILING", "NOT_RESPONDING", "UNKNOWN",
    "ERROR", "FUTURE", "INVALID_REG", "POWER_DRAIN", "REBOOT_ISSUED", "MAINTENANCE"})  # fmt: skip


def node_usable(raw_state: str) -> bool:
    """Whether Slurm would start a job on a node in this state, now or when it is free.

    Args:
        raw_state: Slurm's words joined by ``+``, as ``MIXED+DRAIN``; a ``*`` is not responding.
    """
    return "*" not in raw_state and not UNUSABLE & set(raw_state.upper().split("+"))
