from __future__ import annotations

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hpcjobs.sim.counts import Counts
from hpcjobs.sim.engine import simulate
from hpcjobs.sim.lives import Life
from hpcjobs.sim.nodes import Nodes
from hpcjobs.sim.result import End
from hpcjobs.sim.schedulers import SCHEDULERS, Conservative, Easy, Fcfs, Slurm
from hpcjobs.sim.schedulers.priority import Multifactor, Weights
from hpcjobs.sim.schedulers.slurm import Parameters
from tests.unit.simulated import by_seconds, fleet, job, shared_jobs, starts, whole_jobs, workload

NODES = 8


def simulated(jobs, scheduler, space=None):
    return simulate(workload(*jobs, nodes=fleet(NODES)), scheduler, space=space or Counts(NODES))


@pytest.mark.parametrize("way", ["fcfs", "easy"])
@given(jobs=whole_jobs())
@settings(max_examples=40, deadline=None)
def test_jobs_start_when_a_simulator_that_goes_by_seconds_starts_them(way, jobs):
    assert starts(simulated(jobs, SCHEDULERS[way]())) == by_seconds(jobs, NODES, way)


@given(jobs=whole_jobs(exact=True, least_run_s=1))
@settings(max_examples=40, deadline=None)
def test_with_exact_limits_conservative_starts_jobs_when_a_simulator_that_goes_by_seconds_does(jobs):
    # Where jobs end early, reservations move up; how often that is tried again is a matter of taste.
    assert starts(simulated(jobs, Conservative())) == by_seconds(jobs, NODES, "conservative")


@given(jobs=whole_jobs(most=25))
@settings(max_examples=40, deadline=None)
def test_whole_nodes_by_name_are_handed_out_in_order_when_counted_ones_are(jobs):
    # Who backfills is planned on certain nodes, and which they are counts there: this holds in order only.
    assert starts(simulated(jobs, Fcfs(), Nodes(fleet(NODES)))) == starts(simulated(jobs, Fcfs()))


@given(jobs=shared_jobs())
@settings(max_examples=40, deadline=None)
def test_fcfs_never_starts_out_of_order(jobs):
    begun = starts(simulate(workload(*jobs, nodes=fleet(3)), Fcfs()))
    in_order = [begun[job.number] for job in jobs if job.number in begun]
    assert in_order == sorted(in_order)


@given(jobs=whole_jobs(most=30, least_run_s=1), by_name=st.booleans())  # else there are several passes at a moment
@settings(max_examples=60, deadline=None)
def test_easy_starts_the_first_that_waits_no_later_than_those_before_it_leave_room(jobs, by_name):
    begun = starts(simulated(jobs, Easy(), Nodes(fleet(NODES)) if by_name else None))
    for place, head in enumerate(jobs):
        first_s = max([head.submit_s, *(begun[other.number] for other in jobs[:place])])
        ahead = [other for other in jobs[:place] if begun[other.number] <= first_s]
        filled = [other for other in jobs[place + 1 :] if begun[other.number] < first_s]
        runs = [(begun[other.number], other) for other in (*ahead, *filled)]
        times = sorted({first_s, *(at + other.wall_s for at, other in runs if at + other.wall_s > first_s)})
        due_s = next(
            at
            for at in times
            if NODES - sum(other.nodes for start, other in runs if start + other.wall_s > at) >= head.nodes
        )
        assert begun[head.number] <= due_s


@pytest.mark.parametrize("by_name", [False, True])
@given(jobs=whole_jobs(most=30))
@settings(max_examples=40, deadline=None)
def test_conservative_never_moves_a_reservation_to_a_later_time(by_name, jobs):
    seen: dict[int, float] = {}

    class Watched(Conservative):
        def run(self, site, now):
            again = super().run(site, now)
            for number, kept in self.booked.items():
                assert kept.start_s <= seen.get(number, kept.start_s)
                seen[number] = kept.start_s
            return again

    begun = starts(simulated(jobs, Watched(), Nodes(fleet(NODES)) if by_name else None))
    assert len(begun) == len(jobs)
    assert all(begun[number] <= start_s for number, start_s in seen.items())


@pytest.mark.parametrize("way", SCHEDULERS)
@given(jobs=shared_jobs())
@settings(max_examples=40, deadline=None)
def test_each_job_ends_once_or_is_told_to_wait_or_never_to_fit(way, jobs):
    result = simulate(workload(*jobs, nodes=fleet(3)), SCHEDULERS[way]())
    cancelled = [number for number, end in result.ended.items() if end is End.CANCELLED]
    final = [run.job for run in result.runs if run.end in (End.COMPLETED, End.TIMEOUT, End.FAILED)] + cancelled
    assert sorted([*final, *result.waiting, *result.refused]) == [job.number for job in jobs]
    assert set(result.refused) == {job.number for job in jobs if job.nodes > 3}
    assert result.waiting == ()  # nothing fails and nobody holds a job: all that fit had their turn


def test_backfill_starts_only_what_is_not_in_the_way_of_the_first():
    jobs = (
        job(1, 0, 100, nodes=3),
        job(2, 1, 100, nodes=4),  # waits for the first
        job(3, 2, 99, nodes=1),  # would end after 101
        job(4, 3, 97, nodes=1),  # ends at 100
    )
    assert starts(simulate(workload(*jobs), Easy())) == {1: 0, 2: 100, 3: 200, 4: 3}
    assert starts(simulate(workload(*jobs), Fcfs())) == {1: 0, 2: 100, 3: 200, 4: 200}


def test_a_long_job_may_have_what_the_first_leaves_over():
    jobs = (job(1, 0, 100, nodes=2), job(2, 1, 100, nodes=3), job(3, 2, 500, nodes=1))
    assert starts(simulate(workload(*jobs), Easy()))[3] == 2
    small = (job(1, 0, 100, nodes=2), job(2, 1, 100, nodes=4), job(3, 2, 500, nodes=1))
    assert starts(simulate(workload(*small), Easy()))[3] == 200


def test_easy_looks_only_as_deep_as_it_is_told():
    jobs = (job(1, 0, 100, nodes=3), *(job(number, 1, 100, nodes=4) for number in (2, 3, 4)), job(5, 2, 10))
    assert starts(simulate(workload(*jobs), Easy()))[5] == 2
    assert starts(simulate(workload(*jobs), Easy(depth=3)))[5] > 2


def test_slurm_backfills_only_every_so_often():
    jobs = (job(1, 0, 100, nodes=3), job(2, 1, 100, nodes=4), job(3, 2, 10, nodes=1))
    assert starts(simulate(workload(*jobs), Slurm(Parameters(bf_interval=30))))[3] == 30


def test_slurm_plans_only_within_its_window():
    jobs = (job(1, 0, 7200, nodes=3), job(2, 1, 100, nodes=4), job(3, 2, 20_000, nodes=1))
    assert starts(simulate(workload(*jobs), Slurm()))[3] == 7300
    assert starts(simulate(workload(*jobs), Slurm(Parameters(bf_window=60))))[3] == 30  # the second is starved
    assert starts(simulate(workload(*jobs), Slurm(Parameters(bf_window=60))))[2] == 20_030


@pytest.mark.parametrize(("reserved", "soon"), [(0, False), (1, True), (2, False)])
def test_slurm_keeps_room_for_as_many_jobs_of_a_partition_as_it_is_told(reserved, soon):
    jobs = (
        job(1, 0, 1000, nodes=2),
        job(2, 1, 100, nodes=3),  # waits for the first
        job(3, 2, 100, nodes=4),  # waits for the second
        job(4, 3, 5000, nodes=1),  # delays the third alone
    )
    begun = starts(simulate(workload(*jobs), Slurm(Parameters(bf_job_part_count_reserve=reserved))))
    assert begun[2] == 1000
    assert (begun[4] < 1000) == soon


def test_slurms_main_scheduler_stops_in_one_partition_and_goes_on_in_another():
    jobs = (
        job(1, 0, 100, nodes=3),
        job(2, 1, 100, nodes=4),
        job(3, 2, 10, nodes=1),
        job(4, 2, 500, nodes=1, partition="other"),
    )
    begun = starts(simulate(workload(*jobs), Slurm(Parameters(bf_interval=3600))))
    assert (begun[4], begun[3] > 2) == (2, True)


@pytest.mark.parametrize(
    ("wishes", "changed"),
    [
        ({"bf_window": "60", "bf_interval": "5"}, {"bf_window": 60, "bf_interval": 5}),
        ({"bf_max_job_test": "0", "bf_resolution": "soon", "sched_min_interval": "2"}, {}),
    ],
)
def test_parameters_are_tuned_where_they_are_known_and_sound(wishes, changed):
    assert Parameters().tuned(wishes) == msgspec.structs.replace(Parameters(), **changed)


def by_priority(**weights: int):
    """Starts of three jobs that wait for the same four nodes, and of the one that has them."""
    jobs = (job(1, 0, 100, nodes=4), job(2, 1, 100, nodes=1), job(3, 2, 100, nodes=4), job(4, 3, 100, nodes=3))
    made = workload(*jobs)
    return starts(simulate(made, Slurm(Parameters(), Multifactor.of(Weights(**weights), made.nodes))))


def test_with_the_weight_of_size_the_largest_is_first_or_the_smallest_and_with_no_weight_who_came_first():
    assert by_priority(job_size=1000) == {1: 0, 3: 100, 4: 200, 2: 200}
    assert by_priority(job_size=1000, favor_small=True) == {1: 0, 2: 100, 4: 100, 3: 200}
    assert by_priority() == {1: 0, 2: 100, 3: 200, 4: 300}


def test_a_priority_is_the_weighted_sum_of_age_and_size_cut_to_a_whole_number():
    weights = Multifactor(age=1000, job_size=1000, max_age_s=1000.0, nodes=4, cpus=8)
    one = job(1, 10, 100, nodes=2)
    assert weights.points(one, 10) == 1000 * (2 / 4 + 2 / 8) / 2
    assert weights.points(one, 15.9) == 375 + 5
    assert weights.points(one, 9999) == 375 + 1000
    assert weights.points(job(1, 10, 100, nodes=2, waited_s=500), 10) == 375 + 500
    assert msgspec.structs.replace(weights, favor_small=True).points(one, 10) == 625


def test_what_a_priority_is_beside_size_and_age_is_added_to_it_and_so_is_what_policies_give():
    jobs = [job(1, nodes=4), job(2, priority=700), job(3, nodes=2, priority=600), job(4)]
    lives = [Life.of(one, {}) for one in jobs]  # 1000 + 0, 250 + 700, 500 + 600, 250 + 0
    weights = Multifactor(job_size=1000, nodes=4, cpus=4)
    assert [life.number for life in weights.sorted(lives, 0)] == [3, 1, 2, 4]
    lives[3].points = 800
    assert [life.number for life in weights.sorted(lives, 0)] == [3, 4, 1, 2]


def test_age_counts_no_more_once_a_job_has_waited_for_as_long_as_it_counts():
    lives = [Life.of(job(1, waited_s=900, priority=50), {}), Life.of(job(2, waited_s=1000, priority=0), {})]
    weights = Multifactor(age=1000, max_age_s=1000.0)
    assert [life.number for life in weights.sorted(lives, 0)] == [2, 1]
    assert [life.number for life in weights.sorted(lives, 60)] == [1, 2]


def by_clock(*jobs, **parameters):
    return starts(simulate(workload(*jobs), Slurm(Parameters(**{"bf_interval": 5} | parameters), by_clock=True)))


def test_by_the_clock_slurmctld_sees_an_end_a_second_later_and_waits_three_for_more_submissions():
    assert by_clock(job(1, 0.5, 20.5, nodes=4), job(2, 1.2, 20, nodes=4)) == {1: 1, 2: 22}
    assert by_clock(job(1, 0.5, 20), job(2, 1.2, 20)) == {1: 1, 2: 4}
    assert by_clock(job(1, 0.5, 20), job(2, 1.2, 20), batch_sched_delay=7) == {1: 1, 2: 6}  # backfill is sooner


def test_by_the_clock_an_end_asks_for_a_pass_no_sooner_after_the_last_one_than_a_submission_does():
    jobs = (job(1, 0.5, 3.2, nodes=4), job(2, 1.2, 20, nodes=4))
    assert by_clock(*jobs, bf_interval=60) == {1: 1, 2: 7}  # passes at 1, at 4 and, for what ended at 4.2, at 7


@pytest.mark.parametrize(("at_s", "seen_s"), [(3.2, 6), (7.2, 11), (13.4, 14)])
def test_by_the_clock_backfill_passes_once_more_after_what_has_happened_and_then_looks_each_second(at_s, seen_s):
    jobs = (job(1, 0, 100, nodes=3), job(2, at_s, 100, nodes=4), job(3, at_s, 10, nodes=1))
    assert by_clock(*jobs)[3] == seen_s  # it passes at 1, as something happened at 6, and looks at 11, 12 and so on


def test_by_the_clock_backfill_keeps_its_beat_while_jobs_wait():
    jobs = (job(1, 0, 100, nodes=3), job(2, 1, 100, nodes=4), job(3, 33, 10, nodes=1))
    assert by_clock(*jobs)[3] == 36  # it looks at 1, 6, 11 and so on
