from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpcjobs.identity import ratelimit
from hpcjobs.identity.ratelimit import RateLimiter
from hpcjobs.settings import Allowance

FIVE = Allowance(per_s=2.0, burst=5)


def test_a_burst_is_let_through_and_then_the_rate():
    limiter = RateLimiter()
    assert [limiter.take("requests", "alice", FIVE, 100.0).remaining for _ in range(5)] == [4, 3, 2, 1, 0]
    refused = limiter.take("requests", "alice", FIVE, 100.0)
    assert (refused.wait_s, refused.reset_s, refused.limit, refused.remaining) == (0.5, 2.5, 5, 0)
    assert limiter.take("requests", "alice", FIVE, 100.4).wait_s == pytest.approx(0.1)
    assert limiter.take("requests", "alice", FIVE, 100.5).wait_s == 0
    assert limiter.take("requests", "alice", FIVE, 100.5).wait_s == 0.5


def test_users_and_kinds_do_not_use_up_each_others():
    limiter = RateLimiter()
    for _ in range(5):
        limiter.take("requests", "alice", FIVE, 0.0)
    assert limiter.take("requests", "alice", FIVE, 0.0).wait_s > 0
    assert limiter.take("requests", "bob", FIVE, 0.0).wait_s == 0
    assert limiter.take("submissions", "alice", FIVE, 0.0).wait_s == 0


@given(
    st.floats(0.1, 1000),
    st.integers(1, 50),
    st.lists(st.floats(0, 3), min_size=1, max_size=200),
)
def test_no_window_of_time_lets_more_through_than_burst_and_rate(per_s, burst, pauses):
    limiter, now = RateLimiter(), 1000.0
    let_through: list[float] = []
    for pause in pauses:
        now += pause
        standing = limiter.take("requests", "alice", Allowance(per_s, burst), now)
        if standing.wait_s == 0:
            let_through.append(now)
        assert 0 <= standing.remaining < burst
        assert standing.reset_s <= burst / per_s + 1e-6
    for first in range(len(let_through)):
        for last in range(first, len(let_through)):
            most = burst + (let_through[last] - let_through[first]) * per_s
            assert last - first + 1 <= most + 1e-6


@given(st.floats(0.1, 1000), st.integers(1, 50), st.integers(1, 60))
def test_who_waits_as_told_is_let_through(per_s, burst, tries):
    limiter, now = RateLimiter(), 1000.0
    for _ in range(burst + tries):
        standing = limiter.take("requests", "alice", Allowance(per_s, burst), now)
        if standing.wait_s:
            now += standing.wait_s
            assert limiter.take("requests", "alice", Allowance(per_s, burst), now).wait_s == 0


def test_full_buckets_are_forgotten_before_there_are_too_many(monkeypatch):
    monkeypatch.setattr(ratelimit, "MOST_BUCKETS", 10)
    limiter = RateLimiter()
    for number in range(100):
        limiter.take("requests", f"user{number}", FIVE, float(number))
    assert len(limiter._full_at) <= 10
