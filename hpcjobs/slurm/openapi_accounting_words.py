"""The words of accounting in Slurm's own JSON (v0.0.42 to v0.0.45), as far as we read them. Pure; see openapi."""

from __future__ import annotations

from typing import Final

import msgspec

from hpcjobs.slurm.openapi import NONE, ErrorWords, ExitCode, Number

UNKNOWN: Final = "Unknown"
"""Slurm's word for what was not asked for."""


class Tres(msgspec.Struct, frozen=True):
    """How much of a resource."""

    type: str = ""
    name: str = ""
    count: int = 0
    node: str = ""
    task: int = 0

    @property
    def word(self) -> str:
        """As Slurm names it in a text."""
        return f"{self.type}/{self.name}" if self.name else self.type


class _JobTres(msgspec.Struct, frozen=True):
    allocated: tuple[Tres, ...] = ()
    requested: tuple[Tres, ...] = ()


class Used(msgspec.Struct, frozen=True):
    """What tasks used of resources."""

    max: tuple[Tres, ...] = ()
    min: tuple[Tres, ...] = ()
    average: tuple[Tres, ...] = ()
    total: tuple[Tres, ...] = ()


class _StepTres(msgspec.Struct, frozen=True):
    allocated: tuple[Tres, ...] = ()
    requested: Used = Used()
    consumed: Used = Used()


class CpuTime(msgspec.Struct, frozen=True):
    """A time of CPUs."""

    seconds: int = 0
    microseconds: int = 0

    @property
    def value_s(self) -> float:
        """Seconds, to the millionth."""
        return self.seconds + self.microseconds / 1e6


class _JobTimes(msgspec.Struct, frozen=True):
    submission: int = 0
    eligible: int = 0
    start: int = 0
    end: int = 0
    limit: Number = NONE
    elapsed: int = 0
    suspended: int = 0
    planned: Number = NONE
    user: CpuTime = CpuTime()
    system: CpuTime = CpuTime()
    total: CpuTime = CpuTime()


class _StepTimes(msgspec.Struct, frozen=True):
    start: Number = NONE
    end: Number = NONE
    elapsed: int = 0
    suspended: int = 0
    user: CpuTime = CpuTime()
    system: CpuTime = CpuTime()
    total: CpuTime = CpuTime()


class _State(msgspec.Struct, frozen=True):
    current: tuple[str, ...] = ()
    reason: str = ""


class _Comment(msgspec.Struct, frozen=True):
    job: str = ""
    administrator: str = ""
    system: str = ""


class _Running(msgspec.Struct, frozen=True):
    tasks: int = 0


class _Most(msgspec.Struct, frozen=True):
    running: _Running = _Running()


class _Limits(msgspec.Struct, frozen=True):
    max: _Most = _Most()


class _Array(msgspec.Struct, frozen=True):
    job_id: int = 0
    task_id: Number = NONE
    task: str = ""
    limits: _Limits = _Limits()


class _Het(msgspec.Struct, frozen=True):
    job_id: int = 0
    job_offset: Number = NONE


class _Nodes(msgspec.Struct, frozen=True):
    count: int = 0
    range: str = ""


class _Count(msgspec.Struct, frozen=True):
    count: int = 0


class _StepName(msgspec.Struct, frozen=True):
    id: str = ""
    name: str = ""
    stdin: str = ""
    stdout: str = ""
    stderr: str = ""


class _Frequencies(msgspec.Struct, frozen=True):
    min: Number = NONE
    max: Number = NONE


class _StepCpu(msgspec.Struct, frozen=True):
    requested_frequency: _Frequencies = _Frequencies()
    governor: str = UNKNOWN


class _Actual(msgspec.Struct, frozen=True):
    actual_frequency: int = 0


class _Energy(msgspec.Struct, frozen=True):
    consumed: Number = NONE


class _Statistics(msgspec.Struct, frozen=True):
    CPU: _Actual = _Actual()
    energy: _Energy = _Energy()


class _Task(msgspec.Struct, frozen=True):
    distribution: str = ""


class _Association(msgspec.Struct, frozen=True):
    id: int = 0


class _Reservation(msgspec.Struct, frozen=True):
    id: int = 0
    name: str | None = ""
    requested: str | None = ""


class _Required(msgspec.Struct, frozen=True):
    CPUs: int = 0
    memory_per_cpu: Number = NONE
    memory_per_node: Number = NONE


class _Label(msgspec.Struct, frozen=True):
    label: str | None = ""


class _WCKey(msgspec.Struct, frozen=True):
    wckey: str | None = ""


class StepWords(msgspec.Struct, frozen=True):
    """A step of accounting."""

    step: _StepName = _StepName()
    state: tuple[str, ...] = ()
    exit_code: ExitCode = ExitCode()
    time: _StepTimes = _StepTimes()
    nodes: _Nodes = _Nodes()
    tasks: _Count = _Count()
    tres: _StepTres = _StepTres()
    CPU: _StepCpu = _StepCpu()
    statistics: _Statistics = _Statistics()
    task: _Task = _Task()
    kill_request_user: str | None = ""
    container: str | None = ""
    submit_line: str | None = ""


class AccountedWords(msgspec.Struct, frozen=True):
    """A job of accounting."""

    job_id: int
    user: str | None = ""
    state: _State = _State()
    name: str = ""
    account: str | None = ""
    partition: str | None = ""
    qos: str | None = ""
    comment: _Comment = _Comment()
    allocation_nodes: int = 0
    nodes: str = ""
    time: _JobTimes = _JobTimes()
    exit_code: ExitCode = ExitCode()
    derived_exit_code: ExitCode = ExitCode()
    restart_cnt: int = 0
    priority: Number = NONE
    working_directory: str | None = ""
    stdin: str | None = ""
    stdout: str | None = ""
    stderr: str | None = ""
    stdin_expanded: str | None = ""
    stdout_expanded: str | None = ""
    stderr_expanded: str | None = ""
    array: _Array = _Array()
    het: _Het = _Het()
    tres: _JobTres = _JobTres()
    required: _Required = _Required()
    association: _Association = _Association()
    reservation: _Reservation = _Reservation()
    wckey: _WCKey = _WCKey()
    mcs: _Label = _Label()
    flags: tuple[str, ...] = ()
    segment_size: int = 0
    group: str | None = ""
    cluster: str | None = ""
    sluid: str | None = ""
    original_sluid: str | None = ""
    qosreq: str | None = ""
    constraints: str | None = ""
    licenses: str | None = ""
    exclusive: str | None = ""
    oversubscribe: str | None = ""
    submit_line: str | None = ""
    container: str | None = ""
    extra: str | None = ""
    block: str | None = ""
    failed_node: str | None = ""
    kill_request_user: str | None = ""
    steps: tuple[StepWords, ...] = ()


class AccountingReply(msgspec.Struct, frozen=True):
    """The parts of a reply of slurmdbd that we read."""

    jobs: tuple[AccountedWords, ...] = ()
    errors: tuple[ErrorWords, ...] = ()
