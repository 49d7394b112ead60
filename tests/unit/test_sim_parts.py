from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hpcjobs.model.hints import Hints
from hpcjobs.sim import metrics
from hpcjobs.sim.engine import simulate
from hpcjobs.sim.failures import Failures
from hpcjobs.sim.generate import Plan, generate
from hpcjobs.sim.parts import NAMES, Parts, parts_of
from hpcjobs.sim.schedulers import Easy
from hpcjobs.sim.workload import SimNode
from tests.unit.simulated import fleet, job, workload

REPAIR_S = 3600.0


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), start=st.floats(0, 0.9))
def test_every_second_of_every_gpu_is_in_one_part(seed, start):
    nodes = [SimNode(name=f"n{number}", cpus=128, gpus=8, gpu_type="a") for number in range(24)]
    made = generate(nodes, Plan(jobs=60, demand=1.2, gangs=0.5), seed)
    failures = Failures(per_1000_node_days=300.0, repair_s=REPAIR_S, seed=seed)
    result = simulate(made, Easy(), failures=failures, until_s=made.jobs[-1].submit_s)
    first, last = metrics.arrival_window(result)
    window = first + start * (last - first), last
    shares = parts_of(result, nodes, REPAIR_S, window).shares()
    assert sum(getattr(shares, name) for name in NAMES) == pytest.approx(1)
    assert min(getattr(shares, name) for name in NAMES) >= -1e-9
    assert shares.productive == pytest.approx(metrics.effective_utilisation(result, window))
    had = shares.productive + shares.lost + shares.waiting + shares.unasked
    assert had == pytest.approx(metrics.allocation_rate(result, window))


def test_each_part_has_what_is_its():
    """Two nodes of 8 GPUs for 400 s. Job 2 has a whole node and asks for half of it; n0 fails at 150 s, for 100 s."""
    gang = Hints(gang="g", gang_size=2)
    jobs = (
        job(1, 0, 100, wall_s=300, hints=gang),
        job(2, 0, 100, gpus=4, exclusive=True),
        job(3, 50, 100, hints=gang),
    )
    result = simulate(workload(*jobs, nodes=fleet(2)), Easy())
    parts = parts_of(result, fleet(2), 0.0, (0.0, 400.0))
    # Job 1 waits on its node for job 3, which starts when job 2 ends.
    assert parts == Parts(productive=8 * 200 + 4 * 100, waiting=8 * 100, unasked=4 * 100, idle=16 * 400 - 3200)


def test_what_a_failure_breaks_off_is_lost_and_its_node_is_down():
    failures = Failures(per_1000_node_days=1e7, repair_s=100.0, seed=3)
    at_s, node = next(failures.strikes(1))
    one = job(1, 0, at_s + 10)
    result = simulate(workload(one, nodes=fleet(1)), Easy(), failures=failures, until_s=at_s + 50)
    assert result.failures == ((at_s, node),)
    parts = parts_of(result, fleet(1), 100.0, (0.0, at_s + 50))
    assert (parts.lost, parts.down) == (pytest.approx(8 * at_s), pytest.approx(8 * 50))
    assert parts.productive == pytest.approx(0)


def test_parts_of_pools_add_up():
    total = Parts(productive=1.0, idle=1.0) + Parts(productive=2.0, lost=4.0)
    assert total == Parts(productive=3.0, lost=4.0, idle=1.0)
    assert total.shares() == Parts(productive=0.375, lost=0.5, idle=0.125)
    assert Parts().shares() == Parts()
