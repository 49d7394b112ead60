"""What reservations and weights do in a simulated cluster."""

from __future__ import annotations

import pytest

from hpcjobs.errors import Conflict, Refused
from hpcjobs.model.job import State
from hpcjobs.model.node_order import NodeOrder
from hpcjobs.model.order import Changes, Order, Verb
from hpcjobs.model.reservation import ReservationFlag, ReservationOrder, ReservationVerb
from hpcjobs.model.spec import Resources
from hpcjobs.slurm.base import Launch
from hpcjobs.slurm.simulated import SimulatedBackend

from .builders import node, spec

HOUR_S = 3600


class Clock:
    """A cluster of two nodes whose time a test moves."""

    def __init__(self) -> None:
        self.backend = SimulatedBackend("big", [node("n1"), node("n2")], run_s=HOUR_S)
        self.now = 1_000_000.0
        self.submitted = 0
        self.backend.advance(self.now)

    async def submit(self, wall_s: int = HOUR_S, **fields) -> int:
        self.submitted += 1
        asked = spec("#!/bin/sh\ntrue\n", Resources(nodes=fields.pop("nodes", 1), gpus_per_node=8, wall_s=wall_s))
        asked = Launch(spec(asked.script, asked.resources, **fields), f"{self.submitted:032x}")
        return await self.backend.submit("alice", asked)

    async def record(self, number: int, after_s: float = 0.0):
        self.now += after_s
        return (await self.backend.view(self.now)).jobs[number]

    async def reserve(self, start_s: float, end_s: float, *flags: ReservationFlag, nodes=("n1",), name="gang") -> None:
        start, end = int(self.now + start_s), int(self.now + end_s)
        await self.backend.reserve(
            ReservationOrder(ReservationVerb.MAKE, name, nodes, start, end, users=("alice",), flags=flags)
        )


@pytest.fixture
def clock():
    return Clock()


async def test_a_job_that_would_run_into_a_reservation_starts_elsewhere_and_a_short_one_before_it(clock):
    await clock.reserve(1800, 7200)
    long, other, short = await clock.submit(), await clock.submit(), await clock.submit(wall_s=1700)
    assert (await clock.record(long)).node_list == "n2"
    assert (await clock.record(other)).state is State.PENDING
    await clock.backend.act("alice", Order(Verb.CANCEL, str(other)))
    assert (await clock.record(short, 1)).node_list == "n1"


async def test_a_job_in_a_reservation_starts_when_it_begins_and_a_flexible_one_before(clock):
    await clock.reserve(600, 7200)
    await clock.reserve(600, 7200, ReservationFlag.FLEX, nodes=("n2",), name="flexible")
    early, late = await clock.submit(reservation="flexible"), await clock.submit(reservation="gang")
    assert (await clock.record(early)).node_list == "n2"
    assert (await clock.record(late)).state is State.PENDING
    assert (await clock.record(late, 601)).node_list == "n1"


async def test_nodes_with_jobs_are_reserved_over_them_only_where_that_is_asked_for(clock):
    running = await clock.submit(nodes=2)
    assert (await clock.record(running)).state is State.RUNNING
    with pytest.raises(Conflict):
        await clock.reserve(600, 7200)
    await clock.reserve(600, 7200, ReservationFlag.IGNORE_JOBS)
    assert (await clock.record(running, 601)).state is State.RUNNING


@pytest.mark.parametrize(("flags", "state"), [((), State.HELD), ((ReservationFlag.NO_HOLD_JOBS,), State.RUNNING)])
async def test_what_waits_in_a_reservation_at_its_end_is_held_unless_it_was_made_otherwise(clock, flags, state):
    await clock.reserve(600, 1200, *flags)
    number = await clock.submit(reservation="gang", nodes=2)
    assert (await clock.record(number, 700)).state is State.PENDING
    assert (await clock.record(number, 600)).state is state
    assert (await clock.record(number)).particulars.reservation == ""
    assert (await clock.backend.view(clock.now)).reservations == {}


async def test_only_its_users_get_into_a_reservation_and_none_into_one_that_is_not_there(clock):
    await clock.reserve(600, 1200)
    number = await clock.backend.submit("bob", Launch(spec(hold=True), "b" * 32))
    for name, code in (("gang", "ESLURM_RESERVATION_ACCESS"), ("none", "ESLURM_RESERVATION_INVALID")):
        with pytest.raises(Refused) as refused:
            await clock.backend.act("bob", Order(Verb.UPDATE, str(number), changes=Changes(reservation=name)))
        assert [one.code for one in refused.value.refusals] == [code]


async def test_nodes_of_less_weight_are_taken_first_and_drained_ones_never(clock):
    await clock.backend.act_nodes(NodeOrder(("n1",), weight=9))
    first = await clock.submit()
    assert (await clock.record(first)).node_list == "n2"
    await clock.backend.act_nodes(NodeOrder(("n1",), drain="hot"))
    second = await clock.submit()
    assert (await clock.record(second, 1)).state is State.PENDING
    await clock.backend.act_nodes(NodeOrder(("n1",), resume=True))
    assert (await clock.record(second, 1)).node_list == "n1"
    with pytest.raises(Conflict):
        await clock.backend.act_nodes(NodeOrder(("n1",), resume=True))
