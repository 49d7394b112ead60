"""Runs of jobs as sacct prints them, quickly: what accounting is read by, many thousands at a time. Pure.

sacct's JSON has everything, and takes ten times as long. Here it prints chosen fields (sacct(1), --parsable), each
ended by a delimiter that is new each time, so that no text of a user's can pass for the end of a field or a line.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from functools import lru_cache
from typing import Final

from hpcjobs.errors import Unavailable
from hpcjobs.model.amount import MIB
from hpcjobs.model.gres import parse_tres
from hpcjobs.model.history import Accounted
from hpcjobs.model.usage import Run
from hpcjobs.slurm.base import split_comment
from hpcjobs.slurm.history import DAWN, DUSK

FIELDS: Final = (
    "JobIDRaw", "JobID", "User", "Account", "Partition", "QOS", "State", "Submit", "Eligible", "Start", "End",
    "Suspended", "TimelimitRaw", "NNodes", "NCPUS", "NodeList", "AllocTRES", "ReqTRES", "ExitCode", "Restarts",
    "Reason", "TotalCPU", "MaxRSS", "ConsumedEnergyRaw", "Reservation", "WCKey", "SubmitLine",
)  # fmt: skip
EXCLUSIVE: Final = "Exclusive"
"""A field that sacct has from 26.05 on; asked for last where it says that it has it, for it refuses what it has not."""
SACCT: Final = f"""fields=$1; shift
sacct --helpformat | grep -qw {EXCLUSIVE} && fields=$fields,{EXCLUSIVE}
exec sacct "$@" --format="$fields\""""
ENVIRONMENT: Final = {"SLURM_TIME_FORMAT": "%s", "SLURM_BITSTR_LEN": "0"}
"""Times in Unix seconds; ranges of tasks are not written out."""
ALONE: Final = frozenset({"YES", "NODE"})
"""What JSON says of a run that had its nodes to itself; 26.05 says NODE."""
ENDS_A_TRY: Final = frozenset({"REQUEUED", "RESIZING"})
"""States of a run after which another follows; JSON has them beside that of the job."""
_SCALE: Final = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40, "P": 2**50}


def new_delimiter() -> str:
    """What fields end with: unknown to whoever wrote a text before."""
    return f"\x1f{secrets.token_hex(8)}"


def runs_words(delimiter: str, since: int, until: int) -> list[str]:
    """What sacct is asked: every run that had not ended before ``since`` and was there before ``until``.

    Args:
        delimiter: Of fields.
        since: Unix seconds.
        until: Unix seconds; 0: any time.
    """
    return [
        "env", *(f"{name}={value}" for name, value in ENVIRONMENT.items()), "sh", "-c", SACCT, "sh", ",".join(FIELDS),
        "--allusers", "--duplicates", "--noheader", "--parsable", f"--delimiter={delimiter}",
        f"--starttime=uts{max(since, DAWN)}", f"--endtime=uts{until or DUSK}",
    ]  # fmt: skip


def _time(text: str) -> int:
    return int(text) if text.isdigit() else 0  # None, Unknown, NONE


@lru_cache(maxsize=10_000)
def seconds_of(text: str) -> float:
    """A time as ``1-02:03:04``, ``02:03:04`` or ``03:04.567``, in seconds."""
    days, _, clock = text.rpartition("-")
    total = 0.0
    for part in clock.split(":"):
        total = total * 60 + float(part or 0)
    return int(days or 0) * 86_400 + total


def _bytes(text: str) -> int:
    """Memory as ``2056K``; 0 for none."""
    return int(float(text.rstrip("KMGTP") or 0) * _SCALE[text[-1] if text[-1:].isalpha() else ""]) if text else 0


def _limit_s(text: str) -> int | None:
    return int(text) * 60 if text.isdigit() else None  # UNLIMITED, Partition_Limit


@lru_cache(maxsize=50_000)
def _counts(alloc: str, req: str) -> tuple[int, int, int]:
    """Nodes, CPUs and bytes of memory that a run had, or asked for."""
    tres = parse_tres(alloc or req)
    return tres.get("node", 0), tres.get("cpu", 0), tres.get("mem", 0)


@lru_cache(maxsize=1_000)
def _code(text: str) -> tuple[int, int]:
    code, _, signal = text.partition(":")
    return int(code or 0), int(signal or 0)


def _number(text: str) -> int:
    return int(text) if text.isdigit() else 0


def _parents(job_id: str) -> tuple[int, int]:
    """Numbers of the array and of the heterogeneous job that ``JobID`` names, 0 for none."""
    array, under, _ = job_id.partition("_")
    if under:
        return _number(array), 0
    het, plus, _ = job_id.partition("+")
    return 0, _number(het) if plus else 0


def runs_of_text(text: str, delimiter: str) -> Iterator[Run]:
    """The runs of what sacct printed; the memory of its steps is the run's.

    Raises:
        ValueError: It is no such print.
    """
    held: list[str] | None = None
    memory = 0
    for line in text.split(f"{delimiter}\n"):
        fields = line.split(delimiter)
        if len(fields) == len(FIELDS):
            fields.append("")
        if len(fields) != len(FIELDS) + 1:
            if line:
                raise ValueError(f"sacct printed {len(fields)} fields in place of {len(FIELDS)}")
            continue
        number = fields[0]
        if "." in number:
            memory = max(memory, _bytes(fields[22]))
            continue
        if held is not None:
            yield _run(held, memory)
        held, memory = fields, _bytes(fields[22])
    if held is not None:
        yield _run(held, memory)


def runs_printed(printed: bytes, delimiter: str) -> tuple[Run, ...]:
    """The same of bytes; what is no UTF-8 is replaced.

    Raises:
        Unavailable: It is no such print, as where sacct was cut off.
    """
    try:
        return tuple(runs_of_text(printed.decode(errors="replace"), delimiter))
    except ValueError as error:
        raise Unavailable(f"sacct printed what we cannot read: {error}.") from error


def _run(fields: list[str], memory: int) -> Run:
    (
        number, job_id, user, account, partition, qos, state, submit, eligible, start, end, suspended, limit, nodes,
        cpus, node_list, alloc, req, exit_code, restarts, reason, cpu, _, energy, reservation, wckey, line, exclusive,
    ) = fields  # fmt: skip
    ran = _time(start)
    had_nodes, had_cpus, had_bytes = _counts(alloc, req)
    code, signal = _code(exit_code)
    array, het = _parents(job_id)
    return Run(
        slurm_job_id=int(number),
        submit_time=_time(submit),
        eligible_time=_time(eligible),
        start_time=ran,
        end_time=_time(end),
        user=user,
        account=account,
        partition=partition,
        qos=qos,
        raw_state=state.partition(" ")[0],
        suspended_s=int(seconds_of(suspended)) if suspended != "00:00:00" else 0,
        wall_s=_limit_s(limit),
        nodes=had_nodes or _number(nodes),
        cpus=had_cpus or _number(cpus),
        mem_bytes=had_bytes,
        node_list="" if node_list == "None assigned" else node_list,
        tres_alloc=alloc,
        tres_req=req,
        submit_line=split_comment(line)[0] if "hpcjobs:" in line else line,
        exclusive=exclusive in ALONE if exclusive else None,
        exit_code=code,
        exit_signal=signal,
        restarts=_number(restarts),
        reason="" if reason == "None" else reason,
        cpu_used_s=seconds_of(cpu) if ran and cpu else None,
        mem_max_bytes=memory or None,
        energy_j=_number(energy) or None,
        array_job_id=array,
        het_job_id=het,
        reservation=reservation,
        wckey=wckey,
    )


def run_of(told: Accounted) -> Run:
    """The same of a job as slurmrestd's JSON has it."""
    record, ledger = told.record, told.ledger
    alloc, req = ledger.tres_alloc, ledger.tres_req
    nodes, cpus, memory = _counts(alloc, req)
    cpu = sum(step.total_cpu_s for step in told.steps) if told.steps else ledger.total_cpu_s
    peak = max((step.mem_max_bytes for step in told.steps), default=0)
    words = record.raw_state.split(",")
    began = record.start_time if record.node_list else 0  # without nodes it is when it ended
    exclusive = ledger.exclusive in ALONE if ledger.exclusive else None
    return Run(
        slurm_job_id=record.slurm_job_id,
        submit_time=record.submit_time,
        eligible_time=record.eligible_time,
        start_time=began,
        end_time=record.end_time,
        user=record.user,
        account=record.account,
        partition=record.partition,
        qos=record.qos,
        raw_state=next((word for word in words if word in ENDS_A_TRY and record.end_time), words[0]),
        suspended_s=ledger.suspended_s,
        wall_s=record.wall_s,
        nodes=nodes or record.nodes,
        cpus=cpus or record.cpus,
        mem_bytes=memory or record.mem_bytes // MIB * MIB,
        node_list=record.node_list,
        tres_alloc=alloc,
        tres_req=req,
        submit_line=ledger.submit_line,
        exclusive=exclusive,
        exit_code=record.exit_code,
        exit_signal=record.exit_signal,
        restarts=record.restarts,
        reason=record.reason,
        cpu_used_s=cpu if began else None,
        mem_max_bytes=peak or None,
        energy_j=ledger.energy_j or None,
        array_job_id=record.array_job_id,
        het_job_id=record.het_job_id,
        reservation=ledger.reservation,
        wckey=ledger.wckey,
    )
