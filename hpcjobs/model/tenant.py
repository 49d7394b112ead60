"""Tenants: what a project, which is a Slurm account, may use, who belongs to it, and requests for more."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Final

import msgspec

from hpcjobs.model.held import Held
from hpcjobs.model.qos import Count, Kind, Qos, QosName
from hpcjobs.model.storage import StorageState

NAME: Final = "^[a-z0-9_][a-z0-9_.-]{0,62}$"
Name = Annotated[str, msgspec.Meta(pattern=NAME)]
"""Of an account or user: Slurm keeps accounts in small letters."""
Hours = Annotated[float, msgspec.Meta(ge=0, le=1e12)]


class Period(StrEnum):
    """From when to when the hours of a budget are counted."""

    MONTH = "month"
    QUARTER = "quarter"
    YEAR = "year"
    FIXED = "fixed"  # from ``first`` until before ``until``, once
    DECAY = "decay"  # always; what was used counts for half after ``half_life_s``


class Budget(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """GPU-hours of a project, its projects below with it.

    Attributes:
        period: What they are for.
        hard_h: So many; beyond it nothing new starts. None: no end.
        soft_h: From here on it is told. None: nowhere.
        kind: Of these GPUs; ``""``: of all kinds.
        carry_over_h: Of what was left over of the period before, at most so much is added.
        first: For ``fixed``: Unix seconds.
        until: For ``fixed``: Unix seconds.
        half_life_s: For ``decay``: seconds after which use counts for half, as PriorityDecayHalfLife of slurm.conf.
        timezone: In which months begin.
    """

    period: Period = Period.MONTH
    hard_h: Hours | None = None
    soft_h: Hours | None = None
    kind: Kind = ""
    carry_over_h: Hours = 0.0
    first: Count = 0
    until: Annotated[int, msgspec.Meta(ge=0, le=4_000_000_000)] = 0
    half_life_s: Annotated[float, msgspec.Meta(ge=0, le=1e10)] = 0.0
    timezone: str = "UTC"


class Quota(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What a project may use, its projects below with it. None: hpcjobs has no say in it.

    Attributes:
        budgets: GPU-hours.
        gpus: GPUs at a time, by kind; ``""``: of all kinds together.
        cpus: CPUs at a time.
        mem_bytes: Memory at a time; Slurm counts it in MiB.
        running_jobs: Jobs that run at a time.
        submitted_jobs: Jobs that wait or run at a time.
        wall_s: Longest time limit of a job; Slurm counts it in minutes.
        storage_bytes: What its own files may use. Nobody stops them: beyond it no job is submitted. Of the project
            alone, not of those below.
        storage_soft_bytes: From here on it is told.
    """

    budgets: tuple[Budget, ...] = ()
    gpus: dict[Kind, Count] = {}
    cpus: Count | None = None
    mem_bytes: Annotated[int, msgspec.Meta(ge=0)] | None = None
    running_jobs: Count | None = None
    submitted_jobs: Count | None = None
    wall_s: Count | None = None
    storage_bytes: Annotated[int, msgspec.Meta(ge=0)] | None = None
    storage_soft_bytes: Annotated[int, msgspec.Meta(ge=0)] | None = None


def changed(quota: Quota, asked: Quota) -> Quota:
    """A quota with what is asked for in it: what that leaves out stays, a budget is of a kind and period. Pure."""
    said = {name: value for name in Quota.__struct_fields__ if (value := getattr(asked, name)) is not None}
    budgets = {(budget.kind, budget.period): budget for budget in (*quota.budgets, *asked.budgets)}
    said |= {"budgets": tuple(budgets.values()), "gpus": quota.gpus | asked.gpus}
    return msgspec.structs.replace(quota, **said)


class Tenant(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A project as it shall be. What is None stays as Slurm has it.

    Attributes:
        parent: The project above; ``root`` is above all.
        description: In Slurm's accounting.
        organization: The same; both are given when the account is made, and never changed.
        fairshare: Its share among its siblings.
        members: Users who charge it. Others stay: who was brought in by hand is not ours to put out.
        managers: Its coordinators; the same.
        quota: What it may use.
        qos: QOS that are made for it and that it may use, by their names in Slurm.
        default_qos: The one of its jobs that name none, of these or of the site's; same as DefaultQOS of sacctmgr.
    """

    parent: Name | None = None
    description: Annotated[str, msgspec.Meta(pattern=r"^[^|\"'\\\x00-\x1f]{0,200}$")] = ""
    organization: Annotated[str, msgspec.Meta(pattern=r"^[^|\"'\\\x00-\x1f]{0,200}$")] = ""
    fairshare: Annotated[int, msgspec.Meta(ge=1, le=2**31 - 2)] | None = None
    members: tuple[Name, ...] = ()
    managers: tuple[Name, ...] = ()
    quota: Quota = msgspec.field(default_factory=Quota)
    qos: dict[QosName, Qos] = {}
    default_qos: QosName | None = None


class BudgetState(msgspec.Struct, frozen=True):
    """How a budget stands.

    Attributes:
        budget: Which.
        first: Unix seconds from which is counted.
        until: Unix seconds before which; 0: no end.
        used_h: GPU-hours used, in whole GPUs; with decay what of it still counts.
        carried_h: What came over from the period before.
        left_h: Until the hard bound, never less than 0; None: it has none.
        soft_passed: Whether it is told.
        hard_passed: Whether nothing new starts.
        rate_h: GPU-hours a day of late.
        exhausted_at: Unix seconds when at that rate nothing is left; None: not within this period.
    """

    budget: Budget
    first: int
    until: int
    used_h: float
    carried_h: float
    left_h: float | None
    soft_passed: bool
    hard_passed: bool
    rate_h: float
    exhausted_at: int | None


class Setting(msgspec.Struct, frozen=True, order=True):
    """One value of Slurm's accounting.

    Attributes:
        project: The account.
        field: ``account`` (that it is there), ``parent``, ``fairshare``, ``member``, ``manager``, or a limit in
            Slurm's words: ``GrpTRES``, ``GrpJobs``, ``GrpSubmitJobs``, ``MaxWall``. Of QOS ``qos`` (that it is there),
            ``qos.`` with a limit of it in Slurm's words, as ``qos.MaxTRESPerUser``; ``QosLevel`` (that the account may
            use it) and ``DefaultQOS``.
        of: Of ``GrpTRES`` which, as ``gres/gpu:a100``; of ``member`` and ``manager`` who; of a QOS its name, and after
            a colon of what, as ``vision-spare:gres/gpu``.
    """

    project: str
    field: str
    of: str = ""


class Verb(StrEnum):
    """What a change does."""

    ADD = "add"
    MODIFY = "modify"
    REMOVE = "remove"
    FORGET = "forget"  # it is as somebody else made it: no longer ours, and left as it is


class Change(msgspec.Struct, frozen=True):
    """One step of a plan.

    Attributes:
        verb: What is done.
        setting: With what.
        was: As Slurm has it; ``""``: not at all.
        value: As it shall be; ``""``: not at all.
        why: For a person.
        ours: Whether the value is hpcjobs's afterwards.
    """

    verb: Verb
    setting: Setting
    was: str
    value: str
    why: str
    ours: bool = True


class Ledger(msgspec.Struct, frozen=True):
    """What Slurm's accounting has of a cluster's accounts.

    Attributes:
        settings: What is there; what is not, is not set.
        tres: Names of the trackable resources that can be limited, as ``gres/gpu:a100``.
        qos: Every QOS, with the project that hpcjobs made it for; ``""``: it did not, or for another cluster.
    """

    settings: dict[Setting, str]
    tres: frozenset[str]
    qos: dict[str, str] = {}


def gpus_tres(kind: str) -> str:
    """What Slurm calls GPUs of a kind where they are limited."""
    return f"gres/gpu:{kind}" if kind else "gres/gpu"


THERE: Final = "there"
"""Value of an account, a member, a manager."""


class LedgerOrder(msgspec.Struct, frozen=True):
    """One thing to be done in Slurm's accounting.

    Attributes:
        setting: What is set.
        value: To this; ``""``: taken away.
        parent: Of an account that is made.
        description: The same.
        organization: The same.
    """

    setting: Setting
    value: str
    parent: str = "root"
    description: str = ""
    organization: str = ""


class Made(msgspec.Struct, frozen=True):
    """A value that hpcjobs has made.

    Attributes:
        setting: Which.
        was: What was there before; ``""``: nothing.
        value: What was made of it; written down before it is ordered.
        at: Unix seconds.
        over: Our own value that it is in place of, which stays where the order was never sent; None: there was none.
    """

    setting: Setting
    was: str
    value: str
    at: float = 0.0
    over: str | None = None

    def ours(self, found: str) -> bool:
        """Whether a value that Slurm has is one that we set."""
        return found == self.value or (self.over is not None and found == self.over)


class Unmet(msgspec.Struct, frozen=True):
    """Something that a quota says and Slurm cannot have.

    Attributes:
        project: Whose; ``""``: of all.
        field: Of the quota; for all of them a key of slurm.conf.
        why: For a person.
    """

    project: str
    field: str
    why: str


class Plan(msgspec.Struct, frozen=True):
    """What must change for Slurm to be as the tenants say.

    Attributes:
        cluster: Where.
        changes: In the order in which they are made; none: Slurm is as it shall be.
        unmet: What Slurm cannot have.
    """

    cluster: str
    changes: tuple[Change, ...]
    unmet: tuple[Unmet, ...]


class ProjectQuota(msgspec.Struct, frozen=True):
    """A project's quota and how it stands.

    Attributes:
        cluster: Where it is.
        project: Its name.
        tenant: As it shall be.
        budgets: How each of its budgets stands.
        read_until: Unix seconds up to which accounting has been read; 0: never.
        storage: How its quota of bytes stands; None: it has none.
        held: What its jobs have now, as the cluster was last listed; None: it was not yet.
    """

    cluster: str
    project: str
    tenant: Tenant
    budgets: tuple[BudgetState, ...]
    read_until: int
    storage: StorageState | None = None
    held: Held | None = None


class RequestState(StrEnum):
    """How a request stands."""

    OPEN = "open"
    APPROVED = "approved"
    DENIED = "denied"


class QuotaAsked(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A request for more.

    Attributes:
        quota: What should be otherwise; what it leaves out stays.
        reason: Why.
    """

    quota: Quota
    reason: Annotated[str, msgspec.Meta(max_length=2000)] = ""


class Decision(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What becomes of a request.

    Attributes:
        approve: Whether the project's quota becomes what is asked for.
        note: For who asked.
    """

    approve: bool
    note: Annotated[str, msgspec.Meta(max_length=2000)] = ""


class QuotaRequest(msgspec.Struct, frozen=True):
    """A request that is kept.

    Attributes:
        id: 32 hexadecimal digits.
        cluster: Where.
        project: Whose quota.
        user: Who asked.
        created_at: Unix seconds.
        asked: What for.
        state: How it stands.
        decided_by: Who decided; ``""``: nobody yet.
        decided_at: Unix seconds; None: not yet.
        note: Of who decided.
    """

    id: str
    cluster: str
    project: str
    user: str
    created_at: float
    asked: QuotaAsked
    state: RequestState = RequestState.OPEN
    decided_by: str = ""
    decided_at: float | None = None
    note: str = ""
