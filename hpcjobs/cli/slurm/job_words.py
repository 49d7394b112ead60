"""A job in the words of ``scontrol show job``: the same keys and values in the same order. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Final

from hpcjobs.cli.slurm.job_columns import exclusive_text, oversubscribe_text
from hpcjobs.cli.slurm.job_lines import reason_text
from hpcjobs.cli.slurm.job_states import base_state, state_text, time_used
from hpcjobs.cli.slurm.times import Moment, full_span, time_text
from hpcjobs.model.amount import MEGA, MIB, amount_text

if TYPE_CHECKING:
    from hpcjobs.model.job import Job

NOT_KNOWN: Final[Mapping[str, str]] = {
    "LastSchedEval": "it changes whenever Slurm looks at a job, and the service keeps what lasts",
    "Scheduler": "it changes whenever Slurm looks at a job",
    "OOMKillStep": "the service does not keep it",
    "StepMgrEnabled": "pyslurm does not tell it",
    "KillOnInvalidDependent": "the service does not keep it",
    "SpreadJob": "the service does not keep it",
    "SpreadSegments": "the service does not keep it",
    "ConsolidateSegments": "the service does not keep it",
    "ExpeditedRequeue": "pyslurm does not tell it",
    "GresAllowTaskSharing": "pyslurm does not tell it",
    "GresEnforceBind": "the service does not keep it",
    "GresOneTaskPerSharing": "the service does not keep it",
    "CPU_min_freq": "the service does not keep it",
    "CPU_max_freq": "the service does not keep it",
    "CPU_freq_gov": "the service does not keep it",
    "MemUpdate": "pyslurm does not tell it",
    "JOB_GRES": "with -d; the service does not keep what each node gives",
    "Nodes": "with -d; the service does not keep what each node gives",
    "CPU_IDs": "with -d; the service does not keep what each node gives",
    "Mem": "with -d; the service does not keep what each node gives",
    "GRES": "with -d; the service does not keep what each node gives",
    "FedOrigin": "the service does not keep it",
    "FedViableSiblings": "the service does not keep it",
    "FedActiveSiblings": "the service does not keep it",
}
"""Keys of scontrol that are left out, and why."""

OF_SOME_WAYS: Final[Mapping[str, str]] = {
    "SLUID": "pyslurm does not tell it",
    "CpusPerTres": "pyslurm does not tell it",
    "MemPerTres": "pyslurm does not tell it; MinMemoryTRES reads MinMemoryNode then",
    "TresBind": "pyslurm does not tell it",
    "TresFreq": "pyslurm does not tell it",
    "TresPerSocket": "pyslurm does not tell it",
    "ContainerType": "pyslurm does not tell it",
}
"""Keys that are printed where the service's way to Slurm tells them; through pyslurm they are left out."""

NONE: Final = "(null)"
Line = list[tuple[str, str]]


def _or_none(text: str) -> str:
    return text or NONE


def _range(least: int, most: int) -> str:
    return f"{least}-{most}" if most else f"{least}"


def _asked(*values: int | None) -> str:
    return ":".join("*" if value is None else str(value) for value in values)


def _exit(code: int, signal: int) -> str:
    return f"{0 if signal else code}:{signal}"


def _names(job: Job) -> Line:
    told = job.particulars
    line = [("JobId", str(job.slurm_job_id))]
    if job.array_job_id:
        line += [("ArrayJobId", str(job.array_job_id)), ("ArrayTaskId", job.array_task)]
        if told.array_max_running:
            line.append(("ArrayTaskThrottle", str(told.array_max_running)))
    elif job.het_job_id:
        line += [("HetJobId", str(job.het_job_id)), ("HetJobOffset", str(job.het_offset))]
    return [*line, ("JobName", _or_none(job.name))]


def _who(job: Job, details: bool) -> Iterator[Line]:
    told = job.particulars
    yield _names(job)
    if details and told.sluid:
        yield [("SLUID", told.sluid)]
    if told.het_job_ids:
        yield [("HetJobIdSet", told.het_job_ids)]
    yield [("UserId", f"{job.user}({told.user_id})"), ("GroupId", f"{told.group}({told.group_id})"),
           ("MCS_label", told.mcs_label or "N/A")]  # fmt: skip
    key = [("WCKey", told.wckey)] if told.wckey else []
    yield [("Priority", str(job.priority)), ("Nice", str(told.nice)), ("Account", _or_none(job.account)),
           ("QOS", _or_none(job.qos)), *key]  # fmt: skip


def _state(job: Job, details: bool) -> Iterator[Line]:
    told = job.particulars
    failed = [("FailedNode", told.failed_node)] if told.failed_node else []
    yield [("JobState", state_text(job)), ("Reason", "_".join(reason_text(job).split(" "))), *failed,
           ("Dependency", _or_none(job.dependency))]  # fmt: skip
    yield [("Requeue", str(int(told.requeue))), ("Restarts", str(job.restarts)), ("BatchFlag", str(int(told.batch))),
           ("Reboot", str(int(told.reboot))), ("ExitCode", _exit(job.exit_code, job.exit_signal))]  # fmt: skip
    if details:
        yield [("DerivedExitCode", _exit(told.derived_exit_code, told.derived_exit_signal))]


def _times(job: Job, moment: Moment) -> Iterator[Line]:
    told = job.particulars

    def at(when: int) -> str:
        return time_text(when, moment, "Unknown")

    yield [("RunTime", full_span(max(time_used(job, moment.now), 0))),
           ("TimeLimit", "UNLIMITED" if job.wall_s is None else full_span(job.wall_s)),
           ("TimeMin", full_span(told.time_min_s) if told.time_min_s else "N/A")]  # fmt: skip
    yield [("SubmitTime", at(job.submit_time)), ("EligibleTime", at(job.eligible_time))]
    yield [("AccrueTime", at(told.accrue_time))]
    if told.resize_time:
        yield [("ResizeTime", at(told.resize_time))]
    endless = job.wall_s is None and job.end_time > moment.now
    yield [("StartTime", at(job.start_time)), ("EndTime", "Unknown" if endless else at(job.end_time)),
           ("Deadline", at(told.deadline) if told.deadline else "N/A")]  # fmt: skip
    if told.cron:
        yield [("CronJob", "Yes"), ("CrontabSpec", f'"{told.cron}"')]
    if told.preemptable_time:
        yield [("PreemptEligibleTime", at(told.preemptable_time)),
               ("PreemptTime", at(told.preempt_time) if told.preempt_time else "None")]  # fmt: skip
    yield [("SuspendTime", at(told.suspend_time) if told.suspend_time else "None"),
           ("SecsPreSuspend", str(told.pre_suspend_s))]  # fmt: skip


def _where(job: Job) -> Iterator[Line]:
    told = job.particulars
    yield [("Partition", _or_none(job.partition)),
           ("AllocNode:Sid", f"{_or_none(told.submit_host)}:{told.submit_session}")]  # fmt: skip
    yield [("ReqNodeList", _or_none(told.required_nodes)), ("ExcNodeList", _or_none(told.excluded_nodes))]
    scheduled = [("SchedNodeList", told.scheduled_nodes)] if told.scheduled_nodes else []
    yield [("NodeList", job.node_list), *scheduled]
    batch = [("BatchFeatures", told.batch_constraint), ("BatchHost", told.batch_host)]
    if told.batch_constraint or told.batch_host:
        yield [pair for pair in batch if pair[1]]


def _size(job: Job) -> Iterator[Line]:
    told = job.particulars
    most = told.nodes_max if base_state(job) == "PENDING" else 0
    yield [("NumNodes", _range(min(job.nodes, most) if most else job.nodes, most)), ("NumCPUs", str(job.cpus)),
           ("NumTasks", str(job.ntasks)), ("CPUs/Task", str(told.cpus_per_task)),
           ("ReqB:S:C:T", f"0:0:{_asked(told.cores_per_socket, told.threads_per_core)}")]  # fmt: skip
    yield [("ReqTRES", _or_none(told.tres_req))]
    yield [("AllocTRES", _or_none(told.tres_alloc))]
    spec = ("CoreSpec", _asked(told.core_spec))
    if told.thread_spec is not None:
        spec = ("ThreadSpec", str(told.thread_spec))
    yield [("Socks/Node", _asked(told.sockets_per_node)),
           ("NtasksPerN:B:S:C",
            f"{told.ntasks_per_node}:0:{_asked(told.ntasks_per_socket, told.ntasks_per_core)}"), spec]  # fmt: skip
    of, memory = "Node", told.mem_per_node_bytes or 0
    if told.mem_per_tres:
        of = "TRES"
    elif told.mem_per_cpu_bytes is not None:
        of, memory = "CPU", told.mem_per_cpu_bytes
    yield [("MinCPUsNode", str(told.mincpus)), (f"MinMemory{of}", amount_text(memory // MIB, MEGA)),
           ("MinTmpDiskNode", amount_text(told.tmp_bytes // MIB, MEGA))]  # fmt: skip


def _wishes(job: Job) -> Iterator[Line]:
    told = job.particulars
    yield [("Features", _or_none(told.constraint)), ("DelayBoot", full_span(told.delay_boot_s))]
    for key, text in (("ClusterFeatures", told.cluster_constraint), ("Prefer", told.prefer),
                      ("Reservation", told.reservation)):  # fmt: skip
        if text:
            yield [(key, text)]
    yield [("OverSubscribe", oversubscribe_text(job)), ("Exclusive", exclusive_text(job)),
           ("Contiguous", str(int(told.contiguous))), ("Licenses", _or_none(told.licenses)),
           ("LicensesAlloc", _or_none(told.licenses_alloc)), ("Network", _or_none(told.network))]  # fmt: skip


def _script(job: Job) -> Iterator[Line]:
    told = job.particulars
    yield [("Command", _or_none(told.command))]
    yield [("SubmitLine", _or_none(told.submit_line))]
    yield [("WorkDir", _or_none(job.workdir))]
    for key, text in (("AdminComment", told.admin_comment), ("SystemComment", told.system_comment),
                      ("Comment", job.comment), ("Extra", told.extra)):  # fmt: skip
        if text:
            yield [(key, text)]
    if told.batch:
        yield [("StdErr", "" if job.stderr == job.stdout else job.stderr)]
        yield [("StdIn", told.stdin)]
        yield [("StdOut", job.stdout)]


def _more(job: Job) -> Iterator[Line]:
    told = job.particulars
    if told.segment_size:
        yield [("SegmentSize", str(told.segment_size))]
    if told.switches:
        yield [("Switches", f"{told.switches}@{full_span(told.switches_wait_s)}")]
    for key, text in (
        ("BurstBuffer", told.burst_buffer), ("BurstBufferState", told.burst_buffer_state),
        ("CpusPerTres", told.cpus_per_tres), ("MemPerTres", told.mem_per_tres), ("TresBind", told.tres_bind),
        ("TresFreq", told.tres_freq), ("TresPerJob", told.tres_per_job), ("TresPerNode", told.tres_per_node),
        ("TresPerSocket", told.tres_per_socket), ("TresPerTask", told.tres_per_task),
    ):  # fmt: skip
        if text:
            yield [(key, text)]
    if told.mail_types and told.mail_user:
        yield [("MailUser", told.mail_user), ("MailType", ",".join(told.mail_types))]
    if told.ntasks_per_tres:
        yield [("NtasksPerTRES", str(told.ntasks_per_tres))]
    if told.container or told.container_id or told.container_type:
        yield [("ContainerType", _or_none(told.container_type)), ("Container", _or_none(told.container)),
               ("ContainerID", _or_none(told.container_id))]  # fmt: skip
    for key, text in (("SELinuxContext", told.selinux_context), ("ResvPorts", told.reserved_ports)):
        if text:
            yield [(key, text)]


def lines_of(job: Job, moment: Moment, *, details: bool = False) -> list[Line]:
    """A job line by line: keys and values."""
    return [
        *_who(job, details), *_state(job, details), *_times(job, moment), *_where(job), *_size(job), *_wishes(job),
        *_script(job), *_more(job),
    ]  # fmt: skip


def text_of(job: Job, moment: Moment, *, details: bool = False, one_line: bool = False) -> str:
    """A job as scontrol prints it.

    Args:
        job: Which.
        moment: When, and the style of times.
        details: Same as -d, as far as the service knows.
        one_line: Same as -o.
    """
    lines = (" ".join(f"{key}={value}" for key, value in line) for line in lines_of(job, moment, details=details))
    return (" " if one_line else "\n   ").join(lines).rstrip() + "\n" + ("" if one_line else "\n")
