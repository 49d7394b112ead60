"""Figures of the Theta trace, 2023-02-01 (UTC) on, counted nodes. Limits that jobs outran are raised to the run time.

The figures to be met are those of issue 6, which says nothing of limits: with limits as they stand EASY waits
21,574 s on average, with runs cut at them 22,830 s, and only with raised ones is it within 1 %.
"""

from __future__ import annotations

from functools import cache

import pytest

from hpcjobs.sim import metrics
from hpcjobs.sim.counts import Counts
from hpcjobs.sim.engine import simulate
from hpcjobs.sim.scale import to_demand, window
from hpcjobs.sim.schedulers import Easy, Fcfs
from hpcjobs.sim.traces.lines import lines_of
from hpcjobs.sim.traces.swf import read_swf
from tests.unit.traces import real_trace

pytestmark = pytest.mark.thorough

FEBRUARY = 1_675_209_600
NODES = 4_360


@cache
def theta():
    made = read_swf(lines_of(real_trace("theta_2023_feb_dec.swf.gz")), "Theta", stretch_limits=True)
    return window(made, FEBRUARY - made.started_at)


def counted(workload, scheduler):
    return metrics.summary(simulate(workload, scheduler, space=Counts(NODES)))


@pytest.mark.parametrize(("scheduler", "mean_s"), [(Easy, 22_030), (Fcfs, 266_874)])
def test_theta_waits_as_long_as_it_should(scheduler, mean_s):
    figures = counted(theta(), scheduler())
    assert (figures.ended, figures.wait.count) == (26_628, 26_628)
    assert figures.wait.mean_s == pytest.approx(mean_s, rel=0.01)


def test_fcfs_allocates_what_it_should_of_a_demand_of_1_09():
    figures = counted(to_demand(theta(), 1.09), Fcfs())
    assert figures.demand == pytest.approx(1.09)
    assert figures.allocation == pytest.approx(0.857, abs=0.002)


def test_easy_allocates_what_it_should_of_a_demand_of_1_09():
    figures = counted(to_demand(theta(), 1.09), Easy(depth=100))
    assert figures.demand == pytest.approx(1.09)
    assert figures.allocation >= 0.97
