"""``/v1/clusters``, and what a load balancer asks."""

from __future__ import annotations

import time

from litestar import Controller, Response, get
from litestar.di import NamedDependency
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath

from hpcjobs import __version__
from hpcjobs.api.access import Asked, needs
from hpcjobs.api.common import ALL_PROBLEMS, MaxAge, problems
from hpcjobs.errors import HpcjobsError
from hpcjobs.identity import Scope
from hpcjobs.model.capability import Capability
from hpcjobs.model.cluster import ClusterSummary, NodeList
from hpcjobs.service import Service
from hpcjobs.slurm.layered import capabilities


class ClustersController(Controller):
    """What there is to run on."""

    path = "/v1/clusters"
    tags = ("clusters",)

    @get(
        security=needs(Scope.CLUSTERS_READ),
        responses={status: ALL_PROBLEMS[status] for status in (401, 403, 429)},
        summary="Clusters",
    )
    async def clusters(self, request: Asked, service: NamedDependency[Service]) -> list[ClusterSummary]:
        """List."""
        return [
            ClusterSummary(
                name=name,
                backend=target.observer.backend.kind,
                up=health == "ok",
                observed_at=target.observer.view.asked_at if target.observer.view else None,
                trouble="" if health == "ok" else health,
            )
            for name, target in service.targets.items()
            for health in [target.observer.health(time.time())]
        ]

    @get("/{name:str}/nodes", security=needs(Scope.CLUSTERS_READ), responses=problems(), summary="Nodes of a cluster")
    async def nodes(
        self, request: Asked, service: NamedDependency[Service], name: FromPath[str], max_age_s: MaxAge = None
    ) -> NodeList:
        """List."""
        view = service.target(name).observer.fresh_view(max_age_s, time.time())
        return NodeList([view.nodes[node] for node in sorted(view.nodes)], view.asked_at)

    @get(
        "/{name:str}/capabilities",
        security=needs(Scope.CLUSTERS_READ),
        responses=problems(),
        summary="What can be done on a cluster",
        description="Which way does what; what no way can do is answered with 501 and the reasons that stand here.",
    )
    async def capabilities(
        self, request: Asked, service: NamedDependency[Service], name: FromPath[str]
    ) -> list[Capability]:
        """List."""
        return list(capabilities(service.target(name).observer.backend))


@get("/healthz", summary="Is the process alive", tags=["health"], security=[], sync_to_thread=False)
def healthz() -> dict[str, str]:
    """Alive."""
    return {"status": "ok", "version": __version__}


@get(
    "/readyz",
    summary="Can it serve: database, and each cluster",
    tags=["health"],
    security=[],
    responses={
        503: ResponseSpec(
            data_container=dict[str, str], description="A part is not ok; its line says why.", generate_examples=False
        )
    },
)
async def readyz(service: NamedDependency[Service]) -> Response[dict[str, str]]:
    """Ready."""
    parts = {f"cluster {name}": target.observer.health(time.time()) for name, target in service.targets.items()}
    try:
        await service.store.ping()
        parts["database"] = "ok"
    except HpcjobsError as error:
        parts["database"] = error.detail
    return Response(parts, status_code=200 if set(parts.values()) == {"ok"} else 503)
