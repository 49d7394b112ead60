"""Gangs start together or not at all."""

from __future__ import annotations

import msgspec
import pytest

from hpcjobs.conformance import PluginConformance
from hpcjobs.errors import Refusal
from hpcjobs.model.hints import Hints
from hpcjobs.model.job import State
from hpcjobs.model.particulars import Particulars
from hpcjobs.model.reservation import Reservation
from hpcjobs.model.spec import Resources
from hpcjobs.model.steering import Hold, Prefer, Requeue, Reserve, Start
from hpcjobs.plugin import Context
from hpcjobs_plugins.policies import gang
from tests.unit.builders import node, record, spec, view

NOW = 10_000.0
SETTINGS = gang.Settings(heal_s=100.0, window_s=600.0)
NODES = tuple(node(f"n{number}") for number in range(1, 7))
PAIR = Hints(gang="pair", gang_size=2)


class TestGangConforms(PluginConformance):
    plugin = gang.PLUGIN


def member(number, nodes=2, **facts):
    given = {"nodes": nodes, "cpus": 64 * nodes, "gpus": {"a100": 8 * nodes}, "wall_s": 3600, "partition": "gpu"}
    given["submit_time"] = int(NOW) - 60
    return record(number, **{**given, **facts})


def seen(*jobs, nodes=NODES, reservations=(), hints=PAIR):
    hinted = {job.slurm_job_id: hints for job in jobs if job.slurm_job_id < 100}
    there = {one.name: one for one in reservations}
    return msgspec.structs.replace(view(*jobs, nodes=nodes), hints=hinted, reservations=there)


def wanted(*jobs, **more):
    return list(gang.tick(SETTINGS, seen(*jobs, **more), NOW))


def started(number, names, **facts):
    given = {"state": State.RUNNING, "node_list": names, "start_time": int(NOW) - 10, "end_time": int(NOW) + 3000}
    return member(number, **{**given, **facts})


def busy(*names):
    return tuple(
        msgspec.structs.replace(one, cpus_alloc=64, gpus_alloc={"a100": 8}) if one.name in names else one
        for one in NODES
    )


def inside(number, **facts):
    return member(number, particulars=Particulars(reservation="hpcjobs_gang_1_0"), **facts)


def reservation(*names, start=NOW - 5, end=NOW + 600):
    return Reservation("hpcjobs_gang_1_0", names, int(start), int(end), ("alice",))


def test_as_long_as_members_are_missing_nothing_is_wanted():
    assert wanted(member(1)) == []


def test_a_complete_gang_has_nodes_reserved_for_all_its_members_at_once():
    (only,) = wanted(member(1), member(2))
    assert isinstance(only, Reserve)
    assert (only.name, only.nodes, only.start, only.jobs) == ("hpcjobs_gang_1_0", ("n1", "n2", "n3", "n4"), 0.0, (1, 2))


def test_the_reservation_begins_when_the_last_of_its_nodes_is_free():
    others = [
        started(101, "n1", nodes=1, end_time=int(NOW) + 500),
        started(102, "n[2-3]", end_time=int(NOW) + 200),
    ]
    (only,) = wanted(member(1), member(2), *others, nodes=busy("n1", "n2", "n3"))
    assert isinstance(only, Reserve)
    assert (only.nodes, only.start) == (("n2", "n4", "n5", "n6"), NOW + 200)


def test_members_start_when_all_are_inside_and_all_nodes_are_idle():
    there = reservation("n1", "n2", "n3", "n4")
    jobs = (inside(1), inside(2))
    kinds = [type(one) for one in wanted(*jobs, reservations=[there])]
    assert kinds == [Reserve, Start, Start]
    assert [type(one) for one in wanted(*jobs, reservations=[there], nodes=busy("n3"))] == [Reserve]
    assert [type(one) for one in wanted(inside(1), member(2), reservations=[there])] != kinds
    later = reservation("n1", "n2", "n3", "n4", start=NOW + 30)
    assert [type(one) for one in wanted(*jobs, reservations=[later])] == [Reserve]


def test_a_reservation_with_a_node_that_fails_gets_other_nodes():
    down = tuple(msgspec.structs.replace(one, usable=one.name != "n2") for one in NODES)
    (only,) = wanted(inside(1), inside(2), reservations=[reservation("n1", "n2", "n3", "n4")], nodes=down)
    assert isinstance(only, Reserve)
    assert only.nodes == ("n1", "n3", "n4", "n5")


def test_a_reservation_stays_from_tick_to_tick_and_is_prolonged_only_in_time():
    first = wanted(inside(1), inside(2), reservations=[reservation("n1", "n2", "n3", "n6", end=NOW + 500)])[0]
    assert (first.nodes, first.end) == (("n1", "n2", "n3", "n6"), NOW + 500)
    late = wanted(inside(1), inside(2), reservations=[reservation("n1", "n2", "n3", "n6", end=NOW + 100)])[0]
    assert NOW + 600 <= late.end < NOW + 660


def test_two_gangs_never_have_a_node_in_common_and_one_that_does_not_fit_has_nothing():
    jobs = [member(number, nodes=1) for number in (1, 2)] + [member(number) for number in (3, 4)]
    hints = {1: PAIR, 2: PAIR, 3: Hints(gang="big", gang_size=2), 4: Hints(gang="big", gang_size=2)}
    both = msgspec.structs.replace(view(*jobs, nodes=NODES), hints=hints)
    first, second = gang.tick(SETTINGS, both, NOW)
    assert not {*first.nodes} & {*second.nodes}
    jobs[2:] = [member(3, nodes=3), member(4, nodes=2)]
    (only,) = gang.tick(SETTINGS, msgspec.structs.replace(both, jobs={job.slurm_job_id: job for job in jobs}), NOW)
    assert only.jobs == (1, 2)


def test_a_gang_that_can_never_fit_keeps_nothing_from_others():
    assert wanted(member(1, nodes=4), member(2, nodes=4)) == []


def test_a_member_that_lost_its_node_starts_before_all_others_and_after_a_while_all_start_anew():
    left = started(1, "n[1-2]")
    lost = member(2, restarts=1, submit_time=int(NOW) - 5)
    prefer, start = wanted(left, lost)
    assert isinstance(prefer, Prefer)
    assert isinstance(start, Start)
    assert (prefer.job, start.job) == (2, 2)
    long_ago = {"start_time": int(NOW) - 500}
    requeue, *held = wanted(started(1, "n[1-2]", **long_ago), member(2, restarts=1, submit_time=int(NOW) - 200))
    assert isinstance(requeue, Requeue)
    assert requeue.job == 1
    assert [(type(one), one.job) for one in held] == [(Hold, 1), (Hold, 2)]


def test_members_that_were_requeued_are_held_until_all_can_start():
    jobs = [member(number, restarts=1, state=State.HELD) for number in (1, 2)]
    kinds = [type(one) for one in wanted(*jobs)]
    assert kinds == [Reserve, Hold, Hold]


def test_a_gang_all_of_which_runs_wants_nothing_and_its_reservation_goes():
    there = reservation("n1", "n2", "n3", "n4")
    jobs = [started(1, "n[1-2]"), started(2, "n[3-4]")]
    assert wanted(*jobs, reservations=[there]) == []


def test_a_name_that_is_used_again_is_another_gang():
    jobs = [started(1, "n[1-2]"), started(2, "n[3-4]"), member(3, nodes=1), member(4, nodes=1)]
    (only,) = wanted(*jobs, nodes=busy("n1", "n2", "n3", "n4"))
    assert isinstance(only, Reserve)
    assert only.jobs == (3, 4)


def test_while_its_last_members_start_a_gang_keeps_its_reservation():
    there = reservation("n1", "n2", "n3", "n4")
    left = started(1, "n[1-2]", particulars=Particulars(reservation="hpcjobs_gang_1_0"))
    reserve, prefer, start = wanted(left, inside(2), reservations=[there], nodes=busy("n1", "n2"))
    assert isinstance(reserve, Reserve)
    assert (reserve.name, reserve.nodes, reserve.jobs) == ("hpcjobs_gang_1_0", there.nodes, (1, 2))
    assert isinstance(start, Start)
    assert (prefer.job, start.job) == (2, 2)


def test_a_member_without_a_place_is_of_no_gang_that_runs():
    jobs = [started(1, "n[1-2]"), member(3, nodes=1)]
    assert wanted(*jobs, nodes=busy("n1", "n2")) == []


def test_members_of_one_user_do_not_complete_the_gang_of_another():
    assert wanted(member(1), member(2, user="bob")) == []


def test_a_member_is_admitted_to_wait_and_judged_again_stays_as_it_is():
    context = Context("alice", "big", NOW)
    passed = gang.admit(spec(hints=PAIR), context)
    assert passed.begin == gang.FAR
    assert gang.admit(passed, context) == passed
    assert gang.admit(spec(begin="now+1hour"), context).begin == "now+1hour"


@pytest.mark.parametrize("fields", [{"begin": "now+1hour"}, {"array": "0-3"}])
def test_a_member_has_no_start_of_its_own(fields):
    refused = gang.admit(spec(hints=PAIR, **fields), Context("alice", "big", NOW))
    assert isinstance(refused, Refusal)
    assert refused.field in fields


@pytest.mark.parametrize("field", ["nodelist", "contiguous", "segment", "licenses", "constraint"])
def test_a_member_for_which_no_nodes_can_be_kept_is_refused(field):
    value = {"nodelist": "n1", "contiguous": True, "segment": 2, "licenses": "matlab:1", "constraint": "new|newer"}[
        field
    ]
    context = Context("alice", "big", NOW)
    refused = gang.admit(spec(hints=PAIR, resources=Resources(**{field: value})), context)
    assert isinstance(refused, Refusal)
    assert (refused.field, refused.code) == (f"resources.{field}", "gang-nodes")
    assert gang.admit(spec(resources=Resources(**{field: value})), context).begin is None
    assert gang.admit(spec(hints=PAIR, resources=Resources(constraint="new&fast")), context).begin == gang.FAR


@pytest.mark.parametrize(
    ("asked", "given"),
    [
        ({"gpus": 16, "nodes": 2}, {"gpus_per_node": "8", "nodes": 2}),
        ({"gpus": "a100:4,h100:2", "nodes": 2, "nodes_max": 2}, {"gpus_per_node": "a100:2,h100:1", "nodes": 2}),
        ({"gpus": 8}, {"gpus_per_node": "8", "nodes": 1}),
        ({"gpus": 8, "ntasks": 1}, {"gpus_per_node": "8", "nodes": 1}),
        ({"gpus_per_node": 8}, {"gpus_per_node": 8, "nodes": None}),
    ],
)
def test_gpus_of_a_whole_member_are_asked_of_each_node(asked, given):
    passed = gang.admit(spec(hints=PAIR, resources=Resources(**asked)), Context("alice", "big", NOW))
    assert passed.resources.gpus is None
    assert {field: getattr(passed.resources, field) for field in given} == given
    assert gang.admit(passed, Context("alice", "big", NOW)) == passed


@pytest.mark.parametrize("asked", [{"nodes": 3}, {"ntasks": 8}, {"nodes": 1, "nodes_max": 2}, {"node_counts": "1,2"}])
def test_gpus_of_a_whole_member_that_cannot_be_even_are_refused(asked):
    refused = gang.admit(spec(hints=PAIR, resources=Resources(gpus=8, **asked)), Context("alice", "big", NOW))
    assert isinstance(refused, Refusal)
    assert (refused.field, refused.code) == ("resources.gpus", "gang-gpus")
    assert gang.admit(spec(resources=Resources(gpus=8, **asked)), Context("alice", "big", NOW)).resources.gpus == 8
