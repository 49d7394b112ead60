"""Gangs give back what they hold when they are late, and none starts in part."""

from __future__ import annotations

import msgspec

from hpcjobs.model.hints import Hints
from hpcjobs.model.job import State
from hpcjobs.model.particulars import Particulars
from hpcjobs.model.reservation import Reservation
from hpcjobs.model.steering import Hold, Prefer, Requeue, Reserve, Start
from hpcjobs_plugins.policies import gang
from tests.unit.builders import finished
from tests.unit.test_policy_gang import NOW, busy, inside, member, reservation, seen, started

SETTINGS = gang.Settings(deadline_s=1000.0, patience_s=200.0, heal_s=100.0, window_s=600.0)
TRIO = Hints(gang="trio", gang_size=3)
FULL = ("n1", "n2", "n3", "n4")


def wanted(*jobs, settings=SETTINGS, **more):
    return list(gang.tick(settings, seen(*jobs, **more), NOW))


def kinds(said):
    return [type(one) for one in said]


def ago(seconds):
    return {"submit_time": int(NOW) - seconds}


def waits_for_room(number, nodes):
    return member(number, nodes=nodes, reason="Resources", eligible_time=int(NOW) - 900, priority=5)


def test_a_gang_that_lacks_members_at_its_deadline_is_told_so_and_holds_nothing():
    assert wanted(member(1, **ago(990))) == []
    (told,) = wanted(member(1, **ago(1010)))
    assert isinstance(told, Prefer)
    assert "1 of its gang had not come" in told.why


def test_a_gang_that_becomes_whole_after_a_deadline_is_counted_from_then():
    said = wanted(member(1, **ago(5000)), member(2, **ago(10)))
    assert kinds(said) == [Reserve]


def test_what_has_not_started_by_its_deadline_gives_its_nodes_back_and_then_waits_on():
    late = [inside(number, **ago(1010)) for number in (1, 2)]
    there = reservation(*FULL, start=NOW + 50)
    assert kinds(wanted(*late, reservations=[there])) == [Prefer, Prefer], "it wishes the reservation no more"
    again = [member(number, **ago(1012)) for number in (1, 2)]
    kept, *told = wanted(*again)
    assert kept.name == "hpcjobs_gang_1_0_1"
    assert kinds(told) == [Prefer, Prefer]
    assert "deadline of 1000 s" in told[0].why
    renamed = Particulars(reservation=kept.name)
    placed = [msgspec.structs.replace(job, particulars=renamed) for job in again]
    ready = msgspec.structs.replace(reservation(*FULL), name=kept.name)
    assert kinds(wanted(*placed, reservations=[ready])) == [Reserve, Start, Start, Prefer, Prefer]


def test_a_deadline_takes_no_nodes_from_a_gang_that_is_about_to_start():
    late = [inside(number, **ago(1010)) for number in (1, 2)]
    assert kinds(wanted(*late, reservations=[reservation(*FULL, start=NOW - 5)])) == [Reserve, Start, Start]
    assert kinds(wanted(*late, reservations=[reservation(*FULL, start=NOW - 500)])) == [Prefer, Prefer]


def test_a_gang_that_is_late_comes_after_the_others():
    old = [member(number, **ago(1500)) for number in (1, 2)]
    new = [member(number) for number in (3, 4)]
    hints = {number: Hints(gang="old" if number < 3 else "new", gang_size=2) for number in (1, 2, 3, 4)}
    both = msgspec.structs.replace(seen(*old, *new), hints=hints)
    reserved = [one for one in gang.tick(SETTINGS, both, NOW) if isinstance(one, Reserve)]
    assert [one.jobs for one in reserved] == [(3, 4)], "six nodes are too few for both"


def test_nodes_that_stand_idle_for_others_longer_than_its_patience_are_given_back():
    late = [inside(number, **ago(500)) for number in (1, 2)]
    there = reservation(*FULL, start=NOW - 250)
    some = busy("n3")
    assert kinds(wanted(*late, reservations=[there], nodes=some)) == [Reserve], "nobody else wants them"
    others = waits_for_room(101, 4)
    said = wanted(*late, others, reservations=[there], nodes=some)
    assert kinds(said) == [Prefer, Prefer]
    assert "left idle nodes to others after 200 s" in said[0].why
    patient = reservation(*FULL, start=NOW - 150)
    assert kinds(wanted(*late, others, reservations=[patient], nodes=some)) == [Reserve]
    assert kinds(wanted(*late, waits_for_room(101, 2), reservations=[there], nodes=some)) == [Reserve], (
        "n5 and n6 are idle and nobody's"
    )


def test_what_it_gave_back_it_does_not_take_again_before_the_others():
    late = [member(number, **ago(500)) for number in (1, 2)]
    runs = started(102, "n3", nodes=1, end_time=int(NOW) + 300)
    said = wanted(*late, waits_for_room(101, 4), runs, nodes=busy("n3"))
    assert kinds(said) == [Prefer, Prefer]
    (kept,) = wanted(*late, runs, nodes=busy("n3"))
    assert isinstance(kept, Reserve)


def test_a_gang_of_which_a_member_is_cancelled_before_it_began_does_not_start_in_part():
    there = reservation(*FULL)
    assert wanted(inside(1), reservations=[there]) == []
    cancelled = finished(2, submit_time=int(NOW) - 60)
    assert wanted(inside(1), cancelled, reservations=[there]) == []


def test_who_comes_for_one_that_was_cancelled_makes_the_gang_whole_again():
    kept = wanted(inside(1), member(3), reservations=[reservation(*FULL)])[0]
    assert isinstance(kept, Reserve)
    assert kept.jobs == (1, 3)


def test_who_comes_after_the_first_have_begun_or_ended_does_not_count_as_one_of_them():
    ran = finished(1, node_list="n[1-2]", start_time=int(NOW) - 50, particulars=inside(1).particulars)
    assert wanted(ran, started(2, "n[3-4]"), member(3), hints=TRIO) == []
    requeued = member(1, restarts=1)
    said = wanted(requeued, member(3), member(4), hints=TRIO)
    assert {one.job for one in said if not isinstance(one, Reserve)} <= {1}


def test_a_member_whose_others_have_begun_and_ended_still_starts():
    ran = finished(1, node_list="n[1-2]", start_time=int(NOW) - 50, particulars=inside(1).particulars)
    assert kinds(wanted(ran, inside(2), reservations=[reservation(*FULL)])) == [Reserve, Start]


def test_a_member_that_its_owner_holds_keeps_the_others_from_starting():
    held = inside(2, state=State.HELD)
    assert wanted(inside(1), held, reservations=[reservation(*FULL)]) == []


def test_a_node_that_fails_while_members_start_does_not_part_them():
    left = started(1, "n[1-2]", particulars=inside(1).particulars)
    down = tuple(msgspec.structs.replace(one, usable=one.name != "n3") for one in busy("n1", "n2"))
    kept, *rest = wanted(left, inside(2), reservations=[reservation(*FULL)], nodes=down)
    assert isinstance(kept, Reserve)
    assert kept.jobs == (1, 2)
    assert "n3" not in kept.nodes
    assert kinds(rest) == [Prefer, Start]
    none_left = tuple(msgspec.structs.replace(one, usable=one.name == "n1") for one in busy("n1", "n2"))
    kept = wanted(left, inside(2), reservations=[reservation(*FULL)], nodes=none_left)[0]
    assert isinstance(kept, Reserve)
    assert kept.nodes == FULL, "as it is: it says whose member the second is"
    long_ago = started(1, "n[1-2]", start_time=int(NOW) - 500, particulars=inside(1).particulars)
    said = wanted(long_ago, inside(2), reservations=[reservation(*FULL)], nodes=none_left)
    assert kinds(said) == [Reserve, Requeue, Hold, Hold]


def test_a_member_in_a_reservation_of_its_owners_is_no_obstacle():
    own = Particulars(reservation="maint")
    jobs = [member(1, particulars=own), member(2)]
    maint = Reservation("maint", ("n6",), int(NOW) - 5, int(NOW) + 600, ("alice",))
    assert kinds(wanted(*jobs, reservations=[maint])) == [Reserve]
