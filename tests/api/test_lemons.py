"""Nodes under suspicion on a running service: listed with evidence, told of, and pardoned."""

from __future__ import annotations

import time

import pytest

from hpcjobs.model.event import Event, EventKind
from hpcjobs.model.failure import Diagnosis, FailureClass, Sureness, Suspect
from hpcjobs.model.recovery import Recovery, Stop
from hpcjobs.recovery.lemons import DAY_S
from hpcjobs.steering.lemons import Lemons
from hpcjobs.steering.past import Past
from hpcjobs.store import events, recoveries
from tests.api.bench import problem_of

LEMONS = "/v1/clusters/big/lemons"


async def failed(bench, name: str, *ages: float) -> None:
    """A node failed under jobs so many days ago."""
    told = [
        Event(0, time.time() - days * DAY_S, EventKind.NODE_FAILED, "big",
              data={"node": name, "reason": "hot", "slurm_job_id": number})
        for number, days in enumerate(ages, 1)
    ]  # fmt: skip
    await bench.service.store.write(events.write, told)


async def judged(bench) -> list[dict]:
    await bench.service.lemons["big"].tick(time.time())
    answer = await bench.get(LEMONS, "ops")
    assert answer.status_code == 200, answer.text
    return answer.json()["items"]


async def told(bench, user: str = "ops") -> list[tuple[str, str, str]]:
    page = {"headers": {"Accept": "application/json"}, "params": {"kind": "node.lemon", "after": 0}}
    items = (await bench.call("GET", "/v1/events", user, **page)).json()["items"]
    return [(one["data"]["node"], one["data"]["before"], one["data"]["standing"]) for one in items]


async def pardoned(bench, node: str = "n1", user: str = "boss", why: str = "new GPU"):
    return await bench.call("POST", f"{LEMONS}/{node}/pardon", user, json={"why": why})


async def test_a_node_that_failed_often_is_listed_with_what_says_so_and_proposed(bench):
    await failed(bench, "n1", 3.0, 2.0, 1.0)
    await failed(bench, "n2", 20.0)
    first, second = await judged(bench)
    assert (first["node"], first["standing"], first["proposed"]) == ("n1", "lemon", True)
    (evidence,) = first["evidence"]
    assert (evidence["kind"], evidence["count"], evidence["slurm_job_id"], evidence["said"]) == (
        "node_failed", 3, 3, "hot",
    )  # fmt: skip
    assert first["points"] > 2.5 > first["expected"]
    assert (second["node"], second["standing"], second["proposed"]) == ("n2", "good", False)


async def test_what_diagnoses_say_counts_too(bench):
    for number in (1, 2):
        diagnosis = Diagnosis(failure=FailureClass.DEVICE, sure=Sureness.STRONG, suspects=(Suspect("n2", "3"),),
                              sentence="GPU 3 has Xid 79.")  # fmt: skip
        one = Recovery(cluster="big", job_id=f"{number}", slurm_job_id=number, run=0, at=time.time() - number * DAY_S,
                       progress=None, diagnosis=diagnosis, decision=Stop("x"), plugin="p", decided_at=1.0)  # fmt: skip
        await bench.service.store.write(recoveries.add, one)
        (found,) = await judged(bench)
    assert (found["node"], found["standing"]) == ("n2", "suspect")
    assert [(each["kind"], each["count"], each["said"]) for each in found["evidence"]] == [
        ("diagnosed", 2, "GPU 3 has Xid 79.")
    ]


async def test_it_is_told_once_that_a_node_is_a_lemon_also_over_a_restart_and_once_that_it_is_none_any_more(bench):
    await failed(bench, "n1", 3.0, 2.0, 1.0)
    for _ in range(2):
        await judged(bench)
    service = bench.service
    again = Lemons(
        service.store, service.usage, bench.observer, Past(service.store, "big"), service.lemons["big"].rules
    )
    await again.tick(time.time())
    assert await told(bench) == [("n1", "good", "lemon")]
    assert await told(bench, "alice") == []
    assert (await pardoned(bench)).status_code == 200
    await judged(bench)
    await again.tick(time.time())
    assert await told(bench) == [("n1", "good", "lemon"), ("n1", "lemon", "good")]
    (found,) = again.shown().items
    assert (found.standing, found.pardon and found.pardon.by) == ("good", "boss")


async def test_a_pardon_says_who_and_why_and_is_for_admins_and_nodes_that_there_are(bench):
    await failed(bench, "n1", 3.0, 2.0, 1.0)
    assert (await judged(bench))[0]["standing"] == "lemon"
    for user in ("alice", "ops"):
        assert (await pardoned(bench, user=user)).status_code == 403
    assert problem_of(await pardoned(bench, "n99"))["code"] == "node-unknown"
    assert (await pardoned(bench, why="")).status_code == 400
    found = (await pardoned(bench)).json()
    assert (found["node"], found["standing"], found["points"], found["evidence"]) == ("n1", "good", 0, [])
    assert (found["pardon"]["by"], found["pardon"]["why"]) == ("boss", "new GPU")
    assert [one["node"] for one in await judged(bench)] == ["n1"], "as long as it is known"


async def test_what_speaks_against_nodes_is_for_operators(bench):
    assert (await bench.get(LEMONS)).status_code == 403


@pytest.mark.parametrize("ages", [(0.01, 0.02, 0.03)])
async def test_one_outage_is_one_failure_however_many_jobs_it_takes(bench, ages):
    await failed(bench, "n1", *ages)
    (found,) = await judged(bench)
    assert (found["standing"], found["evidence"][0]["count"]) == ("good", 3)
    assert found["points"] <= 1


async def test_policies_see_what_people_see_and_drain_only_where_the_settings_say_so(bench):
    await failed(bench, "n1", 3.0, 2.0, 1.0)
    for drain in (False, True):
        settings = {"drain": drain, "most_drained": 1.0}
        plugins = {"plugins": [{"name": "suspect", "settings": settings}]}
        assert (await bench.call("PUT", "/v1/plugins", "boss", json=plugins)).status_code == 200
        await judged(bench)
        await bench.service.policies["big"].tick(time.time())
        await bench.tick(1.0)
        node = bench.observer.view.nodes["n1"]
        assert node.usable is not drain
        assert node.reason.startswith("hpcjobs: lemon, ") is drain
        assert node.particulars.weight - bench.observer.view.nodes["n2"].particulars.weight == 1000
    assert (await judged(bench))[0]["proposed"] is False, "it is out of use"
