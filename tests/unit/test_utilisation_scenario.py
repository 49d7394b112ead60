"""The scenario of docs/UTILISATION.md; its run is ``make bench NAME=utilisation``."""

from __future__ import annotations

from collections import Counter

import pytest

from hpcjobs.sim.scale import demand
from hpcjobs.sim.traces.acme import KALOS
from hpcjobs.sim.workload import SimNode
from tests.bench.scenario import TEAMS, Files, Scenario, divided, files, offered, whole

NODES = tuple(SimNode(name=f"n{number}", cpus=128, gpus=8, gpu_type="a") for number in range(432))
MADE = Files({"a": NODES}, KALOS, KALOS)


@pytest.fixture(scope="module")
def jobs():
    return offered(MADE, "a", Scenario(gangs=0.5, days=1.0), 1)


def test_the_fleet_is_the_files():
    known = files()
    if known is None:
        pytest.skip("no shared/traces beside the checkout: they may not be copied into the repository")
    nodes = [node for pool in known.pools.values() for node in pool]
    assert (len(nodes), sum(node.gpus for node in nodes), len(known.pools)) == (4278, 10_412, 8)
    assert all(node.switches for node in nodes)
    assert all(len({(node.gpus, node.gpu_type) for node in pool}) == 1 for pool in known.pools.values())
    assert known.large == KALOS


def test_what_is_offered_is_the_demand(jobs):
    assert demand(jobs) == pytest.approx(1.0)


def test_gangs_as_one_job_ask_for_the_same_and_lose_no_job(jobs):
    together = whole(jobs)
    assert demand(together) == pytest.approx(demand(jobs))
    assert not any(job.hints.gang for job in together.jobs)
    gangs = Counter(job.hints.gang for job in jobs.jobs)
    alone = gangs.pop("")
    assert len(gangs) > 3
    assert len(together.jobs) == alone + len(gangs)
    assert [job.number for job in together.jobs] == sorted(job.number for job in together.jobs)


def test_a_divided_pool_has_all_nodes_and_all_jobs_once(jobs):
    teams = divided(jobs)
    assert len(teams) == TEAMS
    assert sorted(node.name for team in teams for node in team.nodes) == sorted(node.name for node in jobs.nodes)
    assert sorted(job.number for team in teams for job in team.jobs) == [job.number for job in jobs.jobs]
    assert all(len({job.account for job in team.jobs}) == 1 for team in teams)
    assert max(len(team.nodes) for team in teams) - min(len(team.nodes) for team in teams) <= 1


def test_who_is_divided_has_no_job_that_does_not_fit(jobs):
    most = max(job.nodes for job in jobs.jobs)
    assert most <= min(len(team.nodes) for team in divided(jobs))
