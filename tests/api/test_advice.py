"""Advice over REST: of what the cluster has shown, of what a job's agent measured, and where each figure is from."""

from __future__ import annotations

import math
import time

import pytest

from hpcjobs.model.failure import Diagnosis, FailureClass, Sureness
from hpcjobs.model.progress import Progress
from hpcjobs.model.recovery import Recovery, Stop
from hpcjobs.model.usage import Run
from hpcjobs.recovery.advice import counted_rate
from hpcjobs.store import progress, recoveries
from hpcjobs.usage import intake
from hpcjobs.usage.fleet import Fleet
from tests.api.bench import problem_of

ADVICE = "/v1/recovery/advice"
DAY_S = 86_400
NOW = int(time.time())


async def ran(bench, *runs: tuple[int, float, float, str], nodes: int = 50) -> None:
    """Runs of a job each: its number, so many days ago until so many days ago, Slurm's state."""
    told = [
        Run(slurm_job_id=number, submit_time=int(NOW - since * DAY_S), start_time=int(NOW - since * DAY_S),
            end_time=int(NOW - until * DAY_S), raw_state=state, user="bob", account="nlp", nodes=nodes)
        for number, since, until, state in runs
    ]  # fmt: skip

    def write(connection):
        intake.write_runs(connection, "big", told, Fleet())
        intake.set_read_until(connection, "big", NOW)

    await bench.service.usage.write(write)


async def asked(bench, user: str = "alice", **query):
    answer = await bench.call("GET", ADVICE, user, params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_where_nothing_was_seen_it_goes_by_what_others_published_and_says_so(bench):
    found = await asked(bench, nodes=128, save_s=60)
    assert (found["rate"]["per_1000_node_days"], found["counted"]) == (6.5, None)
    assert found["advice"]["mtbf_s"] == pytest.approx(1000 * DAY_S / (128 * 6.5))
    assert found["advice"]["intervals"]["young_s"] == pytest.approx(math.sqrt(2 * 60 * found["advice"]["mtbf_s"]))
    assert found["told"][0].startswith("No job has run here in 28 days")


async def test_a_rate_is_counted_of_accounting_with_its_bounds(bench):
    bad = [(number, 10.0, 8.0, "NODE_FAIL") for number in range(1, 6)]
    await ran(bench, *bad, (6, 10.0, 0.0, "COMPLETED"), (7, 40.0, 27.0, "COMPLETED"), (8, 40.0, 30.0, "NODE_FAIL"))
    found = await asked(bench, nodes=128, save_s=60)
    days = 50 * (5 * 2 + 10 + 1)
    expected = counted_rate(5, days)
    assert found["rate"] == found["counted"]
    assert (found["rate"]["failures"], found["rate"]["node_days"]) == (5, pytest.approx(days, rel=1e-3))
    assert [found["rate"][name] for name in ("low", "high")] == pytest.approx([expected.low, expected.high], rel=1e-3)
    assert found["advice"]["ettr_low"] < found["advice"]["ettr"] < found["advice"]["ettr_high"]


async def test_too_few_failures_are_shown_and_not_gone_by(bench):
    await ran(bench, (1, 2.0, 1.0, "NODE_FAIL"))
    found = await asked(bench, nodes=8, save_s=60)
    assert (found["counted"]["failures"], found["rate"]["per_1000_node_days"]) == (1, 6.5)
    assert "too few" in found["told"][0]


async def test_diagnoses_count_too_and_no_run_twice(bench):
    await ran(bench, *((number, 3.0, 1.0, "NODE_FAIL") for number in (1, 2, 3)), (9, 3.0, 1.0, "FAILED"))

    def decided(number: int, failure: FailureClass) -> Recovery:
        why = Diagnosis(failure=failure, sure=Sureness.STRONG)
        return Recovery(
            cluster="big", job_id=f"{number:032}", slurm_job_id=number, run=0, at=NOW - DAY_S, progress=None,
            diagnosis=why, decision=Stop(""), plugin="x", decided_at=NOW,
        )  # fmt: skip

    for one in (decided(3, FailureClass.NODE), decided(9, FailureClass.DEVICE), decided(8, FailureClass.USER)):
        await bench.service.store.write(recoveries.add, one)
    assert (await asked(bench, nodes=8, save_s=60))["rate"]["failures"] == 4


async def test_how_long_jobs_waited_after_a_node_failed_is_measured(bench):
    await ran(bench, (1, 3.0, 2.0, "NODE_FAIL"), (1, 1.5, 1.0, "COMPLETED"), (2, 3.0, 2.0, "NODE_FAIL"))
    found = await asked(bench, nodes=8, save_s=60)
    assert found["recovery"] == {"save_s": 60, "restart_s": 300, "down_s": pytest.approx(DAY_S / 2, abs=2)}


async def test_a_job_is_advised_by_its_own_size_and_what_its_agent_measured(bench):
    job = await bench.submitted()
    told = Progress(cluster="big", job_id=job["id"], run=0, attempt=1, began=1.0, alive=2.0, save_s=12.5, seen_at=3.0)
    assert problem_of(await bench.call("GET", ADVICE, params={"job": job["id"]}))["errors"][0]["field"] == "save_s"
    await bench.service.store.write(progress.keep, [told])
    found = await asked(bench, job=job["id"])
    assert (found["job_id"], found["advice"]["nodes"], found["recovery"]["save_s"]) == (job["id"], job["nodes"], 12.5)
    assert (await asked(bench, job=job["id"], save_s=20, nodes=64))["advice"]["nodes"] == 64
    assert (await bench.call("GET", ADVICE, "mallory", params={"job": job["id"]})).status_code == 404


async def test_who_says_neither_job_nor_size_is_told_all_that_is_missing(bench):
    faults = problem_of(await bench.call("GET", ADVICE))["errors"]
    assert [one["field"] for one in faults] == ["nodes", "save_s"]
