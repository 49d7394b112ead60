"""Whatever is killed, lost or changed by people in between: policies leave things as they were asked for."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from hpcjobs.model.job import WAITING, State
from hpcjobs.model.node_order import NodeOrder
from hpcjobs.model.order import Changes, Order, Verb
from hpcjobs.model.reservation import ReservationOrder, ReservationVerb
from hpcjobs.model.steering import Action, Avoid, Delay, Hold, Label, LimitMin, Prefer, Requeue, Reserve, Start, Weigh
from hpcjobs.sbatch.hostlists import expand_hostlist
from hpcjobs.steering.fields import NODE_FIELDS
from tests.conftest import examples
from tests.unit.steering_killed import MISHAPS, Service

RUNNING, WAITS, OTHER = 1, 2, 3
"""The jobs: one has all nodes, two wait."""

befalls = st.lists(st.sampled_from([None, *MISHAPS]), max_size=4)
names = st.sets(st.sampled_from(["n1", "n2", "n3"]), max_size=2).map(lambda found: tuple(sorted(found)))


@st.composite
def wishes(draw, jobs=(WAITS, OTHER)) -> list[Action]:
    """What a policy may wish of two jobs, of nodes, and of a reservation."""
    said: list[Action] = []
    for job in jobs:
        said += [Prefer(job, points, "p") for points in draw(st.lists(st.integers(-3, 3), max_size=1))]
        said += [Avoid(job, nodes, "a") for nodes in draw(st.lists(names, max_size=1))]
        said += draw(st.lists(st.sampled_from([Hold(job, "h"), LimitMin(job, 600.0, "l"), Start(job, "s"),
                                               Delay(job, 2e9, "d")]), max_size=2))  # fmt: skip
    said += [Weigh(nodes, weight, "w") for nodes in [draw(names)] for weight in [draw(st.integers(-2, 5))] if nodes]
    said += [Label((name,), "near", "l") for name in draw(names)]
    if draw(st.booleans()):
        said.append(Reserve("hpcjobs_r", draw(names) or ("n1",), 3e9, 3.1e9, (WAITS,), "r"))
    return said


class Policies(RuleBasedStateMachine):
    """A service and its policies, people, and a controller."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.Runner()
        self.folder = tempfile.TemporaryDirectory()
        self.service = Service(self.empty, Path(self.folder.name))
        self.slurm = self.service.slurm
        for _ in (RUNNING, WAITS, OTHER):
            self.run(self.service.submit())
        self.run(self.service.turn())
        own = {"nice": 0, "exclude": set(), "nodes": 3}
        self.asked = {number: dict(own) for number in (RUNNING, WAITS, OTHER)}
        self.weights = dict.fromkeys(("n1", "n2", "n3"), 1)

    empty: Path

    def run(self, does: Coroutine[Any, Any, Any]) -> Any:
        return self.loop.run(does)

    @rule(said=wishes(), befalls=befalls)
    def policies_change_their_minds(self, said, befalls):
        self.service.on, self.service.says = True, said
        self.run(self.service.turn(*befalls))

    @rule(befalls=befalls)
    def they_are_disabled(self, befalls):
        self.service.on = False
        self.run(self.service.turn(*befalls))

    @rule()
    def they_fail(self):
        before, self.service.says = self.service.says, None
        self.run(self.service.turn())
        self.service.says = before

    @rule(befalls=befalls, listed=st.booleans())
    def nothing_new(self, befalls, listed):
        self.run(self.service.turn(*befalls, seconds=10.0 if listed else 2.0, listed=listed))

    @rule()
    def the_service_is_killed(self):
        self.service.start()

    @rule(number=st.sampled_from([WAITS, OTHER]), nice=st.sampled_from([0, 1000, 2000]),
          exclude=st.sampled_from(["", "n8", "n9"]))  # fmt: skip
    def a_person_changes_a_job(self, number, nice, exclude):
        """At rest: while an order is under way, the last word is Slurm's. Never to just what policies made of it."""
        if self.slurm._jobs[number].record.state not in WAITING:
            return
        self.run(self.service.rest())
        order = Order(Verb.UPDATE, str(number), changes=Changes(nice=nice, exclude=exclude))
        self.run(self.slurm.person(order))
        self.asked[number] |= {"nice": nice, "exclude": {*filter(None, [exclude])}}
        self.run(self.service.rest())

    @rule(name=st.sampled_from(["n1", "n2"]), weight=st.sampled_from([100, 200]))
    def a_person_changes_a_node(self, name, weight):
        self.run(self.service.rest())
        self.run(self.slurm.person(NodeOrder((name,), weight=weight)))
        self.weights[name] = weight
        self.run(self.service.rest())

    @rule()
    def a_person_deletes_the_reservation(self):
        inside = any(entry.spec.reservation == "hpcjobs_r" for entry in self.slurm._jobs.values())
        if "hpcjobs_r" in self.slurm._reservations and not inside:
            self.run(self.slurm.person(ReservationOrder(ReservationVerb.DELETE, "hpcjobs_r")))

    @rule(number=st.sampled_from([RUNNING, WAITS, OTHER]), befalls=befalls)
    def a_job_is_missing_from_a_listing(self, number, befalls):
        self.slurm.hidden = {number}
        self.run(self.service.turn(*befalls))
        self.slurm.hidden = set()

    @rule(nodes=st.sampled_from([None, 1, 2]), avoid=names, befalls=befalls)
    def a_policy_requeues_what_runs(self, nodes, avoid, befalls):
        running = [number for number, entry in self.slurm._jobs.items() if entry.record.state is State.RUNNING]
        if not running:
            return
        before = self.service.says
        self.slurm.requeued.clear()
        self.service.on, self.service.says = True, [*(before or ()), Requeue(running[0], "It is time.", nodes, avoid)]
        self.run(self.service.turn(*befalls))
        self.service.says = before
        self.run(self.service.turn())  # an order comes late by seconds, not minutes
        assert len(self.slurm.requeued) <= 1
        self.run(self.service.rest())
        if self.slurm.requeued:
            asked = self.asked[running[0]]
            asked |= {"exclude": asked["exclude"] | {*avoid}, "nodes": nodes or asked["nodes"]}

    @rule()
    def left_alone_nothing_is_ordered_again_and_again(self):
        self.run(self.service.rest())
        self.run(self.service.turn())
        assert not [order for order in self.slurm.given if not isinstance(order, Order) or order.verb != Verb.REQUEUE]

    @rule()
    def without_policies_all_is_as_it_was_asked_for(self):
        self.service.on = False
        self.run(self.service.rest())
        self.run(self.service.rest())
        for number, asked in self.asked.items():
            record = self.slurm._jobs[number].record
            if record.state in WAITING:
                own = record.particulars
                assert (own.nice, record.nodes, own.time_min_s) == (asked["nice"], asked["nodes"], 0), number
                assert set(expand_hostlist(own.excluded_nodes)) == asked["exclude"], number
                assert (record.state, own.reservation) == (State.PENDING, ""), number
                assert record.eligible_time <= self.service.now, number
        for name, weight in self.weights.items():
            made = self.slurm._nodes[name]
            assert {field: of.read(made) for field, of in NODE_FIELDS.items()} == {"weight": weight, "features": ""}
        jobs = [entry.record for entry in self.slurm._jobs.values()]
        if any(one.state is State.RUNNING and one.particulars.reservation for one in jobs):
            return  # Slurm deletes no reservation that a job runs in; it ends by itself
        assert "hpcjobs_r" not in self.slurm._reservations
        waiting = {one.id for one in self.service.observer.listed() if one.record.state in WAITING}
        assert not [key for key in self.service.runner._rows or () if key.kind != "job" or key.subject in waiting]

    def teardown(self) -> None:
        try:
            self.without_policies_all_is_as_it_was_asked_for()
        finally:
            self.service.close()
            self.loop.close()
            self.folder.cleanup()


@pytest.mark.thorough
def test_left_alone_all_comes_to_stand_as_wished_and_without_policies_as_it_was_asked_for(empty_database):
    machine = type("OnADatabase", (Policies,), {"empty": empty_database})
    run_state_machine_as_test(
        machine, settings=settings(max_examples=examples(20), stateful_step_count=10, deadline=None)
    )
