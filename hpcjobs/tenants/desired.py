"""What Slurm's accounting shall have of tenants, and what it cannot have. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping

from hpcjobs.model.amount import MIB
from hpcjobs.model.tenant import THERE, Ledger, Quota, Setting, Tenant, Unmet, gpus_tres
from hpcjobs.sbatch.units import ceil_div
from hpcjobs.tenants.desired_qos import desired_qos


def below(project: str, parents: Mapping[str, str]) -> frozenset[str]:
    """A project and all below it.

    Args:
        project: Which.
        parents: Of every account the one above it.
    """
    found = {project}
    while more := {name for name, parent in parents.items() if parent in found} - found:
        found |= more
    return frozenset(found)


def desired(
    tenants: Mapping[str, Tenant], exhausted: Mapping[str, Collection[str]], ledger: Ledger
) -> tuple[dict[Setting, str], tuple[Unmet, ...]]:
    """What must stand in Slurm's accounting.

    A budget that is used up becomes a bound of no GPUs at a time: what runs goes on, what waits says AssocGrpGRES.
    Slurm's own GrpTRESMins is not used: it counts with slurm.conf's one half-life for everybody, and knows neither
    periods nor what is carried over.

    Args:
        tenants: By project.
        exhausted: Of projects the kinds of which a budget is used up.
        ledger: As Slurm has it.
    """
    wanted: dict[Setting, str] = {}
    unmet: list[Unmet] = []
    for project, tenant in tenants.items():
        wanted[Setting(project, "account")] = THERE
        if tenant.parent is not None:
            wanted[Setting(project, "parent")] = tenant.parent
        if tenant.fairshare is not None:
            wanted[Setting(project, "fairshare")] = str(tenant.fairshare)
        wanted |= {Setting(project, "member", name): THERE for name in tenant.members}
        wanted |= {Setting(project, "manager", name): THERE for name in tenant.managers}
        wanted |= _limits(project, tenant.quota)
        gpus = tenant.quota.gpus | dict.fromkeys(exhausted.get(project, ()), 0)
        for kind, count in gpus.items():
            name = gpus_tres(kind)
            if name in ledger.tres:
                wanted[Setting(project, "GrpTRES", name)] = str(count)
            else:
                unmet.append(Unmet(project, f"gpus.{kind}", f"AccountingStorageTRES of slurm.conf lacks {name}"))
        unmet += _never(project, tenant)
    of_qos, unmet_qos = desired_qos(tenants, _held(tenants, exhausted, ledger), ledger)
    return wanted | of_qos, (*unmet, *unmet_qos)


def _held(
    tenants: Mapping[str, Tenant], exhausted: Mapping[str, Collection[str]], ledger: Ledger
) -> dict[str, set[str]]:
    """Of projects the kinds of which a budget of theirs, or of one above, is used up."""
    parents = {setting.project: value for setting, value in ledger.settings.items() if setting.field == "parent"}
    parents |= {project: tenant.parent for project, tenant in tenants.items() if tenant.parent is not None}
    found: defaultdict[str, set[str]] = defaultdict(set)
    for project, kinds in exhausted.items():
        for name in below(project, parents):
            found[name].update(kinds)
    return found


def _limits(project: str, quota: Quota) -> Iterator[tuple[Setting, str]]:
    counts = {
        Setting(project, "GrpTRES", "cpu"): quota.cpus,
        Setting(project, "GrpTRES", "mem"): None if quota.mem_bytes is None else ceil_div(quota.mem_bytes, MIB),
        Setting(project, "GrpJobs"): quota.running_jobs,
        Setting(project, "GrpSubmitJobs"): quota.submitted_jobs,
        Setting(project, "MaxWall"): None if quota.wall_s is None else ceil_div(quota.wall_s, 60),
    }
    return ((setting, str(count)) for setting, count in counts.items() if count is not None)


def _never(project: str, tenant: Tenant) -> Iterator[Unmet]:
    if tenant.quota.storage_bytes is not None:
        yield Unmet(project, "storage_bytes", "Slurm knows nothing of file systems: only hpcjobs refuses jobs for it")
