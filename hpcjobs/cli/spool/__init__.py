"""Submissions that found no service: kept on this machine's disk, and sent once, later."""

from __future__ import annotations

import os

from hpcjobs.profiles import state_path

TYPE_CHECKING = False  # every call of sbatch loads this module, and typing loads slowly
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Final

MARK: Final = "offline-"
"""What the id of such a submission begins with: no job of Slurm's is called so."""


def folder_of(environment: Mapping[str, str]) -> str:
    """Where it is all kept."""
    return f"{state_path(environment)}/spool"


def anything_waits(environment: Mapping[str, str]) -> bool:
    """Whether there may be something to send; quick."""
    try:
        with os.scandir(f"{folder_of(environment)}/waiting") as names:
            return any(one.name.startswith(MARK) for one in names)
    except OSError:
        return False
