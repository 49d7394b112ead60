"""Who a caller is to the service, and what they belong to."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from hpcjobs.settings import Allowance


class Scope(StrEnum):
    """What a token can be for."""

    JOBS_READ = "jobs:read"  # jobs, and their output
    JOBS_WRITE = "jobs:write"  # submit, cancel and whatever else changes a job
    FILES_READ = "files:read"
    FILES_WRITE = "files:write"
    EVENTS_READ = "events:read"
    EVENTS_WRITE = "events:write"  # webhooks: what goes on when the token is gone
    CLUSTERS_READ = "clusters:read"  # clusters, their nodes, one's projects
    SAMPLES_WRITE = "samples:write"  # what nodes tell of their devices; no user's, for that is of everybody's jobs
    ADMIN = "admin"  # the audit log, settings


class Role(StrEnum):
    """What a user is to the whole service. Who manages which project is Slurm's to say: Identity.manages."""

    USER = "user"
    OPERATOR = "operator"
    ADMIN = "admin"


class Membership(StrEnum):
    """What a user is to a project."""

    MEMBER = "member"
    MANAGER = "manager"  # coordinator in Slurm, of this account or of one above it


class Membered(msgspec.Struct, frozen=True):
    """A project and one's part in it.

    Attributes:
        cluster: Where it is.
        project: Slurm's name of the account.
        role: What one is to it.
    """

    cluster: str
    project: str
    role: Membership


class Limits(msgspec.Struct, frozen=True):
    """How often one may ask; None: as often as one likes.

    Attributes:
        requests: Everything but submissions.
        submissions: Submissions.
    """

    requests: Allowance | None
    submissions: Allowance | None


class Me(msgspec.Struct, frozen=True):
    """Who the service takes the caller for.

    Attributes:
        user: Name of the account that jobs run as.
        role: Of the whole service; what one is to each project stands there.
        scopes: What this token is for.
        issuer: Who made the token.
        expires_at: Unix seconds; the token does not hold after that.
        projects: What one belongs to or manages.
        limits: How often one may ask.
    """

    user: str
    role: Role
    scopes: list[Scope]
    issuer: str
    expires_at: float
    projects: list[Membered]
    limits: Limits


class Project(msgspec.Struct, frozen=True):
    """A Slurm account on one cluster.

    Attributes:
        cluster: Where it is.
        name: Slurm's name of the account: what a job's ``account`` says.
        description: In the words of whoever made it.
        organization: The same.
        role: What the caller is to it; None: neither.
        managers: Who coordinates it.
        members: Who may charge it; shown to its managers and to operators, else None.
    """

    cluster: str
    name: str
    description: str
    organization: str
    role: Membership | None
    managers: list[str]
    members: list[str] | None


class ProjectList(msgspec.Struct, frozen=True):
    """Projects, by cluster and name.

    Attributes:
        items: The projects.
        observed_at: When Slurm's accounting said so, by cluster, in Unix seconds; a cluster is missing here until its
            accounting has answered for the first time.
    """

    items: list[Project]
    observed_at: dict[str, float]
