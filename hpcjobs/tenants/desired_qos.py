"""What Slurm's accounting shall have of projects' QOS, and what it cannot have. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from hpcjobs.model.amount import MIB
from hpcjobs.model.qos import Qos
from hpcjobs.model.tenant import THERE, Ledger, Setting, Tenant, Unmet, gpus_tres
from hpcjobs.sbatch.units import ceil_div


def desired_qos(
    tenants: Mapping[str, Tenant], held: Mapping[str, Collection[str]], ledger: Ledger
) -> tuple[dict[Setting, str], list[Unmet]]:
    """What must stand in Slurm's accounting.

    A QOS is its project's where hpcjobs made it for that project; the site's own, and other projects', are left alone.

    Args:
        tenants: By project.
        held: Of projects the kinds of which a budget of theirs, or of one above, is used up.
        ledger: As Slurm has it.
    """
    wanted: dict[Setting, str] = {}
    unmet: list[Unmet] = []
    taken = {
        (project, name): f"Slurm has a QOS {name} that is not hpcjobs's for this project and cluster"
        for project, tenant in tenants.items()
        for name in tenant.qos
        if ledger.qos.get(name, project) != project
    }
    unmet += [Unmet(project, f"qos.{name}", why) for (project, name), why in taken.items()]
    ours = {
        (project, name): qos
        for project, tenant in tenants.items()
        for name, qos in tenant.qos.items()
        if (project, name) not in taken
    }
    declared = {name for _, name in ours}
    there = ledger.qos.keys() | declared
    for (project, name), qos in ours.items():
        wanted |= {Setting(project, "qos", name): THERE, Setting(project, "QosLevel", name): THERE}
        wanted |= _plain(project, name, qos)
        for field, of, value in _tres(qos, held.get(project, ())):
            if of in ledger.tres:
                wanted[Setting(project, f"qos.{field}", f"{name}:{of}")] = str(value)
            else:
                why = f"AccountingStorageTRES of slurm.conf lacks {of}"
                unmet.append(Unmet(project, f"qos.{name}.{field} {of}", why))
        for victim in qos.preempts:
            if victim in there:
                wanted[Setting(project, "qos.Preempt", f"{name}:{victim}")] = THERE
            else:
                unmet.append(Unmet(project, f"qos.{name}.preempts", f"Slurm has no QOS {victim}"))
    for project, tenant in tenants.items():
        default = tenant.default_qos
        if default is None:
            continue
        stays = default in declared or not ledger.qos.get(default, "")  # else it is about to be taken away
        if (project, default) in ours or (stays and Setting(project, "QosLevel", default) in ledger.settings):
            wanted[Setting(project, "DefaultQOS")] = default
        else:
            unmet.append(Unmet(project, "default_qos", f"the project may not use a QOS {default}"))
    return wanted, unmet


def _plain(project: str, name: str, qos: Qos) -> Iterator[tuple[Setting, str]]:
    told = {
        "Priority": qos.priority,
        "GraceTime": qos.grace_s,
        "PreemptMode": qos.preempt_mode,
        "MaxJobsPerUser": qos.user_running_jobs,
        "MaxSubmitJobsPerUser": qos.user_submitted_jobs,
    }
    return ((Setting(project, f"qos.{field}", name), str(value)) for field, value in told.items() if value is not None)


def _tres(qos: Qos, held: Collection[str]) -> Iterator[tuple[str, str, int]]:
    """Of trackable resources the limit's name, theirs, and how much.

    Where a QOS bounds GPUs Slurm does not look at the account's bound, so a budget that is used up is held here, too.
    """
    for kind, count in qos.gpus.items():
        yield "GrpTRES", gpus_tres(kind), 0 if kind in held else count
    for kind, count in qos.user_gpus.items():
        yield "MaxTRESPerUser", gpus_tres(kind), count
    if qos.user_cpus is not None:
        yield "MaxTRESPerUser", "cpu", qos.user_cpus
    if qos.user_mem_bytes is not None:
        yield "MaxTRESPerUser", "mem", ceil_div(qos.user_mem_bytes, MIB)
