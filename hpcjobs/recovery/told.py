"""What an agent inside a job tells in its status file (hpcjobs/injob/status.py), read as what it is: a user's. Pure."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec

from hpcjobs.model.progress import Progress

MOST_BYTES: Final = 64 * 1024
"""A status file is a few kilobytes; what is longer is none."""
MOST_CHARS: Final = 4096

Time = Annotated[float, msgspec.Meta(ge=0, le=1e11)]
Step = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
Text = Annotated[str, msgspec.Meta(max_length=MOST_CHARS)]


class Told(msgspec.Struct, frozen=True):
    """What is read of it; see hpcjobs/injob/status.py."""

    attempt: Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)]
    restarts: Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)]
    job: Text
    began: Time
    alive: Time
    heartbeat: Time | None = None
    step: Step | None = None
    step_at: Time | None = None
    steps: Annotated[tuple[tuple[Time, Step], ...], msgspec.Meta(max_length=1000)] = ()
    resumed: Text = ""
    checkpoint: Text = ""
    checkpoint_step: Step | None = None
    checkpoint_at: Time | None = None
    save_s: Time | None = None
    fault: Text = ""


def told(data: bytes) -> Told | None:
    """Read a status file.

    Args:
        data: All of it.

    Returns:
        None: it is none.
    """
    try:
        return msgspec.json.decode(data, type=Told) if len(data) < MOST_BYTES else None
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None


def progress_of(one: Told, cluster: str, job_id: str, seen_at: float) -> Progress:
    """The same as it is kept.

    Args:
        one: What was told.
        cluster: Where.
        job_id: Our id of the job.
        seen_at: When it was read, Unix seconds.
    """
    return Progress(
        cluster=cluster,
        job_id=job_id,
        run=one.restarts,
        attempt=one.attempt,
        began=one.began,
        alive=one.alive,
        heartbeat=one.heartbeat,
        step=one.step,
        step_at=one.step_at,
        checkpoint=one.checkpoint,
        checkpoint_step=one.checkpoint_step,
        checkpoint_at=one.checkpoint_at,
        save_s=one.save_s,
        resumed=one.resumed,
        fault=one.fault,
        seen_at=seen_at,
    )
