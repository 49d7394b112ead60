"""Energy of one run and what it emitted."""

from __future__ import annotations

from datetime import date
from itertools import pairwise
from zoneinfo import ZoneInfo

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpcjobs.errors import SettingsError
from hpcjobs.settings import CarbonSettings
from hpcjobs.usage.energy import (
    AFTER_ALL,
    CarbonFactor,
    Energy,
    EnergyBasis,
    co2_g,
    energy_of,
    factors,
    g_per_kwh,
)

OLD, NEW = CarbonFactor(400, 0, 1000, "made up"), CarbonFactor(200, 1000, 9000, "made up")


@pytest.mark.parametrize(
    ("node_j", "gpu_j", "told"),
    [
        (7.2e6, 3.6e6, Energy(2, EnergyBasis.NODES)), (0, 3.6e6, Energy(1, EnergyBasis.GPUS)),
        (None, 0, Energy(0, EnergyBasis.GPUS)), (None, None, None), (0, None, None),
    ],
)  # fmt: skip
def test_the_widest_measured_figure_counts(node_j, gpu_j, told):
    assert energy_of(node_j, gpu_j) == told


def test_a_run_over_a_change_of_factor_is_divided_at_it() -> None:
    assert co2_g(4, 500, 2500, [OLD, NEW]) == pytest.approx(1 * 400 + 3 * 200)


def test_where_no_factor_holds_co2_is_not_known() -> None:
    assert co2_g(4, 500, 9500, [OLD, NEW]) is None


def test_a_factor_holds_until_the_next():
    told = [CarbonSettings(200, date(2026, 7, 1), "b"), CarbonSettings(400, date(2026, 1, 1), "a")]
    first, second = factors(told, ZoneInfo("Europe/Berlin"))
    assert (first.g_per_kwh, first.until, second.g_per_kwh, second.until) == (400, second.since, 200, AFTER_ALL)
    assert second.since - first.since == 181 * 86_400 - 3_600  # the clocks change meanwhile
    with pytest.raises(SettingsError, match="same day"):
        factors([told[0], told[0]], ZoneInfo("UTC"))


cuts = st.lists(st.integers(0, 5000), min_size=0, max_size=4, unique=True)


@given(cuts, st.integers(0, 5000), st.integers(0, 5000), st.floats(0, 1e6))
def test_the_sql_says_what_the_function_says(starts, start, lasts, kwh):
    order = sorted(starts)
    told = [CarbonFactor(100.5 + since, since, until, "") for since, until in
            pairwise([*order, AFTER_ALL])]  # fmt: skip
    with duckdb.connect(":memory:") as usage:
        row = usage.execute(
            f"SELECT $kwh * {g_per_kwh(told)} FROM (SELECT $start AS start_time, $end AS end_time) AS r",
            {"kwh": kwh, "start": start, "end": start + lasts},
        ).fetchone()
    assert row is not None
    wanted = co2_g(kwh, start, start + lasts, told)
    assert row[0] == (None if wanted is None else pytest.approx(wanted))
