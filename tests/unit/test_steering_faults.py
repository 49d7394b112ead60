"""One fault each: what is killed, lost, late or missing, and what comes of what policies have changed."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from hpcjobs.errors import HpcjobsError
from hpcjobs.model.cluster import ClusterView
from hpcjobs.model.event import EventKind
from hpcjobs.model.job import State
from hpcjobs.model.order import Changes, Order, Verb
from hpcjobs.model.reservation import ReservationOrder, ReservationVerb
from hpcjobs.model.steering import Avoid, Drain, Hold, Prefer, Requeue, Reserve, Weigh
from hpcjobs.store import events
from tests.unit.steering_killed import Service


@pytest.fixture
async def service(empty_database, tmp_path):
    service = Service(empty_database, tmp_path)
    for _ in range(3):
        await service.submit()
    await service.turn()
    yield service
    service.close()


def job(service, number):
    return service.slurm._jobs[number].record


async def refusals(service):
    found = await service.store.read(events.stretch, events.EventFilter(kinds=(EventKind.POLICY_ACTION,)), 0, 1000)
    return [one for one in found.events if one.data.get("state") == "refused"]


async def test_a_job_that_is_missing_from_a_listing_is_put_right_when_it_is_back(service):
    service.says = [Prefer(2, 5, "p")]
    await service.rest()
    service.slurm.hidden, service.says = {2}, ()
    await service.turn()
    service.start()
    await service.turn()
    service.slurm.hidden = set()
    await service.rest()
    assert job(service, 2).particulars.nice == 0


async def test_a_job_that_has_ended_and_is_requeued_by_its_owner_is_as_he_asked_for_it(service):
    service.says = [Prefer(2, 5, "p")]
    await service.rest()
    await service.slurm.person(Order(Verb.CANCEL, "2"))
    service.says = ()
    await service.rest()
    await service.slurm.person(Order(Verb.REQUEUE, "2"))
    await service.rest()
    assert (job(service, 2).state, job(service, 2).particulars.nice) == (State.PENDING, 0)


async def test_a_job_that_has_ended_and_is_listed_no_more_is_forgotten(service):
    service.says = [Prefer(2, 5, "p")]
    await service.rest()
    assert service.runner.shown().steered_jobs == 1
    await service.slurm.person(Order(Verb.CANCEL, "2"))
    await service.turn()
    assert service.runner._rows, "its owner may requeue it"
    assert service.runner.shown().steered_jobs == 0
    service.slurm.hidden = {2}
    await service.turn()
    assert not service.runner._rows


@pytest.mark.parametrize("mishap", ["killed after", "lost after", "late"])
async def test_what_follows_a_requeue_is_done_by_whoever_comes_after(service, mishap):
    service.says = [Requeue(1, "It grows.", nodes=2, avoid=("n3",))]
    await service.turn(mishap)
    assert mishap == "late" or job(service, 1).restarts == 1
    service.on = False
    service.start()
    await service.turn()
    await service.turn()
    own = job(service, 1)
    assert (own.restarts, own.nodes, own.particulars.excluded_nodes, own.eligible_time) == (1, 2, "n3", 0)


@pytest.mark.parametrize("mishap", ["killed before", "lost before", "away"])
async def test_a_requeue_that_was_not_done_leaves_nothing_behind(service, mishap):
    service.says = [Requeue(1, "It grows.", nodes=2, avoid=("n3",))]
    await service.turn(mishap)
    service.says = ()
    await service.turn(seconds=40.0)
    await service.slurm.person(Order(Verb.REQUEUE, "1"))
    await service.rest()
    assert (job(service, 1).nodes, job(service, 1).particulars.excluded_nodes) == (3, "")
    assert not service.runner._rows


async def test_a_requeue_is_not_ordered_again_while_nobody_knows_whether_it_was_done(service):
    service.says = [Requeue(1, "It grows.", nodes=2)]
    await service.turn("killed before")
    await service.turn()
    assert len(service.slurm.given) == 1


async def test_a_requeue_that_came_late_in_a_slow_turn_and_whose_answer_was_lost_is_not_given_up(service, monkeypatch):
    clock = SimpleNamespace(s=0.0)
    befalls = service.slurm._befalls

    async def slowly(order, does):
        clock.s += 31.0
        await befalls(order, does)

    monkeypatch.setattr(service.slurm, "_befalls", slowly)
    for module in ("acts", "runner"):
        monkeypatch.setattr(f"hpcjobs.steering.{module}.time", SimpleNamespace(monotonic=lambda: clock.s))
    service.says = [Drain(("n5",), "bad"), Requeue(1, "It grows.", nodes=2)]
    await service.turn(None, "late")
    service.says = ()
    await service.turn(seconds=63.0)
    assert job(service, 1).restarts == 1
    await service.turn()
    assert job(service, 1).nodes == 2


async def test_when_nobody_answers_an_order_no_other_is_given_in_that_turn(service):
    service.says = [Prefer(2, 5, "p"), Prefer(3, 5, "p"), Weigh(("n4",), 7, "w"), Drain(("n5",), "bad")]
    for mishap in ("away", "lost before"):
        service.slurm.given.clear()
        await service.turn(mishap)
        assert len(service.slurm.given) == 1, mishap
        assert len(service.runner.shown().troubles) == 1
    await service.turn()
    nodes = (await service.slurm.view(service.now)).nodes
    assert [job(service, number).particulars.nice for number in (2, 3)] == [-5, -5]
    assert (nodes["n4"].particulars.weight, nodes["n5"].usable) == (8, False)


async def test_an_act_that_is_never_answered_keeps_no_other_waiting(service):
    service.says = [Drain(("n4",), "bad"), Drain(("n5",), "bad")]
    await service.turn("lost before")
    await service.turn(None, "lost before")
    nodes = (await service.slurm.view(service.now)).nodes
    assert [nodes[name].usable for name in ("n4", "n5")] == [True, False]


async def test_of_a_listing_that_was_made_while_an_order_was_under_way_nothing_is_concluded(service):
    service.says = [Prefer(2, 5, "p")]
    await service.turn("listed")
    assert job(service, 2).particulars.nice == -5
    service.slurm.given.clear()
    await service.turn(seconds=2.0, listed=False)
    assert service.slurm.given == [], "the listing shows what was before the order"


async def test_an_order_that_comes_after_its_wish_was_withdrawn_is_taken_back(service):
    service.says = [Prefer(2, 5, "p")]
    await service.turn("late")
    service.says = ()
    await service.turn()
    assert job(service, 2).particulars.nice == 0


async def test_of_several_orders_whose_fate_is_unknown_none_is_taken_for_a_persons_change(service):
    for points in (1, 2, 3):
        service.says = [Prefer(2, points, "p")]
        await service.turn("late" if points == 1 else "lost before", "lost before")
        service.start()
        if points == 1:
            first, service.slurm.late = service.slurm.late, []
    for does in first:  # it was under way all the time
        await does()
    assert job(service, 2).particulars.nice == -1
    service.on = False
    await service.rest()
    assert job(service, 2).particulars.nice == 0


async def test_what_passes_is_tried_soon_and_no_event_and_what_slurm_refuses_later_and_one(service):
    service.says = [Prefer(2, 5, "p")]
    await service.turn("away")
    assert (len(service.runner.shown().troubles), await refusals(service)) == (1, [])
    await service.turn("refused")
    assert len(service.slurm.given) == 2
    assert len(await refusals(service)) == 1
    await service.turn()
    assert len(service.slurm.given) == 2, "it was refused less than a minute ago"
    await service.turn(seconds=60.0)
    assert job(service, 2).particulars.nice == -5


async def test_one_order_that_goes_wrong_keeps_no_other_from_being_given(service):
    service.says = [Prefer(2, 5, "p"), Prefer(3, 5, "p")]
    await service.turn("bug")
    assert [job(service, number).particulars.nice for number in (2, 3)] == [0, -5]
    await service.turn(seconds=61.0)
    assert job(service, 2).particulars.nice == -5


async def test_a_policy_that_never_speaks_after_a_start_holds_up_the_others_no_longer_than_three_turns(service):
    service.says = [Prefer(2, 5, "p")]
    await service.rest()
    service.start()
    service.says = None
    for _ in range(2):
        await service.turn()
        assert job(service, 2).particulars.nice == -5, "it may wish this still"
    await service.turn()
    assert job(service, 2).particulars.nice == 0


async def test_a_node_that_is_not_there_does_not_keep_the_other_wishes_of_a_job(service):
    service.says = [Avoid(2, ("n1", "gone"), "a"), Prefer(2, 5, "p")]
    await service.turn()
    assert (job(service, 2).particulars.excluded_nodes, job(service, 2).particulars.nice) == ("n1", -5)


async def test_no_job_is_put_into_a_reservation_of_somebody_else(service):
    theirs = ReservationOrder(ReservationVerb.MAKE, "hpcjobs_r", ("n1",), 3 * 10**9, 3 * 10**9 + 9, ("alice",))
    await service.slurm.person(theirs)
    service.says = [Reserve("hpcjobs_r", ("n1",), 3e9, 3e9 + 9, (2,), "r"), Hold(2, "h")]
    await service.rest()
    assert (job(service, 2).particulars.reservation, job(service, 2).state) == ("", State.HELD)
    service.on = False
    await service.rest()
    assert "hpcjobs_r" in service.slurm._reservations


async def test_a_reservation_is_made_and_its_job_put_into_it_in_one_turn(service):
    service.says = [Reserve("hpcjobs_r", ("n1",), 3e9, 3e9 + 9, (2,), "r")]
    await service.turn()
    assert "hpcjobs_r" in service.slurm._reservations
    assert job(service, 2).particulars.reservation == "hpcjobs_r"


async def test_a_job_is_left_alone_where_its_reservation_could_not_be_made(service):
    theirs = ReservationOrder(ReservationVerb.MAKE, "theirs", ("n1",), int(3e9), int(3e9) + 9, ("bob",))
    await service.slurm.person(theirs)
    service.says = [Reserve("hpcjobs_r", ("n1",), 3e9, 3e9 + 9, (2,), "r")]
    await service.turn()
    await service.turn(seconds=1.0)  # Slurm has refused it a moment ago: it is not tried again yet
    assert [type(order) for order in service.slurm.given] == [ReservationOrder]
    assert not [key for key in service.runner._rows if key.kind == "job"]
    await service.slurm.person(ReservationOrder(ReservationVerb.DELETE, "theirs"))
    await service.turn()
    assert job(service, 2).particulars.reservation == "hpcjobs_r"


async def test_a_reservation_that_is_made_after_a_listing_without_it_is_deleted_when_nobody_wishes_it(service):
    service.says = [Reserve("hpcjobs_r", ("n1",), 3e9, 3e9 + 9, (2,), "r")]
    await service.turn("late")
    service.on = False
    await service.turn()
    assert "hpcjobs_r" in service.slurm._reservations, "its order came after the listing"
    await service.rest()
    assert "hpcjobs_r" not in service.slurm._reservations
    assert not service.runner._rows


async def test_a_reservation_that_a_person_has_deleted_is_forgotten_when_nobody_wishes_it(service):
    service.says = [Reserve("hpcjobs_r", ("n1",), 3e9, 3e9 + 9, (2,), "r")]
    await service.rest()
    service.on = False
    await service.turn()
    await service.slurm.person(Order(Verb.UPDATE, "2", changes=Changes(reservation="")))
    await service.slurm.person(ReservationOrder(ReservationVerb.DELETE, "hpcjobs_r"))
    await service.rest()
    assert not service.runner._rows


async def test_nothing_is_ordered_while_the_cluster_does_not_answer(service):
    service.says = [Prefer(2, 5, "p")]

    async def away(_now: float) -> ClusterView:
        raise HpcjobsError("The controller is away.")

    listed, service.slurm.view = service.slurm.view, away
    service.observer.max_age_s = 0.0
    await service.turn()
    assert service.slurm.given == []
    service.slurm.view, service.observer.max_age_s = listed, 1e6
    await service.rest()
    assert job(service, 2).particulars.nice == -5
