"""What is told of simulations: figures over seeds, tables, CSV, bars."""

from __future__ import annotations

import csv
import io
from itertools import pairwise

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hpcjobs.model.steering import Hold, Requeue
from hpcjobs.sim import metrics
from hpcjobs.sim.cases import Case
from hpcjobs.sim.counts import Counts
from hpcjobs.sim.engine import simulate
from hpcjobs.sim.report import tables
from hpcjobs.sim.report.bars import bars
from hpcjobs.sim.report.figures import UNITS, Spread, size_class, size_words, spread, trial, waits_by_size
from hpcjobs.sim.report.report import Report, case_report
from hpcjobs.sim.result import Acted
from hpcjobs.sim.schedulers import Easy, Fcfs
from hpcjobs.sim.workload import SimNode
from tests.unit.simulated import fleet, job, shared_jobs, workload


def result_of(*jobs, scheduler=None, nodes=None, **more):
    return simulate(workload(*jobs, nodes=nodes), scheduler or Fcfs(), **more)


TWO = (job(1, 0, 100, nodes=4), job(2, 50, 100, nodes=1, gpus=2))


def report_of(*trials, name="c"):
    return Report(
        version="1", origin="made", nodes=4, gpus=32, jobs=2, assumptions=(), dropped={}, remarks={},
        seeds=tuple(one.seed for one in trials), cases=(case_report(Case(name=name), trials),),
    )  # fmt: skip


def test_figures_are_those_of_the_metrics_by_their_names():
    result = result_of(*TWO)
    told, counted = trial(result, 1).figures, metrics.summary(result)
    assert list(told) == list(UNITS)
    assert told["wait_mean_s"] == counted.wait.mean_s == 25
    assert told["wait_p99_s"] == counted.wait.p99_s
    assert (told["demand"], told["allocation"]) == (counted.demand, counted.allocation)
    assert told["gang_wait_mean_s"] is None
    assert told["gang_wait_count"] == 0


def test_jobs_that_all_come_at_once_have_no_demand():
    told = trial(result_of(job(1, 0, 100), job(2, 0, 100)), 1).figures
    assert (told["demand"], told["allocation"], told["effective"]) == (None, None, None)
    assert told["makespan_s"] == 100


def test_waits_of_some_jobs_are_those_of_these_alone_and_then_nobody_speaks_of_slowdown():
    told = trial(result_of(*TWO), 1, lambda job: job.number == 2)
    assert (told.figures["wait_count"], told.figures["wait_mean_s"]) == (1, 50)
    assert (told.figures["slowdown"], told.figures["ettr"]) == (None, None)
    assert [(one.size, one.wait.count) for one in told.waits] == [("2", 1)]


def test_mean_and_spread_over_seeds_are_those_of_the_sample():
    assert spread([1.0, 2.0, None, 6.0]) == Spread(3.0, pytest.approx(7.0**0.5), 1.0, 6.0, 3)
    assert spread([5]) == Spread(5.0, 0.0, 5.0, 5.0, 1)
    assert spread([None]) is None


@given(st.floats(0.001, 1e7))
def test_every_size_is_in_the_class_that_names_it(size):
    most = size_class(size)
    low, _, high = size_words(most).rpartition("-")
    assert size <= int(high)
    assert most == 1 or size > most / 2
    assert not low or int(low) - 1 < size


def test_waits_by_size_count_each_job_once_and_in_nodes_where_there_are_no_gpus():
    told = waits_by_size(result_of(job(1, 0, 9, nodes=1), job(2, 1, 9, nodes=3), job(3, 2, 9, gpus=1)))
    assert [(one.size, one.unit, one.wait.count) for one in told] == [
        ("1", "GPUs", 1),
        ("5-8", "GPUs", 1),
        ("17-32", "GPUs", 1),
    ]
    cpus = tuple(SimNode(name=f"n{number}") for number in range(4))
    told = waits_by_size(result_of(job(1, 0, 9, nodes=3, gpus=0), nodes=cpus, space=Counts(4)))
    assert [(one.size, one.unit) for one in told] == [("3-4", "nodes")]


def test_what_policies_did_is_counted_by_kind_and_outcome():
    done = [Acted(0.0, "p", Hold(1, "why"), "wished"), Acted(0.0, "p", Hold(1, "why"), "withdrawn")]
    done += [
        Acted(1.0, "q", Requeue(1, "why"), "not done: it waits"),
        Acted(2.0, "q", Requeue(1, "why"), "not done: no"),
    ]
    result = msgspec.structs.replace(result_of(*TWO), acted=tuple(done))
    told = trial(result, 1).acted
    assert told == {"p": {"hold wished": 1, "hold withdrawn": 1}, "q": {"requeue not done": 2}}


def test_the_table_tells_a_spread_where_there_is_one_and_nothing_that_is_not_there():
    one, other = trial(result_of(*TWO), 1), trial(result_of(TWO[0], job(2, 50, 100, nodes=1, gpus=3)), 2)
    rows = {row[0]: row[1:] for row in tables.figures(report_of(one, other))}
    assert rows["wait_mean_s"] == ("s", "25")
    mean, _, sd = rows["demand"][1].partition(" ± ")
    assert (float(mean), float(sd)) == (pytest.approx(2.156, abs=0.001), pytest.approx(0.044, abs=0.001))
    assert rows["wait_p50_s"] == ("s", "25")
    assert "restarts" not in rows
    assert "gang_wait_mean_s" not in rows


def read(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_each_job_is_a_line_that_says_how_it_fared():
    jobs = (job(1, 0, 100, nodes=4), job(2, 50, 100, nodes=9), job(3, 60, 10, name="=x(1)"), job(4, 70, 500))
    result = result_of(*jobs, until_s=200.0)
    rows = tables.jobs_rows("c", 7, result, fleet())
    first, second, third, fourth = read(tables.as_csv([tables.JOBS, *rows]))
    assert (first["seed"], first["first_start_s"], first["last_end_s"], first["end"]) == (
        "7",
        "0.0",
        "100.0",
        "COMPLETED",
    )
    assert first["node_list"] == "n[0-3]"
    assert (second["end"], second["first_start_s"], second["runs"]) == ("REFUSED", "", "0")
    assert (third["wait_s"], third["name"]) == ("40.0", "'=x(1)")
    assert (fourth["end"], fourth["last_end_s"]) == ("RUNNING", "")


def test_metrics_and_samples_are_lines_of_csv():
    result = result_of(*TWO, sample_s=10.0)
    report = report_of(trial(result, 1), name='a "b", c')
    lines = read(tables.as_csv([tables.METRICS, *tables.metrics_rows(report)]))
    assert {line["case"] for line in lines} == {'a "b", c'}
    assert next(line["mean"] for line in lines if line["metric"] == "wait_mean_s") == "25.0"
    samples = read(tables.as_csv([tables.SAMPLES, *tables.samples_rows("c", 1, result)]))
    assert [float(line["at_s"]) for line in samples[:3]] == [0, 10, 20]
    assert samples[0]["gpus_used"] == "32.0"


@given(jobs=shared_jobs(), data=st.data())
@settings(max_examples=40, deadline=None)
def test_bars_of_a_node_never_lie_on_each_other_and_are_all_that_ran(jobs, data):
    result = simulate(workload(*jobs, nodes=fleet(3)), Easy())
    found = bars(result)
    ran = {(run.job, node, run.start_s) for run in result.runs for node in run.indices}
    assert {(bar.job, bar.node, bar.start_s) for bar in found} == ran
    lanes: dict[tuple[int, int], list] = {}
    for bar in found:
        assert bar.lane + bar.width <= bar.lanes
        for lane in range(bar.lane, bar.lane + bar.width):
            lanes.setdefault((bar.node, lane), []).append((bar.start_s, bar.end_s))
    for spans in lanes.values():
        assert all(before[1] <= after[0] for before, after in pairwise(sorted(spans)))


def test_a_job_takes_as_many_lanes_as_it_has_gpus_on_the_node():
    result = result_of(job(1, 0, 100, gpus=2), job(2, 1, 10, gpus=3), job(3, 2, 100, gpus=1), job(4, 20, 50, gpus=4))
    first = [bar for bar in bars(result) if bar.node == 0]
    assert [(bar.job, bar.lane, bar.width, bar.lanes) for bar in first] == [
        (1, 0, 2, 7), (2, 2, 3, 7), (3, 5, 1, 7), (4, 2, 3, 7), (4, 6, 1, 7),
    ]  # fmt: skip
