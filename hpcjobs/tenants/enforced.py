"""What of a plan Slurm would keep and not hold, as slurm.conf is. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Final

from hpcjobs.model.scheduling import Scheduling
from hpcjobs.model.tenant import Setting, Unmet

ENFORCE: Final = "AccountingStorageEnforce"


def unenforced(wanted: Collection[Setting], conf: Scheduling) -> Iterator[Unmet]:
    """What slurm.conf lacks for these to be more than words, once for all projects.

    Args:
        wanted: What stands in Slurm's accounting.
        conf: What slurm.conf says.
    """
    fields = {setting.field for setting in wanted}
    held = set(conf.enforced)
    if fields & {"member", "account"} and not held & {"associations", "limits", "safe", "qos", "wckeys"}:
        yield Unmet("", ENFORCE, "it is none: Slurm lets everybody charge every account")
    if any(field.startswith(("Grp", "Max", "qos.Grp", "qos.Max")) for field in fields) and not held & {
        "limits",
        "safe",
    }:
        yield Unmet("", ENFORCE, "limits is not in it: Slurm holds none of the limits")
    if "qos" in fields and "qos" not in held:
        yield Unmet("", ENFORCE, "qos is not in it: Slurm lets everybody use every QOS")
    if "qos.Preempt" in fields and conf.preempt != "preempt/qos":
        yield Unmet("", "PreemptType", "it is not preempt/qos: no QOS preempts another")
    if "qos.Priority" in fields and "qos" not in conf.weights:
        yield Unmet("", "PriorityWeightQOS", "it is 0: the priority of a QOS counts for nothing")
