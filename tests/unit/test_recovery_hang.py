"""Whether a job does anything: of its own pace, and never too early."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpcjobs.model.failure import Activity
from hpcjobs.recovery.hang import LEAST_S, LEAST_SEEN, TIMES, idle

EVERY_MINUTE = tuple(60.0 * number for number in range(20))


def test_a_job_is_idle_after_ten_times_its_usual_interval() -> None:
    activity = Activity(steps=EVERY_MINUTE)
    last = EVERY_MINUTE[-1]
    assert idle(activity, last + TIMES * 60) is None
    found = idle(activity, last + TIMES * 60 + 1)
    assert found is not None
    assert (found.since, found.idle_s, found.usual_s) == (last, 601, 60)


def test_a_fast_job_has_ten_minutes_all_the_same() -> None:
    activity = Activity(steps=tuple(0.5 * number for number in range(100)))
    assert idle(activity, 49.5 + LEAST_S) is None
    assert idle(activity, 49.5 + LEAST_S + 1) is not None
    assert idle(activity, 49.5 + 31, least_s=30) is not None


def test_what_once_took_an_hour_may_take_two() -> None:
    activity = Activity(steps=(*EVERY_MINUTE, EVERY_MINUTE[-1] + 3600))
    last = activity.steps[-1]
    assert idle(activity, last + 7200) is None
    assert idle(activity, last + 7201) is not None


def test_a_checkpoint_is_something_done_and_a_heartbeat_beside_steps_is_not() -> None:
    last = EVERY_MINUTE[-1]
    now = last + 1000
    assert idle(Activity(steps=EVERY_MINUTE, checkpoints=(last + 900,)), now) is None
    assert idle(Activity(steps=EVERY_MINUTE, heartbeats=(now,), outputs=(now,)), now) is not None
    assert idle(Activity(heartbeats=(*EVERY_MINUTE, now)), now) is None


def test_a_job_may_say_itself_how_long_is_too_long() -> None:
    begun = Activity(began=100.0)
    assert idle(begun, 130.0, after_s=30) is None
    found = idle(begun, 130.5, after_s=30)
    assert found is not None
    assert (found.since, found.idle_s) == (100.0, 30.5)
    assert idle(begun, 1e6) is None
    assert idle(Activity(), 1e6, after_s=30) is None
    assert (
        idle(Activity(began=0.0, steps=EVERY_MINUTE, heartbeats=(1e6,)), EVERY_MINUTE[-1] + 31, after_s=30) is not None
    )
    assert idle(Activity(began=0.0, heartbeats=(1e6,)), 1e6 + 30, after_s=30) is None


@pytest.mark.parametrize("seen", range(LEAST_SEEN))
def test_of_what_was_hardly_seen_nothing_is_said(seen: int) -> None:
    assert idle(Activity(steps=EVERY_MINUTE[:seen]), 1e9) is None


@given(st.lists(st.floats(0, 1e6), max_size=20), st.floats(0, 2e6), st.floats(0, 1e6))
def test_who_is_idle_stays_so_until_something_is_done(times: list[float], now: float, later: float) -> None:
    activity = Activity(steps=tuple(times))
    if idle(activity, now) is not None and not any(now < time <= now + later for time in times):
        assert idle(activity, now + later) is not None
        assert idle(Activity(steps=(*times, now + later)), now + later) is None
