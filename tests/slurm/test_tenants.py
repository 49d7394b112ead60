"""Tenants on real Slurm: plans that are carried out, drift that is repaired, what is foreign, and jobs that wait."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from hpcjobs.errors import Refused
from hpcjobs.identity.directory import Directory
from hpcjobs.identity.policy import Identity
from hpcjobs.model.spec import JobSpec, Resources
from hpcjobs.model.tenant import Budget, Change, Period, Quota, Setting, Tenant, Verb
from hpcjobs.model.who import Role
from hpcjobs.store.store import Store
from hpcjobs.tenants.tenants import Tenants
from hpcjobs.usage.store import UsageStore

from ..tenants.test_budget import put
from .conftest import Stack
from .ways import opened

BOSS = Identity("boss", Role.ADMIN)
TOP, LOW = "quota-top", "quota-low"
WANTED = {
    TOP: Tenant(parent="root", quota=Quota(gpus={"": 1}, cpus=64, mem_bytes=3 * 2**30, wall_s=7200)),
    LOW: Tenant(parent=TOP, members=("alice",), managers=("bob",), fairshare=7, quota=Quota(submitted_jobs=5)),
}


class Site:
    """A service's tenants over one cluster.

    Attributes:
        tenants: They.
        cluster: Its name.
        usage: What was used.
    """

    def __init__(self, tenants: Tenants, stack: Stack, usage: UsageStore) -> None:
        self.tenants, self.stack, self.usage = tenants, stack, usage
        self.cluster = stack.cluster

    def sacctmgr(self, words: str) -> str:
        return self.stack.run("login", f"sacctmgr -i {words}")

    def all_else(self) -> list[str]:
        """Every association that is not of the projects of these tests, as sacctmgr prints it."""
        listed = self.stack.run("login", "sacctmgr -nP show assoc format=cluster,account,user,parentname,share,grptres,"
                                "grpjobs,grpsubmit,maxwall,qos")  # fmt: skip
        return sorted(line for line in listed.splitlines() if "quota-" not in line)

    async def declare(self, **changed: Tenant) -> None:
        for project, tenant in (WANTED | changed).items():
            await self.tenants.declare(BOSS, self.cluster, project, tenant)

    def reason_of(self, gpus: int) -> str:
        """Why a job of alice's waits, when Slurm has looked at it."""
        script = f"sbatch --parsable -A {LOW} --gres=gpu:{gpus} -t 5 -o /dev/null --wrap 'sleep 60'"
        number = self.stack.as_user("alice", script).strip().partition(";")[0]
        give_up = time.monotonic() + 60
        told = ["PENDING", "None"]
        while told[0] == "PENDING" and told[1] in ("None", "Priority") and time.monotonic() < give_up:
            time.sleep(0.3)
            told = self.stack.run("login", f"squeue -h -j {number} -o '%T %r'").split()
        self.stack.run("slurmctld", f"scancel {number}")
        return " ".join(told)


async def noted(_cluster: str, change: Change) -> None:
    """Everything that is done has a reason."""
    assert change.why


@pytest.fixture
async def site(stack: Stack, tmp_path: Path) -> AsyncIterator[Site]:
    store, usage = Store(f"sqlite:///{tmp_path}/jobs.db"), UsageStore(":memory:")
    store.upgrade()
    usage.open()
    way = "ssh@new" if stack.cluster == "slurm2605" else "ssh@old"
    async with opened(way, stack, tmp_path) as backend:
        directory = Directory()
        directory.learn(stack.cluster, await backend.accounts(), time.time())
        yield Site(Tenants(store, usage, directory, lambda _name: backend, noted), stack, usage)
    for project in (LOW, TOP):
        stack.run("slurmctld", f"scancel -A {project}; sacctmgr -i delete account {project}", check=False)
    usage.close()
    store.close()


async def test_a_plan_is_carried_out_once_drift_is_repaired_and_all_else_stays(site):
    before = site.all_else()
    await site.declare()
    first = await site.tenants.apply(site.cluster)
    assert {change.verb for change in first.changes} == {Verb.ADD}
    assert first.unmet == ()
    assert (await site.tenants.plan(site.cluster)).changes == ()
    shown = site.sacctmgr(f"-nP show assoc where account={TOP},{LOW} cluster={site.cluster} "
                          "format=account,user,parentname,share,grptres,grpsubmit,maxwall")  # fmt: skip
    assert f"{TOP}||root|1|cpu=64,gres/gpu=1,mem=3G||02:00:00" in shown.replace("mem=3072M", "mem=3G").splitlines()
    assert f"{LOW}|alice||" in shown
    assert "(hpcjobs)" in site.sacctmgr(f"-nP show account {LOW} format=description")
    site.sacctmgr(f"modify account where name={TOP} cluster={site.cluster} set GrpTRES=cpu=9999")
    site.sacctmgr(f"delete coordinator account={LOW} names=bob")
    drift = await site.tenants.plan(site.cluster)
    told = {change.setting: (change.was, change.value) for change in drift.changes}
    assert told == {
        Setting(TOP, "GrpTRES", "cpu"): ("9999", "64"),
        Setting(LOW, "manager", "bob"): ("", "there"),
    }
    assert all("somebody has changed it" in change.why for change in drift.changes)
    await site.tenants.apply(site.cluster)
    assert (await site.tenants.plan(site.cluster)).changes == ()
    # a limit of somebody else's on an account of ours, and one that is declared no more
    site.sacctmgr(f"modify account where name={LOW} cluster={site.cluster} set GrpJobs=3")
    await site.declare(**{TOP: Tenant(parent="root"), LOW: Tenant(parent=TOP, members=("alice",))})
    await site.tenants.apply(site.cluster)
    left = site.sacctmgr(f"-nP show assoc where account={TOP},{LOW} cluster={site.cluster} "
                         "format=account,user,share,grptres,grpjobs,grpsubmit,maxwall")  # fmt: skip
    assert left.splitlines()[0] == f"{TOP}||1||||"
    assert f"{LOW}||1||3||" in left.splitlines()
    assert site.all_else() == before


async def test_a_job_over_the_gpus_of_its_project_waits_and_with_nothing_left_every_one(site):
    await site.declare()
    await site.tenants.apply(site.cluster)
    assert site.reason_of(2) == "PENDING AssocGrpGRES"
    assert site.reason_of(1) != "PENDING AssocGrpGRES"
    budget = Budget(Period.FIXED, hard_h=10, until=4_000_000_000)
    await site.declare(**{TOP: Tenant(parent="root", quota=Quota(budgets=(budget,), gpus={"": 1}))})
    now = int(time.time())

    def use(connection):
        connection.execute("INSERT INTO clusters VALUES (?, ?)", [site.cluster, now])
        put(connection, 1, LOW, now - 3600, now, "a100", 11)
        connection.execute("UPDATE runs SET cluster = ?", [site.cluster])

    await site.usage.write(use)
    site.tenants.standing.changed(site.cluster)
    done = (await site.tenants.apply(site.cluster)).changes
    (change,) = [one for one in done if one.setting.of == "gres/gpu"]
    assert (change.setting, change.was, change.value) == (Setting(TOP, "GrpTRES", "gres/gpu"), "1", "0")
    assert site.reason_of(1) == "PENDING AssocGrpGRES"
    job = JobSpec("#!/bin/sh\n", account=LOW, resources=Resources(gpus=1))
    with pytest.raises(Refused, match=r"Project quota-top has used 11\.0 of 10\.0 GPU-hours"):
        await site.tenants.rule.check("alice", site.cluster, job)
