"""``/v1/clusters/{cluster}/lemons``: nodes that fail more often than chance lets them, and what says so."""

from __future__ import annotations

import time
from typing import Annotated

from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import JSONBody, PathParameter

from hpcjobs.api.access import Asked, needs
from hpcjobs.api.common import ClusterName, problems
from hpcjobs.errors import NotAllowed
from hpcjobs.identity import Scope
from hpcjobs.model.suspicion import PardonAsked, Suspicion, Suspicions
from hpcjobs.service import Service


@get(
    "/v1/clusters/{cluster:str}/lemons",
    security=needs(Scope.CLUSTERS_READ),
    responses=problems(),
    summary="Nodes under suspicion",
    description="Nodes against which something speaks, the worst first: what it is and how often, how often the like "
    "is to be expected of a node that ran for as long, and what is made of it. `proposed` are lemons that are in use: "
    "somebody should drain them. For operators: evidence names everybody's jobs.",
    tags=["clusters"],
)
async def lemons(request: Asked, service: NamedDependency[Service], cluster: ClusterName) -> Suspicions:
    """List."""
    if not request.user.sees_all:
        raise NotAllowed("What speaks against nodes is for operators.")
    return service.lemons[service.target(cluster).observer.cluster].shown()


@post(
    "/v1/clusters/{cluster:str}/lemons/{node:str}/pardon",
    security=needs(Scope.ADMIN),
    status_code=200,
    responses=problems(),
    summary="Pardon a node",
    description="What speaks against it until now counts no more, as after a repair. It stays known who said so, when "
    "and why, for as long as events are kept (`node.pardon`). A node that is drained stays so.",
    tags=["clusters"],
)
async def pardon(
    request: Asked,
    service: NamedDependency[Service],
    cluster: ClusterName,
    node: Annotated[str, PathParameter(description="Name of the node, as Slurm has it.")],
    data: JSONBody[PardonAsked],
) -> Suspicion:
    """Pardon."""
    of_cluster = service.lemons[service.target(cluster).observer.cluster]
    return await of_cluster.pardon(node, request.user.user, data.why, time.time())
