"""Jobs that leave so that another has room: the board, who leaves, defragmentation."""

from __future__ import annotations

from itertools import combinations, islice
from typing import Any, ClassVar

import msgspec
import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from hpcjobs.conformance import PluginConformance
from hpcjobs.model.hints import Hints
from hpcjobs.model.job import State
from hpcjobs.model.particulars import Particulars
from hpcjobs.model.partition import Partition
from hpcjobs.model.reservation import Reservation
from hpcjobs.model.steering import Requeue, Reserve
from hpcjobs.sbatch.asks import ask_of
from hpcjobs_plugins.policies import defrag
from hpcjobs_plugins.policies.board import Board
from hpcjobs_plugins.policies.moving import are_too_few, nearest, taken_off
from tests.unit.builders import node, view
from tests.unit.policy_views import NOW, PREEMPTIBLE, asking, at_work, nodes_named, running

SETTINGS = defrag.Settings()


class TestDefragConforms(PluginConformance):
    plugin = defrag.PLUGIN
    settings: ClassVar[dict[str, Any]] = {"wait_s": 0, "ran_s": 0, "soon_s": 0, "large_gpus": 2}


def room_on(job, seen):
    return Board.of(seen, seen.nodes).roomy(ask_of(job, seen))


def test_a_job_has_room_where_each_of_its_shares_fits():
    seen = at_work(running(1, "n1", 5), running(2, "n[2-3]", 8), nodes=nodes_named("n1", "n2", "n3", "n4"))
    assert room_on(asking(9, 8, 2), seen) == ["n2", "n3", "n4"]
    assert room_on(asking(9, 8, 2, cpus=100), seen) == ["n4"]
    assert room_on(asking(9, 3, mem_bytes=2**41), seen) == []
    assert room_on(asking(9, 2, kind="h100"), seen) == []
    assert room_on(asking(9, 2, kind=""), seen) == ["n1", "n2", "n3", "n4"]


@pytest.mark.parametrize(
    ("told", "where"),
    [
        ({"constraint": "ib&nvme"}, ["n2"]),
        ({"excluded_nodes": "n[1-2]"}, ["n3"]),
        ({"oversubscribe": "NO"}, ["n2", "n3"]),
    ],
)
def test_features_exclusions_and_whole_nodes_are_heeded(told, where):
    nodes = (*nodes_named("n1"), *nodes_named("n2", features=("ib", "nvme")), *nodes_named("n3", features=("ib",)))
    seen = at_work(running(1, "n1", 1), nodes=nodes)
    assert room_on(asking(9, 1, particulars=Particulars(**told)), seen) == where


def test_where_a_partition_gives_whole_nodes_a_job_takes_whole_nodes():
    seen = at_work(running(1, "n1", 1), nodes=nodes_named("n1", "n2"))
    seen = msgspec.structs.replace(seen, partitions={"gpu": Partition(name="gpu", exclusive="NODE")})
    assert room_on(asking(9, 1), seen) == ["n2"]


@pytest.mark.parametrize(
    "told", [{"required_nodes": "n1"}, {"constraint": "a|b"}, {"contiguous": True}, {"reservation": "other"}]
)
def test_a_job_that_asks_for_more_is_not_judged(told):
    assert ask_of(asking(9, 1, particulars=Particulars(**told)), at_work(nodes=())) is None


@pytest.mark.parametrize(
    ("told", "gpus", "each"),
    [
        ({"tres_per_node": "gres/gpu:8"}, {"a100": 8, "h100": 16}, {"": 8}),
        ({"tres_per_node": "gres/gpu:8"}, {"": 32}, {"": 8}),  # of a job that had four nodes and has three
        ({"tres_per_node": "gres/gpu:h100:2"}, {"h100": 6}, {"h100": 2}),
        ({"tres_per_job": "gres/gpu:24"}, {"a100": 8, "h100": 16}, {"": 8}),
        ({"tres_per_task": "gres/gpu:a100:1"}, {"a100": 9}, {"a100": 3}),
        ({}, {"a100": 6}, {"a100": 2}),
    ],
)
def test_a_job_asks_of_each_node_what_it_said_whatever_types_and_sizes_it_was_given(told, gpus, each):
    job = msgspec.structs.replace(asking(9, 8, 3, particulars=Particulars(**told)), gpus=gpus)
    assert ask_of(job, at_work(nodes=())).gpus == each


def test_what_is_about_to_end_is_as_good_as_gone():
    seen = at_work(running(1, "n1", 8, state=State.COMPLETING), nodes=nodes_named("n1"))
    assert room_on(asking(9, 8), seen) == ["n1"]


def test_of_several_gpu_types_a_job_that_names_none_takes_the_one_of_which_most_are_free():
    mixed = (node("n1", gpus={"a100": 4, "h100": 2}, gpus_alloc={}),)
    board = Board.of(at_work(nodes=mixed), ["n1"])
    board.place(ask_of(asking(1, 3, kind=""), at_work(nodes=mixed)))
    assert board.free("n1").gpus == {"a100": 1, "h100": 2}


jobs_there = st.lists(st.tuples(st.integers(0, 5), st.integers(1, 8), st.booleans(), st.booleans()), max_size=16)


@st.composite
def clusters(draw):
    """Six nodes with jobs, some on two, some of which may leave."""
    used = dict.fromkeys(range(6), 0)
    jobs, hints = [], {}
    for number, (at, gpus, wide, may_go) in enumerate(draw(jobs_there), 1):
        places = sorted({at, (at + 1) % 6}) if wide else [at]
        if any(used[place] + gpus > 8 for place in places):
            continue
        for place in places:
            used[place] += gpus
        names = ",".join(f"n{place}" for place in places)
        jobs.append(running(number, names, gpus * len(places), since_s=1000 + number))
        if may_go:
            hints[number] = PREEMPTIBLE
    return at_work(*jobs, nodes=nodes_named(*(f"n{at}" for at in range(6))), hints=hints)


def free_without(seen, gone, gpus):
    """How many nodes have so many GPUs free once some jobs are gone, counted anew from the jobs."""
    left = [job for job in seen.jobs.values() if job.slurm_job_id not in gone]
    used = {name: sum(sum(job.gpus.values()) // job.nodes for job in left if name in job.node_list.split(","))
        for name in seen.nodes}  # fmt: skip
    return sum(8 - taken >= gpus for taken in used.values())


@given(clusters(), st.integers(1, 6), st.integers(1, 8))
def test_no_more_jobs_leave_than_must_and_none_where_that_does_not_help(seen, nodes, gpus):
    ask = ask_of(asking(99, gpus * nodes, nodes), seen)
    board = Board.of(seen, seen.nodes)
    offered = [seen.jobs[number] for number in sorted(seen.hints)]
    for gone in (taken_off(ask, board.copy(), offered), taken_off(ask, board, nearest(ask, board, offered, NOW))):
        if gone is None:
            assert free_without(seen, seen.hints, gpus) < nodes
            continue
        numbers = {job.slurm_job_id for job in gone}
        assert numbers <= set(seen.hints)
        assert free_without(seen, numbers, gpus) >= nodes
        assert all(free_without(seen, numbers - {one}, gpus) < nodes for one in numbers)


@given(clusters(), st.integers(1, 6), st.integers(1, 8), st.integers(1, 3))
def test_where_so_many_jobs_are_too_few_at_a_quick_look_no_choice_of_them_makes_room(seen, nodes, gpus, most):
    offered = [seen.jobs[number] for number in seen.hints]
    few = are_too_few(ask_of(asking(99, gpus * nodes, nodes), seen), Board.of(seen, seen.nodes), offered, most)
    event(f"too few: {few}")
    if few:
        assert all(free_without(seen, gone, gpus) < nodes for gone in combinations(seen.hints, min(most, len(offered))))


def test_as_many_gpus_as_the_best_nodes_lack_are_enough_at_a_quick_look():
    seen = at_work(*HALVES, running(3, "n3", 8), nodes=nodes_named("n1", "n2", "n3"))
    ask, board = ask_of(asking(9, 16, 2), seen), Board.of(seen, seen.nodes)
    assert [are_too_few(ask, board, HALVES, most) for most in (1, 2)] == [True, False]
    share = running(4, "n1", 0)
    assert not are_too_few(ask_of(asking(9, 5), seen), board, [share], 1), "it may have part of the GPU that is lacking"


def test_the_node_that_the_fewest_have_to_leave_is_freed_and_of_such_the_one_where_least_is_lost():
    jobs = [running(1, "n1", 2, since_s=700), running(2, "n1", 2, since_s=700), running(3, "n2", 4, since_s=3000),
        running(4, "n3", 4, since_s=9000)]  # fmt: skip
    assert offered_for(asking(9, 8), jobs) == [3]


def offered_for(large, jobs, nodes=("n1", "n2", "n3")):
    seen = at_work(*jobs, nodes=nodes_named(*nodes))
    board, ask = Board.of(seen, seen.nodes), ask_of(large, seen)
    return [job.slurm_job_id for job in taken_off(ask, board, islice(nearest(ask, board, jobs, NOW), 20))]


def test_a_job_of_several_nodes_leaves_all_of_them_and_once():
    assert offered_for(asking(9, 24, 3), [running(1, "n[1-2]", 16, since_s=100), running(2, "n3", 8)]) == [1, 2]
    assert offered_for(asking(9, 16, 2), [running(1, "n[1-2]", 12), running(2, "n2", 2)], ("n1", "n2")) == [1, 2]


def test_a_node_that_the_last_job_leaves_is_empty_however_uneven_that_lay():
    (first, second) = nodes_named("n1", "n2", cpus_alloc=36)
    first = msgspec.structs.replace(first, gpus_alloc={"a100": 5})
    second = msgspec.structs.replace(second, gpus_alloc={"a100": 4})
    job = running(1, "n[1-2]", 9)
    seen = view(job, nodes=(first, second))
    board = Board.of(seen, seen.nodes)
    board.take_off(job)
    assert (board.free("n1").gpus, board.free("n1").idle) == ({"a100": 8}, True)


def test_where_a_job_is_to_come_no_other_has_the_node_for_itself():
    seen = at_work(nodes=nodes_named("n1"))
    board = Board.of(seen, seen.nodes)
    alone = ask_of(asking(2, 1, particulars=Particulars(oversubscribe="NO")), seen)
    assert board.roomy(alone) == ["n1"]
    board.place(ask_of(asking(1, 1), seen))
    assert board.roomy(alone) == []


LARGE = asking(9, 8)
HALVES = (running(1, "n1", 4, since_s=3000), running(2, "n2", 4, since_s=9000))
BOTH = {1: PREEMPTIBLE, 2: PREEMPTIBLE}
NODES = nodes_named("n1", "n2")
NAME = "hpcjobs_defrag_9_0"


def wanted(*jobs, hints=None, nodes=NODES, reservations=(), settings=SETTINGS):
    seen = at_work(*jobs, nodes=nodes, hints=BOTH if hints is None else hints, reservations=reservations)
    return list(defrag.tick(settings, seen, NOW))


def reserved(*names, start=NOW - 10):
    return Reservation(NAME, names, int(start), int(NOW) + 600, ("alice",))


def test_a_large_job_has_nodes_reserved_where_the_least_is_lost_before_anything_is_moved():
    (only,) = wanted(*HALVES, LARGE)
    assert isinstance(only, Reserve)
    assert (only.name, only.nodes, only.jobs) == (NAME, ("n1",), (9,))


def test_jobs_are_moved_once_the_large_one_is_in_its_reservation():
    (keep,) = wanted(*HALVES, LARGE, reservations=(reserved("n1"),))
    assert isinstance(keep, Reserve)
    inside = asking(9, 8, particulars=Particulars(reservation=NAME))
    (keep,) = wanted(*HALVES, inside, reservations=(reserved("n1", start=NOW + 5),))
    assert isinstance(keep, Reserve)
    keep, move = wanted(*HALVES, inside, reservations=(reserved("n1"),))
    assert isinstance(keep, Reserve)
    assert isinstance(move, Requeue)
    assert move.job == 1


def test_when_the_room_is_there_it_is_kept_until_the_large_job_runs():
    inside = asking(9, 8, particulars=Particulars(reservation=NAME))
    (keep,) = wanted(HALVES[1], inside, reservations=(reserved("n1"),))
    assert isinstance(keep, Reserve)
    started = running(9, "n1", 8, particulars=Particulars(reservation=NAME))
    assert wanted(HALVES[1], started, reservations=(reserved("n1"),)) == []


def test_what_is_kept_in_vain_is_given_back():
    inside = asking(9, 8, particulars=Particulars(reservation=NAME))
    long_ago = reserved("n1", start=NOW - SETTINGS.patience_s - 1)
    assert wanted(*HALVES, inside, reservations=(long_ago,)) == []
    down = (*nodes_named("n1", usable=False), *nodes_named("n2"))
    assert wanted(*HALVES, inside, reservations=(reserved("n1"),), nodes=down) == []
    assert wanted(*HALVES, inside, reservations=(reserved("n1"),), hints={}) == []


@pytest.mark.parametrize(
    "hints", [{}, {1: Hints(preemptible=True, pinned=True)}, {1: Hints(preemptible=True, gang="g", gang_size=2)}]
)
def test_jobs_that_are_pinned_or_of_a_gang_or_have_not_said_that_they_may_be_moved_stay(hints):
    assert wanted(*HALVES, LARGE, hints=hints) == []


def test_a_job_that_has_just_begun_or_cannot_be_requeued_stays():
    fresh = running(1, "n1", 4, since_s=10)
    never = running(2, "n2", 4, particulars=Particulars(requeue=False))
    assert wanted(fresh, never, LARGE) == []


def test_nothing_is_moved_where_it_would_find_no_room_elsewhere():
    assert wanted(running(1, "n1", 5), running(2, "n2", 5), LARGE) == []  # 6 are free: not enough
    three = nodes_named("n1", "n2", "n3")
    crowded = [running(1, "n1", 6), running(2, "n2", 4), running(3, "n3", 6)]
    assert wanted(*crowded, LARGE, nodes=three, hints={1: PREEMPTIBLE}) == []  # 8 are free, and no 6 of them together


@pytest.mark.parametrize(
    "large",
    [
        asking(9, 8, reason="QOSMaxGRESPerUser"),
        asking(9, 8, eligible_time=int(NOW) - 10),
        asking(9, 8, eligible_time=int(NOW) + 60),
        asking(9, 7),
        asking(9, 8, array_job_id=9),
        asking(9, 8, kind="h100"),
    ],
)
def test_nothing_is_moved_for_a_job_that_waits_for_something_else_or_not_for_long_or_is_small(large):
    assert wanted(*HALVES, large) == []


def test_members_of_gangs_are_the_matter_of_their_policy():
    assert wanted(*HALVES, LARGE, hints={**BOTH, 9: Hints(gang="g", gang_size=2)}) == []


def test_nothing_is_moved_where_the_room_comes_by_itself_soon():
    soon = running(2, "n2", 4, end_time=int(NOW) + 300)
    assert wanted(HALVES[0], soon, LARGE) == []


def test_only_so_many_jobs_are_moved_within_an_hour():
    moved = [running(number, "n3", 1, restarts=1, submit_time=int(NOW) - 1800) for number in (11, 12)]
    hints = {**BOTH, 11: PREEMPTIBLE, 12: PREEMPTIBLE}
    three = nodes_named("n1", "n2", "n3")
    jobs = (*HALVES, *moved, running(13, "n3", 1), LARGE)
    assert wanted(*jobs, hints=hints, nodes=three, settings=defrag.Settings(per_hour=3)) != []
    assert wanted(*jobs, hints=hints, nodes=three, settings=defrag.Settings(per_hour=2)) == []


def test_one_large_job_at_a_time():
    second = asking(10, 8, priority=500)
    inside = asking(9, 8, particulars=Particulars(reservation=NAME))
    jobs = wanted(*HALVES, inside, second, reservations=(reserved("n1"),))
    assert {one.job if isinstance(one, Requeue) else one.jobs for one in jobs} == {1, (9,)}
    (only,) = wanted(*HALVES, LARGE, second)
    assert only.jobs == (10,)  # that of the highest priority first
    hopeless = asking(10, 16, 2, priority=500)
    (only,) = wanted(*HALVES, LARGE, hopeless)
    assert only.jobs == (9,)  # unless moving does not help it
    assert wanted(*HALVES, LARGE, hopeless, settings=defrag.Settings(ahead=1)) == []


def test_other_reservations_are_left_alone():
    other = Reservation("maintenance", ("n1",), int(NOW), int(NOW) + 600, ("root",))
    assert wanted(*HALVES, LARGE, reservations=(other,)) == []  # and job 2 alone would have to go to n1


def carried_out(seen, actions):
    """What Slurm makes of it: reservations come to be, jobs are put into them, requeued ones lie waiting."""
    jobs, there = dict(seen.jobs), {}
    for one in actions:
        if isinstance(one, Reserve):
            before = seen.reservations.get(one.name)
            start = before.start if before else int(NOW)
            there[one.name] = Reservation(one.name, one.nodes, start, int(one.end), ("alice",))
            for number in one.jobs if before else ():
                told = Particulars(reservation=one.name)
                jobs[number] = msgspec.structs.replace(jobs[number], particulars=told)
        if isinstance(one, Requeue):
            moved = asking(one.job, sum(jobs[one.job].gpus.values()), jobs[one.job].nodes, restarts=1)
            jobs[one.job] = msgspec.structs.replace(moved, submit_time=int(NOW))
    nodes, all_there = tuple(seen.nodes.values()), tuple(there.values())
    return at_work(*jobs.values(), nodes=nodes, hints=seen.hints, reservations=all_there)


def fit_together(jobs, free):
    """Whether jobs have room on nodes with so many free GPUs, by trying everything."""
    if not jobs:
        return True
    each = sum(jobs[0].gpus.values()) // jobs[0].nodes
    good = [name for name in free if free[name] >= each]
    return any(
        fit_together(jobs[1:], {name: left - each * (name in names) for name, left in free.items()})
        for names in combinations(good, jobs[0].nodes)
    )


LAYOUTS = st.lists(st.integers(1, 7), min_size=4, max_size=6)


@given(LAYOUTS, st.integers(1, 2), st.integers(0, 2))
def test_carried_out_it_makes_room_for_the_large_job_and_for_all_that_it_moves(used, nodes, pinned):
    jobs = [running(at + 1, f"n{at}", gpus, since_s=1000 + at) for at, gpus in enumerate(used)]
    hints = {job.slurm_job_id: PREEMPTIBLE for job in jobs[pinned:]}
    there = nodes_named(*(f"n{at}" for at in range(len(used))))
    seen = at_work(*jobs, asking(99, 8 * nodes, nodes), nodes=there, hints=hints)
    first = list(defrag.tick(SETTINGS, seen, NOW))
    free = {name: 8 - node.gpus_alloc["a100"] for name, node in seen.nodes.items()}
    event(f"room is made: {bool(first)}")
    if not first:
        for gone in combinations(jobs[pinned:], nodes):  # no other job could have been moved either
            left = {name: free[name] for name in free if name not in {job.node_list for job in gone}}
            assert not fit_together(gone, left) or nodes > 1
        return
    for _ in range(3):
        seen = carried_out(seen, defrag.tick(SETTINGS, seen, NOW))
    moved = [job for job in seen.jobs.values() if job.restarts]
    assert len(moved) == nodes
    assert {job.slurm_job_id for job in moved} <= set(hints)
    assert all(seen.nodes[name].gpus_alloc == {"a100": 0} for name in first[0].nodes)
    assert fit_together(moved, {name: left for name, left in free.items() if name not in first[0].nodes})
    assert [type(one) for one in defrag.tick(SETTINGS, seen, NOW)] == [Reserve]
