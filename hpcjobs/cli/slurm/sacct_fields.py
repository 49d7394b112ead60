"""The fields that sacct can print: their names, widths and values. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from typing import TYPE_CHECKING, Final, NamedTuple

from hpcjobs.cli.slurm import sacct_text as text
from hpcjobs.cli.slurm.times import Moment, full_span, time_text
from hpcjobs.model.amount import NO_VAL, amount_text

if TYPE_CHECKING:
    from hpcjobs.model.history import Accounted, Step, Usage

NAMED_FREQUENCIES: Final = {0x8000_0001: "Low", 0x8000_0002: "Medium", 0x8000_0003: "High", 0x8000_0004: "HighM1"}
"""Frequencies that srun takes by name (slurm.h, CPU_FREQ_LOW and after)."""
SLUID_LETTERS: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
FLAGS: Final = {"STARTED_ON_SCHEDULE": "SchedMain", "STARTED_ON_BACKFILL": "SchedBackfill",
                "STARTED_ON_SUBMIT": "SchedSubmit", "START_RECEIVED": "StartReceived"}  # fmt: skip
"""Flags in Slurm's JSON, and in sacct's text."""


STATE_FLAGS: Final = frozenset({"REQUEUED", "RESIZING", "REVOKED"})
"""Flags of a state that sacct shows in its place."""


class Kind(Enum):
    """What becomes of a value that is wider than its column."""

    TEXT = "+"  # cut, with a plus
    TIME = "#"  # filled with hashes
    NUMBER = ""  # written in full


class Way(NamedTuple):
    """How values are written.

    Attributes:
        moment: When, and the style of times.
        task_chars: SLURM_BITSTR_LEN.
        unit: --units.
        convert: Not --noconvert.
        expand: --expand-patterns.
        cluster: Name of the cluster where accounting does not say it.
        uids: Numbers of users, by name.
    """

    moment: Moment = Moment(0)
    task_chars: int = 64
    unit: str = ""
    convert: bool = True
    expand: bool = False
    cluster: str = ""
    uids: Mapping[str, int] = {}


class Row(NamedTuple):
    """What one line is about: a job, or one of its steps.

    Attributes:
        job: The job.
        step: Its step; None: the job itself.
        way: How values are written.
        task: The one task of a waiting array that this is about (--array).
    """

    job: Accounted
    step: Step | None
    way: Way
    task: int | None = None

    def moment(self, at: int) -> str:
        """A point in time."""
        return time_text(at, self.way.moment, "Unknown")

    def bytes(self, value: float) -> str:
        """An amount without a unit of its own."""
        return amount_text(value, into=self.way.unit, convert=self.way.convert)

    def tres(self, resources: str) -> str:
        """Resources."""
        return text.tres(resources, self.way.unit, convert=self.way.convert)


class Field(NamedTuple):
    """A field.

    Attributes:
        name: As sacct spells it.
        width: Of its column; negative: at the left.
        kind: What becomes of what is too wide.
        of_job: The text for a job.
        of_step: The text for a step.
    """

    name: str
    width: int
    kind: Kind
    of_job: Callable[[Row], str]
    of_step: Callable[[Row, Step], str]

    def value(self, row: Row) -> str:
        """The text of a line."""
        return self.of_job(row) if row.step is None else self.of_step(row, row.step)


def _nothing(_row: Row, _step: Step | None = None) -> str:
    return ""


def job_name(row: Row) -> str:
    """A job's number as sacct shows it: ``12``, ``12_3``, ``12_[4-7%2]``, ``12+0``."""
    record, ledger = row.job.record, row.job.ledger
    if record.array_job_id:
        if row.task is not None:
            return f"{record.array_job_id}_{row.task}"
        if ledger.array_bits:
            return (
                f"{record.array_job_id}_"
                f"{text.waiting_tasks(tasks_of(row.job), ledger.array_max_running, row.way.task_chars)}"
            )
        return f"{record.array_job_id}_{record.array_task}"
    if record.het_job_id:
        return f"{record.het_job_id}+{record.het_offset}"
    return str(record.slurm_job_id)


def tasks_of(job: Accounted) -> list[int]:
    """The tasks of an array that wait together; empty for any other job."""
    bits = int(job.ledger.array_bits.partition("%")[0] or "0", 16) if job.ledger.array_bits else 0
    return [task for task in range(bits.bit_length()) if bits >> task & 1]


def _state(row: Row, raw_state: str, killed_by: str) -> str:
    state, *flags = raw_state.split(",")
    if state == "CANCELLED" and killed_by:
        return f"{state} by {row.way.uids.get(killed_by, killed_by)}"
    return next((flag for flag in flags if flag in STATE_FLAGS), state)


def _start(row: Row) -> str:
    record = row.job.record
    # A job that was cancelled before it began has no start; one that waits has none yet.
    return "None" if record.end_time and not record.start_time else row.moment(record.start_time)


def _limit(row: Row, minutes: bool = False) -> str:
    wall_s = row.job.record.wall_s
    if wall_s is None:
        return "UNLIMITED" if row.job.ledger.wall_unlimited else "Partition_Limit"
    return str(wall_s // 60) if minutes else full_span(wall_s)


def _cpus(row: Row) -> int:
    return row.job.record.cpus if row.job.ledger.tres_alloc else 0


def _planned_cpu_s(row: Row) -> int:
    record, ledger = row.job.record, row.job.ledger
    planned_s = ledger.planned_s
    if planned_s < 0 and record.end_time and not record.start_time:
        planned_s = NO_VAL - record.eligible_time  # Slurm counts so where a job was cancelled before it could begin
    return planned_s * (_cpus(row) or ledger.cpus_req)


def _memory(row: Row) -> str:
    asked = dict(part.partition("=")[::2] for part in row.job.ledger.tres_req.split(",") if part)
    return row.tres(f"mem={asked['mem']}").partition("=")[2] if "mem" in asked else "0"


def _frequency(asked: str) -> str:
    if not asked.isdigit():
        return asked
    number = int(asked)
    if number in NAMED_FREQUENCIES or not number:
        return NAMED_FREQUENCIES.get(number, "0")
    value, letter = float(number), "K"
    for larger in "MG":
        if value >= 1000:
            value, letter = value / 1000, larger
    return f"{int(value)}{letter}" if value == int(value) else f"{value:.2f}{letter}"


def sluid_number(sluid: str) -> str:
    """The database's number of a run, which its SLUID spells in base 32."""
    number = 0
    for letter in sluid[1:]:
        number = number * 32 + SLUID_LETTERS.index(letter)
    return str(number) if sluid else ""


def _path(row: Row, pattern: str, path: str) -> str:
    return path if row.way.expand and pattern else pattern


def _flags(row: Row) -> str:
    return ",".join(FLAGS.get(flag, flag) for flag in row.job.ledger.flags if flag in FLAGS)


def _known(number: int | None) -> str:
    return "" if number is None else str(number)


def _energy(row: Row, joules: int | None) -> str:
    return "" if joules is None else row.bytes(joules)


Of = Callable[["Step"], "Usage"]


def _used(pick: Of, which: str, resource: str, form: Callable[[Row, int], str]) -> Callable[[Row, Step], str]:
    def value(row: Row, step: Step) -> str:
        counts: Mapping[str, int] = getattr(pick(step), which)
        return form(row, counts[resource]) if resource in counts else ""

    return value


def _incoming(step: Step) -> Usage:
    return step.usage_in


def _outgoing(step: Step) -> Usage:
    return step.usage_out


def _bytes(row: Row, value: int) -> str:
    return row.bytes(value)


def _cpu_ms(_row: Row, value: int) -> str:
    return full_span(value // 1000)


def _plain(_row: Row, value: object) -> str:
    return str(value)


def _usage_fields(prefix: str, pick: Of) -> list[Field]:
    width = 14 if pick is _incoming else 15

    def amounts(which: str) -> Callable[[Row, Step], str]:
        return lambda row, step: text.usage(getattr(pick(step), which), row.way.unit, convert=row.way.convert)

    def where(which: str) -> Callable[[Row, Step], str]:
        return lambda _row, step: text.pairs(getattr(pick(step), which))

    return [
        _step(f"{prefix}Ave", width, amounts("average")),
        _step(f"{prefix}Max", width, amounts("max")),
        _step(f"{prefix}MaxNode", width + 4, where("max_node")),
        _step(f"{prefix}MaxTask", width + 4, where("max_task")),
        _step(f"{prefix}Min", width, amounts("min")),
        _step(f"{prefix}MinNode", width + 4, where("min_node")),
        _step(f"{prefix}MinTask", width + 4, where("min_task")),
        _step(f"{prefix}Tot", width, amounts("total")),
    ]


def _both(name: str, width: int, of_job: Callable[[Row], str], of_step: Callable[[Row, Step], str],
          kind: Kind = Kind.TEXT) -> Field:  # fmt: skip
    return Field(name, width, kind, of_job, of_step)


def _same(name: str, width: int, value: Callable[[Row], str], kind: Kind = Kind.TEXT) -> Field:
    return Field(name, width, kind, value, lambda row, _step: value(row))


def _job(name: str, width: int, value: Callable[[Row], str], kind: Kind = Kind.TEXT) -> Field:
    return Field(name, width, kind, value, _nothing)


def _step(name: str, width: int, value: Callable[[Row, Step], str], kind: Kind = Kind.TEXT) -> Field:
    return Field(name, width, kind, _nothing, value)


def _measured(name: str, widths: Sequence[int], pick: Of, resource: str) -> list[Field]:
    """The largest value of a resource, and the node and task where it was."""
    return [
        _step(name, widths[0], _used(pick, "max", resource, _bytes)),
        _step(f"{name}Node", widths[1], _used(pick, "max_node", resource, _plain)),
        _step(f"{name}Task", widths[2], _used(pick, "max_task", resource, _plain)),
    ]


N, T = Kind.NUMBER, Kind.TIME

TABLE: Final[Sequence[Field]] = (
    _same("Account", 10, lambda row: row.job.record.account),
    _job("AdminComment", 15, lambda row: row.job.ledger.admin_comment),
    _both("AllocCPUS", 10, lambda row: str(_cpus(row)), lambda _row, step: str(step.cpus), N),
    _both("AllocNodes", 10, lambda row: str(row.job.ledger.nodes_alloc), lambda _row, step: str(step.nodes), N),
    _both("AllocTRES", 10, lambda row: row.tres(row.job.ledger.tres_alloc),
          lambda row, step: row.tres(step.tres_alloc)),
    _same("AssocID", 7, lambda row: str(row.job.ledger.association_id), N),
    _step("AveCPU", 10, _used(_incoming, "average", "cpu", _cpu_ms)),
    _step("AveCPUFreq", 10, lambda _row, step: _frequency(str(step.cpu_frequency_khz))),
    _step("AveDiskRead", 14, _used(_incoming, "average", "fs/disk", _bytes)),
    _step("AveDiskWrite", 14, _used(_outgoing, "average", "fs/disk", _bytes)),
    _step("AvePages", 10, _used(_incoming, "average", "pages", _bytes)),
    _step("AveRSS", 10, _used(_incoming, "average", "mem", _bytes)),
    _step("AveVMSize", 10, _used(_incoming, "average", "vmem", _bytes)),
    _job("BlockID", 16, lambda row: row.job.ledger.block),
    _same("Cluster", 10, lambda row: row.job.ledger.cluster or row.way.cluster),
    _job("Comment", 14, lambda row: row.job.record.comment),
    _job("Constraints", 19, lambda row: row.job.ledger.constraint),
    _both("ConsumedEnergy", 14, lambda row: _energy(row, row.job.ledger.energy_j),
          lambda row, step: row.bytes(step.energy_j)),
    _both("ConsumedEnergyRaw", 17, lambda row: _known(row.job.ledger.energy_j),
          lambda _row, step: str(step.energy_j), N),
    _both("Container", 19, lambda row: row.job.ledger.container, lambda _row, step: step.container),
    _both("CPUTime", 10, lambda row: full_span(row.job.ledger.elapsed_s * _cpus(row)),
          lambda _row, step: full_span(step.elapsed_s * step.cpus), N),
    _both("CPUTimeRAW", 10, lambda row: str(row.job.ledger.elapsed_s * _cpus(row)),
          lambda _row, step: str(step.elapsed_s * step.cpus), N),
    _same("DBIndex", -21, lambda row: sluid_number(row.job.ledger.sluid), N),
    _job("DerivedExitCode", 15,
         lambda row: f"{row.job.ledger.derived_exit_code}:{row.job.ledger.derived_exit_signal}"),
    _both("Elapsed", 10, lambda row: full_span(row.job.ledger.elapsed_s),
          lambda _row, step: full_span(step.elapsed_s), N),
    _both("ElapsedRaw", 10, lambda row: str(row.job.ledger.elapsed_s), lambda _row, step: str(step.elapsed_s), N),
    _both("Eligible", 19, lambda row: row.moment(row.job.record.eligible_time),
          lambda row, step: row.moment(step.start_time), T),
    _both("End", 19, lambda row: row.moment(row.job.record.end_time), lambda row, step: row.moment(step.end_time), T),
    _job("Exclusive", 14, lambda row: row.job.ledger.exclusive),
    _both("ExitCode", 8, lambda row: f"{row.job.record.exit_code}:{row.job.record.exit_signal}",
          lambda _row, step: f"{step.exit_code}:{step.exit_signal}"),
    _job("Extra", 14, lambda row: row.job.ledger.extra),
    _job("FailedNode", 8, lambda row: row.job.ledger.failed_node),
    _job("Flags", 19, _flags),
    _job("GID", 6, lambda row: _known(row.job.ledger.group_id), N),
    _job("Group", 9, lambda row: row.job.ledger.group),
    _both("JobID", -12, job_name, lambda row, step: f"{job_name(row)}.{step.id}"),
    _both("JobIDRaw", -12, lambda row: str(row.job.record.slurm_job_id),
          lambda row, step: f"{row.job.record.slurm_job_id}.{step.id}"),
    _both("JobName", 10, lambda row: row.job.record.name, lambda _row, step: step.name),
    _step("Layout", 9, lambda _row, step: step.layout),
    _job("Licenses", 10, lambda row: row.job.ledger.licenses),
    *_measured("MaxDiskRead", (12, 15, 15), _incoming, "fs/disk"),
    *_measured("MaxDiskWrite", (12, 16, 16), _outgoing, "fs/disk"),
    *_measured("MaxPages", (8, 12, 14), _incoming, "pages"),
    *_measured("MaxRSS", (10, 10, 10), _incoming, "mem"),
    *_measured("MaxVMSize", (10, 14, 14), _incoming, "vmem"),
    _job("McsLabel", 12, lambda row: row.job.ledger.mcs_label),
    _step("MinCPU", 10, _used(_incoming, "min", "cpu", _cpu_ms)),
    _step("MinCPUNode", 10, _used(_incoming, "min_node", "cpu", _plain)),
    _step("MinCPUTask", 10, _used(_incoming, "min_task", "cpu", _plain)),
    _both("NCPUS", 10, lambda row: str(_cpus(row)), lambda _row, step: str(step.cpus), N),
    _both("NNodes", 8, lambda row: str(row.job.record.nodes), lambda _row, step: str(step.nodes), N),
    _both("NodeList", 15, lambda row: row.job.record.node_list or "None assigned", lambda _row, step: step.node_list),
    _step("NTasks", 8, lambda _row, step: str(step.ntasks), N),
    _same("OriginalSLUID", 14, lambda row: row.job.ledger.original_sluid, N),
    _job("OverSubscribe", 14, lambda row: row.job.ledger.oversubscribe),
    _job("Partition", 10, lambda row: row.job.record.partition),
    _job("Planned", 10, lambda row: full_span(row.job.ledger.planned_s), N),
    _job("PlannedCPU", 10, lambda row: full_span(_planned_cpu_s(row)), N),
    _job("PlannedCPURAW", 13, lambda row: str(_planned_cpu_s(row) % 2**32), N),
    _job("Priority", 10, lambda row: str(row.job.record.priority), N),
    _job("QOS", 10, lambda row: row.job.record.qos),
    _job("QOSRAW", 6, _nothing, N),
    _job("QOSREQ", 10, lambda row: row.job.ledger.qos_req),
    _job("Reason", 22, lambda row: row.job.record.reason or "None"),
    _both("ReqCPUFreq", 10, lambda _row: "Unknown", lambda _row, step: _frequency(step.cpu_frequency_max)),
    _both("ReqCPUFreqGov", 13, lambda _row: "Unknown", lambda _row, step: step.cpu_governor),
    _both("ReqCPUFreqMax", 13, lambda _row: "Unknown", lambda _row, step: _frequency(step.cpu_frequency_max)),
    _both("ReqCPUFreqMin", 13, lambda _row: "Unknown", lambda _row, step: _frequency(step.cpu_frequency_min)),
    _both("ReqCPUS", 8, lambda row: str(row.job.ledger.cpus_req), lambda _row, step: str(step.cpus), N),
    _job("ReqMem", 10, _memory),
    _both("ReqNodes", 8, lambda row: str(row.job.ledger.nodes_req), lambda _row, step: str(step.nodes), N),
    _job("ReqTRES", 10, lambda row: row.tres(row.job.ledger.tres_req)),
    _job("Reservation", 20, lambda row: row.job.ledger.reservation),
    _job("ReservationId", 8, lambda row: _known(row.job.ledger.reservation_id or None), N),
    _job("ReqReservation", 20, lambda row: row.job.ledger.reservation_req),
    _job("Restarts", 8, lambda row: str(row.job.record.restarts), N),
    _job("SegmentSize", 11, lambda row: _known(row.job.ledger.segment_size or None), N),
    _same("SLUID", 14, lambda row: row.job.ledger.sluid, N),
    _both("Start", 19, _start, lambda row, step: row.moment(step.start_time), T),
    _both("State", 10, lambda row: _state(row, row.job.record.raw_state, row.job.ledger.killed_by),
          lambda row, step: _state(row, step.raw_state, step.killed_by)),
    _both("StdErr", 20, lambda row: _path(row, row.job.ledger.stderr, row.job.record.stderr),
          lambda _row, step: step.stderr),
    _both("StdIn", 20, lambda row: _path(row, row.job.ledger.stdin, row.job.ledger.stdin_path),
          lambda _row, step: step.stdin),
    _both("StdOut", 20, lambda row: _path(row, row.job.ledger.stdout, row.job.record.stdout),
          lambda _row, step: step.stdout),
    _both("Submit", 19, lambda row: row.moment(row.job.record.submit_time),
          lambda row, step: row.moment(step.start_time), T),
    _both("SubmitLine", 20, lambda row: row.job.ledger.submit_line, lambda _row, step: step.submit_line),
    _both("Suspended", 10, lambda row: full_span(row.job.ledger.suspended_s),
          lambda _row, step: full_span(step.suspended_s), N),
    _job("SystemComment", 15, lambda row: row.job.ledger.system_comment),
    _both("SystemCPU", 10, lambda row: text.cpu_time(row.job.ledger.system_cpu_s),
          lambda _row, step: text.cpu_time(step.system_cpu_s)),
    _job("Timelimit", 10, _limit),
    _job("TimelimitRaw", 10, lambda row: _limit(row, minutes=True)),
    _both("TotalCPU", 10, lambda row: text.cpu_time(row.job.ledger.total_cpu_s),
          lambda _row, step: text.cpu_time(step.total_cpu_s)),
    *_usage_fields("TRESUsageIn", _incoming),
    *_usage_fields("TRESUsageOut", _outgoing),
    _job("UID", 6, lambda row: _known(row.job.ledger.user_id), N),
    _job("User", 9, lambda row: row.job.record.user),
    _both("UserCPU", 10, lambda row: text.cpu_time(row.job.ledger.user_cpu_s),
          lambda _row, step: text.cpu_time(step.user_cpu_s)),
    _job("WCKey", 10, lambda row: row.job.ledger.wckey),
    _job("WCKeyID", 10, lambda row: "" if row.job.ledger.wckey else "0", N),
    _job("WorkDir", 20, lambda row: row.job.record.workdir),
)  # fmt: skip
"""Every field of ``sacct --helpformat`` of Slurm 26.05, in its order."""

UNANSWERED: Final = {"QOSRAW": "Slurm's JSON has names of QOS only"}
"""Fields that a service cannot tell, and why."""
