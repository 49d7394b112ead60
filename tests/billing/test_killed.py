"""Invoices of a process that is killed again and again in the middle of its work."""

from __future__ import annotations

import shutil
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from hpcjobs.model.invoice import Invoice, InvoiceAsked
from hpcjobs.model.price import Price
from hpcjobs.store import prices

from .charging import BOSS, PERIOD, PROJECTS, opened

ROOT = Path(__file__).parents[2]
ANSWERS = (1, 2, 5, 8, 13)
"""After so many answers each process is killed; what it does then is chance."""


def charge_until_killed(database: Path, usage: Path, answers: int) -> list[Invoice]:
    """What a process was answered with before it was killed."""
    command = [sys.executable, "-m", "tests.billing.charging", str(database), str(usage), str(answers)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(answers)]
        process.kill()
        lines += process.stdout.read().splitlines()
    return [msgspec.json.decode(line, type=Invoice) for line in lines]  # a pipe tears none so short


@pytest.mark.thorough
async def test_whatever_is_killed_nothing_is_charged_twice_and_no_number_is_left_out(empty_database, tmp_path):
    database, usage_path = tmp_path / "jobs.db", tmp_path / "accounting.duckdb"
    shutil.copy(empty_database, database)
    store, usage, _ = opened(str(database), str(usage_path))
    for number, resource in enumerate(("gpu:a100", "cpu"), 1):
        await store.write(prices.add, Price(number, resource, "0.333333", "EUR", 0))
    store.close()
    usage.close()
    answered = [made for answers in ANSWERS for made in charge_until_killed(database, usage_path, answers)]
    store, usage, invoices = opened(str(database), str(usage_path))
    for project in PROJECTS:
        issued = await invoices.issue(BOSS, "north", InvoiceAsked(project, PERIOD))
        await invoices.correct(BOSS, issued.number)
    there = {made.number: made for made in await invoices.every(BOSS, None, None)}
    for project in PROJECTS:
        today = await invoices.draft(BOSS, "north", InvoiceAsked(project, PERIOD))
        charged = sum(Decimal(made.total) for made in there.values() if made.project == project)
        assert charged == Decimal(today.total) > 0
    assert all(there[made.number] == made for made in answered)
    assert sorted(int(number[5:]) for number in there) == [*range(1, len(there) + 1)]
    store.close()
    usage.close()
