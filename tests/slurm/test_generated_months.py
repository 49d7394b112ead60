"""Months of generated jobs in a real slurmdbd: what reports say is what an independent count of ``sacct -P`` says, to
the second, and what sreport says where that is right.

New year, both days on which clocks change, users that were deleted, nodes that got other GPUs in mid-month, slices with
a point in their names, typed and untyped GPUs together, GPUs that accounting did not count, requeued, suspended and
cancelled jobs, arrays and heterogeneous jobs.
"""

from __future__ import annotations

import asyncio
import random
import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from hpcjobs.errors import Unavailable
from hpcjobs.identity.policy import Visibility
from hpcjobs.model.cluster import ClusterView
from hpcjobs.model.report import ReportQuery, Table
from hpcjobs.model.usage import NodeKind, Run
from hpcjobs.reports.answer import answer
from hpcjobs.reports.asked import check
from hpcjobs.usage import intake
from hpcjobs.usage.reading import UsageReader
from hpcjobs.usage.store import IN_MEMORY, UsageStore

from .conftest import Stack
from .ledger import CLUSTER, Ledger

ZONE = ZoneInfo("Europe/Berlin")
DAY = 86_400
JOBS = 1500
NOW = int(datetime(2026, 4, 2, tzinfo=UTC).timestamp())
CHANGED = int(datetime(2025, 12, 15, 10, tzinfo=UTC).timestamp())
"""When node x1 got H100 in place of A100."""
EVERYBODY = Visibility("", everything=True)
SPANS = [("2025-10-25", "2025-10-28"), ("2025-12-01", "2026-01-05"), ("2026-03-27", "2026-03-31")]
"""Days in which jobs run: clocks go back, new year, clocks go forth."""
NODES = {
    "a1": "gpu:a100:8", "a2": "gpu:a100:8", "h1": "gpu:h100:8", "m1": "gpu:a100_1g.5gb:14", "cpu": "",
    "mix": "gpu:a100:4,gpu:h100:4", "x1": "gpu:a100:8",
}  # fmt: skip
FIELDS = "JobIDRaw,User,Account,State,Start,End,Suspended,NCPUS,AllocTRES,Submit,NodeList,SubmitLine"


def moment(day: str) -> int:
    return int(datetime.fromisoformat(day).replace(tzinfo=ZONE).timestamp())


def jobs(associations: dict[tuple[str, str], int]) -> Iterator[dict[str, Any]]:
    """Jobs of every shape, by a seed."""
    chance = random.Random(7)
    for number in range(1, JOBS + 1):
        since, until = map(moment, chance.choice(SPANS))
        start = chance.randrange(since - 3 * 3600, until)
        lasts = int(chance.choice([1, 60, 3599, 7200, 30_000, 200_000]) * chance.random()) + 1
        who = chance.choice(sorted(associations))
        cpus = chance.choice([1, 3, 64])
        base = {
            "id_job": number, "id_assoc": associations[who], "account": who[1], "time_submit": start - 100,
            "time_eligible": start - 50, "time_start": start, "time_end": start + lasts, "cpus_req": cpus,
            "nodelist": "cpu",
        }  # fmt: skip
        tres = f"1={cpus},2=1024,4=1"
        shape = chance.choice(SHAPES)
        yield from shape(base, tres, chance)


def typed(job: dict[str, Any], tres: str, chance: random.Random) -> Iterator[dict[str, Any]]:
    gpus = chance.randint(1, 8)
    node, number = chance.choice([("a1", 1002), ("a2", 1002), ("h1", 1003)])
    yield job | {"nodelist": node, "tres_alloc": f"{tres},1001={gpus},{number}={gpus}"}


def untyped(job: dict[str, Any], tres: str, chance: random.Random) -> Iterator[dict[str, Any]]:
    yield job | {"nodelist": chance.choice(["a1", "h1", "x1"]), "tres_alloc": f"{tres},1001={chance.randint(1, 8)}"}


def unresolved(job: dict[str, Any], tres: str, chance: random.Random) -> Iterator[dict[str, Any]]:
    yield job | {"nodelist": "mix", "tres_alloc": f"{tres},1001={chance.randint(1, 3)}"}


def typed_and_untyped(job: dict[str, Any], tres: str, chance: random.Random) -> Iterator[dict[str, Any]]:
    """All four A100 of a node by name, and some others that can only be its H100."""
    yield job | {"nodelist": "mix", "tres_alloc": f"{tres},1001={4 + chance.randint(1, 4)},1002=4"}


def slices(job: dict[str, Any], tres: str, chance: random.Random) -> Iterator[dict[str, Any]]:
    parts = chance.randint(1, 7)
    yield job | {"nodelist": "m1", "tres_alloc": f"{tres},1001={parts},1004={parts}"}


def not_counted(job: dict[str, Any], tres: str, chance: random.Random) -> Iterator[dict[str, Any]]:
    """Accounting did not count GPUs; the command says it."""
    asked = chance.choice(["--gpus=a100:3", "--gpus 3", "--gres=gpu:3", "--gpus-per-node=a100:3"])
    yield job | {"nodelist": "a2", "tres_alloc": tres, "submit_line": f"sbatch {asked} a.sh"}


def without(job: dict[str, Any], tres: str, chance: random.Random) -> Iterator[dict[str, Any]]:
    yield job | {"tres_alloc": tres, "state": chance.choice([3, 5, 6, 7])}


def cancelled_while_pending(job: dict[str, Any], tres: str, chance: random.Random) -> Iterator[dict[str, Any]]:
    yield job | {"time_start": 0, "state": 4, "nodelist": "None assigned", "tres_req": f"{tres},1001=4"}


def requeued(job: dict[str, Any], tres: str, chance: random.Random) -> Iterator[dict[str, Any]]:
    yield job | {"nodelist": "a1", "tres_alloc": f"{tres},1001=2,1002=2", "state": 1024}
    begins = job["time_end"] + 60
    yield job | {
        "nodelist": "h1", "tres_alloc": f"{tres},1001=2,1003=2", "time_submit": job["time_end"] + 1,
        "time_eligible": begins, "time_start": begins, "time_end": begins + 500, "restart_cnt": 1,
    }  # fmt: skip


def suspended(job: dict[str, Any], tres: str, chance: random.Random) -> Iterator[dict[str, Any]]:
    stopped = chance.randint(0, job["time_end"] - job["time_start"])
    yield job | {"nodelist": "a1", "tres_alloc": f"{tres},1001=4,1002=4", "time_suspended": stopped}


def array(job: dict[str, Any], tres: str, chance: random.Random) -> Iterator[dict[str, Any]]:
    for task in range(3):
        number = job["id_job"] if task == 2 else 100_000 + 10 * job["id_job"] + task
        yield job | {
            "id_job": number, "id_array_job": job["id_job"], "id_array_task": task, "nodelist": "h1",
            "tres_alloc": f"{tres},1001=1,1003=1",
        }  # fmt: skip


def heterogeneous(job: dict[str, Any], tres: str, chance: random.Random) -> Iterator[dict[str, Any]]:
    line = "sbatch --gpus=2 : --gpus=0 a.sh"
    yield job | {"het_job_id": job["id_job"], "het_job_offset": 0, "nodelist": "a1", "submit_line": line,
                 "tres_alloc": f"{tres},1001=2,1002=2"}  # fmt: skip
    yield job | {"id_job": 200_000 + job["id_job"], "het_job_id": job["id_job"], "het_job_offset": 1,
                 "submit_line": line, "tres_alloc": tres}  # fmt: skip


SHAPES: list[Callable[[dict[str, Any], str, random.Random], Iterator[dict[str, Any]]]] = [
    typed, untyped, unresolved, typed_and_untyped, slices, not_counted, without, cancelled_while_pending, requeued,
    suspended, array, heterogeneous,
]  # fmt: skip


@pytest.fixture(scope="module", params=["new", "old"])
def ledger(request: pytest.FixtureRequest) -> Iterator[Ledger]:
    stack: Stack = request.getfixturevalue(request.param)
    with Ledger(stack) as made:
        made.sacctmgr(f"add account vision,nlp,plain cluster={CLUSTER}")
        made.sacctmgr(f"add user alice,bob,dave account=vision,nlp cluster={CLUSTER}")
        made.sacctmgr(f"add user carol account=plain cluster={CLUSTER}")
        associations = made.associations()
        plain = {("carol", "plain"): associations.pop(("carol", "plain"))}
        told = list(jobs(associations))
        # Of one project only what sreport can tell, too.
        chance = random.Random(8)
        for number in range(900_000, 900_100):
            start = moment("2025-12-31") + chance.randrange(-3 * DAY, 3 * DAY)
            job = {"id_job": number, "id_assoc": plain["carol", "plain"], "account": "plain", "time_submit": start,
                   "time_eligible": start, "time_start": start,
                   "time_end": start + chance.randrange(1, DAY)}  # fmt: skip
            told += typed(job, "1=2,2=1024,4=1", chance)
        made.insert(told)
        made.sacctmgr(f"delete user dave cluster={CLUSTER}")
        yield made


NODE_KINDS = [NodeKind(name, 0, gres, 64) for name, gres in NODES.items()] + [NodeKind("x1", CHANGED, "gpu:h100:8", 64)]


async def fill(store: UsageStore, ledger: Ledger) -> None:
    """Read it all as the service does, by readers that are killed now and then, of a slurmdbd that is away at times."""
    await store.write(intake.write_nodes, CLUSTER, NODE_KINDS)
    chance = random.Random(9)
    nobody = ClusterView(CLUSTER, NOW, {}, {}, {})
    asked = ledger.runs

    async def failing(since: int, until: int) -> tuple[Run, ...]:
        if chance.random() < 0.3:
            raise Unavailable("slurmdbd is away.")
        return await asked(since, until)

    def reader() -> UsageReader:
        begin = moment("2025-06-01")
        return UsageReader(CLUSTER, ledger, store, lambda: nobody, begin=begin, overlap_s=900, again_days=8)  # type: ignore[arg-type]

    one = reader()
    ledger.runs = failing  # type: ignore[method-assign]
    for _ in range(12):
        await one.tick(NOW)
        one = reader() if chance.random() < 0.5 else one
    ledger.runs = asked  # type: ignore[method-assign]
    await one.tick(NOW)
    assert one.trouble == ""


class Usage:
    """Usage as it was read.

    Args:
        store: Where.
    """

    def __init__(self, store: UsageStore) -> None:
        self.store = store

    def ask(self, period: str, **query: Any) -> Table:
        asked = check(ReportQuery(period, "Europe/Berlin", **query), "UTC", NOW)
        return asyncio.run(self.store.read(answer, asked, EVERYBODY))

    def runs(self) -> list[tuple[int, int, str]]:
        told = "SELECT slurm_job_id, submit_time, raw_state FROM runs"
        return asyncio.run(self.store.read(lambda connection: connection.execute(told).fetchall()))


@pytest.fixture(scope="module")
def usage(ledger: Ledger) -> Iterator[Usage]:
    store = UsageStore(IN_MEMORY)
    store.open()
    asyncio.run(fill(store, ledger))
    yield Usage(store)
    store.close()


def printed(ledger: Ledger) -> list[dict[str, str]]:
    told = ledger.run(f"SLURM_TIME_FORMAT=%s sacct -a -D -X -n -P -S uts1700000000 -E uts{NOW} -o {FIELDS}")
    return [dict(zip(FIELDS.split(","), line.split("|"), strict=True)) for line in told.splitlines()]


def kinds_of(run: dict[str, str]) -> dict[str, int]:
    """GPUs by kind, told anew: what is typed, the rest by what is left on its node."""
    named = {kind: int(count) for kind, count in re.findall(r"gres/gpu:([^=,]+)=(\d+)", run["AllocTRES"])}
    every = re.search(r"gres/gpu=(\d+)", run["AllocTRES"])
    rest = (int(every[1]) if every else 0) - sum(named.values())
    asked = re.search(r"--(?:gpus|gres|gpus-per-node)[= ](?:gpu:)?(?:a100:)?(\d)", run["SubmitLine"])
    if asked and not every and " : " not in run["SubmitLine"]:
        rest = int(asked[1])
    node, start = run["NodeList"], int(run["Start"])
    there = {kind: int(count) for kind, count in re.findall(r"gpu:([^:,]+):(\d+)", NODES[node])}
    if node == "x1" and start >= CHANGED:
        there = {"h100": 8}
    left = [kind for kind, count in there.items() if count > named.get(kind, 0)]
    if rest:
        kind = left[0] if len(left) == 1 else "unresolved"
        named[kind] = named.get(kind, 0) + rest
    return named


def counted(ledger: Ledger, since: int, until: int) -> dict[tuple[str, str], float]:
    """GPU-seconds by user and kind, and CPU-seconds by user."""
    found: dict[tuple[str, str], float] = defaultdict(float)
    for run in printed(ledger):
        if not run["Start"].isdigit() or run["NodeList"] == "None assigned":
            continue
        start, end = int(run["Start"]), int(run["End"])
        works = end - start - clock(run["Suspended"])
        first, last = max(start, since), min(end, until)
        if first < last:
            used = (last - start) * works // (end - start) - (first - start) * works // (end - start)
            for kind, count in kinds_of(run).items():
                found[run["User"], kind] += count * used
            found[run["User"], "cpu"] += int(run["NCPUS"]) * used
    return {key: seconds for key, seconds in found.items() if seconds}


def clock(text: str) -> int:
    days, _, rest = text.rpartition("-")
    total = 0
    for part in rest.split(":"):
        total = total * 60 + int(float(part))
    return int(days or 0) * DAY + total


PERIODS = ["2025-10-26", "2025-12", "2025-12-31", "2026", "2026-W01", "2026-03-29", "2025-10-01..2026-04-01"]


@pytest.mark.parametrize("period", PERIODS)
def test_each_user_and_kind_has_the_seconds_that_sacct_prints(ledger, usage, period):
    by_kind = usage.ask(period, by=("user", "gpu"), measures=("gpu_hours",))
    by_user = usage.ask(period, by=("user",), measures=("cpu_hours",))
    ours = {(row[0], row[1]): round(row[2] * 3600) for row in by_kind.rows if row[2]}
    ours |= {(row[0], "cpu"): round(row[1] * 3600) for row in by_user.rows if row[1]}
    assert ours == counted(ledger, by_kind.since, by_kind.until)
    assert sum(row[2] for row in by_kind.rows) == pytest.approx(by_kind.total[2])
    if period == "2025-12":
        assert {kind for _, kind in ours} == {"a100", "h100", "a100_1g.5gb", "unresolved", "cpu"}
        assert {user for user, _ in ours} == {"alice", "bob", "carol", "dave"}, "also a user who is gone"


def test_days_and_hours_add_up_where_clocks_change(usage):
    for period, hours in (("2025-10-26", 25), ("2026-03-29", 23)):
        table = usage.ask(period, by=("hour",), measures=("gpu_hours", "cpu_hours"))
        assert len(table.rows) == hours
        whole = usage.ask(period, measures=("gpu_hours", "cpu_hours"))
        for place in (1, 2):
            assert sum(row[place] for row in table.rows) == pytest.approx(whole.rows[0][place - 1])


def test_each_run_is_there_once(ledger, usage):
    theirs = [(int(run["JobIDRaw"]), int(run["Submit"]), run["State"].split()[0]) for run in printed(ledger)]
    assert sorted(usage.runs()) == sorted(theirs)
    assert len(theirs) > JOBS


def test_slices_are_sevenths_and_all_kinds_together_the_total(usage):
    table = usage.ask(
        "2025-10-01..2026-04-01", by=("gpu",), measures=("gpu_hours", "gpu_hours_equivalent", "gpu_hours_unresolved")
    )
    rows = {row[0]: row[1:] for row in table.rows}
    assert rows["a100_1g.5gb"][1] == pytest.approx(rows["a100_1g.5gb"][0] / 7)
    assert rows["unresolved"][0] == rows["unresolved"][2] > 0
    assert sum(row[1] for row in rows.values()) == pytest.approx(table.total[2])


def test_sreport_says_the_same_of_what_it_can_tell(ledger, usage):
    ledger.sacctmgr("roll 2025-12-01 2026-02-01")
    since, until = "2025-12-27T00:00:00", "2026-01-05T00:00:00"
    told = ledger.run(
        f"sreport -n -P -t Seconds -T cpu,gres/gpu,gres/gpu:a100,gres/gpu:h100 cluster AccountUtilizationByUser"
        f" start={since} end={until} Accounts=plain format=Login,TresName,Used"
    )
    theirs = {}
    for login, tres, seconds in (line.split("|") for line in told.splitlines()):
        if login == "carol":
            theirs[tres.removeprefix("gres/")] = int(seconds)
    period = f"{since}Z..{until}Z"
    where = {"project": ("plain",)}
    table = usage.ask(period, by=("gpu",), measures=("gpu_hours", "cpu_hours"), where=where)
    ours = {f"gpu:{row[0]}": round(row[1] * 3600) for row in table.rows}
    ours |= {"gpu": round(table.total[1] * 3600), "cpu": round(table.total[2] * 3600)}
    assert ours == theirs
