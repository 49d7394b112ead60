"""Tenants on real Slurm: plans that are carried out, drift that is repaired, what is foreign, and jobs that wait."""

from __future__ import annotations

import asyncio
import shlex
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import duckdb
import pytest

from hpcjobs.errors import Refused
from hpcjobs.identity.directory import Directory
from hpcjobs.identity.policy import Identity
from hpcjobs.model.qos import Qos
from hpcjobs.model.spec import JobSpec, Resources
from hpcjobs.model.tenant import Budget, Change, Period, Quota, Setting, Tenant, Verb
from hpcjobs.model.who import Role
from hpcjobs.settings import StorageSettings
from hpcjobs.store import storage as rows
from hpcjobs.store.store import Store
from hpcjobs.tenants.storage import du_told, du_words, patient
from hpcjobs.tenants.tenants import Tenants
from hpcjobs.usage.store import UsageStore

from ..tenants.test_budget import put
from .conftest import Stack
from .steered import administrator
from .ways import opened

BOSS = Identity("boss", Role.ADMIN)
TOP, LOW = "quota-top", "quota-low"
FAST, SPARE = "quota-fast", "quota-spare"
MEASURED = dict.fromkeys(("slurm2605", "slurm2411"), StorageSettings(folder="/scratch/{project}"))
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

    async def use(self, project: str, gpus: int) -> None:
        """Let accounting know of so many GPUs that were used for an hour until now."""
        now = int(time.time())

        def write(connection: duckdb.DuckDBPyConnection) -> None:
            connection.execute("INSERT INTO clusters VALUES (?, ?)", [self.cluster, now])
            put(connection, 1, project, now - 3600, now, "a100", gpus)
            connection.execute("UPDATE runs SET cluster = ?", [self.cluster])

        await self.usage.write(write)
        self.tenants.standing.changed(self.cluster)

    def reason_of(self, gpus: int, options: str = "") -> str:
        """Why a job of alice's waits, when Slurm has looked at it."""
        script = f"sbatch --parsable -A {LOW} --gres=gpu:{gpus} {options} -t 5 -o /dev/null --wrap 'sleep 60'"
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
        yield Site(
            Tenants(store, usage, directory, lambda _name: backend, noted, MEASURED, lambda _name: ()), stack, usage
        )
    for project in (LOW, TOP):
        stack.run("slurmctld", f"scancel -A {project}; sacctmgr -i delete account {project}", check=False)
    stack.run("slurmctld", f"sacctmgr -i delete qos {FAST},{SPARE}", check=False)
    usage.close()
    store.close()


@pytest.fixture
def as_administrator(stack: Stack) -> Iterator[None]:
    """Slurm lets administrators alone make QOS."""
    with administrator(stack):
        yield


async def test_a_plan_is_carried_out_once_drift_is_repaired_and_all_else_stays(site):
    before = site.all_else()
    await site.declare()
    first = await site.tenants.apply(site.cluster)
    assert {change.verb for change in first.changes} == {Verb.ADD}
    assert first.unmet == ()  # of slurm.conf neither
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
    await site.use(LOW, 11)
    done = (await site.tenants.apply(site.cluster)).changes
    (change,) = [one for one in done if one.setting.of == "gres/gpu"]
    assert (change.setting, change.was, change.value) == (Setting(TOP, "GrpTRES", "gres/gpu"), "1", "0")
    assert site.reason_of(1) == "PENDING AssocGrpGRES"
    job = JobSpec("#!/bin/sh\n", account=LOW, resources=Resources(gpus=1))
    with pytest.raises(Refused, match=r"Project quota-top has used 11\.0 of 10\.0 GPU-hours"):
        await site.tenants.rule.check("alice", site.cluster, job)


@pytest.mark.usefixtures("as_administrator")
async def test_qos_bound_each_user_hold_what_is_used_up_and_are_given_back(site):
    fast = Qos(priority=5, gpus={"": 4}, user_gpus={"": 1}, user_mem_bytes=2**31, user_running_jobs=3,
               user_submitted_jobs=9, preempts=(SPARE, "normal"), preempt_mode="requeue", grace_s=90)  # fmt: skip
    low = Tenant(parent=TOP, members=("alice",), qos={FAST: fast, SPARE: Qos(priority=0)}, default_qos=FAST)
    foreign = Tenant(parent="root", qos={"normal": Qos(priority=9)})
    before = site.all_else()
    await site.declare(**{TOP: foreign, LOW: low})
    first = await site.tenants.apply(site.cluster)
    assert [(one.project, one.field) for one in first.unmet] == [(TOP, "qos.normal"), ("", "PreemptType")]
    assert (await site.tenants.plan(site.cluster)).changes == ()
    listed = f"-nP show qos {FAST} format=priority,gracetime,preemptmode,maxjobspu,maxsubmitpu,grptres,maxtrespu"
    assert site.sacctmgr(listed).strip().replace("2048M", "2G") == "5|00:01:30|requeue|3|9|gres/gpu=4|gres/gpu=1,mem=2G"
    assert set(site.sacctmgr(f"-nP show qos {FAST} format=preempt").strip().split(",")) == {SPARE, "normal"}
    assert site.reason_of(2) == "PENDING QOSMaxGRESPerUser"  # by the default
    assert site.reason_of(2, f"--qos {SPARE}") != "PENDING QOSMaxGRESPerUser"
    site.sacctmgr(f"modify qos where name={FAST} set MaxTRESPerUser=gres/gpu=7 Preempt-={SPARE}")
    drift = {(one.setting.field, one.setting.of, one.was) for one in (await site.tenants.plan(site.cluster)).changes}
    assert drift == {("qos.MaxTRESPerUser", f"{FAST}:gres/gpu", "7"), ("qos.Preempt", f"{FAST}:{SPARE}", "")}
    await site.tenants.apply(site.cluster)
    await site.use(LOW, 11)
    budget = Budget(Period.FIXED, hard_h=10, until=4_000_000_000)
    await site.declare(**{TOP: Tenant(parent="root", quota=Quota(budgets=(budget,))), LOW: low})
    await site.tenants.apply(site.cluster)
    assert site.reason_of(1) == "PENDING QOSGrpGRES"
    await site.declare(**{TOP: Tenant(parent="root"), LOW: Tenant(parent=TOP, members=("alice",))})
    await site.tenants.apply(site.cluster)
    assert (await site.tenants.plan(site.cluster)).changes == ()
    assert site.sacctmgr(listed).strip() == "0|00:00:00|cluster||||"
    left = site.sacctmgr(f"-nP show assoc where account={LOW} cluster={site.cluster} format=user,qos,defaultqos")
    assert sorted(left.splitlines()) == ["alice|normal|", "|normal|"]
    assert site.all_else() == before


async def test_a_projects_folder_is_measured_where_its_jobs_wrote(site, tmp_path):
    await site.declare(**{LOW: Tenant(parent=TOP, members=("alice",), quota=Quota(storage_bytes=4 * 2**20))})
    await site.tenants.apply(site.cluster)
    folder = f"/scratch/{LOW}"
    site.stack.run("login", f"mkdir -p {folder} && chown alice {folder}")
    try:
        script = f"sbatch --wait -A {LOW} -t 5 -o /dev/null --wrap 'head -c 6M /dev/urandom >{folder}/data; sync'"
        site.stack.as_user("alice", script)
        told = du_told(0, site.stack.run("login", shlex.join(patient(du_words(folder), 60))), "", time.time())
    finally:
        site.stack.run("login", f"rm -r {folder}")
    assert told.used_bytes is not None
    assert 6 * 2**20 <= told.used_bytes < 7 * 2**20
    await site.tenants.store.write(rows.keep, site.cluster, {LOW: told})
    site.tenants.standing.changed(site.cluster)
    with pytest.raises(Refused, match=r"Files of project quota-low used 6\.\d MiB of 4\.0 MiB"):
        await site.tenants.rule.check("alice", site.cluster, JobSpec("#!/bin/sh\n", account=LOW))


@pytest.mark.usefixtures("as_administrator")
async def test_jobs_of_one_qos_make_room_for_those_of_another(site, writable):
    stack = site.stack
    words = "PreemptType=preempt/qos\\nPreemptMode=CANCEL\\n"
    stack.run("slurmctld", f"printf '{words}' >>$(readlink -f /etc/slurm)/slurm.conf && scontrol reconfigure")
    qos = {FAST: Qos(preempts=(SPARE,)), SPARE: Qos(preempt_mode="requeue")}
    await site.declare(**{TOP: Tenant(), LOW: Tenant(members=("alice",), qos=qos, default_qos=SPARE)})
    asked = await site.tenants.apply(site.cluster)
    assert asked.unmet == ()
    (node, *_) = stack.run("login", "sinfo -hNt idle -o %N").split()
    script = f"sbatch --parsable -A {LOW} -w {node} --exclusive -t 5 -o /dev/null --wrap 'sleep 200'"

    def submit(options: str) -> str:
        return stack.as_user("alice", script.replace("sbatch", f"sbatch {options}")).strip().partition(";")[0]

    def both(*jobs: str) -> list[str]:
        return [stack.run("login", f"squeue -h -j {job} -o %T").strip() for job in jobs]

    spare = submit("")
    give_up = time.monotonic() + 60
    while both(spare) != ["RUNNING"]:
        assert time.monotonic() < give_up, both(spare)
        await asyncio.sleep(0.3)
    fast = submit(f"--qos {FAST}")
    while both(spare, fast) != ["PENDING", "RUNNING"]:
        assert time.monotonic() < give_up + 60, both(spare, fast)
        await asyncio.sleep(0.3)
