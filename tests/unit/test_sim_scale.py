from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpcjobs.errors import Refused
from hpcjobs.sim.scale import demand, quicker, to_demand, unit_of, window, work_s
from hpcjobs.sim.traces.formats import load
from hpcjobs.sim.workload import SimJob, SimNode, Workload
from tests.unit.traces import real_trace

SECONDS = st.floats(0, 1e6)


@st.composite
def workloads(draw):
    times = sorted(draw(st.lists(SECONDS, min_size=2, max_size=12).filter(lambda times: max(times) - min(times) > 1)))
    jobs = tuple(
        SimJob(
            number=number, submit_s=at_s, run_s=draw(st.floats(1, 1e5)), wall_s=draw(st.floats(60, 1e5)),
            nodes=draw(st.integers(1, 4)), gpus_per_node=draw(st.integers(1, 8)),
            checkpoint_s=draw(st.one_of(st.none(), st.floats(1, 1e4))),
        )
        for number, at_s in enumerate(times, start=1)
    )  # fmt: skip
    nodes = tuple(SimNode(name=f"n{n}", gpus=8, cpus=64) for n in range(draw(st.integers(1, 5))))
    return Workload(nodes=nodes, jobs=jobs, origin="made", started_at=1e9)


def two(fleet, **job):
    jobs = tuple(SimJob(number=n, submit_s=100.0 * n, run_s=60, wall_s=50, **job) for n in (1, 2))
    return Workload(nodes=fleet, jobs=jobs, origin="made")


def test_demand_is_counted_in_gpus_or_nodes_or_cpus_and_runs_are_cut_at_their_limits():
    gpus = two((SimNode(name="a", gpus=8, cpus=10),), gpus_per_node=4)
    nodes = two((SimNode(name="a"), SimNode(name="b")), exclusive=True, nodes=2)
    cpus = two((SimNode(name="a", cpus=10),), cpus_per_node=5)
    shares = two((SimNode(name="a", gpus=8, cpus=10),), gpu_milli=500)
    assert [unit_of(one) for one in (gpus, nodes, cpus)] == ["gpus", "nodes", "cpus"]
    assert [work_s(one) for one in (gpus, nodes, cpus, shares)] == [400, 200, 500, 50]
    assert [demand(one) for one in (gpus, nodes, cpus, shares)] == [0.5, 1.0, 0.5, 0.0625]


@given(workloads(), st.floats(0.01, 10))
def test_arrivals_are_moved_to_the_demand_that_is_stated_and_nothing_else_changes(workload, wanted):
    moved = to_demand(workload, wanted)
    assert demand(moved) == pytest.approx(wanted)
    assert all(a.submit_s <= b.submit_s for a, b in pairwise(moved.jobs))
    assert [(job.number, job.run_s, job.wall_s, job.gpus) for job in moved.jobs] == [
        (job.number, job.run_s, job.wall_s, job.gpus) for job in workload.jobs]  # fmt: skip
    assert moved.nodes == workload.nodes


@given(workloads(), SECONDS, SECONDS)
def test_a_window_has_the_jobs_that_are_submitted_in_it_and_counts_the_others(workload, start_s, end_s):
    inside = [job.submit_s for job in workload.jobs if start_s <= job.submit_s < end_s]
    if not inside:
        with pytest.raises(Refused, match="has no job from"):
            window(workload, start_s, end_s)
        return
    cut = window(workload, start_s, end_s)
    assert [job.submit_s + start_s for job in cut.jobs] == pytest.approx(inside)
    assert [job.number for job in cut.jobs] == list(range(1, len(inside) + 1))
    assert sum(cut.dropped.values()) == len(workload.jobs) - len(inside)
    assert cut.started_at == 1e9 + start_s


def test_a_window_begins_with_what_is_submitted_at_its_start_and_ends_before_its_end():
    workload = two((SimNode(name="a", gpus=8),), gpus_per_node=4)
    assert [job.submit_s for job in window(workload, 100, 200).jobs] == [0]
    assert [job.submit_s for job in window(workload, 100, 201).jobs] == [0, 100]


def test_a_quicker_workload_has_no_limit_below_the_least():
    workload = two((SimNode(name="a", gpus=8),), gpus_per_node=4)
    assert [job.wall_s for job in quicker(workload, 10, least_wall_s=120).jobs] == [120, 120]


@given(workloads(), st.floats(0.1, 1000))
def test_a_quicker_workload_has_the_same_demand_and_limits_that_slurm_can_have(workload, factor):
    quick = quicker(workload, factor)
    assert demand(quick) == pytest.approx(demand(workload))
    for job, was in zip(quick.jobs, workload.jobs, strict=True):
        assert job.wall_s >= 60
        assert job.wall_s % 60 == 0
        assert job.wall_s * factor >= was.wall_s * (1 - 1e-9)
        assert job.run_s <= job.wall_s * (1 + 1e-9)
        assert (job.checkpoint_s is None) == (was.checkpoint_s is None)


@pytest.mark.parametrize("bad", [0, -1, math.inf, math.nan])
def test_a_demand_or_factor_that_cannot_be_is_refused(bad):
    workload = two((SimNode(name="a", gpus=8),), gpus_per_node=4)
    with pytest.raises(Refused, match="above 0"):
        to_demand(workload, bad)
    with pytest.raises(Refused, match="above 0"):
        quicker(workload, bad)


def test_without_a_fleet_or_time_there_is_no_demand():
    with pytest.raises(Refused, match="the fleet has no cpus"):
        demand(two((), gpus_per_node=4))
    with pytest.raises(Refused, match="all submitted at once"):
        demand(window(two((SimNode(name="a", gpus=8),), gpus_per_node=4), 150))
    with pytest.raises(Refused, match="no work"):
        to_demand(two((SimNode(name="a", gpus=8),)), 1.0)


def test_theta_from_february_on_is_what_its_figures_are_of():
    theta = load(real_trace("theta_2023_feb_dec.swf.gz"))
    february = window(theta, 1_675_209_600 - theta.started_at)  # 2023-02-01, 0:00 UTC
    assert len(february.jobs) == 26_628
    assert sum(job.nodes >= 1000 for job in february.jobs) == 1_051
    assert demand(to_demand(february, 1.09)) == pytest.approx(1.09)
