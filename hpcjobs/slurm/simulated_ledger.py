"""The accounting of a simulated cluster, as far as accounts, their limits and their people go."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from hpcjobs.errors import Refusal, Refused
from hpcjobs.model.account import Account
from hpcjobs.model.tenant import THERE, LedgerOrder, Setting

SITES_QOS: Final = ("normal",)
"""What an accounting has from its beginning."""


def ledger_of(accounts: Iterable[Account]) -> dict[Setting, str]:
    """What stands of accounts before anybody changes them."""
    found: dict[Setting, str] = {}
    for account in accounts:
        found[Setting(account.name, "account")] = THERE
        found[Setting(account.name, "parent")] = "root"
        found[Setting(account.name, "fairshare")] = "1"
        found |= {Setting(account.name, "QosLevel", name): THERE for name in SITES_QOS}
        found |= {Setting(account.name, "member", name): THERE for name in account.members}
        found |= {Setting(account.name, "manager", name): THERE for name in account.coordinators}
    return found


def entered(order: LedgerOrder, ledger: dict[Setting, str]) -> None:
    """Carry out an order; as in Slurm nothing is set of an account that is not there.

    Raises:
        Refused: There is no such account, or it may not use the QOS.
    """
    project, field = order.setting.project, order.setting.field
    home = Setting(project, "account")
    above = order.parent if field == "account" else order.value if field == "parent" else "root"
    for name in (project, above):
        if name not in ("root", project if field == "account" else "") and Setting(name, "account") not in ledger:
            raise _refused(f"There is no account {name}")
    if field == "account":
        ledger |= {home: THERE, Setting(project, "parent"): order.parent, Setting(project, "fairshare"): "1"}
        ledger |= {Setting(project, "QosLevel", name): THERE for name in SITES_QOS}
    elif _without_default(order, ledger):
        raise _refused("These associations don't have access to their default qos")
    elif field.startswith("qos.") and Setting(project, "qos", order.setting.of.partition(":")[0]) not in ledger:
        raise _refused(f"There is no QOS {order.setting.of}")
    elif order.value:
        ledger[order.setting] = order.value
    else:
        ledger.pop(order.setting, None)
        if field in ("fairshare", "parent"):
            ledger[order.setting] = {"fairshare": "1", "parent": "root"}[field]


def _refused(words: str) -> Refused:
    return Refused([Refusal("", f"Slurm says: {words}", "slurm-error")])


def _without_default(order: LedgerOrder, ledger: dict[Setting, str]) -> bool:
    """Whether an account would afterwards have a default QOS that it may not use."""
    project, field, of = order.setting.project, order.setting.field, order.setting.of
    if field == "DefaultQOS":
        return bool(order.value) and Setting(project, "QosLevel", order.value) not in ledger
    return field == "QosLevel" and not order.value and ledger.get(Setting(project, "DefaultQOS")) == of
