"""``/v1/me`` and ``/v1/projects``: who one is here, and what one belongs to."""

from __future__ import annotations

import msgspec
from litestar import get
from litestar.di import NamedDependency

from hpcjobs.api.access import Asked, needs
from hpcjobs.api.common import ALL_PROBLEMS
from hpcjobs.identity.directory import Membership, Place
from hpcjobs.identity.policy import Role, Scope
from hpcjobs.service import Service
from hpcjobs.settings import Allowance

COMMON = {status: ALL_PROBLEMS[status] for status in (400, 401, 403, 429)}
WHO = "What the service makes of the token: user, role, scopes, projects, and how often one may ask."


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


@get("/v1/me", security=needs(), responses=COMMON, summary="Who am I", description=WHO, tags=["identity"])
async def whoami(request: Asked, service: NamedDependency[Service]) -> Me:
    """Show."""
    who, limits = request.user, service.settings.rate_limits
    limited = limits.enabled and not (limits.exempt_operators and who.sees_all)
    return Me(
        user=who.user,
        role=who.role,
        scopes=sorted(who.scopes),
        issuer=who.issuer,
        expires_at=who.expires_at,
        projects=[
            Membered(place.account.cluster, place.account.name, place.role)
            for place in service.directory.projects_of(who.user)
            if place.role is not None
        ],
        limits=Limits(limits.requests, limits.submissions) if limited else Limits(None, None),
    )


@get(
    "/v1/projects",
    security=needs(Scope.CLUSTERS_READ),
    responses=COMMON,
    summary="Projects",
    description="Those that one belongs to or manages; for operators all. Slurm's accounts are the projects.",
    tags=["identity"],
)
async def projects(request: Asked, service: NamedDependency[Service]) -> ProjectList:
    """List."""
    who, directory = request.user, service.directory
    places = directory.every_project(who.user) if who.sees_all else directory.projects_of(who.user)
    return ProjectList(
        [_project(place, insight=who.sees_all or place.role is Membership.MANAGER) for place in places],
        dict(directory.asked_at),
    )


def _project(place: Place, *, insight: bool) -> Project:
    account = place.account
    return Project(
        cluster=account.cluster,
        name=account.name,
        description=account.description,
        organization=account.organization,
        role=place.role,
        managers=sorted(account.coordinators),
        members=sorted(account.members) if insight else None,
    )
