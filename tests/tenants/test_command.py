"""``hpcjobs quota``: what it prints of how budgets stand."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpcjobs.cli.quota import BAR, bar, limits, row
from hpcjobs.model.account import Account
from hpcjobs.model.held import Held
from hpcjobs.model.qos import Qos
from hpcjobs.model.tenant import Budget, ProjectQuota, Quota, Tenant
from hpcjobs.slurm.simulated_ledger import ledger_of
from hpcjobs.tenants.budget import state
from tests.api.test_command_line import Stdin, run, served, slurm

__all__ = ["Stdin", "run", "served", "slurm"]

NOW = datetime(2026, 3, 1, tzinfo=UTC).timestamp()


@given(st.floats(0, 1e6), st.floats(0, 1e6))
def test_a_bar_is_always_as_long_and_full_only_where_nothing_is_left(hard, used):
    told = state(Budget(hard_h=hard), used, 0, 0, NOW)
    assert len(bar(told)) == BAR
    assert (bar(told) == "#" * BAR) == (told.left_h == 0)


def test_a_line_says_when_at_this_rate_nothing_is_left():
    told = row("vision", state(Budget(hard_h=140, soft_h=5), 10, 0, 10.0, NOW))
    assert told == ("vision", "GPU-hours", "month", "10.0", "140.0", "130.0", "#...................",
                    "14 March 2026 (soft)")  # fmt: skip
    assert row("v", state(Budget(hard_h=1, kind="h100"), 2, 0, 1, NOW))[-1] == "now"
    assert row("v", state(Budget(hard_h=1), 0, 0, 0, NOW))[-1] == "never"
    assert row("v", state(Budget(), 3, 0, 1, NOW))[3:] == ("3.0", "-", "-", "", "never")


def test_limits_are_a_line_each():
    quota = Quota(gpus={"": 8, "h100": 4}, wall_s=60, storage_bytes=9)
    told = limits(ProjectQuota("big", "vision", Tenant(quota=quota), (), 0))
    assert told == ["all GPUs at a time: 8", "h100 GPUs at a time: 4", "wall_s: 60", "storage_bytes: 9"]
    held = Held({"": 6, "h100": 2}, cpus=3)
    told = limits(ProjectQuota("big", "vision", Tenant(quota=Quota(gpus={"": 8}, cpus=9)), (), 0, held=held))
    assert told == ["all GPUs at a time: 8, 6 in use", "cpus: 9, 3 in use"]


def test_a_qos_is_a_line_with_its_limits():
    qos = {"fast": Qos(priority=5, user_gpus={"": 2, "h100": 1}, preempts=("spare",)), "spare": Qos()}
    told = limits(ProjectQuota("big", "vision", Tenant(qos=qos, default_qos="fast"), (), 0))
    assert told == [
        "--qos fast (default): priority 5, user_gpus all 2, user_gpus h100 1, preempts spare",
        "--qos spare: no limits",
    ]


@pytest.fixture
def vision(served, slurm):
    """Alice of vision, which bob manages."""
    service, _ = served
    slurm.known_accounts = (
        Account("big", "vision", members=frozenset({"alice", "bob"}), coordinators=frozenset({"bob"})),
    )
    slurm.known_ledger.update(ledger_of(slurm.known_accounts))
    service.directory.learn("big", slurm.known_accounts, time.time())


def test_a_quota_is_declared_planned_applied_asked_for_and_granted(run, slurm, vision):
    said = run(
        "quota", "set", "vision", "-", user="boss", stdin='{"quota": {"gpus": {"": 8}, "budgets": [{"hard_h": 50}]}}'
    )
    assert said.exit_code == 0, said.output
    assert "50.0" in said.stdout
    planned = run("quota", "plan", user="boss")
    assert "vision add GrpTRES gres/gpu - 8 the tenant says so" in " ".join(planned.stdout.split())
    assert "1 changes would be made on big." in planned.stderr
    assert run("quota", "apply", user="boss").exit_code == 0
    assert json.loads(run("quota", "plan", "--json", user="boss").stdout)["changes"] == []
    mine = run("quota", user="alice").stdout.split()
    assert mine[mine.index("vision") :][:6] == ["vision", "GPU-hours", "month", "0.0", "50.0", "50.0"]
    asked = run("quota", "request", "vision", "-", "--reason", "a paper", user="alice", stdin='{"gpus": {"": 9}}')
    number = asked.stdout.split()[0]
    assert "open, asked by alice: a paper" in asked.stdout
    refused = run("quota", "approve", "vision", number, user="alice")
    assert refused.exit_code == 1
    assert "Admins decide" in refused.stderr
    assert "approved by boss" in run("quota", "approve", "vision", number, user="boss").stdout
    assert "already" in run("quota", "deny", "vision", number, user="boss").stderr
    shown = run("quota", "show", "vision", user="bob").stdout
    assert "all GPUs at a time: 9" in shown
    assert "50.0" in shown
    assert number in shown
    assert json.loads(run("quota", "--json", user="carol").stdout) == []
    assert run("quota", "unset", "vision", user="boss").exit_code == 0
    assert run("quota", "set", "vision", "-", user="boss", stdin="{").exit_code == 1
