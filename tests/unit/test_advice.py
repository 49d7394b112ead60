"""How often to save, how often jobs fail, how many spares: against published numbers and against trying it out."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpcjobs.errors import Refused
from hpcjobs.model.reliability import DAY_S, Recovery
from hpcjobs.recovery import advice, intervals, poisson

MIN_S, HOUR_S = 60.0, 3600.0
RSC_1, RSC_2 = 6.5, 2.34
"""Failures per 1000 node-days of Kokolis et al."""

times = st.floats(1.0, 3600.0)
means = st.floats(3600.0, 1e7)


@pytest.mark.parametrize(("mtbf_s", "minutes"), [(24 * HOUR_S, "117"), (6 * HOUR_S, "57"), (15 * MIN_S, "9.1")])
def test_daly_says_what_his_figures_3_to_5_say(mtbf_s, minutes):
    """Daly 2006: a dump of 5 min."""
    digits = len(minutes.partition(".")[2])
    assert f"{intervals.daly_s(5 * MIN_S, mtbf_s) / MIN_S:.{digits}f}" == minutes


@pytest.mark.parametrize(("gpus", "hours"), [(16_384, 1.8), (131_072, 0.23)])
def test_jobs_fail_as_often_as_the_paper_projects(gpus, hours):
    assert advice.mtbf_s(gpus // 8, RSC_1) / HOUR_S == pytest.approx(hours, rel=0.03)


def test_a_cluster_is_gone_by_once_its_bounds_are_not_more_than_ten_times_apart():
    few, enough = (advice.counted_rate(failures, 1000.0) for failures in (advice.ENOUGH - 1, advice.ENOUGH))
    assert few.high > 10 * few.low
    assert enough.high <= 10 * enough.low
    assert advice.known_rate(enough) is enough
    for little in (few, None):
        assert advice.known_rate(little) == advice.stated_rate(RSC_1)


@pytest.mark.parametrize(
    ("gpus", "rate", "interval_min", "save_s", "restart_min", "expected"),
    [
        (16_000, RSC_1, 60, 0, 5, 0.70),  # 16,000 GPUs of RSC-1
        (16_000, RSC_1, 5, 0, 5, 0.93),
        (100_000, RSC_1, 7, 0, 5, 0.5),  # figure 10
        (12_000, RSC_1, 7, 10, 5, 0.92),  # at least 0.9 where a checkpoint is written in 10 s
        (12_000, 1.0, 98, 300, 5, 0.90),  # or where a node fails once in 1000 days
    ],
)
def test_the_closed_formula_says_what_the_paper_says(gpus, rate, interval_min, save_s, restart_min, expected):
    recovery = Recovery(save_s=save_s, restart_s=restart_min * MIN_S)
    found = advice.ettr(interval_min * MIN_S, recovery, advice.mtbf_s(gpus // 8, rate))
    assert found == pytest.approx(expected, abs=0.025)


def test_two_minutes_of_each_are_enough_for_100_000_gpus_of_rsc_2():
    recovery = Recovery(save_s=0, restart_s=2 * MIN_S)
    assert advice.ettr(2 * MIN_S, recovery, advice.mtbf_s(12_500, RSC_2)) >= 0.9


@given(times, means, st.floats(0.0, 3600.0), st.floats(0.0, 3600.0), st.floats(0.01, 100.0))
def test_no_other_interval_is_better_than_the_best(save_s, mtbf_s, restart_s, down_s, other):
    recovery = Recovery(save_s=save_s, restart_s=restart_s, down_s=down_s)
    best_s = intervals.best_s(save_s, mtbf_s)
    assert 0 < best_s < mtbf_s
    least = intervals.slowdown(best_s, recovery, mtbf_s)
    assert least <= intervals.slowdown(other * best_s, recovery, mtbf_s) * (1 + 1e-9)


@given(times, means)
def test_the_higher_order_is_near_the_best_and_nearer_than_the_first(save_s, mtbf_s):
    best_s, daly_s = intervals.best_s(save_s, mtbf_s), intervals.daly_s(save_s, mtbf_s)
    first_s = math.sqrt(2 * save_s * mtbf_s) - save_s
    assert daly_s == pytest.approx(best_s, rel=0.02)
    assert abs(daly_s - best_s) <= abs(first_s - best_s) + 1e-6 * best_s


def tried(interval_s: float, recovery: Recovery, mtbf_s: float, segments: int, seed: int) -> tuple[float, list[float]]:
    """Seconds for a second of work, and what each failure undid: one segment of work and saving after the other."""
    chance = random.Random(seed)
    clock_s, undone = 0.0, []
    span_s = interval_s + recovery.save_s
    next_s = chance.expovariate(1 / mtbf_s)
    for _ in range(segments):
        while next_s < span_s:
            undone.append(next_s)
            clock_s += next_s + recovery.down_s
            while (next_s := chance.expovariate(1 / mtbf_s)) < recovery.restart_s:
                clock_s += next_s + recovery.down_s
            clock_s += recovery.restart_s
            next_s -= recovery.restart_s
        clock_s += span_s
        next_s -= span_s
    return clock_s / (segments * interval_s), undone


@pytest.mark.parametrize("mtbf_s", [2 * HOUR_S, 0.5 * HOUR_S])
def test_formulas_say_what_comes_out_when_it_is_tried(mtbf_s):
    recovery = Recovery(save_s=60.0, restart_s=300.0, down_s=120.0)
    interval_s = intervals.best_s(recovery.save_s, mtbf_s)
    slow, undone = tried(interval_s, recovery, mtbf_s, 40_000, 1)
    assert slow == pytest.approx(intervals.slowdown(interval_s, recovery, mtbf_s), rel=0.02)
    assert sum(undone) / len(undone) == pytest.approx(intervals.lost_s(interval_s, 60.0, mtbf_s), rel=0.02)


def test_the_interval_that_does_best_when_tried_is_the_one_advised():
    recovery, mtbf_s = Recovery(save_s=120.0, restart_s=300.0), 1 * HOUR_S
    best_s = intervals.best_s(recovery.save_s, mtbf_s)
    factors = (0.4, 0.7, 1, 1.5, 2.5)
    by_factor = {factor: tried(factor * best_s, recovery, mtbf_s, round(20_000 / factor), 7)[0] for factor in factors}
    assert min(by_factor, key=by_factor.__getitem__) == 1
    assert by_factor[0.4] > 1.02 * by_factor[1] < by_factor[2.5]


@given(means, st.floats(1.0, 300.0), st.floats(0.0, 600.0))
def test_the_closed_formula_and_the_renewal_formula_agree_where_failures_are_seldom(mtbf_s, save_s, restart_s):
    recovery = Recovery(save_s=save_s, restart_s=restart_s)
    every_s = intervals.best_s(save_s, 1e3 * mtbf_s)
    assert advice.ettr(every_s, recovery, 1e3 * mtbf_s) == pytest.approx(
        advice.ettr_exponential(every_s, recovery, 1e3 * mtbf_s), rel=0.01
    )


def test_nothing_gets_done_where_a_restart_takes_longer_than_failures_leave_time():
    recovery = Recovery(save_s=60, restart_s=2 * HOUR_S)
    assert advice.ettr(600, recovery, HOUR_S) == 0
    assert 0 < advice.ettr_exponential(600, recovery, HOUR_S) < 0.12
    assert advice.ettr_exponential(600, recovery, 1.0) == 0


@pytest.mark.parametrize(
    ("count", "low", "high"),
    [(0, 0, 3.689), (1, 0.0253, 5.572), (4, 1.090, 10.242), (10, 4.795, 18.390), (50, 37.111, 65.919)],
)
def test_bounds_are_those_of_the_tables(count, low, high):
    """Exact 95 % limits of a Poisson mean: Garwood 1936, reprinted in every table of them."""
    assert poisson.bounds(count, 0.95) == pytest.approx((low, high), abs=6e-4)


@given(st.integers(0, 300), st.floats(0.01, 400.0))
def test_probabilities_add_up_from_their_terms(count, mean):
    terms = math.fsum(math.exp(k * math.log(mean) - mean - math.lgamma(k + 1)) for k in range(count + 1))
    assert poisson.at_most(count, mean) == pytest.approx(terms, abs=1e-9)


@given(st.floats(0.0, 5000.0), st.floats(0.001, 0.9999))
def test_a_quantile_is_the_least_count_that_suffices(mean, confidence):
    found = poisson.quantile(mean, confidence)
    assert poisson.at_most(found, mean) >= confidence
    assert found == 0 or poisson.at_most(found - 1, mean) < confidence


def test_bounds_hold_the_true_rate_as_often_as_is_said():
    chance = random.Random(3)
    held = 0
    for _ in range(400):
        count, clock = 0, chance.expovariate(1)
        while clock < 12.0:
            count, clock = count + 1, clock + chance.expovariate(1)
        low, high = poisson.bounds(count, 0.9)
        held += low <= 12.0 <= high
    assert held >= 0.87 * 400


def test_a_counted_rate_has_bounds_and_a_stated_one_has_none():
    rate = advice.counted_rate(13, 2000.0)
    assert rate.per_1000_node_days == 6.5
    assert rate.low < 4 < 6.5 < 10 < rate.high
    stated = advice.stated_rate(6.5)
    assert stated.low == stated.high == 6.5
    assert advice.counted_rate(0, 1000.0).high == pytest.approx(3.689, abs=1e-3)


def test_spares_make_up_for_the_nodes_under_repair():
    """Nodes fail by chance and each is away for a time of its own; too few are seldom, one less is not enough."""
    rate, repair_s = advice.stated_rate(6.5), 2 * DAY_S
    spares = advice.spare_nodes(2048, rate, repair_s, 0.95)
    chance, clock_s, short, back = random.Random(5), 0.0, [0.0, 0.0], []
    for _ in range(60_000):
        step_s = chance.expovariate(2048 * 6.5 / 1000 / DAY_S)
        back = [until for until in back if until > clock_s + step_s]
        clock_s += step_s
        for place, enough in enumerate((spares, spares - 1)):
            short[place] += len(back) > enough
        back.append(clock_s + chance.uniform(0, 2 * repair_s))
    assert short[0] / 60_000 < 0.055
    assert short[1] / 60_000 > 0.045


def test_advice_is_for_a_whole_job():
    found = advice.advise(
        2048, advice.counted_rate(650, 100_000.0), Recovery(save_s=60, restart_s=300, down_s=4), repair_s=4 * HOUR_S
    )
    assert found.failures_per_day == pytest.approx(13.3, abs=0.05)
    assert found.interval_s == found.intervals.best_s
    assert found.ettr_low < found.ettr < found.ettr_high
    assert found.ettr == pytest.approx(found.ettr_exponential, abs=0.01)
    assert found.lost_per_day_s == pytest.approx((1 - found.ettr_exponential) * DAY_S)
    assert found.spare_nodes == poisson.quantile(2048 * advice.counted_rate(650, 1e5).high / 6000, 0.99)


@pytest.mark.parametrize(
    "call",
    [
        lambda: advice.stated_rate(-1.0),
        lambda: advice.stated_rate(math.nan),
        lambda: advice.counted_rate(-1, 10.0),
        lambda: advice.counted_rate(1, 0.0),
        lambda: advice.counted_rate(1, 10.0, confidence=1.0),
        lambda: advice.mtbf_s(0, 6.5),
        lambda: advice.mtbf_s(8, 0.0),
        lambda: advice.ettr(0.0, Recovery(save_s=1, restart_s=1), 1.0),
        lambda: advice.ettr(1.0, Recovery(save_s=-1, restart_s=1), 1.0),
        lambda: intervals.slowdown(1.0, Recovery(save_s=1, restart_s=math.inf), 1.0),
        lambda: intervals.young_s(1.0, 0.0),
        lambda: intervals.daly_first_s(1.0, -1.0, 1.0),
        lambda: advice.spare_nodes(8, advice.stated_rate(6.5), -1.0),
        lambda: advice.spare_nodes(8, advice.stated_rate(6.5), 1.0, suffice=0.0),
        lambda: advice.advise(8, advice.stated_rate(6.5), Recovery(save_s=0, restart_s=1), repair_s=1.0),
    ],
)
def test_what_cannot_be_is_refused(call):
    with pytest.raises(Refused):
        call()
