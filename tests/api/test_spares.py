"""Policy spares on a running service: what it wishes is a reservation, and the job that lost a node starts in it."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator

import msgspec
import pytest

from hpcjobs.model.cluster import Failure
from hpcjobs.model.order import Order, Verb
from hpcjobs.model.steering import Start
from hpcjobs_plugins.policies import spares
from tests.api.bench import UnrulySlurm, on_bench, settings_of
from tests.api.test_policies import Helm, site
from tests.unit.builders import node

__all__ = ["site"]
pytestmark = pytest.mark.thorough

SETTINGS = spares.Settings(large_nodes=2, per_1000_node_days=100.0, most=0.3)
"""One spare node for a job of two."""
NAME = "hpcjobs_spares_"


class Four(UnrulySlurm):
    """A cluster of four nodes."""

    def __init__(self) -> None:
        super().__init__(run_s=10_000)
        self._nodes |= {name: node(name) for name in ("n3", "n4")}


class Ship(Helm):
    """A helm at which spares stands."""

    async def turn(self, *more: object) -> None:
        """What spares wishes of the last listing is done."""
        await self.bench.tick(self.ahead_s)
        now = time.time() + self.ahead_s
        view = self.bench.observer.view
        shown = msgspec.structs.replace(view, failures=(Failure("n1", now - 1, 1),))
        self.say("first", *spares.tick(SETTINGS, shown, now), *more)
        await self.later()

    async def job(self, user: str, nodes: int, gpus: int = 8):
        wanted = {"nodes": nodes, "gpus_per_node": gpus, "wall_s": 10**6}
        return await self.bench.submitted(user=user, resources=wanted)

    def record(self, job):
        return self.bench.slurm._jobs[job["slurm_job_id"]].record


@pytest.fixture
async def ship(place, site) -> AsyncIterator[Ship]:
    async with on_bench(settings_of(place), {"big": Four()}) as bench:
        await bench.tick()
        ship = Ship(bench, site)
        await ship.use("first")
        yield ship


async def test_a_large_job_that_loses_a_node_has_a_spare_one_and_keeps_the_other(ship):
    large = await ship.job("alice", 2)
    assert ship.record(large).node_list == "n1,n2"
    await ship.turn()
    (there,) = ship.bench.slurm._reservations.values()
    assert there.name.startswith(NAME)
    assert (set(there.nodes), there.users) == ({"n1", "n2", "n3"}, ("alice",))
    small = [await ship.job("carol", 1) for _ in range(2)]
    assert sorted(ship.record(job).node_list for job in small) == ["", "n4"], "n3 is kept"
    slurm = ship.bench.slurm
    slurm._nodes["n1"] = msgspec.structs.replace(slurm._nodes["n1"], raw_state="DOWN*", usable=False)
    await slurm.act("hpcjobs", Order(Verb.REQUEUE, str(large["slurm_job_id"])))
    for _ in range(3):
        await ship.turn(Start(large["slurm_job_id"], "as recovery says"))
    again = ship.record(large)
    assert (again.raw_state, again.node_list, again.restarts) == ("RUNNING", "n2,n3", 1)
    assert sorted(ship.record(job).node_list for job in small) == ["", "n4"], "who waited got neither node"


async def test_when_no_large_job_is_there_any_more_nothing_is_kept(ship):
    large = await ship.job("alice", 2)
    await ship.turn()
    ship.bench.slurm.end(large["slurm_job_id"], "COMPLETED")
    for _ in range(2):
        await ship.turn()
    assert ship.bench.slurm._reservations == {}
