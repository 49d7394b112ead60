"""Changes of a job: what Slurm's fields cannot hold is refused before anything is asked of Slurm."""

from __future__ import annotations

import pytest

from tests.api.bench import problem_of

BAD = {
    "nodes": -3, "nodes_max": 2**32, "wall_s": 10**25, "time_min_s": 0, "nice": 10**15, "priority": -1, "begin": -5,
    "deadline": 10**12, "array_max_running": -1, "name": "a\0b", "partition": "p" * 70_000, "account": "a" * 256,
    "comment": "c" * 1000,
}  # fmt: skip


@pytest.mark.parametrize("field", BAD)
async def test_a_change_that_slurm_cannot_hold_is_refused_by_name_and_not_sent(bench, field):
    job = await bench.submitted()
    answer = await bench.call("PATCH", f"/v1/jobs/{job['id']}", json={field: BAD[field]})
    problem = problem_of(answer)
    assert (answer.status_code, [fault["field"] for fault in problem["errors"]]) == (422, [field])
    many = await bench.call("POST", "/v1/jobs/actions", json={
        "verb": "update", "jobs": [job["id"]], "changes": {field: BAD[field]}})  # fmt: skip
    assert many.json()["results"][0]["problem"]["status"] == 422
    assert (await bench.get(f"/v1/jobs/{job['id']}")).json() == job


async def test_all_that_is_against_a_change_comes_in_one_answer(bench):
    job = await bench.submitted()
    answer = await bench.call("PATCH", f"/v1/jobs/{job['id']}", json={"nodes": 3, "nodes_max": 2, "nice": 10**15})
    assert {fault["field"] for fault in problem_of(answer)["errors"]} == {"nodes_max", "nice"}


async def test_changes_within_the_bounds_are_made(bench):
    job = await bench.submitted(hold=True)
    answer = await bench.call("PATCH", f"/v1/jobs/{job['id']}", json={"name": "other", "wall_s": 0, "comment": ""})
    assert answer.status_code == 202, answer.text
    await bench.tick()
    assert (await bench.get(f"/v1/jobs/{job['id']}")).json()["name"] == "other"
