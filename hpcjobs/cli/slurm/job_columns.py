"""Every field that squeue prints of a job (squeue(1), -o and -O). Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from hpcjobs.cli.slurm.job_lines import reason_text
from hpcjobs.cli.slurm.job_names import id_text
from hpcjobs.cli.slurm.job_states import base_state, short_state, state_text, time_used, words
from hpcjobs.cli.slurm.times import Moment, short_span, time_text
from hpcjobs.model.amount import MEGA, MIB, amount_text

if TYPE_CHECKING:
    from hpcjobs.model.job import Job

MOST_ID: Final = 31
"""Characters that squeue prints of an id; with SLURM_BITSTR_LEN set all of them."""

MOST_PRIORITY: Final = 0xFFFFFFFF


class Look(NamedTuple):
    """How squeue looks at a job.

    Attributes:
        moment: When, and the style of times.
        convert: Whether amounts are written with the largest unit.
        whole_ids: Whether long ids are printed whole.
    """

    moment: Moment
    convert: bool = True
    whole_ids: bool = False


Cell = Callable[["Job", Look], str | None]
"""What is printed; None is what C makes of a text that is not there."""


class Field(NamedTuple):
    """One field.

    Attributes:
        name: For -O, in squeue's own spelling.
        letter: For -o, or ``""``.
        header: What stands above it.
        cell: What is printed of a job.
        cut: What of it is cut where it is too wide and stands at the right; at the left all of it is. ``reason``:
            what begins with a parenthesis.
        hidden: Whether ``--helpFormat`` leaves it out.
    """

    name: str
    letter: str
    header: str
    cell: Cell
    cut: Literal["always", "header", "reason", "never"] = "always"
    hidden: bool = False


def _text(name: str) -> Cell:
    """A text among the particulars; an empty one is none."""
    return lambda job, _: getattr(job.particulars, name) or None


def _or(name: str, none: str) -> Cell:
    return lambda job, _: getattr(job.particulars, name) or none


def _count(name: str) -> Cell:
    return lambda job, _: str(int(getattr(job.particulars, name)))


def _asked(name: str, none: str) -> Cell:
    """A number that is there only where it was asked for."""

    def cell(job: Job, _: Look) -> str:
        value = getattr(job.particulars, name)
        return none if value is None else str(value)

    return cell


def _time(name: str) -> Cell:
    return lambda job, look: time_text(getattr(job, name), look.moment)


def _told_time(name: str) -> Cell:
    return lambda job, look: time_text(getattr(job.particulars, name), look.moment)


def _span(name: str) -> Cell:
    return lambda job, _: short_span(getattr(job.particulars, name))


def _always(text: str) -> Cell:
    return lambda _job, _look: text


def _mebibytes(amount: int, look: Look) -> str:
    return amount_text(amount // MIB, MEGA, convert=look.convert)


def _id(job: Job, look: Look) -> str:
    return id_text(job) if look.whole_ids else id_text(job)[:MOST_ID]


def _array_task(job: Job, _: Look) -> str:
    return job.array_task if job.array_job_id else "N/A"


def _core_spec(job: Job, _: Look) -> str:
    told = job.particulars
    if told.thread_spec is not None:
        return f"{told.thread_spec} Threads"
    return "N/A" if told.core_spec is None else str(told.core_spec)


def _end(job: Job, look: Look) -> str:
    if job.wall_s is None and job.end_time > look.moment.now:
        return "NONE"
    return time_text(job.end_time, look.moment)


def _pending(job: Job, look: Look) -> str:
    started = job.start_time and job.start_time < look.moment.now
    return str((job.start_time if started else look.moment.now) - job.submit_time)


def _priority(job: Job, _: Look) -> str:
    return f"{job.priority / MOST_PRIORITY:16.14f}"


SAYS_WHY: Final = frozenset({"STAGE_OUT", "TIMEOUT", "OUT_OF_MEMORY", "DEADLINE", "FAILED"})
"""States beside PENDING of which the reason is printed in the nodes' place."""


def _reason_list(job: Job, _: Look) -> str:
    said = words(job)
    if "COMPLETING" not in said and (base_state(job) == "PENDING" or said & SAYS_WHY):
        return f"({reason_text(job)})"
    return job.node_list


def exclusive_text(job: Job) -> str:
    """Whom a job shares its nodes with."""
    word = job.particulars.oversubscribe
    return {"": "NO", "YES": "NO", "NO": "NODE"}.get(word, word)


def oversubscribe_text(job: Job) -> str:
    """Whether a job shares its resources."""
    return "YES" if job.particulars.oversubscribe == "YES" else "NO"


def _sct(job: Job, _: Look) -> str:
    told = job.particulars
    asked = (told.sockets_per_node, told.cores_per_socket, told.threads_per_core)
    return ":".join("*" if one is None else str(one) for one in asked)


def _limit(job: Job, _: Look) -> str:
    return "UNLIMITED" if job.wall_s is None else short_span(job.wall_s)


def _left(job: Job, look: Look) -> str:
    return "UNLIMITED" if job.wall_s is None else short_span(job.wall_s - time_used(job, look.moment.now))


def _number_of_array(job: Job, _: Look) -> str:
    return str(job.array_job_id or job.slurm_job_id)


def _stderr(job: Job, _: Look) -> str | None:
    return None if job.stderr == job.stdout else job.stderr


def _exit(code: int, signal: int) -> str:
    return f"{0 if signal else code}:{signal}"


def _profile(job: Job, _: Look) -> str:
    return ",".join(word.title() for word in job.particulars.profile) or "NotSet"


def _memory(job: Job, look: Look) -> str:
    told = job.particulars
    return _mebibytes(told.mem_per_cpu_bytes or told.mem_per_node_bytes or 0, look)


def _of_het(text: Callable[[Job], str]) -> Cell:
    return lambda job, _: text(job) if job.het_job_id else "N/A"


FIELDS: Final = (
    Field("Account", "a", "ACCOUNT", lambda job, _: job.account or None),
    Field("AccrueTime", "", "ACCRUE_TIME", _told_time("accrue_time")),
    Field("admin_comment", "", "ADMIN_COMMENT", _text("admin_comment")),
    Field("AllocNodes", "", "ALLOC_NODES", _text("submit_host")),
    Field("AllocSID", "", "ALLOC_SID", _count("submit_session")),
    Field("ArrayJobId", "F", "ARRAY_JOB_ID", _number_of_array),
    Field("ArrayTaskId", "K", "ARRAY_TASK_ID", _array_task),
    Field("AssocId", "", "ASSOC_ID", _count("association_id")),
    Field("BatchFlag", "", "BATCH_FLAG", _count("batch")),
    Field("BatchHost", "B", "EXEC_HOST", lambda job, _: (
        (job.particulars.batch_host if job.particulars.batch else job.particulars.submit_host) or "n/a")),
    Field("BoardsPerNode", "", "BOARDS_PER_NODE", _always("0")),
    Field("BurstBuffer", "", "BURST_BUFFER", _text("burst_buffer")),
    Field("BurstBufferState", "", "BURST_BUFFER_STATE", _text("burst_buffer_state")),
    Field("Cluster", "", "CLUSTER", lambda job, _: job.cluster),
    Field("ClusterFeature", "", "CLUSTER_FEATURES", _text("cluster_constraint")),
    Field("Command", "o", "COMMAND", _text("command")),
    Field("Comment", "k", "COMMENT", lambda job, _: job.comment or None),
    Field("Container", "", "CONTAINER", _text("container")),
    Field("ContainerId", "", "CONTAINERID", _text("container_id")),
    Field("ContainerType", "", "CONTAINERTYPE", _text("container_type")),
    Field("Contiguous", "O", "CONTIGUOUS", _count("contiguous")),
    Field("Cores", "I", "CORES_PER_SOCKET", _asked("cores_per_socket", "*")),
    Field("CoreSpec", "X", "CORE_SPEC", _core_spec),
    Field("CPUsPerTask", "", "CPUS_PER_TASK", _count("cpus_per_task")),
    Field("cpus-per-task", "", "CPUS_PER_TASK", _count("cpus_per_task")),
    Field("cpus-per-tres", "", "CPUS_PER_TRES", _or("cpus_per_tres", "N/A")),
    Field("CronJob", "", "CRON_JOB", lambda job, _: "Yes" if job.particulars.cron else "No"),
    Field("Deadline", "", "DEADLINE", _told_time("deadline")),
    Field("DelayBoot", "", "DELAY_BOOT", _span("delay_boot_s")),
    Field("Dependency", "E", "DEPENDENCY", lambda job, _: job.dependency or None),
    Field("DerivedEC", "", "DERIVED_EC", lambda job, _: _exit(
        job.particulars.derived_exit_code, job.particulars.derived_exit_signal)),
    Field("EligibleTime", "", "ELIGIBLE_TIME", _time("eligible_time")),
    Field("EndTime", "e", "END_TIME", _end),
    Field("ExcNodes", "x", "EXC_NODES", lambda job, _: job.particulars.excluded_nodes, cut="header"),
    Field("Exclusive", "", "EXCLUSIVE", lambda job, _: exclusive_text(job)),
    Field("exit_code", "", "EXIT_CODE", lambda job, _: _exit(job.exit_code, job.exit_signal)),
    Field("Feature", "f", "FEATURES", _text("constraint")),
    Field("Gres", "b", "TRES_PER_NODE", _or("tres_per_node", "N/A"), hidden=True),
    Field("GroupId", "G", "GROUP", _count("group_id")),
    Field("GroupName", "g", "GROUP", lambda job, _: job.particulars.group),
    Field("HetJobId", "", "HET_JOB_ID", _of_het(lambda job: str(job.het_job_id))),
    Field("HetJobIdSet", "", "HET_JOB_ID_SET", _of_het(lambda job: job.particulars.het_job_ids)),
    Field("HetJobOffset", "", "HET_JOB_OFFSET", _of_het(lambda job: str(job.het_offset))),
    Field("JobArrayId", "i", "JOBID", _id),
    Field("JobId", "A", "JOBID", lambda job, _: str(job.slurm_job_id)),
    Field("Licenses", "W", "LICENSES", _text("licenses")),
    Field("LicensesAlloc", "", "LICENSES_ALLOC", _text("licenses_alloc")),
    Field("MaxCPUs", "", "MAX_CPUS", lambda job, _: str(job.cpus)),
    Field("MaxNodes", "", "MAX_NODES", lambda job, _: str(job.particulars.nodes_max or job.nodes)),
    Field("mem-per-tres", "", "MEM_PER_TRES", _or("mem_per_tres", "N/A")),
    Field("MCSLabel", "", "MCSLABEL", _text("mcs_label")),
    Field("MinCPUs", "c", "MIN_CPUS", lambda job, look: amount_text(job.particulars.mincpus, convert=look.convert)),
    Field("MinMemory", "m", "MIN_MEMORY", _memory),
    Field("MinTime", "", "TIME_MIN", _span("time_min_s")),
    Field("MinTmpDisk", "d", "MIN_TMP_DISK", lambda job, look: _mebibytes(job.particulars.tmp_bytes, look)),
    Field("Name", "j", "NAME", lambda job, _: job.name or None),
    Field("Network", "", "NETWORK", _text("network")),
    Field("Nice", "y", "NICE", _count("nice")),
    Field("NodeList", "N", "NODELIST", lambda job, _: job.node_list, cut="never"),
    Field("NTPerCore", "", "NTASKS_PER_CORE", _asked("ntasks_per_core", "N/A")),
    Field("NTPerNode", "", "NTASKS_PER_NODE", _count("ntasks_per_node")),
    Field("NTPerSocket", "", "NTASKS_PER_SOCKET", _asked("ntasks_per_socket", "N/A")),
    Field("NTPerBoard", "", "NTASKS_PER_BOARD", _always("0")),
    Field("NumCPUs", "C", "CPUS", lambda job, _: str(job.cpus)),
    Field("NumNodes", "D", "NODES", lambda job, _: str(job.nodes)[:7]),
    Field("NumTasks", "", "TASKS", lambda job, _: str(job.ntasks)),
    Field("Origin", "", "ORIGIN", _always("NA")),
    Field("OriginRaw", "", "ORIGIN_RAW", _always("NA")),
    Field("OverSubscribe", "h", "OVER_SUBSCRIBE", lambda job, _: oversubscribe_text(job)),
    Field("PackJobId", "", "HET_JOB_ID", _of_het(lambda job: str(job.het_job_id)), hidden=True),
    Field("PackJobIdSet", "", "HET_JOB_ID_SET", _of_het(lambda job: job.particulars.het_job_ids), hidden=True),
    Field("PackJobOffset", "", "HET_JOB_OFFSET", _of_het(lambda job: str(job.het_offset)), hidden=True),
    Field("Partition", "P", "PARTITION", lambda job, _: job.partition or None),
    Field("PendingTime", "", "PENDING_TIME", _pending),
    Field("PreemptTime", "", "PREEMPT_TIME", _told_time("preempt_time")),
    Field("Prefer", "", "PREFER", _text("prefer")),
    Field("Priority", "p", "PRIORITY", _priority),
    Field("PriorityLong", "Q", "PRIORITY", lambda job, _: str(job.priority)),
    Field("Profile", "", "PROFILE", _profile),
    Field("QOS", "q", "QOS", lambda job, _: job.qos or None),
    Field("Reason", "r", "REASON", lambda job, _: reason_text(job)),
    Field("ReasonList", "R", "NODELIST(REASON)", _reason_list, cut="reason"),
    Field("Reboot", "", "REBOOT", _count("reboot")),
    Field("ReqNodes", "n", "REQ_NODES", lambda job, _: job.particulars.required_nodes, cut="header"),
    Field("ReqSwitch", "", "REQ_SWITCH", _count("switches")),
    Field("Requeue", "", "REQUEUE", _count("requeue")),
    Field("Reservation", "v", "RESERVATION", _text("reservation")),
    Field("ResizeTime", "", "RESIZE_TIME", lambda job, _: (
        short_span(job.particulars.resize_time * 60) if job.particulars.resize_time else "N/A")),
    Field("RestartCnt", "", "RESTART_COUNT", lambda job, _: str(job.restarts)),
    Field("SchedNodes", "Y", "SCHEDNODES", _text("scheduled_nodes"), cut="never"),
    Field("SCT", "z", "S:C:T", _sct),
    Field("SegmentSize", "", "SEGMENT_SIZE", _or("segment_size", "N/A")),
    Field("SiblingsActive", "", "ACTIVE_SIBLINGS", _always("NA")),
    Field("SiblingsActiveRaw", "", "ACTIVE_SIBLINGS_RAW", _always("NA")),
    Field("SiblingsViable", "", "VIABLE_SIBLINGS", _always("NA")),
    Field("SiblingsViableRaw", "", "VIALBLE_SIBLINGS_RAW", _always("NA")),
    Field("Shared", "h", "OVER_SUBSCRIBE", lambda job, _: oversubscribe_text(job), hidden=True),
    Field("SLUID", "s", "SLUID", _or("sluid", "N/A")),
    Field("Sockets", "H", "SOCKETS_PER_NODE", _asked("sockets_per_node", "*")),
    Field("SPerBoard", "", "SOCKETS_PER_BOARD", _always("0")),
    Field("StartTime", "S", "START_TIME", _time("start_time")),
    Field("State", "T", "STATE", lambda job, _: state_text(job)),
    Field("StateCompact", "t", "ST", lambda job, _: short_state(job)),
    Field("StdErr", "", "STDERR", _stderr),
    Field("StdIn", "", "STDIN", _text("stdin")),
    Field("StdOut", "", "STDOUT", lambda job, _: job.stdout or None),
    Field("SubmitTime", "V", "SUBMIT_TIME", _time("submit_time")),
    Field("system_comment", "", "SYSTEM_COMMENT", _text("system_comment")),
    Field("Threads", "J", "THREADS_PER_CORE", _asked("threads_per_core", "*")),
    Field("TimeLeft", "L", "TIME_LEFT", _left, cut="header"),
    Field("TimeLimit", "l", "TIME_LIMIT", _limit, cut="header"),
    Field("TimeUsed", "M", "TIME", lambda job, look: short_span(time_used(job, look.moment.now)), cut="header"),
    Field("Tres", "", "TRES_ALLOC", lambda job, _: (
        job.particulars.tres_alloc or job.particulars.tres_req or "N/A"), hidden=True),
    Field("tres-alloc", "", "TRES_ALLOC", lambda job, _: (
        job.particulars.tres_alloc or job.particulars.tres_req or "N/A")),
    Field("tres-bind", "", "TRES_BIND", _or("tres_bind", "N/A")),
    Field("tres-freq", "", "TRES_FREQ", _or("tres_freq", "N/A")),
    Field("tres-per-job", "", "TRES_PER_JOB", _or("tres_per_job", "N/A")),
    Field("tres-per-node", "", "TRES_PER_NODE", _or("tres_per_node", "N/A"), hidden=True),
    Field("tres-per-socket", "", "TRES_PER_SOCKET", _or("tres_per_socket", "N/A")),
    Field("tres-per-task", "", "TRES_PER_TASK", _or("tres_per_task", "N/A")),
    Field("UserId", "U", "UID", _count("user_id")),
    Field("UserName", "u", "USER", lambda job, _: job.user),
    Field("Wait4Switch", "", "WAIT4SWITCH", _span("switches_wait_s")),
    Field("WCKey", "w", "WCKEY", _text("wckey")),
    Field("WorkDir", "Z", "WORK_DIR", lambda job, _: job.workdir or None),
)  # fmt: skip
"""In squeue's order."""

NOT_KNOWN: Final[Mapping[str, str]] = {
    "LastSchedEval": "it changes whenever Slurm looks at a job, and the service keeps what lasts",
}
"""Fields of squeue that are refused, and why."""

BY_LETTER: Final = {field.letter: field for field in reversed(FIELDS)}
"""Of several the first; under ``""`` the first without a letter."""
BY_NAME: Final = {field.name.lower(): field for field in FIELDS}
