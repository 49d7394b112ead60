"""``/v1/clusters/{cluster}/policies``: what the policies want of a cluster."""

from __future__ import annotations

from litestar import get
from litestar.di import NamedDependency

from hpcjobs.api.access import Asked, needs
from hpcjobs.api.common import ClusterName, problems
from hpcjobs.errors import NotAllowed
from hpcjobs.identity import Scope
from hpcjobs.model.policy import PolicyReport
from hpcjobs.service import Service


@get(
    "/v1/clusters/{cluster:str}/policies",
    security=needs(Scope.CLUSTERS_READ),
    responses=problems(),
    summary="Policies",
    description="What each policy wants of this cluster now, with its reasons, how it fares, and what could not be "
    "done. For operators: it names everybody's jobs. What concerns one's own is in their events (`policy.action`).",
    tags=["plugins"],
)
async def policies(request: Asked, service: NamedDependency[Service], cluster: ClusterName) -> PolicyReport:
    """List."""
    if not request.user.sees_all:
        raise NotAllowed("What policies want of a cluster is for operators; events tell of your own jobs.")
    return service.policies[service.target(cluster).observer.cluster].shown()
