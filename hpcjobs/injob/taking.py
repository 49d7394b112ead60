"""How an agent becomes an attempt, or a rank of one."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from .checkpoints import Checkpoints, Fault, Writer
from .errors import CheckpointError
from .report import ATTEMPT, FOLDER, RESUME, ROOT
from .state import Run

JOIN_S = 120.0
READ_S = 3600.0
"""Rank 0 reads a whole checkpoint, or several, before it says from which the attempt goes on."""


class Taken(NamedTuple):
    """An attempt.

    Attributes:
        writer: It.
        start: Folder of the checkpoint that it goes on from, None: from the beginning.
        faults: Newer checkpoints that are not whole.
    """

    writer: Writer
    start: Path | None
    faults: tuple[Fault, ...] = ()

    def variables(self) -> dict[str, str]:
        """What programs know it by."""
        return {
            ATTEMPT: str(self.writer.number),
            ROOT: str(self.writer.checkpoints.root),
            FOLDER: str(self.writer.folder),
            RESUME: str(self.start or ""),
        }


def run_of(environ: Mapping[str, str]) -> tuple[Run, int]:
    """Which start of which job this is, and the rank.

    Args:
        environ: Slurm's variables.
    """
    run = Run(
        environ.get("SLURM_JOB_ID", ""),
        int(environ.get("SLURM_RESTART_COUNT") or 0),
        environ.get("SLURM_STEP_ID", ""),
        socket.gethostname(),
    )
    return run, int(environ.get("SLURM_PROCID") or 0)


def take(folder: Checkpoints, environ: Mapping[str, str]) -> Taken:
    """Have the folder from now on, as rank 0; as another rank, or below an agent of the same job, join who has it.

    Args:
        folder: The checkpoint folder.
        environ: Variables, of Slurm and of an agent around this one.

    Raises:
        CheckpointError: A later restart of the job has it, or rank 0 took none in time.
        OSError: As when the disk is full.
    """
    run, rank = run_of(environ)
    around = next((one for one in folder.state().attempts if str(one.number) == environ.get(ATTEMPT)), None)
    if around and around.run[:2] == run[:2]:
        writer = Writer(folder, around.number)
        return Taken(writer, writer.started(READ_S))
    if rank:
        joined = folder.join(run, JOIN_S)
        if joined is None:
            raise CheckpointError(f"rank 0 took no attempt within {JOIN_S:.0f} s")
        return Taken(joined, joined.started(READ_S))
    writer, faults = folder.begin(run), list[Fault]()
    return Taken(writer, writer.resume(faults), tuple(faults))
