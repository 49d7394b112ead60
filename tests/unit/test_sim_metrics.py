from __future__ import annotations

import pytest
from hypothesis import given, settings

from hpcjobs.model.hints import Hints
from hpcjobs.sim import metrics
from hpcjobs.sim.counts import Counts
from hpcjobs.sim.engine import simulate
from hpcjobs.sim.result import End, Result, Run, Sample
from hpcjobs.sim.schedulers import Easy, Fcfs
from tests.unit.simulated import fleet, job, shared_jobs, workload


def run(number, start_s, end_s, *, gpus=8.0, asked=None, end=End.COMPLETED, **more):
    return Run(
        job=number, start_s=start_s, end_s=end_s, nodes=1, indices=(0,), gpus=gpus,
        gpus_asked=gpus if asked is None else asked, end=end, **more,
    )  # fmt: skip


def result(jobs, runs, **more):
    ended = {one.job: one.end for one in runs if one.end in (End.COMPLETED, End.TIMEOUT)}
    more = {"nodes": 2, "gpus": 16, "stopped_s": 1000.0} | more
    return Result(scheduler="made", jobs={one.number: one for one in jobs}, runs=tuple(runs), ended=ended, **more)


def test_allocation_and_demand_are_parts_of_the_arrival_window():
    made = result([job(1, 0, 100), job(2, 100, 300)], [run(1, 0, 100), run(2, 100, 400)])
    assert metrics.allocation_rate(made) == 0.5
    assert metrics.demand(made) == 8 * 400 / (16 * 100)
    assert metrics.allocation_rate(made, (50, 450)) == 8 * 350 / (16 * 400)


def test_lost_and_idle_time_and_unasked_gpus_are_not_productive():
    jobs = [job(1, 0, 100), job(2, 400)]
    runs = [run(1, 0, 100, end=End.NODE_FAIL, lost_s=40), run(1, 100, 200, asked=4.0), run(2, 200, 400, idle_s=150)]
    made = result(jobs, runs)
    assert metrics.effective_utilisation(made) == (8 * 60 + 4 * 100 + 8 * 50) / (16 * 400)
    assert metrics.allocation_rate(made) == 0.5


def test_where_there_are_no_gpus_nodes_are_counted():
    made = result([job(1, 0, gpus=0), job(2, 100, gpus=0)], [run(1, 0, 100, gpus=0.0)], gpus=0)
    assert metrics.allocation_rate(made) == 0.5
    assert metrics.effective_utilisation(made) == 0.5


def test_waits_are_to_the_first_start():
    jobs = [job(number, 10 * number) for number in range(1, 102)]
    runs = [run(number, 10 * number + number - 1, 5000) for number in range(1, 102)]
    waits = metrics.waits(result(jobs, [*runs, run(7, 9000, 9001)]))
    assert (waits.count, waits.mean_s, waits.p50_s, waits.p99_s) == (101, 50, 50, 99)
    assert metrics.waits(result(jobs, runs), lambda job: job.number <= 3).mean_s == 1
    assert metrics.waits(result(jobs, [])) == metrics.Waits(0, 0, 0, 0)


def test_a_gang_waits_from_its_first_submission_to_its_last_start():
    gang = Hints(gang="g", gang_size=2)
    jobs = [job(1, 0, hints=gang), job(2, 30, hints=gang), job(3, 0, user="bob", hints=gang)]
    assert metrics.gang_waits(result(jobs, [run(1, 50, 60), run(2, 90, 95)])).mean_s == 90
    assert metrics.gang_waits(result(jobs[:2], [run(1, 50, 60)])).count == 0


def test_a_slowdown_is_bounded_below_by_one_and_by_tau():
    jobs = [job(1, 0, 100), job(2, 0, 1), job(3, 0, 50)]
    runs = [run(1, 100, 200), run(2, 99, 100), run(3, 0, 10), run(3, 10, 50)]
    assert metrics.bounded_slowdown(result(jobs, runs[:1])) == 2
    assert metrics.bounded_slowdown(result(jobs, runs[1:2])) == 10
    assert metrics.bounded_slowdown(result(jobs, runs[2:])) == 1
    assert metrics.bounded_slowdown(result(jobs, [])) is None


def test_ettr_is_productive_time_since_the_first_start():
    jobs = [job(1, 0, 100)]
    runs = [run(1, 50, 100, end=End.NODE_FAIL, lost_s=25), run(1, 150, 250)]
    assert metrics.ettr(result(jobs, runs)) == 125 / 200
    assert metrics.ettr(result(jobs, runs[:1])) is None


def test_fragmentation_is_the_share_of_free_gpus_that_nobody_fits():
    samples = (
        Sample(0, 3, 1, 1, 2, 8, 8, 4),
        Sample(1, 3, 1, 1, 2, 8, 8, 0),
        Sample(2, 0, 1, 1, 2, 8, 8, 0),
        Sample(3, 3, 1, 1, 2, 16, 0, 0),
    )
    assert metrics.fragmentation(result([], [], samples=samples)) == 0.25
    assert metrics.fragmentation(result([], [])) is None


def test_free_gpus_are_stuck_where_no_waiting_job_fits():
    jobs = (job(1, 0, 100, gpus=5), job(2, 0, 100, gpus=6), job(3, 1, 10, gpus=3, nodes=2))
    made = simulate(workload(*jobs, nodes=fleet(2)), Fcfs(), sample_s=10)
    (sample, *_) = [one for one in made.samples if one.at_s == 10]
    assert (sample.gpus_used, sample.gpus_free, sample.gpus_stuck, sample.waiting) == (11, 5, 2, 1)


def test_utilisation_is_the_mean_of_each_step():
    made = result([job(1)], [run(1, 0, 15), run(1, 10, 20)])
    assert metrics.utilisation(made, 10) == ((0, 0.5), (10, pytest.approx(0.75)))
    assert metrics.utilisation(result([], []), 10) == ()


@given(jobs=shared_jobs())
@settings(max_examples=40, deadline=None)
def test_figures_of_any_result_agree_with_each_other(jobs):
    made = simulate(workload(*jobs, nodes=fleet(3)), Easy(), sample_s=7)
    figures = metrics.summary(made)
    assert 0 <= figures.effective <= figures.allocation + 1e-9 <= 1 + 2e-9
    assert figures.ended + figures.waiting + figures.refused == len(jobs)
    assert figures.slowdown is None or figures.slowdown >= 1
    assert figures.ettr is None or 0 <= figures.ettr <= 1 + 1e-9
    whole = (0.0, made.stopped_s)
    if made.runs and made.stopped_s:
        steps = metrics.utilisation(made, made.stopped_s / 10)
        begin = min(one.start_s for one in made.runs)
        covered = (begin, begin + len(steps) * made.stopped_s / 10)
        mean = sum(share for _, share in steps) / len(steps)
        assert mean == pytest.approx(metrics.allocation_rate(made, covered), abs=1e-6)
        assert metrics.allocation_rate(made, whole) <= 1 + 1e-9


def test_a_summary_counts_restarts_and_the_makespan():
    jobs = [job(1, 5, 100), job(2, 6, 10)]
    runs = [run(1, 5, 50, end=End.REQUEUED), run(1, 60, 160), run(2, 300, None, end=None)]
    figures = metrics.summary(result(jobs, runs, stopped_s=310.0))
    assert (figures.restarts, figures.ended, figures.waiting, figures.makespan_s) == (1, 1, 1, 305)


def test_an_empty_result_has_figures():
    figures = metrics.summary(simulate(workload(), Easy(), space=Counts(4)))
    assert (figures.demand, figures.allocation, figures.makespan_s) == (0, 0, 0)
