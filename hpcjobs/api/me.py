"""``/v1/me`` and ``/v1/projects``: who one is here, and what one belongs to."""

from __future__ import annotations

from litestar import get
from litestar.di import NamedDependency

from hpcjobs.api.access import Asked, needs
from hpcjobs.api.common import ALL_PROBLEMS
from hpcjobs.identity.directory import Place
from hpcjobs.model.who import Limits, Me, Membered, Membership, Project, ProjectList, Scope
from hpcjobs.service import Service

COMMON = {status: ALL_PROBLEMS[status] for status in (400, 401, 403, 429)}
WHO = "What the service makes of the token: user, role, scopes, projects, and how often one may ask."


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
