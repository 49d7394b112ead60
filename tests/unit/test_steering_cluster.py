"""Nodes and reservations as policies want them."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpcjobs.model.aims import NodeAim
from hpcjobs.model.cluster import ClusterView
from hpcjobs.model.job import State
from hpcjobs.model.node_order import NodeOrder
from hpcjobs.model.particulars import Particulars
from hpcjobs.model.reservation import Reservation, ReservationOrder, ReservationVerb
from hpcjobs.model.steered import Key, Steered
from hpcjobs.model.steering import Reserve
from hpcjobs.observe.endings import SETTLE_S
from hpcjobs.steering.plan_cluster import SOON_S, ClusterStep, plan_nodes, plan_reservations
from tests.unit.builders import node, record, view


class Slurm:
    """A controller that obeys at once, and forgets what it was told of nodes when it is restarted."""

    def __init__(self, seen: ClusterView) -> None:
        self.configured = self.seen = seen
        self.rows: dict[Key, Steered] = {}
        self.now = 1000.0

    def restart(self) -> None:
        self.seen = msgspec.structs.replace(self.seen, nodes=self.configured.nodes)

    def act_nodes(self, order: NodeOrder) -> None:
        nodes = dict(self.seen.nodes)
        for name in order.nodes:
            one = nodes[name]
            if order.weight is not None:
                one = msgspec.structs.replace(
                    one, particulars=msgspec.structs.replace(one.particulars, weight=order.weight)
                )
            if order.features is not None:
                one = msgspec.structs.replace(one, features=order.features)
            nodes[name] = one
        self.seen = msgspec.structs.replace(self.seen, nodes=nodes)

    def reserve(self, order: ReservationOrder) -> None:
        there = dict(self.seen.reservations)
        if order.verb is ReservationVerb.DELETE:
            del there[order.name]
        elif order.verb is ReservationVerb.MAKE:
            assert order.name not in there
            start = order.start or int(self.now)
            there[order.name] = Reservation(order.name, order.nodes, start, order.end, order.users or ())
        else:
            given = {
                name: value
                for name in ("nodes", "start", "end", "users")
                if (value := getattr(order, name)) is not None
            }
            if given.get("start") == 0:
                given["start"] = int(self.now)
            there[order.name] = msgspec.structs.replace(there[order.name], **given)
        self.seen = msgspec.structs.replace(self.seen, reservations=there)

    def carry_out(self, steps: list[ClusterStep]) -> None:
        for step in steps:
            self.rows |= {row.key: row for row in step.rows}
            if isinstance(step.order, NodeOrder):
                self.act_nodes(step.order)
            elif step.order is not None:
                self.reserve(step.order)
            for key in step.dropped:
                del self.rows[key]

    def settle(self, aims=None, wishes=None) -> int:
        """Carry out until nothing is to be done; returns how many steps it took."""
        for turn in range(6):
            self.now += 10
            self.seen = msgspec.structs.replace(self.seen, asked_at=self.now - 1)
            steps = [
                *plan_nodes(aims or {}, self.seen, self.rows, self.now),
                *plan_reservations(wishes or {}, self.seen, self.rows, self.now),
            ]
            if not steps:
                return turn
            self.carry_out(steps)
        raise AssertionError("it never comes to rest")


def three() -> Slurm:
    return Slurm(view(*(record(n, user=f"u{n}") for n in (1, 2)), nodes=(node("n1"), node("n2"), node("n3"))))


def weights(slurm: Slurm) -> list[int]:
    return [one.particulars.weight for one in slurm.seen.nodes.values()]


def test_nodes_that_get_the_same_are_changed_together_and_back():
    slurm = three()
    aims = {"n1": NodeAim(weight=9), "n2": NodeAim(weight=9, features={"near"})}
    assert [step.what for step in plan_nodes(aims, slurm.seen, {}, 1.0)] == ["features of nodes", "weight of nodes"]
    assert slurm.settle(aims) == 1
    assert (weights(slurm), slurm.seen.nodes["n2"].features) == ([10, 10, 1], ("near",))
    slurm.settle()
    assert (slurm.seen.nodes, slurm.rows) == (slurm.configured.nodes, {})


def test_a_controller_that_has_read_its_configuration_again_is_told_again():
    slurm = three()
    aims = {"n1": NodeAim(weight=9, features={"near"})}
    slurm.settle(aims)
    slurm.restart()
    slurm.settle(aims)
    assert (weights(slurm), slurm.seen.nodes["n1"].features) == ([10, 1, 1], ("near",))
    slurm.restart()
    slurm.settle()
    assert (slurm.seen.nodes, slurm.rows) == (slurm.configured.nodes, {})


@given(st.lists(st.dictionaries(st.sampled_from(["n1", "n2", "n3"]), st.integers(-20, 20)), max_size=5), st.data())
def test_weights_come_to_stand_as_wished_whatever_was_wished_before_and_whenever_it_was_restarted(wishes, data):
    slurm = three()
    for wished in wishes:
        aims = {name: NodeAim(weight=weight) for name, weight in wished.items()}
        slurm.settle(aims)
        if data.draw(st.booleans()):
            slurm.restart()
            slurm.settle(aims)
        assert weights(slurm) == [max(1, 1 + wished.get(name, 0)) for name in slurm.seen.nodes]
    slurm.settle()
    assert (weights(slurm), slurm.rows) == ([1, 1, 1], {})


def test_a_node_that_is_missing_keeps_its_row_and_is_put_right_when_it_is_back():
    slurm = three()
    slurm.settle({"n1": NodeAim(weight=9)})
    whole = slurm.seen
    slurm.seen = msgspec.structs.replace(whole, nodes={name: whole.nodes[name] for name in ("n2", "n3")})
    assert slurm.settle() == 0
    slurm.seen = whole
    slurm.settle()
    assert (weights(slurm), slurm.rows) == ([1, 1, 1], {})


def gang(nodes=("n1", "n2"), start=5000.0, end=9000.0, jobs=(1, 2)) -> dict:
    return {"gang": ("p", Reserve("gang", nodes, start, end, jobs, "w"))}


def test_a_reservation_is_made_for_the_owners_of_its_jobs_changed_and_deleted():
    slurm = three()
    slurm.settle(wishes=gang())
    assert slurm.seen.reservations["gang"] == Reservation("gang", ("n1", "n2"), 5000, 9000, ("u1", "u2"))
    slurm.settle(wishes=gang(nodes=("n2", "n3"), start=6000.0, end=9000.5, jobs=(1,)))
    assert slurm.seen.reservations["gang"] == Reservation("gang", ("n2", "n3"), 6000, 9001, ("u1",))
    slurm.settle()
    assert (slurm.seen.reservations, slurm.rows) == ({}, {})


def test_a_reservation_that_begins_now_is_not_moved_again_and_again():
    slurm = three()
    slurm.settle(wishes=gang(start=0.0))
    begun = slurm.seen.reservations["gang"].start
    slurm.settle(wishes=gang(start=1.0))
    assert slurm.seen.reservations["gang"].start == begun


def test_a_reservation_of_somebody_else_is_not_touched():
    slurm = three()
    theirs = Reservation("gang", ("n3",), 1, 2, ("eve",))
    slurm.seen = msgspec.structs.replace(slurm.seen, reservations={"gang": theirs})
    assert slurm.settle(wishes=gang()) == 0
    assert slurm.settle() == 0


def test_a_reservation_is_not_deleted_while_a_job_is_in_it():
    slurm = three()
    slurm.settle(wishes=gang())
    for state, left in ((State.PENDING, True), (State.RUNNING, True), (State.FINISHED, False)):
        jobs = {1: record(1, state=state, particulars=Particulars(reservation="gang"))}
        slurm.seen = msgspec.structs.replace(slurm.seen, jobs=jobs)
        slurm.settle()
        assert ("gang" in slurm.seen.reservations) is left


@pytest.mark.parametrize("start", [0.0, 5000.0])
def test_a_reservation_ends_soon_when_its_jobs_run_and_not_before(start):
    """Flexible jobs run before it begins, too."""
    slurm = three()
    slurm.settle(wishes=gang(start=start))
    made = slurm.seen.reservations["gang"]
    first, second = (record(n, particulars=Particulars(reservation="gang")) for n in (1, 2))
    runs = msgspec.structs.replace(first, state=State.RUNNING)
    slurm.seen = msgspec.structs.replace(slurm.seen, jobs={1: runs, 2: second})
    slurm.settle()
    assert slurm.seen.reservations["gang"] == made
    slurm.seen = msgspec.structs.replace(slurm.seen, jobs={1: runs})
    assert slurm.settle() == 1
    shorter, ordered_at = slurm.seen.reservations["gang"], slurm.now - 10
    assert shorter.start <= ordered_at
    assert shorter.end == ordered_at + SOON_S


def test_a_reservation_that_slurm_has_purged_is_forgotten_and_made_again_where_it_is_still_wished():
    slurm = three()
    slurm.settle(wishes=gang())
    slurm.seen = msgspec.structs.replace(slurm.seen, reservations={})
    slurm.settle(wishes=gang())
    assert "gang" in slurm.seen.reservations
    slurm.seen = msgspec.structs.replace(slurm.seen, reservations={})
    slurm.settle()
    assert slurm.rows, "the order that made it anew may be on its way still"
    slurm.now += SETTLE_S
    slurm.settle()
    assert slurm.rows == {}
