"""A process that lets runs come late and puts invoices right, until it is killed: ``charging.py DATABASE USAGE SEED``.

It writes a line for each document that it was answered with, as JSON.
"""

from __future__ import annotations

import asyncio
import random
import sys
from zoneinfo import ZoneInfo

import duckdb
import msgspec

from hpcjobs.billing.invoices import Invoices
from hpcjobs.billing.prices import Prices
from hpcjobs.identity.directory import Directory
from hpcjobs.identity.policy import Identity, Role
from hpcjobs.model.invoice import InvoiceAsked
from hpcjobs.settings import BillingSettings
from hpcjobs.store.store import Store
from hpcjobs.usage.store import UsageStore
from tests.reports.usage import COLUMNS

BOSS = Identity("boss", Role.ADMIN)
PROJECTS = ("vision", "nlp")
FIRST, LAST = 1_600_000_000, 1_602_000_000
"""The period, in Unix seconds."""
PERIOD = f"{FIRST}..{LAST}"


def late_run(connection: duckdb.DuckDBPyConnection, project: str, lasts: int) -> None:
    """One more run of eight GPUs, and accounting read to now."""
    (number,) = connection.execute("SELECT count(*) FROM runs").fetchone() or (0,)
    row = COLUMNS | {"run": number, "slurm_job_id": number, "account": project, "cpus": 16}
    row |= {"submit_time": FIRST, "start_time": FIRST, "end_time": FIRST + lasts}
    names = ", ".join(f'"{name}"' for name in row)
    connection.execute(f"INSERT INTO runs ({names}) VALUES ({', '.join('?' for _ in row)})", list(row.values()))
    connection.execute("INSERT INTO run_gpus VALUES (?, 'a100', '', 8, 8.0, 8.0, 'named')", [number])
    connection.execute("DELETE FROM clusters")
    connection.execute("INSERT INTO clusters (cluster, read_until) VALUES ('north', ?)", [LAST])


def opened(database: str, usage_path: str) -> tuple[Store, UsageStore, Invoices]:
    """All that issues invoices."""
    store, usage = Store(f"sqlite:///{database}"), UsageStore(usage_path)
    usage.open()
    prices = Prices(store, BillingSettings(), ZoneInfo("UTC"))
    return store, usage, Invoices(store, usage, prices, Directory())


async def charge_for_ever(database: str, usage_path: str, seed: int) -> None:
    """Until it is killed."""
    chance = random.Random(seed)
    _, usage, invoices = opened(database, usage_path)
    while True:
        project = chance.choice(PROJECTS)
        await usage.write(late_run, project, chance.randrange(1, 100_000))
        issued = await invoices.issue(BOSS, "north", InvoiceAsked(project, PERIOD))
        for made in (issued, await invoices.correct(BOSS, issued.number)):
            sys.stdout.write(msgspec.json.encode(made).decode() + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(charge_for_ever(sys.argv[1], sys.argv[2], int(sys.argv[3])))
