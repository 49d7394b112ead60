"""The accounting of a simulated cluster, as far as accounts, their limits and their people go."""

from __future__ import annotations

from collections.abc import Iterable

from hpcjobs.errors import Refusal, Refused
from hpcjobs.model.account import Account
from hpcjobs.model.tenant import THERE, LedgerOrder, Setting


def ledger_of(accounts: Iterable[Account]) -> dict[Setting, str]:
    """What stands of accounts before anybody changes them."""
    found: dict[Setting, str] = {}
    for account in accounts:
        found[Setting(account.name, "account")] = THERE
        found[Setting(account.name, "parent")] = "root"
        found[Setting(account.name, "fairshare")] = "1"
        found |= {Setting(account.name, "member", name): THERE for name in account.members}
        found |= {Setting(account.name, "manager", name): THERE for name in account.coordinators}
    return found


def entered(order: LedgerOrder, ledger: dict[Setting, str]) -> None:
    """Carry out an order; as in Slurm nothing is set of an account that is not there.

    Raises:
        Refused: There is no such account.
    """
    project, field = order.setting.project, order.setting.field
    home = Setting(project, "account")
    above = order.parent if field == "account" else order.value if field == "parent" else "root"
    for name in (project, above):
        if name not in ("root", project if field == "account" else "") and Setting(name, "account") not in ledger:
            raise Refused([Refusal("", f"Slurm says: There is no account {name}", "slurm-error")])
    if field == "account":
        ledger |= {home: THERE, Setting(project, "parent"): order.parent, Setting(project, "fairshare"): "1"}
    elif order.value:
        ledger[order.setting] = order.value
    else:
        ledger.pop(order.setting, None)
        if field in ("fairshare", "parent"):
            ledger[order.setting] = {"fairshare": "1", "parent": "root"}[field]
