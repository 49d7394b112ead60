"""GPU-hours that projects used, of the tables of usage: the only SQL of tenants over them."""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import Final

import duckdb

from hpcjobs.model.tenant import Budget, BudgetState, Period
from hpcjobs.tenants.budget import DAY_S, RATE_DAYS, bounds, state
from hpcjobs.usage.amounts import ENDED, STARTED, used_s

_FROM: Final = """FROM runs r JOIN clusters c USING (cluster) JOIN run_gpus g USING (run)
WHERE r.cluster = ? AND list_contains(?, r.account) AND (? = '' OR g.kind = ?) AND r.start_time IS NOT NULL"""


def _asked(connection: duckdb.DuckDBPyConnection, amount: str, cluster: str, projects: list[str], kind: str) -> float:
    sql = f"SELECT coalesce(sum(g.equivalent * {amount}), 0) / 3600.0 {_FROM}"
    row = connection.execute(sql, [cluster, projects, kind, kind]).fetchone()
    return float(row[0]) if row else 0.0


def _decayed_s(now: int, half_life_s: float) -> str:
    """Seconds of a run that still count: the integral of 2^-(age / half-life) over its time, spread as used_s()."""
    begun, ended = (f"pow(2.0, (least({time}, {now}) - {now}) / {half_life_s!r})" for time in (STARTED, ENDED))
    busy = f"({used_s(0, now)} / greatest(least({ENDED}, {now}) - {STARTED}, 1))"
    return f"(({ended} - {begun}) * {half_life_s / math.log(2)!r} * {busy})"


def state_of(
    connection: duckdb.DuckDBPyConnection, budget: Budget, cluster: str, projects: Collection[str], now: float
) -> BudgetState:
    """How a budget stands, by what accounting was read.

    Args:
        connection: To the tables of usage.
        budget: Which.
        cluster: Where.
        projects: The project and all below it.
        now: Unix seconds.
    """
    names, second = sorted(projects), int(now)
    first, until = bounds(budget, now)
    before, _ = bounds(budget, now, back=1)
    amount = _decayed_s(second, budget.half_life_s) if budget.period is Period.DECAY else used_s(first, until)
    used_h = _asked(connection, amount, cluster, names, budget.kind)
    before_h = _asked(connection, used_s(before, first), cluster, names, budget.kind) if budget.carry_over_h else 0.0
    recent = _asked(connection, used_s(second - RATE_DAYS * DAY_S, second), cluster, names, budget.kind)
    return state(budget, used_h, before_h, recent / RATE_DAYS, now)


def read_until(connection: duckdb.DuckDBPyConnection, cluster: str) -> int:
    """Unix seconds up to which a cluster's accounting was read; 0: never."""
    row = connection.execute("SELECT max(read_until) FROM clusters WHERE cluster = ?", [cluster]).fetchone()
    return int(row[0]) if row and row[0] is not None else 0
