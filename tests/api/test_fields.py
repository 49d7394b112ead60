"""``?fields=``: only what was asked for, of jobs and nodes."""

from __future__ import annotations

import json

import pytest

from hpcjobs.api.fields import Selection
from hpcjobs.model.job import Job
from tests.api.bench import problem_of

LINES = {"Accept": "application/x-ndjson"}


async def test_a_list_leaves_only_the_fields_that_were_asked_for_in_that_order(bench):
    jobs = [await bench.submitted(name=f"job-{number}") for number in range(3)]
    page = (await bench.get("/v1/jobs", fields="name, id ,state,name", limit=2)).json()
    assert [list(item) for item in page["items"]] == [["name", "id", "state"]] * 2
    assert page["items"] == [{key: job[key] for key in ("name", "id", "state")} for job in (jobs[2], jobs[1])]
    rest = (await bench.get("/v1/jobs", fields="gpus", cursor=page["next_cursor"])).json()
    assert (rest["items"], rest["next_cursor"]) == ([{"gpus": jobs[0]["gpus"]}], None)


async def test_lines_and_one_job_leave_only_the_fields_that_were_asked_for(bench):
    job = await bench.submitted()
    lines = await bench.call("GET", "/v1/jobs?fields=id,user", headers=LINES)
    assert [json.loads(line) for line in lines.text.splitlines()] == [{"id": job["id"], "user": "alice"}]
    assert (await bench.get("/v1/jobs/1", fields="wall_s,slurm_job_id")).json() == {"wall_s": None, "slurm_job_id": 1}


async def test_nodes_leave_only_the_fields_that_were_asked_for(bench):
    found = (await bench.get("/v1/clusters/big/nodes", fields="name")).json()
    assert found["items"] == [{"name": "n1"}, {"name": "n2"}]


async def test_partitions_leave_only_the_fields_that_were_asked_for(bench):
    found = (await bench.get("/v1/clusters/big/partitions", fields="name,wall_max_s")).json()
    assert found["items"][0] == {"name": "gpu", "wall_max_s": None}
    assert (await bench.get("/v1/clusters/big/partitions", fields="colour")).status_code == 422


async def test_an_answer_with_fewer_fields_has_a_tag_of_its_own(bench):
    await bench.submitted()
    tags = {
        (await bench.get("/v1/jobs", **params)).headers["ETag"] for params in ({}, {"fields": "id"}, {"fields": "name"})
    }
    assert len(tags) == 3


@pytest.mark.parametrize("path", ["/v1/jobs", "/v1/jobs/1", "/v1/clusters/big/nodes"])
async def test_unknown_fields_are_each_named_beside_those_there_are(bench, path):
    await bench.submitted()
    answer = await bench.get(path, fields="name,colour,resources.nodes")
    faults = problem_of(answer)["errors"]
    assert answer.status_code == 422
    assert [fault["field"] for fault in faults] == ["fields", "fields"]
    assert "'colour'" in faults[0]["detail"]
    assert "'resources.nodes'" in faults[1]["detail"]
    assert all("raw_state" in fault["detail"] for fault in faults)


@pytest.mark.parametrize("fields", ["", ",", " "])
async def test_no_field_at_all_is_refused(bench, fields):
    assert (await bench.get("/v1/jobs", fields=fields)).status_code == 422


def test_a_field_that_an_older_version_did_not_write_has_its_default():
    assert (
        Selection(Job, "id,restarts,gpus").of_list(b'[{"id":"x","cluster":"big"}]')
        == b'[{"id":"x","restarts":0,"gpus":{}}]'
    )
