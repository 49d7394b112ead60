"""The same question asked of sacct, of sreport and of a report, in one run; and how long an end takes to be in reports.

A slurmdbd of its own beside the dockerized cluster's has a month of jobs, of 200 users in 20 accounts: who used how
many GPU-seconds? sreport and the report must say the same. sreport has summed up each hour before, which is not timed;
sacct prints every job, and its print is not even read; the report is asked of usage that was read from there before,
and how long that took is said. Slurm's commands are timed with the start of their process in the container.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import docker

from hpcjobs.identity.policy import Visibility
from hpcjobs.model.cluster import ClusterView
from hpcjobs.model.report import ReportQuery, Table
from hpcjobs.model.usage import NodeKind
from hpcjobs.reports.answer import answer
from hpcjobs.reports.asked import check
from hpcjobs.usage import intake
from hpcjobs.usage.reading import UsageReader
from hpcjobs.usage.store import UsageStore
from tests.bench.verdict import Verdict
from tests.slurm.conftest import Stack
from tests.slurm.ledger import CLUSTER, JOB, Ledger

JOBS = int(os.environ.get("HPCJOBS_BENCH_JOBS", "200000"))
USERS, ACCOUNTS, ENDS, ROUNDS = 200, 20, 3, 3
SINCE, UNTIL = (int(datetime(2025, month, 1, tzinfo=UTC).timestamp()) for month in (11, 12))
SPAN = "start=2025-11-01T00:00:00 end=2025-12-01T00:00:00"


def filled(ledger: Ledger) -> None:
    """A month of jobs with typed GPUs, by SQL."""
    accounts = ",".join(f"a{number}" for number in range(ACCOUNTS))
    ledger.sacctmgr(f"add account {accounts} cluster={CLUSTER}")
    for number in range(ACCOUNTS):
        users = ",".join(f"u{user}" for user in range(number, USERS, ACCOUNTS))
        ledger.sacctmgr(f"add user {users} account=a{number} cluster={CLUSTER}")
    first = min(ledger.associations().values())
    names = [
        name for name in JOB if name not in ("id_job", "id_assoc", "account", "time_start", "time_end", "tres_alloc")
    ]
    words = ", ".join(f"'{JOB[name]}'" for name in names)
    columns = ", ".join(f"`{name}`" for name in names)
    ledger.sql(
        f"INSERT INTO {CLUSTER}_job_table ({columns}, id_job, id_assoc, account, time_start, time_end, tres_alloc)"
        f" SELECT {words}, seq, assoc.id_assoc, assoc.acct, {SINCE} + seq * 2500000 DIV {JOBS},"
        f" {SINCE} + seq * 2500000 DIV {JOBS} + 60 + seq * 7919 MOD 36000,"
        f" CONCAT('1=8,2=64000,4=1,1001=', 1 + seq MOD 8, ',1002=', 1 + seq MOD 8)"
        f" FROM seq_1_to_{JOBS} JOIN {CLUSTER}_assoc_table AS assoc ON assoc.id_assoc = {first} + seq MOD {USERS};"
        f" UPDATE {CLUSTER}_job_table SET time_submit = time_start - 60, time_eligible = time_start - 60"
    )
    ledger.sacctmgr("roll 2025-11-01 2025-12-02")


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Median seconds of some rounds, and what the last said."""
    took = []
    for _ in range(ROUNDS):
        begun = time.perf_counter()
        said = work()
        took.append(time.perf_counter() - begun)
    return statistics.median(took), said


async def read(ledger: Ledger, store: UsageStore) -> None:
    """All of it, as the service reads it at its first start."""
    view = ClusterView(CLUSTER, UNTIL, {}, {}, {})
    await store.write(intake.write_nodes, CLUSTER, [NodeKind("n1", 0, "gpu:a100:8", 64)])
    reader = UsageReader(CLUSTER, ledger, store, lambda: view, begin=SINCE - 86_400, overlap_s=900, again_days=0)  # type: ignore[arg-type]
    await reader.tick(UNTIL + 86_400)


def end_to_report(stack: Stack) -> float:
    """The longest of some jobs, from the end that Slurm says to the report that has them."""
    took = []
    for number in range(ENDS):
        account = f"bench-{os.getpid()}-{number}"
        stack.run("slurmctld", f"sacctmgr -i add account {account} && sacctmgr -i add user alice account={account}")
        begun = int(time.time())
        line = f"cd /scratch && sbatch --parsable -A {account} -t 1 -o /dev/null --gpus=1 --wrap 'sleep 2'"
        job = stack.as_user("alice", line).strip()
        asked = {"period": f"{begun - 60}..{begun + 600}", "project": account, "measures": "ended"}
        with stack.api("operator") as api:
            while time.time() < begun + 180:
                rows = api.get("/v1/reports/usage", params=asked).json()["rows"]
                if rows and rows[0][-1]:
                    break
                time.sleep(0.5)
        ended = stack.said("slurmctld", f"SLURM_TIME_FORMAT=%s sacct -X -n -P -j {job} -o End").strip()
        took.append(time.time() - int(ended))
        stack.run("slurmctld", f"sacctmgr -i delete account {account}", check=False)
    print(f"  from end to report: {', '.join(f'{one:.0f} s' for one in took)}")
    return max(took)


def run() -> list[Verdict]:
    """Run it."""
    stack = Stack(docker.from_env(timeout=600), "slurm2605", "", "pyslurm")
    query = ReportQuery("2025-11", "UTC", ("user", "project"), ("gpu_hours",), limit=0)
    asked = check(query, "UTC", UNTIL)
    with Ledger(stack) as ledger, TemporaryDirectory() as folder:
        filled(ledger)
        store = UsageStore(str(Path(folder) / "accounting.duckdb"))
        store.open()
        begun = time.perf_counter()
        asyncio.run(read(ledger, store))
        first_s = time.perf_counter() - begun

        def reported() -> Table:
            return asyncio.run(store.read(answer, asked, Visibility("", everything=True)))

        report_s, table = timed(reported)
        words = (
            f"sreport -n -P -t Seconds -T gres/gpu cluster AccountUtilizationByUser {SPAN} format=Account,Login,Used"
        )
        sreport_s, told = timed(lambda: ledger.run(words))
        fields = "sacct -a -X -n -P -S 2025-11-01 -E 2025-12-01 -o User,Account,Start,End,AllocTRES"
        sacct_s, lines = timed(lambda: ledger.run(f"{fields} | wc -l"))
        store.close()
    ours = {(row[1], row[0]): round(row[2] * 3600) for row in table.rows}
    theirs = {(account, login): int(used) for account, login, used in map(_three, told.splitlines()) if login}
    same = sum(ours.get(key) == seconds for key, seconds in theirs.items())
    print(f"  {JOBS} jobs ({lines.strip()} printed), {len(theirs)} users: report {report_s:.3f} s")
    print(f"  sreport {sreport_s:.3f} s, sacct {sacct_s:.1f} s; all read once, with steps, in {first_s:.1f} s")
    return [
        Verdict("against, users of whom report and sreport say the same, to all", same / max(len(theirs), 1), 1),
        Verdict("against, sreport's time to the report's", sreport_s / report_s, 1),
        Verdict("against, sacct's time to the report's", sacct_s / report_s, 10),
        Verdict("against, from a job's end to the report, in s", end_to_report(stack), 60, most=True),
    ]


def _three(line: str) -> tuple[str, str, str]:
    account, login, used = line.split("|")
    return account, login, used
