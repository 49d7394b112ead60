"""What the accounting of a simulated cluster knows. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from hpcjobs.model.amount import MIB
from hpcjobs.model.history import Accounted, HistoryQuery, Ledger, Step
from hpcjobs.model.job import JobRecord


def accounted_of(records: Iterable[JobRecord], query: HistoryQuery, now: float) -> tuple[Accounted, ...]:
    """The answer to a question.

    Args:
        records: Every job.
        query: The question.
        now: Unix seconds.
    """
    found = []
    for record in records:
        of_these = not query.numbers or {record.slurm_job_id, record.array_job_id} & set(query.numbers)
        began = record.start_time or record.eligible_time or record.submit_time
        ended_before = record.end_time and record.end_time < query.since
        if of_these and not ended_before and (not query.until or began < query.until) and _is_so(record, query):
            found.append(Accounted(record, _steps(record) if query.steps else (), _ledger(record, now)))
    return tuple(found)


def _is_so(record: JobRecord, query: HistoryQuery) -> bool:
    """Whether a job is as a question wants it, in what a simulated cluster can tell of it."""
    wanted = ((query.users, record.user), (query.accounts, record.account), (query.partitions, record.partition),
              (query.names, record.name), (query.states, record.raw_state), (query.qos, record.qos))  # fmt: skip
    return all(value in values for values, value in wanted if values)


def _ledger(record: JobRecord, now: float) -> Ledger:
    elapsed_s = int(record.end_time or now) - record.start_time if record.start_time else 0
    tres = {"cpu": record.cpus, **_gpus(record), "mem": f"{record.mem_bytes // MIB}M", "node": record.nodes}
    text = ",".join(f"{name}={count}" for name, count in tres.items())
    return Ledger(
        tres_req=text,
        tres_alloc=text if record.start_time and record.node_list else "",
        elapsed_s=elapsed_s,
        cpus_req=record.cpus,
        nodes_req=record.nodes,
        nodes_alloc=record.nodes,
    )


def _gpus(record: JobRecord) -> dict[str, int]:
    """GPUs as Slurm counts them: all, and each type that is known."""
    typed = {f"gres/gpu:{kind}": count for kind, count in record.gpus.items() if kind}
    return {"gres/gpu": sum(record.gpus.values()), **typed} if record.gpus else {}


def _steps(record: JobRecord) -> tuple[Step, ...]:
    if not record.start_time:
        return ()
    return (
        Step(
            "batch",
            "batch",
            record.raw_state,
            exit_code=record.exit_code,
            exit_signal=record.exit_signal,
            start_time=record.start_time,
            end_time=record.end_time,
            node_list=record.node_list,
            ntasks=1,
            cpus=1,
            gpus=record.gpus,
        ),
    )
