"""GPU-hours that projects used, of the tables of usage: the only SQL of tenants over them."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence

import duckdb

from hpcjobs.model.tenant import Budget, BudgetState, Period
from hpcjobs.tenants.budget import DAY_S, RATE_DAYS, bounds, state
from hpcjobs.usage import intake
from hpcjobs.usage.amounts import ENDED, STARTED, used_s


class _Hours:
    """GPU-hours by account and kind: each question is asked once, however many budgets need its answer."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, cluster: str) -> None:
        self.connection = connection
        self.cluster = cluster
        self._asked: dict[str, dict[tuple[str, str], float]] = {}

    def _ask(self, amount: str, first: int, until: int) -> dict[tuple[str, str], float]:
        if amount not in self._asked:
            sql = f"""SELECT r.account, g.kind, sum(g.equivalent * {amount}) / 3600.0
            FROM runs r JOIN clusters c USING (cluster) JOIN run_gpus g USING (run)
            WHERE r.cluster = ? AND r.start_time < ? AND coalesce(r.end_time, c.read_until) > ?
            GROUP BY ALL"""  # noqa: S608  the amount is SQL of ours
            rows = self.connection.execute(sql, [self.cluster, until, first]).fetchall()
            self._asked[amount] = {(account, kind): float(hours) for account, kind, hours in rows}
        return self._asked[amount]

    def _sum(self, found: dict[tuple[str, str], float], projects: Collection[str], kind: str) -> float:
        return math.fsum(h for (account, of), h in found.items() if account in projects and kind in ("", of))

    def between(self, first: int, until: int, projects: Collection[str], kind: str) -> float:
        """Hours that were used from first until before until."""
        return self._sum(self._ask(used_s(first, until), first, until), projects, kind)

    def decayed(self, now: int, half_life_s: float, projects: Collection[str], kind: str) -> float:
        """Hours that still count."""
        return self._sum(self._ask(_decayed_s(now, half_life_s), 0, now), projects, kind)


def _decayed_s(now: int, half_life_s: float) -> str:
    """Seconds of a run that still count: the integral of 2^-(age / half-life) over its time, spread as used_s()."""
    begun, ended = (f"pow(2.0, (least({time}, {now}) - {now}) / {half_life_s!r})" for time in (STARTED, ENDED))
    busy = f"({used_s(0, now)} / greatest(least({ENDED}, {now}) - {STARTED}, 1))"
    return f"(({ended} - {begun}) * {half_life_s / math.log(2)!r} * {busy})"


def states_of(
    connection: duckdb.DuckDBPyConnection,
    cluster: str,
    wanted: Sequence[tuple[Budget, Collection[str]]],
    now: float,
) -> list[BudgetState]:
    """How budgets stand, by what accounting was read.

    Args:
        connection: To the tables of usage.
        cluster: Where.
        wanted: Each budget, with its project and all below it.
        now: Unix seconds.

    Returns:
        In the order of the budgets.
    """
    hours, second = _Hours(connection, cluster), int(now)
    return [_state(hours, budget, projects, second, now) for budget, projects in wanted]


def _state(hours: _Hours, budget: Budget, projects: Collection[str], second: int, now: float) -> BudgetState:
    kind = budget.kind
    first, until = bounds(budget, now)
    before, _ = bounds(budget, now, back=1)
    if budget.period is Period.DECAY:
        used_h = hours.decayed(second, budget.half_life_s, projects, kind)
    else:
        used_h = hours.between(first, until, projects, kind)
    before_h = hours.between(before, first, projects, kind) if budget.carry_over_h else 0.0
    recent_h = hours.between(second - RATE_DAYS * DAY_S, second, projects, kind)
    return state(budget, used_h, before_h, recent_h / RATE_DAYS, now)


def read_until(connection: duckdb.DuckDBPyConnection, cluster: str) -> int:
    """Unix seconds up to which a cluster's accounting was read; 0: never."""
    return intake.read_until(connection, cluster) or 0
