"""``hpcjobs quota``: what it prints of how budgets stand."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from hpcjobs.cli.quota import BAR, bar, limits, row
from hpcjobs.model.tenant import Budget, ProjectQuota, Quota, Tenant
from hpcjobs.tenants.budget import state

NOW = datetime(2026, 3, 1, tzinfo=UTC).timestamp()


@given(st.floats(0, 1e6), st.floats(0, 1e6))
def test_a_bar_is_always_as_long_and_full_only_where_nothing_is_left(hard, used):
    told = state(Budget(hard_h=hard), used, 0, 0, NOW)
    assert len(bar(told)) == BAR
    assert (bar(told) == "#" * BAR) == (told.left_h == 0)


def test_a_line_says_when_at_this_rate_nothing_is_left():
    told = row("vision", state(Budget(hard_h=140, soft_h=5), 10, 0, 10.0, NOW))
    assert told == ("vision", "all kinds", "month", "10.0", "140.0", "130.0", "#...................",
                    "14 March 2026 (soft)")  # fmt: skip
    assert row("v", state(Budget(hard_h=1, kind="h100"), 2, 0, 1, NOW))[-1] == "now"
    assert row("v", state(Budget(hard_h=1), 0, 0, 0, NOW))[-1] == "never"
    assert row("v", state(Budget(), 3, 0, 1, NOW))[3:] == ("3.0", "-", "-", "", "never")


def test_limits_are_a_line_each():
    quota = Quota(gpus={"": 8, "h100": 4}, wall_s=60, storage_bytes=9)
    told = limits(ProjectQuota("big", "vision", Tenant(quota=quota), (), 0))
    assert told == ["all GPUs at a time: 8", "h100 GPUs at a time: 4", "wall_s: 60", "storage_bytes: 9"]
