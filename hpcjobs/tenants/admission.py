"""Whether a job may still be submitted: budgets that are used up refuse it before Slurm is asked."""

from __future__ import annotations

from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from hpcjobs.errors import Refusal, Refused
from hpcjobs.identity.directory import Directory
from hpcjobs.model.gres import gpus_of_gres, names_gpus, parse_gpus
from hpcjobs.model.spec import JobSpec, Resources
from hpcjobs.model.tenant import BudgetState
from hpcjobs.tenants import storage
from hpcjobs.tenants.standing import Standing

EXHAUSTED: Final = "quota-exhausted"
_SHARES: Final = ("shard", "mps")


def kinds_asked(resources: Resources) -> frozenset[str]:
    """Kinds of GPUs that a component asks for; ``""``: some without a type; none: no GPUs. Pure."""
    said = (resources.gpus, resources.gpus_per_node, resources.gpus_per_socket, resources.gpus_per_task)
    counts = [parse_gpus(str(text)) for text in said if text is not None]
    counts.append(gpus_of_gres(resources.gres or ""))
    counts += [gpus_of_gres(resources.gres or "", name) for name in _SHARES]
    found = {kind for each in counts for kind, count in each.items() if count}
    if resources.tres_per_task is not None and names_gpus(resources.tres_per_task):
        found.add("")
    return frozenset(found)


def refusal_of(how: str) -> Refusal:
    """Why a job of a project is refused whose quota stands so."""
    return Refusal("account", f"{how} `hpcjobs quota request` asks for more.", EXHAUSTED)


def stands(project: str, state: BudgetState) -> str:
    """How a project's budget stands, in a sentence. Pure."""
    budget = state.budget
    there_is = "" if budget.hard_h is None else f" of {budget.hard_h + state.carried_h:.1f}"
    kind = f" of {budget.kind}" if budget.kind else ""
    told = f"Project {project} has used {state.used_h:.1f}{there_is} GPU-hours{kind} ({budget.period})"
    if state.hard_passed:
        again = (
            f" until {datetime.fromtimestamp(state.until, ZoneInfo(budget.timezone)):%d %B %Y}" if state.until else ""
        )
        return f"{told}: nothing is left{again}."
    soft = f", more than {budget.soft_h + state.carried_h:.1f}" if state.soft_passed and budget.soft_h else ""
    return f"{told}{soft}; {state.left_h:.1f} are left." if state.left_h is not None else f"{told}{soft}."


class QuotaRule:
    """The rule.

    Args:
        standing: How projects stand.
        directory: Whose projects are whose.
    """

    def __init__(self, standing: Standing, directory: Directory) -> None:
        self.standing = standing
        self.directory = directory

    async def check(self, user: str, cluster: str, spec: JobSpec) -> None:
        """Refuse a job whose project, or one above it, has none of the GPU-hours left that it would use.

        Where the project's own files use more than they may, every job is refused.

        A job without account is its user's only project's; who has several is left to Slurm, which knows the default.

        Args:
            user: Whom it runs as.
            cluster: Where.
            spec: As admitted so far.

        Raises:
            Refused: With everything that is used up.
            Unavailable: It cannot be said.
        """
        found = await self.standing.of(cluster)
        project = self.project_of(user, cluster, spec)
        if not found.tenants or not project:
            return
        kinds = frozenset().union(*(kinds_asked(part) for part in (spec.resources, *(c.resources for c in spec.het))))
        faults = [
            refusal_of(stands(name, state))
            for name in self.standing.lineage(cluster, project, found.tenants)
            for state in found.budgets.get(name, ())
            if kinds and state.hard_passed and (not state.budget.kind or state.budget.kind in kinds)
        ]
        if (files := found.storage.get(project)) is not None and files.hard_passed:
            faults.append(refusal_of(storage.stands(project, found.tenants[project].quota, files)))
        if faults:
            raise Refused(faults)

    async def notes(self, cluster: str, project: str) -> tuple[str, ...]:
        """What a project, or one above it, has passed a bound of, hard or soft, a sentence each.

        Raises:
            Unavailable: It cannot be said.
        """
        found = await self.standing.of(cluster)
        told = [
            stands(name, state)
            for name in self.standing.lineage(cluster, project, found.tenants)
            for state in found.budgets.get(name, ())
            if state.hard_passed or state.soft_passed
        ]
        if (files := found.storage.get(project)) is not None and (files.hard_passed or files.soft_passed):
            told.append(storage.stands(project, found.tenants[project].quota, files))
        return tuple(told)

    def project_of(self, user: str, cluster: str, spec: JobSpec) -> str | None:
        """The project that a job is of: its account, or its user's only one; None: Slurm knows which is the default."""
        if spec.account:
            return spec.account
        of_user = [place.account for place in self.directory.projects_of(user)]
        names = [account.name for account in of_user if account.cluster == cluster and user in account.members]
        return names[0] if len(names) == 1 else None
