"""Bounds are so many standard errors, which follow from the model and the number of draws; seeds are fixed."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from functools import cache
from itertools import pairwise
from random import Random
from statistics import fmean, pstdev, variance

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpcjobs.errors import Refused
from hpcjobs.model.job import Fate
from hpcjobs.sim.arrivals import DAY_S, EVEN, WEEK_S, Wave, arrivals
from hpcjobs.sim.generate import Plan, generate, with_caches
from hpcjobs.sim.limits import ROUND_S, overestimated, round_limit
from hpcjobs.sim.llm_mix import calibrated, median_run_s
from hpcjobs.sim.scale import demand
from hpcjobs.sim.shapes import MOST_OF_CLASS, classes_of, shape_of
from hpcjobs.sim.traces.acme import KALOS
from hpcjobs.sim.traces.formats import load
from hpcjobs.sim.workload import SimJob, SimNode, Workload
from tests.unit.traces import real_trace

MANY = 30_000
ERRORS = 4.5
EVEN_FLEET = tuple(SimNode(name=f"n{n}", gpus=8, cpus=128, gpu_type="H100") for n in range(300))
MIXED = tuple(
    SimNode(name=f"n{n}", gpus=(8, 1, 4)[n % 3], cpus=(128, 20, 64)[n % 3], gpu_type=("H100", "A10", "")[n % 3])
    for n in range(600)
)


def near(found, expected, deviation, many):
    """Whether a mean of so many draws is where the central limit theorem has it."""
    return abs(found - expected) <= ERRORS * deviation / math.sqrt(many)


@cache
def kalos():
    return generate(EVEN_FLEET, Plan(jobs=MANY, demand=1.0), 1)


@cache
def varied():
    plan = Plan(jobs=6000, demand=0.9, gangs=0.4, elastic=0.5, pinned=0.3, urgent=0.05, datasets=20)
    return generate(MIXED, plan, 7)


def test_the_mix_has_the_moments_of_the_cluster_that_it_is_calibrated_to():
    kinds = calibrated(KALOS)
    assert math.fsum(kind.share for kind in kinds) == pytest.approx(1)
    for kind in kinds:
        assert math.fsum(kind.sizes.values()) == pytest.approx(1)
        assert math.fsum(kind.fates.values()) == pytest.approx(1)
    assert math.fsum(kind.share * kind.mean_gpus for kind in kinds) == pytest.approx(KALOS.mean_gpus)
    assert math.fsum(kind.share * kind.mean_run_s for kind in kinds) == pytest.approx(KALOS.mean_run_s)
    gpu_s = math.fsum(kind.share * kind.mean_run_s * kind.mean_gpus for kind in kinds)
    assert gpu_s == pytest.approx(KALOS.mean_gpu_s)
    assert median_run_s(kinds) == pytest.approx(KALOS.median_run_s)
    assert math.fsum(kind.share * kind.fates[Fate.FAILED] for kind in kinds) == pytest.approx(KALOS.failed, abs=0.001)
    assert max(max(kind.sizes) for kind in kinds) == KALOS.max_gpus
    small = math.fsum(kind.share * kind.sizes.get(1, 0) for kind in kinds)
    assert small > 0.5  # the median job has one GPU


def test_a_cluster_that_trains_nothing_large_has_no_such_mix():
    with pytest.raises(ValueError, match="no such cluster"):
        calibrated(msgspec.structs.replace(KALOS, mean_gpus=1.9))
    with pytest.raises(Refused, match="No mix is like this cluster"):
        generate(EVEN_FLEET, Plan(jobs=1, demand=1.0, cluster=msgspec.structs.replace(KALOS, mean_gpus=1.9)), 1)


def test_generated_jobs_have_the_moments_of_the_cluster():
    jobs, kinds = kalos().jobs, calibrated(KALOS)
    assert (len(jobs), kalos().dropped) == (MANY, {})
    squares = math.fsum(kind.share * gpus**2 * share for kind in kinds for gpus, share in kind.sizes.items())
    assert near(fmean(job.gpus for job in jobs), 26.77, math.sqrt(squares - 26.77**2), MANY)
    run_squares = math.fsum(kind.share * kind.mean_run_s**2 * math.exp(kind.sigma**2) for kind in kinds)
    assert near(fmean(job.run_s for job in jobs), 1259.689, math.sqrt(run_squares - 1259.689**2), MANY)
    assert near(fmean(job.run_s <= 124 for job in jobs), 0.5, 0.5, MANY)
    for fate, share in {"FAILED": 0.397, "COMPLETED": 0.541, "CANCELLED": 0.062}.items():
        assert near(fmean(job.fate == fate for job in jobs), share, math.sqrt(share * (1 - share)), MANY)
    assert max(job.gpus for job in jobs) == 1024
    assert sorted(job.gpus for job in jobs)[MANY // 2] == 1
    work = [job.gpus * job.run_s for job in jobs]
    assert near(fmean(work), KALOS.mean_gpu_s, pstdev(work), MANY)


def test_the_demand_is_what_was_stated():
    assert demand(kalos()) == pytest.approx(1.0)
    assert demand(varied()) == pytest.approx(0.9)


def test_the_same_seed_makes_the_same_and_another_does_not():
    plan = Plan(jobs=200, demand=1.0, gangs=0.5, elastic=0.5)
    assert generate(MIXED, plan, 3) == generate(MIXED, plan, 3)
    assert generate(MIXED, plan, 3).jobs != generate(MIXED, plan, 4).jobs


def test_no_job_is_cut_by_its_limit_and_users_ask_for_too_much_and_for_round_values():
    jobs = kalos().jobs
    assert all(job.run_s <= job.wall_s for job in jobs)
    assert {job.wall_s for job in jobs if job.wall_s <= ROUND_S[-1]} <= set(ROUND_S)
    assert 0.15 < fmean(job.run_s / job.wall_s for job in jobs) < 0.5


def test_every_job_could_run_on_the_fleet_while_some_nodes_are_down():
    for job in varied().jobs:
        able = [
            node for node in MIXED
            if node.gpus >= job.gpus_per_node and node.cpus >= job.cpus_per_node
            and (not job.gpu_types or node.gpu_type in job.gpu_types)
        ]  # fmt: skip
        assert job.nodes <= len(able)


def test_work_is_offered_to_each_class_of_nodes_by_its_gpus():
    classes, rng = classes_of(MIXED), Random(5)
    drawn = Counter(shape_of(4, classes, rng).gpu_types for _ in range(4000))
    gpus = {("H100",): 1600, ("A10",): 200, (): 800}
    for types, count in drawn.items():
        share = gpus[types] / 2600
        assert near(count / 4000, share, math.sqrt(share * (1 - share)), 4000)


@given(st.integers(1, 3000), st.integers(0, 100))
def test_a_shape_has_the_gpus_that_were_asked_for_or_the_few_more_that_even_nodes_need(gpus, seed):
    shape = shape_of(gpus, classes_of(MIXED), Random(seed))
    if shape is None:
        assert gpus > 8 * MOST_OF_CLASS * 200
        return
    assert gpus <= shape.nodes * shape.gpus_per_node < gpus + shape.nodes
    assert shape.nodes <= shape.most_nodes


def test_what_no_class_of_nodes_can_hold_is_counted():
    workload = generate(EVEN_FLEET[:20], Plan(jobs=2000, demand=1.0), 1)
    assert len(workload.jobs) + sum(workload.dropped.values()) == 2000
    assert max(job.gpus for job in workload.jobs) <= 120


def test_gangs_are_jobs_of_one_user_that_are_submitted_at_once():
    gangs = defaultdict(list)
    for job in varied().jobs:
        if job.hints.gang:
            gangs[job.hints.gang].append(job)
    assert len(gangs) > 20
    for members in gangs.values():
        assert {job.hints.gang_size for job in members} == {len(members)}
        assert 2 <= len(members) <= 4
        assert len({(job.user, job.submit_s, job.run_s, job.wall_s, job.gpu_types) for job in members}) == 1
        nodes = sum(job.nodes for job in members)
        assert nodes & (nodes - 1) == 0  # sizes and nodes are powers of two, and the gang has all that was drawn
        assert max(job.nodes for job in members) - min(job.nodes for job in members) <= 1


def test_elastic_jobs_make_checkpoints_and_have_bounds_around_what_they_ask_for():
    elastic = [job for job in varied().jobs if job.hints.nodes_min]
    assert len(elastic) > 20
    for job in elastic:
        assert 1 <= job.hints.nodes_min <= job.nodes <= job.hints.nodes_max <= 150
        assert job.checkpoint_s == 1800
        assert job.hints.preemptible
        assert not job.hints.gang


def test_hints_go_with_what_the_plan_says():
    jobs = varied().jobs
    assert all(job.hints.preemptible == (job.checkpoint_s is not None) for job in jobs)
    assert all(job.hints.preemptible for job in jobs if job.hints.pinned)
    assert any(job.hints.pinned for job in jobs)
    assert {name for job in jobs for name in job.hints.datasets} == {f"data{n}" for n in range(1, 21)}
    first = {job.hints.gang or job.number: job for job in jobs}.values()
    assert near(fmean(job.hints.urgent for job in first), 0.05, math.sqrt(0.05 * 0.95), 6000)


def test_jobs_of_one_script_are_of_one_user_and_more_alike_than_others():
    by_name = defaultdict(list)
    for job in kalos().jobs:
        if job.name.startswith("eval"):
            by_name[job.name].append(job)
    assert len(by_name) == 50
    assert all(len({(job.user, job.account, job.hints.datasets) for job in jobs}) == 1 for jobs in by_name.values())
    within = fmean(variance([math.log(job.run_s) for job in jobs]) for jobs in by_name.values())
    whole = variance([math.log(job.run_s) for jobs in by_name.values() for job in jobs])
    assert within / whole == pytest.approx(0.5, abs=0.05)


def test_the_busiest_user_submits_more_than_the_median_one():
    counts = sorted(Counter(job.user for job in kalos().jobs).values())
    assert counts[-1] > 3 * counts[len(counts) // 2]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"gangs": 1.5}, r"Expected `float` <= 1.0 - at `\$.gangs`"),
        ({"demand": math.nan}, r"at `\$.demand`"),
        ({"demand": 0.0}, r"at `\$.demand`"),
        ({"jobs": 0}, r"at `\$.jobs`"),
        ({"wave": Wave(day=2.0)}, r"at `\$.wave.day`"),
    ],
)
def test_a_plan_that_cannot_be_is_refused_by_its_field(change, words):
    with pytest.raises(Refused, match=words):
        generate(EVEN_FLEET, Plan(**{"jobs": 10, "demand": 1.0} | change), 1)


def test_a_fleet_without_gpus_is_refused():
    with pytest.raises(Refused, match="no GPU"):
        generate([SimNode(name="n")], Plan(jobs=1, demand=1.0), 1)


def test_data_sets_lie_on_as_many_nodes_as_was_said():
    nodes = with_caches((*MIXED, SimNode(name="login")), 20, 5, 1)
    counts = Counter(name for node in nodes for name in node.datasets)
    assert counts == {f"data{n}": 5 for n in range(1, 21)}
    assert nodes[-1].datasets == ()


def test_arrivals_without_a_wave_are_a_poisson_process():
    times = arrivals(20_000, 1e6, EVEN, Random(1))
    assert times == sorted(times)
    counts = Counter(int(at_s // 1e4) for at_s in times)  # 100 bins of 200 in the mean
    chi = math.fsum((counts[bin_] - 200) ** 2 / 200 for bin_ in range(100))
    assert abs(chi - 99) <= ERRORS * math.sqrt(2 * 99)
    gaps = sorted(b - a for a, b in pairwise(times))
    apart = max(abs((n + 0.5) / len(gaps) - (1 - math.exp(-gap / 50))) for n, gap in enumerate(gaps))
    assert apart < 2 / math.sqrt(len(gaps))  # Kolmogorov and Smirnov: p < 0.001 beyond 1.95


def test_arrivals_follow_the_daily_and_the_weekly_wave():
    wave = Wave(day=0.6, weekend=0.4)
    times = arrivals(20_000, 10 * WEEK_S, wave, Random(2))
    busy = 0.5 + 0.6 / math.pi  # the integral of 1 + 0.6 cos over the half day around its peak
    assert near(fmean(9 <= at_s % DAY_S / 3600 < 21 for at_s in times), busy, math.sqrt(busy * (1 - busy)), 20_000)
    weekend = 2 * 0.4 / (5 + 2 * 0.4)
    found = fmean(at_s % WEEK_S >= 5 * DAY_S for at_s in times)
    assert near(found, weekend, math.sqrt(weekend * (1 - weekend)), 20_000)


@given(st.floats(0, 1e7))
def test_a_round_limit_is_the_shortest_that_will_do(least_s):
    limit_s = round_limit(least_s)
    assert limit_s >= least_s
    shorter = [value for value in ROUND_S if value < limit_s] + [limit_s - ROUND_S[-1]]
    assert all(value < least_s for value in shorter) or limit_s == ROUND_S[0]


@pytest.mark.parametrize(
    ("least_s", "limit_s"), [(0, 300), (300, 300), (301, 600), (86_400, 86_400), (604_801, 1_209_600)]
)
def test_a_limit_that_is_round_stays_as_it_is(least_s, limit_s):
    assert round_limit(least_s) == limit_s


def test_limits_that_are_made_up_are_above_run_times_by_the_factor_of_the_model():
    jobs = tuple(SimJob(number=n, submit_s=n, run_s=1e9, wall_s=60) for n in range(4000))
    workload = overestimated(Workload(nodes=(), jobs=jobs, origin="made"), 1, factor=4.0)
    accuracy = [job.run_s / job.wall_s for job in workload.jobs]  # so long that rounding to weeks is nothing
    assert near(fmean(accuracy), math.log(5) / 4, pstdev(accuracy), 4000)
    assert workload.remarks == {"its limit was made up": 4000}


def test_the_real_fleet_gets_jobs_for_all_of_its_classes():
    nodes = load(real_trace("alibaba_v2026_spot_nodes.csv.gz")).nodes
    workload = generate(nodes, Plan(jobs=5000, demand=1.0), 1)
    assert workload.dropped == {}
    assert demand(workload) == pytest.approx(1.0)
    assert {kind for job in workload.jobs for kind in job.gpu_types} == {node.gpu_type for node in nodes}
