"""POST /v1/gangs: one heterogeneous job where the shapes allow it, else held members; all are kept, or none."""

from __future__ import annotations

import asyncio

import pytest

from hpcjobs.errors import NotSupported, Refusal, Refused
from hpcjobs.gangs.joining import OUTPUT
from hpcjobs.model.capability import Op
from tests.api.bench import SCRIPT, UnrulySlurm, on_bench, problem_of, settings_of

HOUR = {"wall_s": 3600}
TWO = [
    {"script": SCRIPT, "name": "a", "resources": HOUR | {"nodes": 1}, "environment": {"RANK": "0"}},
    {"script": SCRIPT, "name": "b", "resources": HOUR | {"nodes": 1, "gpus_per_node": 2}, "args": ["x"]},
]
UNLIKE = [TWO[0], TWO[1] | {"resources": {"wall_s": 7200}}]
"""Jobs that cannot be one heterogeneous job."""


async def asked(bench, jobs, key=None, user="alice", **more):
    headers = {} if key is None else {"Idempotency-Key": key}
    return await bench.call("POST", "/v1/gangs", user, json={"jobs": jobs} | more, headers=headers)


async def with_policy(bench):
    answer = await bench.call("PUT", "/v1/plugins", "boss", json={"plugins": [{"name": "gang", "timeout_s": 10.0}]})
    assert answer.status_code == 200, answer.text


async def all_jobs(bench, user="alice"):
    return (await bench.get("/v1/jobs", user, max_age_s=1e9)).json()["items"]


async def test_jobs_of_like_shape_are_one_heterogeneous_job(bench):
    answer = await asked(bench, TWO, name="duo")
    gang = answer.json()
    assert answer.status_code == 201
    assert (gang["way"], gang["name"], len(gang["jobs"])) == ("het", "duo", 1)
    assert "2 as components" in gang["why"]
    (entry,) = bench.slurm._jobs.values()
    assert [part.nodes for part in entry.spec.all_resources] == [1, 1]
    assert entry.spec.stdout == OUTPUT
    assert answer.headers["Location"] == f"/v1/jobs/{gang['jobs'][0]['id']}"


async def test_its_detail_shows_each_member_to_its_owner_and_the_secrets_to_nobody_else(bench):
    gang = (await asked(bench, TWO)).json()
    await bench.tick()
    path = f"/v1/jobs/{gang['jobs'][0]['id']}/detail"
    members = (await bench.get(path)).json()["members"]
    assert [(one["name"], one.get("args", [])) for one in members] == [("a", []), ("b", ["x"])]
    assert members[0]["environment"]["RANK"] == "0"
    assert members[1]["script"] == SCRIPT
    plain = (await bench.submitted(script=SCRIPT))["id"]
    assert (await bench.get(f"/v1/jobs/{plain}/detail")).json()["members"] == []


async def test_it_is_cancelled_as_one_job(bench):
    job = (await asked(bench, TWO)).json()["jobs"][0]
    assert (await bench.call("DELETE", f"/v1/jobs/{job['id']}")).status_code < 300
    await bench.tick()
    assert (await bench.get(f"/v1/jobs/{job['id']}")).json()["fate"] == "CANCELLED"


async def test_jobs_of_unlike_shape_wait_for_each_other(bench):
    await with_policy(bench)
    answer = await asked(bench, UNLIKE, name="duo")
    gang = answer.json()
    assert answer.status_code == 201, answer.text
    assert (gang["way"], len(gang["jobs"])) == ("held", 2)
    assert "longer time limit" in gang["why"]
    specs = [entry.spec for entry in bench.slurm._jobs.values()]
    assert {(spec.hints.gang, spec.hints.gang_size) for spec in specs} == {(gang["name"], 2)}
    assert gang["name"].startswith("duo.")
    assert all(spec.begin for spec in specs), "none starts by itself"


async def test_without_the_policy_jobs_of_unlike_shape_are_refused_and_nothing_is_kept(bench):
    answer = await asked(bench, UNLIKE)
    assert answer.status_code == 422
    assert problem_of(answer)["errors"][0]["code"] == "gang-policy"
    assert "longer time limit" in answer.text
    assert await all_jobs(bench) == []
    assert bench.slurm.calls == 0


@pytest.mark.parametrize("jobs", [TWO, UNLIKE], ids=["het", "held"])
async def test_the_same_key_makes_one_gang_however_often_it_is_sent(bench, jobs):
    await with_policy(bench)
    answers = await asyncio.gather(*(asked(bench, jobs, key="k") for _ in range(4)))
    assert {answer.status_code for answer in answers} <= {201, 202}
    assert len({tuple(job["id"] for job in answer.json()["jobs"]) for answer in answers}) == 1
    assert sum("Idempotency-Replayed" in answer.headers for answer in answers) == 3
    again = await asked(bench, jobs, key="k")
    assert again.json()["way"] == answers[0].json()["way"]
    assert len(await all_jobs(bench)) == len(answers[0].json()["jobs"])
    other = await asked(bench, [*jobs, jobs[0]], key="k")
    assert (other.status_code, problem_of(other)["code"]) == (409, "conflict")


async def test_a_key_of_one_job_is_not_that_of_a_gang(bench):
    await bench.post("k", script=SCRIPT)
    assert (await asked(bench, TWO, key="k")).status_code == 409


@pytest.mark.parametrize(
    ("jobs", "field"),
    [
        (TWO[:1], "jobs"),
        ([TWO[0], {"script": "echo"}], "jobs.1.script"),
        ([TWO[0], TWO[1] | {"hints": {"gang": "x", "gang_size": 2}}], "jobs.1.hints.gang"),
        ([{"script": SCRIPT, "resources": {"nodes": -1}}, TWO[1]], "jobs.0.resources.nodes"),
    ],
)
async def test_what_is_wrong_with_one_is_said_and_nothing_is_kept(bench, jobs, field):
    answer = await asked(bench, jobs)
    assert answer.status_code == 422
    assert field in [error["field"] for error in problem_of(answer)["errors"]]
    assert await all_jobs(bench) == []


async def test_a_name_is_a_word(bench):
    assert problem_of(await asked(bench, TWO, name="a b"))["errors"][0]["field"] == "name"


async def test_where_slurm_is_against_one_member_none_of_them_stays(bench):
    await with_policy(bench)
    refused = Refused([Refusal("partition", "There is no such partition.", "ESLURM_INVALID_PARTITION_NAME")])
    bench.slurm.mishaps = [None, refused]
    three = [*UNLIKE, UNLIKE[0]]
    answer = await asked(bench, three, key="k")
    assert answer.status_code == 422
    assert problem_of(answer)["errors"][0]["field"] == "jobs.1.partition"
    await bench.tick()
    fates = [(job["state"], job["fate"]) for job in await all_jobs(bench)]
    assert sorted(fates) == [("FINISHED", "CANCELLED"), ("FINISHED", "REFUSED"), ("FINISHED", "REFUSED")]
    assert (await asked(bench, three, key="k")).status_code == 422, "the same answer again"
    assert bench.slurm.calls == 2


@pytest.mark.parametrize("jobs", [TWO, UNLIKE], ids=["het", "held"])
async def test_while_slurm_is_away_the_gang_is_kept_and_goes_there_later(bench, jobs):
    await with_policy(bench)
    bench.slurm.down = True
    answer = await asked(bench, jobs, key="k")
    assert answer.status_code == 202
    bench.slurm.down = False
    await bench.tick()
    await bench.send()
    await bench.send()
    ids = {job["id"] for job in answer.json()["jobs"]}
    jobs_now = await all_jobs(bench)
    assert {job["id"] for job in jobs_now if job["slurm_job_id"]} == ids


async def test_a_service_that_dies_while_it_sends_has_all_of_the_gang_afterwards(place, monkeypatch):
    monkeypatch.setattr("hpcjobs.store.store.Store.upgrade", lambda _store: None)
    slurm = UnrulySlurm()
    settings = settings_of(place)
    async with on_bench(settings, {"big": slurm}) as bench:
        await bench.tick()
        await with_policy(bench)
        slurm.mishaps = [None, "bug before"]  # as if killed between two members
        assert (await asked(bench, UNLIKE, key="k")).status_code == 500
    async with on_bench(settings, {"big": slurm}) as bench:
        again = await asked(bench, UNLIKE, key="k")
        assert again.status_code == 202
        assert len(again.json()["jobs"]) == 2
        await bench.settle()
        await bench.send()
        assert len(slurm._jobs) == 2
        assert len({entry.spec.hints.gang for entry in slurm._jobs.values()}) == 1


async def test_where_no_way_has_heterogeneous_jobs_the_members_are_held(bench, monkeypatch):
    await with_policy(bench)
    monkeypatch.setattr(
        bench.slurm, "lacks", lambda op, subject=None: "it has none" if op is Op.SUBMIT and subject.spec.het else ""
    )
    gang = (await asked(bench, TWO)).json()
    assert (gang["way"], gang["why"]) == ("held", "No way to this cluster has it: it has none.")


async def test_what_no_way_can_do_of_one_member_takes_the_others_back(bench):
    await with_policy(bench)
    bench.slurm.mishaps = [None, NotSupported("no way")]
    assert (await asked(bench, UNLIKE)).status_code == 501
    await bench.tick()
    assert {job["state"] for job in await all_jobs(bench)} == {"FINISHED"}
