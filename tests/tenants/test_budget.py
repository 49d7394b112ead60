"""How budgets stand: periods, carry-over, decay, forecasts; and GPU-hours of the tables of usage."""

from __future__ import annotations

import math
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpcjobs.model.tenant import Budget, Period
from hpcjobs.tenants.budget import DAY_S, RATE_DAYS, bounds, faults, state
from hpcjobs.tenants.used import read_until, states_of
from hpcjobs.usage.store import UsageStore

HOURS = st.floats(0, 1e6)
MOMENTS = st.floats(0, 3.9e9)
COMING_AGAIN = st.sampled_from([Period.MONTH, Period.QUARTER, Period.YEAR])
ZONES = st.sampled_from(["UTC", "Europe/Berlin", "America/St_Johns", "Pacific/Kiritimati"])


def at(*when: int) -> int:
    return int(datetime(*when, tzinfo=UTC).timestamp())


@given(COMING_AGAIN, ZONES, MOMENTS)
def test_periods_that_come_again_follow_each_other_without_a_gap(period, zone, now):
    budget = Budget(period, timezone=zone)
    first, until = bounds(budget, now)
    assert first <= now < until
    assert bounds(budget, now, back=1)[1] == first
    assert bounds(budget, until)[0] == until


def test_a_quarter_begins_in_its_own_time_zone():
    first, until = bounds(Budget(Period.QUARTER, timezone="Europe/Berlin"), at(2026, 5, 17))
    assert (first, until) == (at(2026, 3, 31, 22), at(2026, 6, 30, 22))


@given(COMING_AGAIN, HOURS, HOURS, HOURS, HOURS, HOURS, MOMENTS)
def test_what_is_left_and_what_is_used_are_together_what_there_is(period, hard, carry, used, before, rate, now):
    told = state(Budget(period, hard_h=hard, carry_over_h=carry), used, before, rate, now)
    assert told.left_h is not None
    assert 0 <= told.carried_h <= min(carry, max(hard - before, 0))
    assert math.isclose(told.left_h, max(hard + told.carried_h - used, 0), abs_tol=1e-6)
    assert told.hard_passed == (told.left_h == 0)


@given(COMING_AGAIN, HOURS, HOURS, st.floats(0.01, 1e6), MOMENTS)
def test_a_forecast_is_when_the_rate_has_used_the_rest_and_within_the_period(period, hard, used, rate, now):
    told = state(Budget(period, hard_h=hard), used, 0, rate, now)
    if used >= hard:
        assert told.exhausted_at == int(now)
    elif told.exhausted_at is None:
        assert used + rate * (told.until - now) / DAY_S <= hard + 1e-3 * rate
    else:
        assert now - 1 <= told.exhausted_at < told.until
        assert math.isclose(used + rate * (told.exhausted_at - now) / DAY_S, hard, abs_tol=rate / DAY_S * 2 + 1e-3)


@given(st.floats(1, 1e4), st.floats(0, 0.99), st.floats(0.01, 1e4), st.floats(3600, 1e7))
def test_with_decay_the_forecast_is_when_the_sum_of_both_comes_to_the_bound(hard, part, rate, half_life):
    used, now = hard * part, 1e9
    told = state(Budget(Period.DECAY, hard_h=hard, half_life_s=half_life), used, 0, rate, now)
    lasting = rate / DAY_S * half_life / math.log(2)
    if told.exhausted_at is None:
        assert lasting <= hard
        return
    half = 2 ** (-(told.exhausted_at - now) / half_life)
    reached = lasting + (used - lasting) * half
    assert math.isclose(reached, hard, rel_tol=1e-6, abs_tol=rate / DAY_S * 2)


def test_nobody_who_uses_nothing_exhausts_anything():
    told = state(Budget(Period.MONTH, hard_h=10, soft_h=5), 7, 0, 0.0, at(2026, 3, 2))
    assert told.exhausted_at is None
    assert (told.soft_passed, told.hard_passed) == (True, False)


def test_ten_hours_a_day_exhaust_a_hundred_on_the_fourteenth():
    told = state(Budget(Period.MONTH, hard_h=140), 10, 0, 10.0, at(2026, 3, 1))
    assert told.exhausted_at == at(2026, 3, 14)


def test_outside_of_its_fixed_time_a_budget_gives_nothing():
    budget = Budget(Period.FIXED, hard_h=10, first=100, until=200)
    assert state(budget, 0, 0, 0, 150).hard_passed is False
    assert state(budget, 0, 0, 0, 99).hard_passed is True
    assert state(budget, 0, 0, 0, 200).hard_passed is True


@pytest.mark.parametrize(
    ("budget", "field"),
    [
        (Budget(Period.FIXED, first=9, until=9), "until"),
        (Budget(Period.DECAY), "half_life_s"),
        (Budget(Period.MONTH, half_life_s=9.0), "half_life_s"),
        (Budget(Period.DECAY, half_life_s=9.0, hard_h=1, carry_over_h=1), "carry_over_h"),
        (Budget(hard_h=1, soft_h=2), "soft_h"),
        (Budget(timezone="Mars/Olympus"), "timezone"),
    ],
)
def test_what_cannot_be_meant_is_told_by_its_field(budget, field):
    assert [fault.field for fault in faults(budget, "b")] == [f"b.{field}"]


@pytest.fixture
def usage():
    store = UsageStore(":memory:")
    store.open()
    yield store
    store.close()


RUN = """INSERT INTO runs SELECT ?, 'big', ?, ?, ?, ?, ?, 'alice', ?, 'p', 'q', 'COMPLETED', ?, NULL,
    1, 1, 1, 'n1', '', '', NULL, 0, 0, 0, '', NULL, NULL, NULL, NULL, NULL, '', ''"""


def put(connection, number, project, start, end, kind, gpus, suspended=0):
    connection.execute(RUN, [number, number, start, start, start, end, project, suspended])
    connection.execute("INSERT INTO run_gpus VALUES (?, ?, '', ?, ?, ?, 'named')", [number, kind, gpus, gpus, gpus])


async def filled(usage, now):
    def fill(connection):
        connection.execute("INSERT INTO clusters VALUES ('big', ?)", [now])
        put(connection, 1, "vision", at(2026, 2, 28, 20), at(2026, 3, 1, 4), "a100", 2)  # 8 h of March
        put(connection, 2, "vision", at(2026, 3, 5), at(2026, 3, 5, 10), "h100", 1, suspended=3600)
        put(connection, 3, "retina", now - 7200, None, "a100", 4)  # below vision, runs
        put(connection, 4, "climate", at(2026, 3, 5), at(2026, 3, 6), "a100", 8)

    await usage.write(fill)


async def stands(usage, budget, cluster, projects, now):
    (told,) = await usage.read(states_of, cluster, [(budget, projects)], now)
    return told


async def test_many_budgets_stand_as_each_does_alone(usage):
    now = at(2026, 3, 10)
    await filled(usage, now)
    budgets = [
        Budget(kind=kind, period=period) for kind in ("", "a100", "h100") for period in (Period.MONTH, Period.YEAR)
    ]
    wanted = [(budget, projects) for budget in budgets for projects in ({"vision"}, {"vision", "retina"}, {"none"})]
    together = await usage.read(states_of, "big", wanted, now)
    assert together == [await stands(usage, budget, "big", projects, now) for budget, projects in wanted]
    assert {round(told.used_h) for told in together} > {0, 17, 25}


async def test_hours_are_those_of_the_period_of_the_project_and_of_those_below_it(usage):
    now = at(2026, 3, 10)
    await filled(usage, now)
    both = {"vision", "retina"}
    all_kinds = await stands(usage, Budget(hard_h=30), "big", both, now)
    assert all_kinds.used_h == pytest.approx(8 + 9 + 8)
    assert all_kinds.left_h == pytest.approx(5)
    assert all_kinds.rate_h == pytest.approx((16 + 9 + 8) / RATE_DAYS)
    assert (await stands(usage, Budget(kind="a100"), "big", both, now)).used_h == pytest.approx(16)
    assert (await stands(usage, Budget(), "big", {"vision"}, now)).used_h == pytest.approx(17)
    assert (await stands(usage, Budget(), "other", both, now)).used_h == 0
    assert await usage.read(read_until, "big") == now
    assert await usage.read(read_until, "other") == 0


async def test_what_was_left_in_february_comes_over(usage):
    now = at(2026, 3, 10)
    await filled(usage, now)
    told = await stands(usage, Budget(hard_h=20, carry_over_h=100), "big", {"vision"}, now)
    assert told.carried_h == pytest.approx(12)
    assert told.left_h == pytest.approx(20 + 12 - 17)


async def test_decayed_hours_are_the_integral_of_what_still_counts(usage):
    now, half_life = at(2026, 3, 10), 3 * 86400.0
    await filled(usage, now)
    told = await stands(usage, Budget(Period.DECAY, half_life_s=half_life, hard_h=50), "big", {"retina"}, now)
    by_hand = sum(4 * 2 ** (-(second + 0.5) / half_life) for second in range(7200)) / 3600
    assert told.used_h == pytest.approx(by_hand, rel=1e-6)
