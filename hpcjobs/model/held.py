"""What jobs of a project have at a moment, in the units of its quota."""

from __future__ import annotations

import msgspec


class Held(msgspec.Struct, frozen=True):
    """What a project's jobs have, those of projects below with them.

    Attributes:
        gpus: GPUs of running jobs, by kind; ``""``: of all kinds together.
        cpus: CPUs of running jobs.
        mem_bytes: Memory of running jobs.
        running_jobs: Jobs that run; each task of an array is one.
        submitted_jobs: Jobs that wait or run.
    """

    gpus: dict[str, int] = {}
    cpus: int = 0
    mem_bytes: int = 0
    running_jobs: int = 0
    submitted_jobs: int = 0
