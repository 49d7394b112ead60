"""Accounts, their limits and their people in sacctmgr's words: what is there, and what changes it. Pure.

24.11 and 26.05 print the same. Which coordinators are of this account and not of one above is said in JSON only.
"""

from __future__ import annotations

from typing import Final

from hpcjobs.errors import Unavailable
from hpcjobs.model.tenant import THERE, Ledger, LedgerOrder, Setting
from hpcjobs.sbatch.units import ceil_div, parse_time
from hpcjobs.slurm.accounting import SACCTMGR, AccountTold
from hpcjobs.slurm.ledger_qos import qos_of, qos_words, tres_of
from hpcjobs.slurm.slurm_commands import fault_of

COORDINATORS: Final = SACCTMGR
TRES: Final = ("sacctmgr", "-nP", "show", "tres", "format=type,name")
DONE_ALREADY: Final = ("Already existing", "already exist", "Nothing new", "Nothing deleted")
"""What sacctmgr says where there is nothing to be done."""
_FIELDS: Final = (
    "account", "user", "parentname", "fairshare", "grptres", "grpjobs", "grpsubmit", "maxwall", "defaultqos", "qos",
)  # fmt: skip


def associations_words(cluster: str) -> list[str]:
    """The command that lists what a cluster's accounts and users may."""
    return ["sacctmgr", "-nP", "show", "assoc", "where", f"cluster={cluster}", f"format={','.join(_FIELDS)}"]


def ledger_of(associations: str, accounts: tuple[AccountTold, ...], tres: str, qos: str, cluster: str) -> Ledger:
    """What the four commands have told.

    Args:
        associations: As ``associations_words`` has it printed.
        accounts: With their coordinators.
        tres: As ``TRES`` has it printed.
        qos: As ``QOS`` has it printed.
        cluster: Whose accounts they are.

    Raises:
        ValueError: It is something else.
    """
    settings: dict[Setting, str] = {}
    for line in associations.splitlines():
        account, user, *values = line.split("|")
        if len(values) != len(_FIELDS) - 2:
            raise ValueError(f"sacctmgr prints {line[:200]!r}")
        if user:
            settings[Setting(account, "member", user)] = THERE
        else:
            settings[Setting(account, "account")] = THERE
            settings |= _of_account(account, values)
    here = {setting.project for setting in settings}
    for told in accounts:
        if told.name in here:
            direct = (one.name for one in told.coordinators if one.direct)
            settings |= {Setting(told.name, "manager", name): THERE for name in direct}
    pairs = (line.partition("|") for line in tres.splitlines())
    limitable = frozenset(f"{kind}/{name}" if name else kind for kind, _, name in pairs)
    of_qos, owners = qos_of(qos, cluster)
    return Ledger(settings | of_qos, limitable, owners)


def _of_account(account: str, values: list[str]) -> dict[Setting, str]:
    parent, fairshare, grp_tres, grp_jobs, grp_submit, max_wall, default_qos, qos = values
    plain = {
        "parent": parent,
        "fairshare": fairshare,
        "GrpJobs": grp_jobs,
        "GrpSubmitJobs": grp_submit,
        "MaxWall": str(ceil_div(parse_time(max_wall), 60)) if max_wall else "",
        "DefaultQOS": default_qos,
    }
    found = {Setting(account, field): value for field, value in plain.items() if value}
    found |= {Setting(account, "GrpTRES", name): value for name, value in tres_of(grp_tres).items()}
    return found | {Setting(account, "QosLevel", name): THERE for name in qos.split(",") if name}


def order_words(order: LedgerOrder, cluster: str) -> list[str]:
    """The command that carries out an order. Memory is in MiB, time in minutes, as sacctmgr takes them.

    Args:
        order: The order.
        cluster: Of the account.

    Raises:
        ValueError: An account or QOS is to be taken away, which nobody here does.
    """
    project, field, of = order.setting.project, order.setting.field, order.setting.of
    if field == "qos" or field.startswith("qos."):
        return qos_words(order, cluster)
    if field == "account":
        if not order.value:
            raise ValueError(f"account {project} is not deleted: its history hangs on it")
        told = [
            f"description={order.description or project} (hpcjobs)",
            f"organization={order.organization or project}",
        ]
        return ["sacctmgr", "-i", "add", "account", project, f"cluster={cluster}", f"parent={order.parent}", *told]
    if field == "member":
        if order.value:
            return ["sacctmgr", "-i", "add", "user", of, f"account={project}", f"cluster={cluster}"]
        return ["sacctmgr", "-i", "delete", "user", "where", f"name={of}", f"account={project}", f"cluster={cluster}"]
    if field == "manager":
        verb = "add" if order.value else "delete"
        return ["sacctmgr", "-i", verb, "coordinator", f"account={project}", f"names={of}"]
    where = ["sacctmgr", "-i", "modify", "account", "where", f"name={project}", f"cluster={cluster}"]
    if field == "QosLevel":
        return [*where, "set", f"QosLevel{'+' if order.value else '-'}={of}"]
    none = {"fairshare": "1", "parent": "root"}.get(field, "-1")
    name = f"{field}={of}" if of else field
    return [*where, "set", f"{name}={order.value or none}"]


def read(associations: bytes, accounts: tuple[AccountTold, ...], tres: bytes, qos: bytes, cluster: str) -> Ledger:
    """As ledger_of(), of what came from the commands.

    Raises:
        Unavailable: It is something else.
    """
    try:
        return ledger_of(associations.decode(), accounts, tres.decode(), qos.decode(), cluster)
    except ValueError as error:
        raise Unavailable(f"sacctmgr answered what we cannot read: {error}.") from error


def judge(status: int, out: bytes, said: str) -> None:
    """What came of a command that was to change something.

    Args:
        status: Its exit status.
        out: What it printed: it complains there too.
        said: What it printed on standard error.

    Raises:
        HpcjobsError: Why it was not done.
    """
    words = f"{out.decode(errors='replace')}\n{said}"
    if status and not any(known in words for known in DONE_ALREADY):
        raise fault_of(words, changing=True)
