"""What jobs of projects have now."""

from __future__ import annotations

import time

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from hpcjobs.model.account import Account
from hpcjobs.model.held import Held
from hpcjobs.model.job import JobRecord, State
from hpcjobs.model.tenant import ProjectQuota
from hpcjobs.tenants.held import by_account, together
from tests.api.bench import SCRIPT

JOBS = st.lists(
    st.builds(
        JobRecord,
        slurm_job_id=st.integers(1, 10**6),
        account=st.sampled_from(["vision", "retina", "climate"]),
        state=st.sampled_from(State),
        cpus=st.integers(0, 64),
        mem_bytes=st.integers(0, 2**40),
        gpus=st.dictionaries(st.sampled_from(["", "a100", "h100"]), st.integers(0, 8)),
        array_task=st.sampled_from(["", "4", "0-9", "1,3-9:2%4"]),
    )
)
TASKS = {"": 1, "4": 1, "0-9": 10, "1,3-9:2%4": 5}
HOLD = (State.RUNNING, State.SUSPENDED, State.COMPLETING)


@given(JOBS)
def test_a_project_has_what_its_jobs_and_those_below_have_that_run(jobs):
    told = together({"vision", "retina"}, by_account(jobs))
    mine = [job for job in jobs if job.account in ("vision", "retina") and job.state is not State.FINISHED]
    running = [job for job in mine if job.state in HOLD]
    assert (told.cpus, told.mem_bytes) == (sum(job.cpus for job in running), sum(job.mem_bytes for job in running))
    assert told.running_jobs == len(running)
    assert told.submitted_jobs == sum(TASKS[job.array_task] for job in mine)
    assert told.gpus[""] == sum(sum(job.gpus.values()) for job in running)
    assert told.gpus.get("a100", 0) == sum(job.gpus.get("a100", 0) for job in running)


async def test_a_quota_shows_what_is_in_use_beside_its_limits(bench):
    bench.slurm.known_accounts = (Account("big", "vision", members=frozenset({"alice"})),)
    await bench.service.learn_accounts("big", time.time())
    await bench.call("PUT", "/v1/projects/vision", "boss", json={"quota": {"submitted_jobs": 9, "gpus": {"": 4}}})
    body = {"script": SCRIPT, "account": "vision", "resources": {"gpus": 1}}
    assert (await bench.call("POST", "/v1/jobs", "alice", json=body)).status_code == 201
    await bench.tick()
    bench.service.tenants.standing.changed("big")
    answer = await bench.call("GET", "/v1/projects/vision", "alice")
    told = msgspec.json.decode(answer.content, type=ProjectQuota).held
    assert told == Held({"": told.running_jobs}, told.cpus, told.mem_bytes, told.running_jobs, 1)
