"""Slurm's clock is not ours: what is said of when a job was sent is said by our clock alone."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from hpcjobs.model.cluster import ClusterView
from hpcjobs.observe.endings import SETTLE_S
from hpcjobs.store.tables import ATTEMPTS
from tests.api.bench import UnrulySlurm, on_bench, settings_of


class SkewedSlurm(UnrulySlurm):
    """Goes by a clock of its own.

    Attributes:
        ahead_s: By so much more than ours.
    """

    ahead_s = 0.0

    async def view(self, now: float) -> ClusterView:
        view = await super().view(now + self.ahead_s)
        return ClusterView(view.cluster, now, view.jobs, view.nodes, view.partitions)


@pytest.fixture(
    params=[
        pytest.param(ahead_s, id=f"{ahead_s:+.0f} s", marks=() if abs(ahead_s) == 90 else pytest.mark.thorough)
        for ahead_s in (-86_400.0, -90.0, -3.0, 3.0, 90.0, 86_400.0)
    ]
)
async def skewed(place, request):
    slurm = SkewedSlurm()
    slurm.ahead_s = request.param
    async with on_bench(settings_of(place), {"big": slurm}) as bench:
        await bench.tick()
        yield bench


def attempts(bench) -> list[str]:
    with bench.service.store.engine.connect() as connection:
        return list(connection.execute(select(ATTEMPTS.c.state).order_by(ATTEMPTS.c.id)).scalars())


async def test_a_job_is_submitted_runs_and_ends(skewed):
    job = await skewed.submitted(script="#!/bin/sh\nsleep 5\n")
    assert job["state"] == "RUNNING"
    await skewed.tick(10)
    ended = (await skewed.get(f"/v1/jobs/{job['id']}")).json()
    assert (ended["state"], ended["fate"]) == ("FINISHED", "COMPLETED")
    assert attempts(skewed) == ["SENT"]


async def test_an_answer_that_is_lost_makes_one_job_whenever_it_arrives(skewed):
    skewed.slurm.mishaps = ["late"]
    assert (await skewed.post("k")).status_code == 202
    await skewed.tick()
    await skewed.slurm.deliver()
    await skewed.settle()
    await skewed.send()
    assert (await skewed.post("k")).json()["slurm_job_id"] == 1
    assert (attempts(skewed), len(skewed.slurm.attempts)) == (["SENT"], 1)


async def test_what_never_arrived_goes_out_again_once(skewed):
    skewed.slurm.mishaps = ["lost before"]
    assert (await skewed.post("k")).status_code == 202
    await skewed.settle()
    await skewed.send()
    assert (await skewed.post("k")).json()["slurm_job_id"] == 1
    assert (attempts(skewed), len(skewed.slurm.attempts)) == (["UNSENT", "SENT"], 1)


async def test_what_slurm_lost_goes_out_again_and_what_ran_does_not(skewed):
    held = (await skewed.post(hold=True)).json()
    ran = (await skewed.post(script="#!/bin/sh\nsleep 5\n")).json()
    await skewed.tick()
    skewed.slurm._jobs.pop(held["slurm_job_id"])
    skewed.slurm.hidden.add(ran["slurm_job_id"])
    await skewed.tick(10)
    await skewed.ask_accounting(SETTLE_S + 15)
    await skewed.send()
    await skewed.tick(10)
    assert (await skewed.get(f"/v1/jobs/{held['id']}")).json()["state"] == "HELD"
    assert skewed.slurm.calls == 3
    assert (await skewed.get(f"/v1/jobs/{ran['id']}")).json()["slurm_job_id"] == ran["slurm_job_id"]
