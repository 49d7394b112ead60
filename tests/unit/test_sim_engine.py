from __future__ import annotations

import random
from collections import Counter

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hpcjobs.errors import NotSupported, Refused
from hpcjobs.model.hints import Hints
from hpcjobs.model.steering import (
    Avoid,
    Delay,
    Drain,
    Hold,
    Label,
    LimitMin,
    Prefer,
    Release,
    Requeue,
    Reserve,
    Resize,
    Shrink,
    Start,
    Tune,
    Weigh,
)
from hpcjobs.sim import metrics
from hpcjobs.sim.choosers import BestFit, InOrder, Spread
from hpcjobs.sim.counts import Counts
from hpcjobs.sim.engine import simulate
from hpcjobs.sim.failures import Failures
from hpcjobs.sim.nodes import Nodes
from hpcjobs.sim.result import End, Result
from hpcjobs.sim.schedulers import SCHEDULERS, Easy, Fcfs
from hpcjobs.sim.workload import Workload
from tests.unit.simulated import GIB, fleet, job, runs_of, shared_jobs, starts, workload


class Whims:
    """Wishes and does anything at all, names that there are not among it."""

    name = "whims"
    period_s = 5.0

    def __init__(self, seed: int) -> None:
        self._chance = random.Random(seed)
        self._left = 40

    def tick(self, view, now):
        chance = self._chance
        if self._left == 0:
            return []
        self._left -= 1
        if chance.random() < 0.05:
            raise RuntimeError("a policy's own fault")
        nodes = tuple(chance.sample(["n0", "n1", "n2", "nowhere"], chance.randint(0, 3)))
        some = [*view.jobs, 10_000]

        def one():
            return chance.choice(some)

        makers = [
            lambda: Prefer(one(), chance.randint(-5, 5), "why"),
            lambda: Avoid(one(), nodes, "why"),
            lambda: Hold(one(), "why"),
            lambda: Delay(one(), now + chance.randint(-10, 30), "why"),
            lambda: Start(one(), "why"),
            lambda: LimitMin(one(), chance.randint(1, 30), "why"),
            lambda: Weigh(nodes, chance.randint(-3, 3), "why"),
            lambda: Label(nodes, "odd", "why"),
            lambda: Reserve("r", nodes, now + chance.randint(-5, 20), now + chance.randint(0, 40), (one(),), "why"),
            lambda: Tune({"bf_interval": str(chance.randint(0, 60))}, "why"),
            lambda: Requeue(one(), "why", chance.choice([None, 1, 2]), nodes),
            lambda: Shrink(one(), chance.randint(0, 3), "why"),
            lambda: Release(one(), "why"),
            lambda: Resize(one(), chance.randint(0, 5), "why"),
            lambda: Drain(nodes, "why"),
        ]
        return [chance.choice(makers)() for _ in range(chance.randint(0, 4))]


def most_used(result: Result, made: Workload) -> None:
    """Sweep over all runs: at no time are more nodes, CPUs, memory or GPUs in use than there are."""
    changes: list[tuple[float, int, int, int]] = []
    for run in result.runs:
        end_s = result.stopped_s if run.end_s is None else run.end_s
        if end_s > run.start_s:
            changes += [(run.start_s, 1, run.job, place) for place in run.indices]
            changes += [(end_s, 0, run.job, place) for place in run.indices]
    on: dict[int, list[int]] = {place: [] for place in range(len(made.nodes))}
    for _, comes, number, place in sorted(changes):
        if not comes:
            on[place].remove(number)
            continue
        on[place].append(number)
        there = [result.jobs[other] for other in on[place]]
        node = made.nodes[place]
        assert len(there) == 1 or not any(other.exclusive for other in there)
        assert sum(other.cpus_per_node for other in there) <= node.cpus
        assert sum(other.mem_per_node_bytes for other in there) <= node.mem_bytes
        assert sum(1000 * other.gpus_per_node + other.gpu_milli for other in there) <= 1000 * node.gpus


@given(
    jobs=shared_jobs(),
    way=st.sampled_from(sorted(SCHEDULERS)),
    chooser=st.sampled_from([InOrder(), BestFit(), Spread()]),
    seed=st.integers(0, 1000),
    rate=st.sampled_from([0.0, 1e6, 2e7]),
    whims=st.booleans(),
    requeue=st.booleans(),
)
@settings(max_examples=50, deadline=None)
def test_whatever_happens_nothing_is_handed_out_twice_and_every_job_is_accounted_for(
    jobs, way, chooser, seed, rate, whims, requeue
):
    made = workload(*jobs, nodes=fleet(3))

    def once():
        return simulate(
            made, SCHEDULERS[way](), space=Nodes(made.nodes, chooser), policies=[Whims(seed)] if whims else [],
            failures=Failures(per_1000_node_days=rate, repair_s=8, seed=seed, requeue=requeue), sample_s=10,
            until_s=2000, requeue_s=3,
        )  # fmt: skip

    result = once()
    most_used(result, made)
    running = [run.job for run in result.runs if run.end_s is None]
    assert sorted([*result.ended, *running, *result.waiting, *result.refused]) == [job.number for job in jobs]
    ends = Counter(run.job for run in result.runs if run.end in (End.COMPLETED, End.TIMEOUT))
    assert max(ends.values(), default=0) <= 1
    for sample in result.samples:
        assert 0 <= sample.gpus_stuck <= sample.gpus_free <= 24
        assert sample.nodes_used <= 3
    for run in result.runs:
        assert run.idle_s >= 0
        assert run.lost_s >= 0
        if run.end_s is not None:
            assert run.end_s - run.start_s - run.idle_s >= -1e-6
    assert msgspec.json.encode(once()) == msgspec.json.encode(result)


@given(jobs=shared_jobs(), seed=st.integers(0, 99))
@settings(max_examples=40, deadline=None)
def test_the_work_of_a_completed_job_is_done_once(jobs, seed):
    made = workload(*jobs, nodes=fleet(3))
    failures = Failures(per_1000_node_days=3e6, repair_s=5, seed=seed)
    result = simulate(made, Easy(), failures=failures, until_s=5000)
    for number, end in result.ended.items():
        if end is End.COMPLETED:
            born = result.jobs[number]
            good_s = sum(run.end_s - run.start_s - run.idle_s - run.lost_s for run in runs_of(result, number))
            assert good_s == pytest.approx(born.run_s, abs=1e-6)


def test_a_job_that_fails_begins_anew_or_at_its_last_checkpoint():
    failures = Failures(per_1000_node_days=1e5, repair_s=10, seed=4)
    (at_s, node), *_ = [(at_s, node) for (at_s, node), _ in zip(failures.strikes(1), range(1), strict=False)]
    assert node == 0
    saved_s = at_s // 100 * 100
    for checkpoint_s, left_s in ((None, 1e4), (100.0, 1e4 - saved_s)):
        made = workload(job(1, 0, 1e4, wall_s=1e5, checkpoint_s=checkpoint_s), nodes=fleet(1))
        result = simulate(made, Fcfs(), failures=failures, until_s=at_s + 20)
        first, second = runs_of(result, 1)
        assert (first.end_s, first.end) == (at_s, End.NODE_FAIL)
        assert first.lost_s == pytest.approx(at_s - (saved_s if checkpoint_s else 0))
        assert second.start_s == at_s + 10
        assert left_s > 20  # it cannot have ended by then
        assert result.waiting == ()


def test_a_job_may_fail_for_good_with_its_node():
    failures = Failures(per_1000_node_days=1e5, repair_s=10, seed=4, requeue=False)
    result = simulate(workload(job(1, 0, 1e6), nodes=fleet(1)), Fcfs(), failures=failures)
    assert result.ended == {1: End.NODE_FAIL}


def test_failures_come_at_the_rate_that_was_asked_for_and_do_not_depend_on_the_scheduler():
    jobs = [job(number, 0, 86_400, gpus=1, checkpoint_s=60.0) for number in range(1, 9)]
    failures = Failures(per_1000_node_days=5000, repair_s=0, seed=7)
    results = [
        simulate(workload(*jobs, nodes=fleet(100)), SCHEDULERS[way](), failures=failures, until_s=86_400)
        for way in ("fcfs", "easy")
    ]
    assert results[0].failures == results[1].failures
    assert 400 < len(results[0].failures) < 600  # Poisson, mean 500, deviation 22


def test_lemons_have_their_share_of_the_failures_and_the_others_the_rest():
    failures = Failures(per_1000_node_days=6.5, repair_s=1, seed=3, lemons=0.02, lemon_failures=0.5)
    struck = Counter(node for (_, node), _ in zip(failures.strikes(500), range(4000), strict=False))
    worst = sum(count for _, count in struck.most_common(10))
    assert 0.47 < worst / 4000 < 0.56  # ten lemons have a half, and a fiftieth of the other
    assert max(count for _, count in struck.most_common()[10:]) < 20  # others have 4 each
    with pytest.raises(Refused, match="share from 0 to 1"):
        Failures(per_1000_node_days=1, repair_s=1, lemons=2.0).check()


def test_a_job_is_cut_at_its_limit():
    result = simulate(workload(job(1, 0, 100, wall_s=60)), Fcfs())
    (run,) = result.runs
    assert (run.end_s, run.end, result.ended[1]) == (60, End.TIMEOUT, End.TIMEOUT)


def test_members_of_a_gang_work_only_while_all_of_them_run():
    gang = Hints(gang="g", gang_size=2)
    jobs = (
        job(1, 0, 50, wall_s=500, nodes=2, hints=gang),
        job(2, 0, 100, nodes=2),
        job(3, 0, 50, wall_s=500, nodes=3, hints=gang, checkpoint_s=1.0),
    )
    result = simulate(workload(*jobs, nodes=fleet(5)), Easy())
    first, last = runs_of(result, 1)[0], runs_of(result, 3)[0]
    assert (first.start_s, first.idle_s, first.end_s) == (0, 100, 150)
    assert (last.start_s, last.idle_s, last.end_s) == (100, 0, 150)


def test_a_gang_that_is_never_whole_runs_into_its_limit():
    jobs = (job(1, 0, 50, wall_s=70, hints=Hints(gang="g", gang_size=2)),)
    (run,) = simulate(workload(*jobs), Fcfs()).runs
    assert (run.end, run.idle_s) == (End.TIMEOUT, 70)


def test_a_gang_fails_with_a_member_that_its_limit_ends_while_it_waits():
    gang = Hints(gang="g", gang_size=3)
    jobs = (
        job(1, 0, 5000, wall_s=10_000),
        job(2, 0, 300, wall_s=400, hints=gang),
        job(3, 0, 300, wall_s=20_000, hints=gang),
        job(4, 0, 300, wall_s=20_000, hints=gang),
        job(5, 600, 300, hints=gang),
    )
    result = simulate(workload(*jobs, nodes=fleet(3)), Easy())
    assert result.ended == {1: End.COMPLETED, 2: End.TIMEOUT, 3: End.FAILED, 4: End.CANCELLED, 5: End.CANCELLED}
    (peer,) = runs_of(result, 3)
    assert (peer.end_s, peer.idle_s, runs_of(result, 4), runs_of(result, 5)) == (400, 400, [], [])
    figures = metrics.summary(result)
    assert (figures.timeouts, figures.failed) == (1, 3)


@pytest.mark.parametrize(("checkpoint_s", "lost_s"), [(100.0, 70), (None, 370)])
def test_a_gang_fails_with_a_member_that_its_limit_ends_at_work_and_loses_what_is_not_saved(checkpoint_s, lost_s):
    gang = Hints(gang="g", gang_size=2)
    jobs = (
        job(1, 0, 500, wall_s=400, hints=gang, checkpoint_s=checkpoint_s),
        job(2, 0, 30, nodes=1),
        job(3, 0, 500, wall_s=1000, hints=gang, checkpoint_s=checkpoint_s),
    )
    result = simulate(workload(*jobs, nodes=fleet(2)), Easy())
    (run,) = runs_of(result, 3)
    assert (run.start_s, run.end_s, run.end, run.lost_s) == (30, 400, End.FAILED, lost_s)


def test_members_of_a_gang_whose_limits_end_them_at_once_are_cut_like_any_job():
    gang = Hints(gang="g", gang_size=2)
    result = simulate(workload(*(job(number, 0, 100, wall_s=60, hints=gang) for number in (1, 2))), Fcfs())
    assert [(run.end, run.lost_s) for run in result.runs] == [(End.TIMEOUT, 0)] * 2


def test_a_gang_fails_with_a_node_where_nobody_requeues_also_with_two_members_on_it():
    gang = Hints(gang="g", gang_size=3)
    jobs = [job(number, 0, 1e6, gpus=4, hints=gang) for number in (1, 2, 3)]
    failures = Failures(per_1000_node_days=1e5, repair_s=30, seed=1, requeue=False)
    result = simulate(workload(*jobs, nodes=fleet(2)), Fcfs(), failures=failures)
    assert {run.end for run in result.runs} == {End.NODE_FAIL, End.FAILED}
    assert set(result.ended) == {1, 2, 3}


def test_when_one_of_a_gang_fails_the_others_wait_and_go_on_from_the_checkpoint():
    gang = Hints(gang="g", gang_size=2)
    jobs = [job(number, 0, 1000, wall_s=1e5, hints=gang, checkpoint_s=100.0, cpus_per_node=16) for number in (1, 2)]
    some = (Failures(per_1000_node_days=5e4, repair_s=30, seed=seed) for seed in range(100))
    failures = next(one for one in some if 150 < next(one.strikes(2))[0] < 900)
    result = simulate(workload(*jobs, nodes=fleet(2)), Fcfs(), failures=failures)
    assert set(result.ended.values()) == {End.COMPLETED}
    failed = [run for run in result.runs if run.end is End.NODE_FAIL]
    ends = [runs_of(result, number)[-1].end_s for number in (1, 2)]
    assert ends[0] == ends[1] > 1000
    other = runs_of(result, 3 - failed[0].job)[0]
    assert other.idle_s + other.lost_s > 0


def test_what_cannot_be_is_refused_with_its_place():
    with pytest.raises(Refused, match="job 1 is not in the order"):
        simulate(workload(job(2), job(1)), Fcfs())
    with pytest.raises(Refused, match="wall_s above 0"):
        simulate(workload(job(1, wall_s=0)), Fcfs())
    with pytest.raises(Refused, match="checkpoint_s 0"):
        simulate(workload(job(1, checkpoint_s=0)), Fcfs())
    with pytest.raises(Refused, match="repair_s is -1"):
        simulate(workload(), Fcfs(), failures=Failures(per_1000_node_days=1, repair_s=-1))
    with pytest.raises(NotSupported, match="only the number"):
        simulate(workload(), Fcfs(), space=Counts(3), failures=Failures(per_1000_node_days=1, repair_s=1))


def test_an_empty_workload_has_an_empty_result():
    result = simulate(workload(), Easy(), sample_s=10)
    assert (result.runs, result.ended, result.waiting) == ((), {}, ())


def test_a_job_that_fits_only_while_no_node_is_down_waits_for_the_repair():
    failures = Failures(per_1000_node_days=1e5, repair_s=1000, seed=4)
    at_s, _ = next(failures.strikes(2))
    jobs = (job(1, at_s + 1, 1, nodes=2), job(2, at_s + 2, 1, mem_per_node_bytes=GIB))
    begun = starts(simulate(workload(*jobs, nodes=fleet(2)), Easy(), failures=failures, until_s=at_s + 5000))
    assert begun[2] == at_s + 2
    assert begun[1] >= at_s + 1000


def test_progress_is_told():
    told: list[tuple[float, int]] = []
    jobs = [job(number, number, 1, gpus=0) for number in range(1, 600)]
    simulate(workload(*jobs), Fcfs(), progress=lambda now, ended: told.append((now, ended)))
    assert told == sorted(told)
    assert told[-1][1] > 300


def test_samples_are_taken_while_jobs_run_or_will_come_and_again_when_one_starts():
    result = simulate(
        workload(job(1, 0, 20), job(2, 0, 20)), Fcfs(), sample_s=10, begin_s=lambda job: 1000.0 * (job.number == 2)
    )
    assert [sample.at_s for sample in result.samples] == [0, 10, 20, 1000, 1010, 1020]
