"""A node that fails under a job on a running service: told, and remembered for the policies."""

from __future__ import annotations

import msgspec

from hpcjobs.model.job import State
from hpcjobs.steering.past import Past


async def test_a_node_that_failed_under_a_job_is_told_to_its_owner_and_remembered_by_whoever_asks_later(bench):
    job = await bench.submitted()
    number, slurm = job["slurm_job_id"], bench.slurm
    name = job["node_list"]
    slurm._nodes[name] = msgspec.structs.replace(slurm._nodes[name], raw_state="DOWN*", usable=False, reason="hot")
    requeued = {"state": State.PENDING, "raw_state": "PENDING", "restarts": 1, "node_list": "", "start_time": 0}
    slurm._jobs[number].record = msgspec.structs.replace(slurm._jobs[number].record, **requeued, reason="BeginTime")
    await bench.tick()
    await bench.tick()

    async def told(user):
        page = {"headers": {"Accept": "application/json"}, "params": {"kind": "node.failed", "after": 0}}
        return (await bench.call("GET", "/v1/events", user, **page)).json()["items"]

    (event,) = await told("alice")
    assert event["data"] == {"node": name, "reason": "hot", "slurm_job_id": number}
    assert (event["job_id"], event["user"]) == (job["id"], "alice")
    assert await told("bob") == []
    past = Past(bench.service.store, "big")
    for _ in range(2):
        (failure,) = await past.failures()
        assert (failure.node, failure.slurm_job_id, failure.at) == (name, number, event["at"])
    assert await Past(bench.service.store, "other").failures() == ()
