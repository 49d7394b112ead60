"""How it goes, as a file of JSON for whoever wants to know: exchanged whole, and at most a few kilobytes long. Pure."""

from __future__ import annotations

import json
import math
from typing import NamedTuple

from .lines import Told

FORMAT = 1
STEPS_TOLD = 16
LONGEST_FAULT = 500

RUNNING, SAVING, STOPPING, ENDED = "running", "saving", "stopping", "ended"


class Status(NamedTuple):
    """How an attempt goes, as its agent knows it. Times are Unix seconds of the agent's node, None: never.

    Attributes:
        attempt: Its number, 0: without a checkpoint folder.
        rank: SLURM_PROCID of the agent.
        job: SLURM_JOB_ID, ``""`` outside Slurm.
        restarts: SLURM_RESTART_COUNT.
        host: Where the agent runs.
        pid: Of the command.
        began: When the command was started.
        alive: When the agent wrote this.
        heartbeat: When the program said anything last.
        step: The last that it told.
        step_at: When a step higher than all before came.
        steps: Last times and steps, for the pace.
        loss: The last that it told, None: none yet, or it was not finite.
        loss_finite: False: the last was NaN or infinite.
        resumed: Path of the checkpoint that it went on from.
        checkpoint: Path of the last one that this attempt published.
        checkpoint_step: Its step.
        checkpoint_at: When it was published.
        save_s: How long saving it took: what the program said, and publishing.
        phase: running, saving (a signal came), stopping, ended.
        signal: The one that came, 0: none.
        exit_code: What the agent ended with, None: it has not.
        command_code: What the command ended with; below zero: by that signal.
        fault: What went wrong last, as with a checkpoint that could not be published.
        format: Of this file.
    """

    attempt: int
    rank: int
    job: str
    restarts: int
    host: str
    pid: int
    began: float
    alive: float
    heartbeat: float | None = None
    step: int | None = None
    step_at: float | None = None
    steps: tuple[tuple[float, int], ...] = ()
    loss: float | None = None
    loss_finite: bool = True
    resumed: str = ""
    checkpoint: str = ""
    checkpoint_step: int | None = None
    checkpoint_at: float | None = None
    save_s: float | None = None
    phase: str = RUNNING
    signal: int = 0
    exit_code: int | None = None
    command_code: int | None = None
    fault: str = ""
    format: int = FORMAT


def told(status: Status, said: Told, now: float) -> Status:
    """What a line changes; a checkpoint counts when it is published, see ``published``.

    Args:
        status: As it was.
        said: The line.
        now: Unix seconds.
    """
    status = status._replace(heartbeat=now)
    if said.loss is not None:
        finite = math.isfinite(said.loss)
        status = status._replace(loss=said.loss if finite else None, loss_finite=finite)
    if said.step is None or said.path:
        return status
    ahead = not status.steps or said.step > max(step for _, step in status.steps)
    return status._replace(
        step=said.step,
        step_at=now if ahead else status.step_at,
        steps=(*status.steps, (now, said.step))[-STEPS_TOLD:],
    )


def published(status: Status, path: str, step: int, save_s: float, now: float) -> Status:
    """A checkpoint was published.

    Args:
        status: As it was.
        path: Of the checkpoint.
        step: Of the program.
        save_s: How long saving it took.
        now: Unix seconds.
    """
    return status._replace(checkpoint=path, checkpoint_step=step, checkpoint_at=now, save_s=save_s, fault="")


def encode(status: Status) -> bytes:
    """As it is written.

    Args:
        status: Which.
    """
    return json.dumps(status._replace(fault=status.fault[:LONGEST_FAULT])._asdict(), allow_nan=False).encode() + b"\n"
