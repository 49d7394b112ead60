"""Slurm's own JSON, as recorded of 24.11 and 26.05."""

from __future__ import annotations

import msgspec
import pytest

from hpcjobs.model.amount import MIB
from hpcjobs.model.job import Fate, State
from hpcjobs.slurm.openapi import JobWords, Reply, decode, record_of
from hpcjobs.slurm.openapi_accounting import AccountedWords, AccountingReply, accounted_of

UNSET = {"set": False, "infinite": False, "number": 0}


def number(value: int) -> dict[str, object]:
    return {"set": True, "infinite": False, "number": value}


def tres(**counts: int) -> list[dict[str, object]]:
    return [{"type": kind.partition("_")[0], "name": kind.partition("_")[2], "count": n} for kind, n in counts.items()]


ENDED = {
    "job_id": 635,
    "account": "vision",
    "comment": {"administrator": "", "job": f"mine hpcjobs:{'a' * 32}", "system": ""},
    "allocation_nodes": 1,
    "array": {"job_id": 630, "limits": {"max": {"running": {"tasks": 0}}}, "task_id": number(0), "task": ""},
    "time": {"elapsed": 2, "eligible": 10, "end": 13, "start": 11, "submission": 9, "limit": number(60)},
    "exit_code": {"status": ["ERROR"], "return_code": number(3), "signal": {"id": UNSET, "name": ""}},
    "het": {"job_id": 0, "job_offset": UNSET},
    "name": "probe",
    "nodes": "c1",
    "partition": "gpu",
    "priority": number(2226),
    "qos": "normal",
    "restart_cnt": 1,
    "stdout": "slurm-%A_%a.out",
    "stdout_expanded": "/tmp/slurm-630_0.out",
    "stderr": "",
    "state": {"current": ["FAILED"], "reason": "NonZeroExitCode"},
    "steps": [
        {
            "time": {"elapsed": 2, "end": number(13), "start": number(11)},
            "exit_code": {"status": ["SIGNALED"], "return_code": UNSET, "signal": {"id": number(15), "name": "TERM"}},
            "nodes": {"count": 1, "range": "c1", "list": ["c1"]},
            "tasks": {"count": 2},
            "state": ["CANCELLED"],
            "step": {"id": "635.batch", "name": "batch"},
            "tres": {
                "requested": {"max": tres(cpu=20, mem=5_242_880), "min": []},
                "allocated": tres(cpu=4, mem=900, node=1, gres_gpu=2, **{"gres_gpu:a100": 2}),
            },
        }
    ],
    "tres": {"allocated": tres(cpu=4, mem=900, energy=-2, node=1, gres_gpu=2), "requested": tres(cpu=1, mem=100)},
    "user": "alice",
    "working_directory": "/tmp",
}


def test_a_job_of_accounting_is_read_in_full():
    job = accounted_of(msgspec.convert(ENDED, AccountedWords))
    record, (step,) = job.record, job.steps
    assert (record.slurm_job_id, record.user, record.name, record.account) == (635, "alice", "probe", "vision")
    assert (record.state, record.fate, record.raw_state, record.reason) == (
        State.FINISHED,
        Fate.FAILED,
        "FAILED",
        "NonZeroExitCode",
    )
    assert (record.comment, record.attempt) == ("mine", "a" * 32)
    assert (record.array_job_id, record.array_task, record.het_job_id) == (630, "0", 0)
    assert (record.cpus, record.mem_bytes, record.gpus, record.nodes) == (4, 900 * MIB, {"": 2}, 1)
    assert (record.submit_time, record.eligible_time, record.start_time, record.end_time) == (9, 10, 11, 13)
    assert (record.exit_code, record.exit_signal, record.restarts, record.wall_s) == (3, 0, 1, 3600)
    assert (record.stdout, record.stderr) == ("/tmp/slurm-630_0.out",) * 2
    assert (step.id, step.name, step.raw_state, step.exit_signal) == ("batch", "batch", "CANCELLED", 15)
    assert (step.ntasks, step.cpus, step.gpus, step.mem_max_bytes) == (2, 4, {"a100": 2}, 5_242_880)
    assert (step.start_time, step.end_time, step.node_list) == (11, 13, "c1")


def test_a_job_that_never_ran_shows_what_it_asked_for_and_no_nodes():
    never = ENDED | {"tres": {"allocated": [], "requested": tres(cpu=1, mem=100)}, "nodes": "None assigned"}
    record = accounted_of(msgspec.convert(never, AccountedWords)).record
    assert (record.cpus, record.mem_bytes, record.node_list) == (1, 100 * MIB, "")


def test_bytes_that_are_no_utf8_hide_no_other_job():
    content = b'{"jobs": [{"job_id": 1, "name": "\xff\xfe"}, {"job_id": 2, "name": "ok"}], "errors": []}'
    assert [job.name for job in decode(content, Reply).jobs] == ["\N{REPLACEMENT CHARACTER}" * 2, "ok"]
    assert [job.job_id for job in decode(content, AccountingReply).jobs] == [1, 2]


@pytest.mark.parametrize(
    ("words", "task"),
    [
        ({"array_job_id": number(7), "array_task_id": number(4)}, "4"),
        ({"array_job_id": number(7), "array_task_id": number(0)}, "0"),
        ({"array_job_id": number(7), "array_task_id": UNSET, "array_task_string": "5-10%2"}, "5-10%2"),
        ({"array_job_id": number(0), "array_task_id": UNSET}, ""),
    ],
)
def test_which_task_of_its_array_a_job_is(words, task):
    job = record_of(msgspec.convert({"job_id": 8} | words, JobWords))
    assert (job.array_task, job.array_job_id) == (task, 7 if task else 0)


def test_which_component_of_a_heterogeneous_job_a_job_is():
    job = record_of(msgspec.convert({"job_id": 8, "het_job_id": number(7), "het_job_offset": number(1)}, JobWords))
    assert (job.het_job_id, job.het_offset) == (7, 1)
    plain = record_of(msgspec.convert({"job_id": 8, "het_job_id": number(0), "het_job_offset": UNSET}, JobWords))
    assert (plain.het_job_id, plain.het_offset) == (0, 0)


def test_what_became_of_parts_is_read_in_each_of_slurmrestds_forms():
    killed = {"error": {"code": 2021, "message": "late"}, "step_id": "7_1", "job_id": number(8)}
    updated = {"job_id": 9, "step_id": "7_[2]", "error": "No error", "error_code": 0, "why": ""}
    reply = msgspec.convert({"status": [killed, [updated]], "results": [updated | {"error_code": 2002}]}, Reply)
    assert [(one.part.name, one.part.errno, one.number) for one in reply.statuses()] == [
        ("7_1", 2021, 8),
        ("7_[2]", 0, 9),
        ("7_[2]", 2002, 9),
    ]
