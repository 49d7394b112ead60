"""What accounting (slurmdbd) knows of jobs that the controller may have forgotten."""

from __future__ import annotations

import msgspec

from hpcjobs.model.job import JobRecord


class Step(msgspec.Struct, frozen=True):
    """One step of a job. Times are Unix seconds, 0 where there is none.

    Attributes:
        id: ``batch``, ``extern``, ``interactive`` or the step's number.
        name: As given to srun.
        raw_state: Slurm's state.
        exit_code: Its exit code.
        exit_signal: Number of the signal that ended it, 0 for none.
        start_time: When it started.
        end_time: When it ended.
        node_list: Where it ran, as a hostlist.
        ntasks: Tasks.
        cpus: CPUs allocated.
        gpus: GPUs allocated, by type (``""`` untyped).
        mem_max_bytes: Largest resident memory of a task (MaxRSS), in bytes; 0 where it was not measured.
    """

    id: str
    name: str = ""
    raw_state: str = ""
    exit_code: int = 0
    exit_signal: int = 0
    start_time: int = 0
    end_time: int = 0
    node_list: str = ""
    ntasks: int = 0
    cpus: int = 0
    gpus: dict[str, int] = {}
    mem_max_bytes: int = 0


class Accounted(msgspec.Struct, frozen=True):
    """One job as slurmdbd has it, and its steps where they were asked for."""

    record: JobRecord
    steps: tuple[Step, ...] = ()


class HistoryQuery(msgspec.Struct, frozen=True):
    """Which jobs of accounting: all conditions hold together.

    Attributes:
        numbers: Slurm's numbers; an array's or heterogeneous job's number means all of it. Empty: any.
        since: Only jobs that were eligible, running or ended in or after this Unix second; 0: any.
        until: Only jobs that were so before this Unix second; 0: now.
        steps: Whether to bring the steps.
    """

    numbers: tuple[int, ...] = ()
    since: int = 0
    until: int = 0
    steps: bool = False
