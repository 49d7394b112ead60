from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpcjobs.cli import show
from hpcjobs.model.event import Event, EventKind
from hpcjobs.model.job import Fate, State

from .builders import job, node


def lines(capsys: pytest.CaptureFixture[str]) -> list[list[str]]:
    return [line.split("\t") for line in capsys.readouterr().out.splitlines()]


def test_jobs_in_a_pipe_are_plain_columns(capsys):
    show.jobs(
        [
            job(name="train", user="alice", partition="gpu", state=State.RUNNING, nodes=2, node_list="n[1-2]",
                gpus={"a100": 16}, start_time=int(time.time()) - 3700),
            job(slurm_job_id=None, name="x", user="bob", state=State.SUBMITTING),
            job(slurm_job_id=9, name="y", user="bob", state=State.FINISHED, fate=Fate.TIMEOUT, start_time=10,
                end_time=100, reason="TimeLimit"),
        ]
    )  # fmt: skip
    header, running, submitting, ended = lines(capsys)
    assert header == ["JOB", "NAME", "USER", "PARTITION", "STATE", "TIME", "NODES", "GPUS", "WHERE (WHY)"]
    assert running[:5] == ["7", "train", "alice", "gpu", "RUNNING"]
    assert running[5].startswith("01:01:4")
    assert running[6:] == ["2", "16 a100", "n[1-2]"]
    assert submitting == ["-", "x", "bob", "-", "SUBMITTING", "-", "-", "-", "-"]
    assert ended == ["9", "y", "bob", "-", "TIMEOUT", "00:01:30", "-", "-", "(TimeLimit)"]


def test_a_tab_or_newline_in_a_name_does_not_break_the_columns(capsys):
    show.jobs([job(name="a\tb\nc", user="alice")])
    assert [len(line) for line in lines(capsys)] == [9, 9]


def test_no_jobs_are_a_header_alone(capsys):
    show.jobs([])
    assert len(lines(capsys)) == 1


def test_nodes_in_a_pipe_are_plain_columns(capsys):
    show.nodes([node(cpus_alloc=4, mem_alloc_bytes=2**30, gpus_alloc={"a100": 3}), node("c1", gpus={}, reason="fan")])
    header, first, second = lines(capsys)
    assert header == ["NODE", "STATE", "CPUS", "MEM GiB", "GPUS", "FEATURES", "PARTITIONS", "REASON"]
    assert first == ["n1", "IDLE", "4/64", "1/1024", "3/8 a100", "-", "gpu", "-"]
    assert second == ["c1", "IDLE", "0/64", "0/1024", "0/-", "-", "gpu", "fan"]


def test_one_job_is_a_line_a_fact_and_long_facts_are_not_wrapped(capsys):
    path = "/data/" + "x" * 300 + "/[bold]slurm-7.out"
    show.job(
        job(name="train", user="alice", state=State.FINISHED, fate=Fate.FAILED, raw_state="FAILED", exit_code=3,
            exit_signal=9, stdout=path, wall_s=86400, mem_bytes=2**30, gpus={"a100": 1, "": 2})
    )  # fmt: skip
    out = capsys.readouterr().out
    assert path in out
    assert "\x1b" not in out
    facts = dict(line.strip().split("  ", 1) for line in out.splitlines())
    assert facts["state"] == "FAILED (FAILED)"
    assert (facts["exit code"], facts["time limit"], facts["memory"]) == ("3, signal 9", "1-00:00:00", "1.0 GiB")
    assert facts["gpus"] == "2, 1 a100"
    assert facts["user, account"] == "alice, -"
    assert "comment" not in facts


def test_a_job_that_slurm_does_not_have_says_so(capsys):
    show.job(job(slurm_job_id=None, detail="It never reached Slurm.", wall_s=None))
    out = capsys.readouterr().out
    assert "not in Slurm on big" in out
    assert "It never reached Slurm." in out


@given(st.integers(0, 10**8))
def test_a_duration_names_every_second_once(seconds):
    days, _, rest = show.duration(seconds).rpartition("-")
    hours, minutes, second = map(int, rest.split(":"))
    assert ((int(days or 0) * 24 + hours) * 60 + minutes) * 60 + second == seconds
    assert (hours < 24, minutes < 60, second < 60) == (True, True, True)


def test_a_clock_that_went_back_shows_no_negative_time():
    assert show.duration(-5) == "00:00:00"


@pytest.mark.parametrize(
    ("kind", "job_id", "data", "told"),
    [
        (EventKind.JOB_STATE, "0" * 32, {"before": "RUNNING", "state": "FINISHED", "fate": "FAILED", "slurm_job_id": 7,
         "slurm_name": "7", "detail": "", "reason": "NonZero\nExit"},
         "job 7 of alice: RUNNING -> FAILED (NonZero\N{REPLACEMENT CHARACTER}Exit)"),
        (EventKind.JOB_STATE, "0" * 32, {"before": None, "state": "PENDING", "slurm_job_id": 7},
         "job 7 of alice: new -> PENDING"),
        (EventKind.JOB_ORDER, "0" * 32, {"verb": "hold", "by": "ops", "tasks": "1-5"},
         f"job {'0' * 32} of alice: hold 1-5 by ops"),
        (EventKind.JOB_RECOVERY, "0" * 32, {"run": 0, "failure": "node", "decision": "retry", "avoid": "n1,n2",
         "plugin": "checkpoint", "why": "A node of it failed.", "slurm_job_id": 7},
         "job 7 of alice: run 0 failed (node), retry without n1,n2 by checkpoint: A node of it failed."),
        (EventKind.NODE_STATE, None, {"node": "n1", "usable": False, "raw_state": "DOWN", "reason": "fan"},
         "n1 out of use DOWN (fan)"),
        (EventKind.NODE_FAILED, "0" * 32, {"node": "n1", "reason": "fan", "slurm_job_id": 7},
         "job 7 of alice: n1 failed under it (fan)"),
        (EventKind.NODE_LEMON, None, {"node": "n1", "standing": "lemon", "evidence": "3 node_failed"},
         "n1 is a lemon (3 node_failed)"),
        (EventKind.NODE_LEMON, None, {"node": "n1", "standing": "good"}, "n1 is no lemon any more"),
        (EventKind.NODE_PARDON, None, {"node": "n1", "by": "boss", "why": "new GPU"},
         "n1 was pardoned by boss (new GPU)"),
        (EventKind.CLUSTER_STATE, None, {"up": False, "detail": "away"}, "does not answer away"),
        (EventKind.JOB_SUBMITTED, "0" * 32, {"name": "train", "detail": ""}, f"job {'0' * 32} of alice: name=train"),
    ],
)  # fmt: skip
def test_an_event_is_one_line(kind, job_id, data, told):
    user = "alice" if job_id else ""
    line = show.event_line(Event(12, 0.0, kind, "big", job_id, user, "", data))
    at = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(0))
    assert line == f"12 {at} {kind} big {told}"
