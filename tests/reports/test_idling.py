"""How long running jobs have left their GPUs idle."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpcjobs.reports.idling import idling
from tests.reports.usage import Usage

NOW = 1_790_000_000 // 300 * 300


@pytest.fixture
def usage():
    return Usage(read_until=NOW)


def sampled(usage: Usage, job: int, *busy: float, until: int = NOW, node: str = "n1") -> None:
    """Five minutes each, until now: so many seconds busy of 300."""
    for place, busy_s in enumerate(busy):
        usage.sample(job, node, until - 300 * (len(busy) - place), "a100", busy_s)


def test_a_job_is_idle_since_its_last_busy_minutes(usage):
    usage.run(NOW - 3000, None, ("a100", 1, 1.0, 1.0), raw_state="RUNNING")
    sampled(usage, 1, 0, 0, 290, 280, 6, 9, 0, 0, 0, 0)
    (one,) = idling(usage.connection, 0.05)
    assert (one.since, one.until, one.lasting_s) == (NOW - 1800, NOW, 1800)
    assert one.busy == pytest.approx(15 / 1800)
    assert one.coverage == 1.0


def test_a_job_that_was_never_busy_is_idle_since_its_start(usage):
    usage.run(NOW - 900, None, ("a100", 2, 2.0, 2.0), raw_state="RUNNING")
    sampled(usage, 1, 0, 0, 0)
    (one,) = idling(usage.connection, 0.05)
    assert (one.since, one.busy, one.coverage) == (NOW - 900, 0.0, 0.5)  # one of its two GPUs was sampled


def test_of_what_was_not_sampled_nothing_is_said(usage):
    usage.run(NOW - 900, None, ("a100", 1, 1.0, 1.0), raw_state="RUNNING")
    (one,) = idling(usage.connection, 0.05)
    assert (one.until, one.busy, one.coverage, one.lasting_s) == (None, None, 0.0, 0)


def test_samples_before_a_requeue_are_of_the_run_before(usage):
    usage.run(NOW - 3000, NOW - 1500, ("a100", 1, 1.0, 1.0), slurm_job_id=7, raw_state="REQUEUED")
    usage.run(NOW - 600, None, ("a100", 1, 1.0, 1.0), slurm_job_id=7, raw_state="RUNNING")
    sampled(usage, 7, 0, 0, 0, 0, 0, until=NOW - 1500)
    sampled(usage, 7, 0, 0)
    (one,) = idling(usage.connection, 0.05)
    assert (one.since, one.lasting_s, one.coverage) == (NOW - 600, 600, 1.0)


def test_only_what_runs_counts(usage):
    assert idling(usage.connection, 0.05) == []
    usage.run(NOW - 900, NOW - 300, ("a100", 4, 4.0, 4.0), raw_state="COMPLETED")
    usage.run(NOW - 900, None, ("a100", 4, 4.0, 4.0), raw_state="RUNNING", user="bob", account="nlp")
    usage.run(NOW - 900, None, ("a100", 2, 2.0, 2.0), ("h100", 1, 1.0, 1.0), raw_state="RUNNING")
    usage.run(NOW - 900, None, raw_state="RUNNING")  # it has no GPU
    usage.run(None, None, ("a100", 4, 4.0, 4.0), raw_state="PENDING")
    usage.run(NOW - 900, None, ("a100", 4, 4.0, 4.0), raw_state="SUSPENDED")
    found = idling(usage.connection, 0.05)
    assert [(one.slurm_job_id, one.user, one.project, one.gpus) for one in found] == [
        (2, "bob", "nlp", 4.0), (3, "alice", "vision", 3.0),
    ]  # fmt: skip


@given(st.lists(st.sampled_from([0.0, 3.0, 14.0, 15.0, 200.0, None]), min_size=1, max_size=12))
def test_it_is_what_a_walk_through_the_samples_says(told):
    """One GPU, five minutes each; None: not sampled."""
    usage, first = Usage(read_until=NOW), NOW - 300 * len(told)
    usage.run(first, None, ("a100", 1, 1.0, 1.0), raw_state="RUNNING")
    for place, busy_s in enumerate(told):
        if busy_s is not None:
            usage.sample(1, "n1", first + 300 * place, "a100", busy_s)
    (one,) = idling(usage.connection, 0.05)
    sampled = [place for place, busy_s in enumerate(told) if busy_s is not None]
    busy = [place for place in sampled if told[place] >= 15.0]
    begin = busy[-1] + 1 if busy else 0
    idle = [told[place] for place in sampled if place >= begin]
    assert one.since == first + 300 * begin
    assert one.until == (first + 300 * (sampled[-1] + 1) if sampled else None)
    assert one.busy == (pytest.approx(sum(idle) / (300 * len(idle))) if idle else None)
    lasting = sampled[-1] + 1 - begin if idle else 0
    assert (one.lasting_s, one.coverage) == (300 * lasting, pytest.approx(len(idle) / lasting) if lasting else 0.0)
