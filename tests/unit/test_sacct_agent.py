"""sacct as an agent runs it: a program of ours in its place."""

from __future__ import annotations

import msgspec
import pytest

from hpcjobs.agents.serve import SlurmFailure
from hpcjobs.model.history import HistoryQuery
from hpcjobs.slurm import sacct_agent


@pytest.fixture
def sacct(tmp_path, monkeypatch):
    def install(script: str) -> None:
        path = tmp_path / "sacct"
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setenv("SLURM_CONF", "/nowhere")
    return install


def ask(**wanted):
    return sacct_agent.ask(msgspec.to_builtins(HistoryQuery(**wanted)))


def test_what_it_prints_is_read(sacct):
    sacct("""echo '{"jobs": [{"job_id": 7, "user": "alice"}]}'""")
    (found,) = ask(numbers=(7,))
    assert (found.record.slurm_job_id, found.record.user) == (7, "alice")


def test_an_answer_without_end_is_cut_off_and_told(sacct, monkeypatch):
    monkeypatch.setattr(sacct_agent, "MOST_BYTES", 1000)
    sacct("while :; do echo 0123456789; done")
    with pytest.raises(ValueError, match="too large"):
        ask(numbers=(7,))


def test_one_that_does_not_answer_is_not_waited_for(sacct, monkeypatch):
    monkeypatch.setattr(sacct_agent, "TIMEOUT_S", 0.2)
    sacct("exec sleep 30")
    with pytest.raises(SlurmFailure, match="did not answer within"):
        ask(numbers=(7,))


def test_what_it_complains_of_is_told(sacct):
    sacct("echo 'sacct: error: Invalid user id: nobody' >&2; exit 1")
    with pytest.raises(ValueError, match="Invalid user id: nobody"):
        ask(numbers=(7,))


def test_a_time_before_slurm_was_is_not_asked_for(sacct):
    sacct("exit 1")
    assert ask(until=500) == ()
    assert ask(since=400, until=999_999_999) == ()
