"""QOS that hpcjobs makes, in sacctmgr's words: what is there, and what changes it. Pure.

Whose a QOS is stands in its description, because a QOS belongs to no account and to all clusters of an accounting.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from hpcjobs.model.amount import MIB
from hpcjobs.model.tenant import THERE, LedgerOrder, Setting
from hpcjobs.sbatch.units import ceil_div, parse_memory, parse_time

_FIELDS: Final = (
    "name", "description", "priority", "gracetime", "preemptmode", "maxjobspu", "maxsubmitpu", "grptres", "maxtrespu",
    "preempt",
)  # fmt: skip
QOS: Final = ("sacctmgr", "-nP", "show", "qos", f"format={','.join(_FIELDS)}")
_OURS: Final = re.compile(r"(?P<project>\S+) \(hpcjobs, (?P<cluster>\S+)\)")
_NONE: Final = {"qos.Priority": "0", "qos.GraceTime": "0", "qos.PreemptMode": "cluster"}


def tres_of(printed: str) -> dict[str, str]:
    """Limits of trackable resources as sacctmgr prints them, memory in MiB.

    Raises:
        ValueError: They are something else.
    """
    pairs = (limit.partition("=") for limit in printed.split(",") if limit)
    return {name: str(ceil_div(parse_memory(amount), MIB)) if name == "mem" else amount for name, _, amount in pairs}


def qos_of(printed: str, cluster: str) -> tuple[dict[Setting, str], dict[str, str]]:
    """What ``QOS`` has told.

    Args:
        printed: As it has it printed.
        cluster: Whose QOS are asked for.

    Returns:
        What is set of the QOS that hpcjobs made for projects of the cluster; and all QOS, each with that project or
        ``""``.

    Raises:
        ValueError: It is something else.
    """
    settings: dict[Setting, str] = {}
    owners: dict[str, str] = {}
    for line in printed.splitlines():
        values = line.split("|")
        if len(values) != len(_FIELDS):
            raise ValueError(f"sacctmgr prints {line[:200]!r}")
        name, description, *rest = values
        ours = _OURS.fullmatch(description)
        owners[name] = ours["project"] if ours and ours["cluster"] == cluster.lower() else ""
        if project := owners[name]:
            settings[Setting(project, "qos", name)] = THERE
            settings |= _limits(project, name, rest)
    return settings, owners


def _limits(project: str, name: str, values: list[str]) -> Iterable[tuple[Setting, str]]:
    priority, grace, mode, jobs, submitted, group, of_user, victims = values
    plain = {
        "Priority": priority,
        "GraceTime": str(parse_time(grace)) if grace else "0",
        "PreemptMode": "" if mode == "cluster" else mode,
        "MaxJobsPerUser": jobs,
        "MaxSubmitJobsPerUser": submitted,
    }
    yield from ((Setting(project, f"qos.{field}", name), value) for field, value in plain.items() if value)
    for field, told in (("GrpTRES", tres_of(group)), ("MaxTRESPerUser", tres_of(of_user))):
        yield from ((Setting(project, f"qos.{field}", f"{name}:{of}"), value) for of, value in told.items())
    yield from ((Setting(project, "qos.Preempt", f"{name}:{victim}"), THERE) for victim in victims.split(",") if victim)


def qos_words(order: LedgerOrder, cluster: str) -> list[str]:
    """The command that carries out an order about a QOS. Memory is in MiB, time in seconds, as sacctmgr takes them.

    Args:
        order: The order.
        cluster: Of the project.

    Raises:
        ValueError: A QOS is to be taken away, which nobody here does.
    """
    project, field = order.setting.project, order.setting.field
    name, _, of = order.setting.of.partition(":")
    if field == "qos":
        if not order.value:
            raise ValueError(f"QOS {name} is not deleted: jobs hang on it")
        return ["sacctmgr", "-i", "add", "qos", name, f"description={project} (hpcjobs, {cluster.lower()})"]
    if field == "qos.Preempt":
        change = f"Preempt{'+' if order.value else '-'}={of}"
    else:
        limit = field.removeprefix("qos.")
        change = f"{limit}={f'{of}=' if of else ''}{order.value or _NONE.get(field, '-1')}"
    return ["sacctmgr", "-i", "modify", "qos", "where", f"name={name}", "set", change]
