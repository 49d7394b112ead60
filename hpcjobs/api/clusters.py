"""``/v1/clusters``, and what a load balancer asks."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Annotated, Any

import msgspec
from litestar import Controller, Response, get, put
from litestar.di import NamedDependency
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import JSONBody, PathParameter

from hpcjobs import __version__
from hpcjobs.api import manners
from hpcjobs.api.access import Asked, needs
from hpcjobs.api.common import ALL_PROBLEMS, ClusterName, MaxAge, answers, problems
from hpcjobs.api.described import Either
from hpcjobs.api.fields import Fields, NodePart, PartitionPart, Selection
from hpcjobs.api.trail import AUDITED
from hpcjobs.errors import HpcjobsError
from hpcjobs.identity import Scope
from hpcjobs.model.capability import Capability
from hpcjobs.model.cluster import ClusterSummary, ClusterView, Node, NodeList
from hpcjobs.model.partition import Partition, PartitionList
from hpcjobs.model.pool import GpuKind, GpuPool, kinds_of
from hpcjobs.model.sample import NodeSamples, SamplesKept
from hpcjobs.model.scheduling import Scheduling
from hpcjobs.observe.observer import Observer
from hpcjobs.service import Service
from hpcjobs.slurm.layered import capabilities
from hpcjobs.usage.whole import holder_of


class NodePartList(msgspec.Struct, frozen=True):
    """Some fields of the nodes of a cluster.

    Attributes:
        items: The fields that were asked for, of each node.
        observed_at: Unix seconds of the listing that they are from.
    """

    items: list[NodePart]  # type: ignore[valid-type]
    observed_at: float


class PartitionPartList(msgspec.Struct, frozen=True):
    """Some fields of the partitions of a cluster.

    Attributes:
        items: The fields that were asked for, of each partition.
        observed_at: Unix seconds of the listing that they are from.
    """

    items: list[PartitionPart]  # type: ignore[valid-type]
    observed_at: float


def _listed(
    request: Asked,
    observer: Observer,
    kind: type[msgspec.Struct],
    items_of: Callable[[ClusterView], Sequence[msgspec.Struct]],
    fields: str | None,
    max_age_s: float | None,
) -> Response[Any]:
    """Items of a cluster's last listing, with the entity tag that they have whenever they were listed.

    Args:
        request: Who asks.
        observer: The cluster's.
        kind: What the items are.
        items_of: Takes them out of the listing.
        fields: As the caller wrote them; None: all.
        max_age_s: How old the listing may be, in seconds; None: as the settings say.

    Raises:
        Refused: A field does not exist.
        ViewStale: The listing is older.
    """
    selection = None if fields is None else Selection(kind, fields)
    view = observer.fresh_view(max_age_s, time.time())
    items = msgspec.json.encode(items_of(view))
    if selection is not None:
        items = selection.of_list(items)
    manners.tagged(request.scope, items)
    body = b'{"items":%b,"observed_at":%b}' % (items, msgspec.json.encode(view.asked_at))
    return Response(body, media_type="application/json")


def _by_name(view: ClusterView) -> list[Node]:
    return [view.nodes[name] for name in sorted(view.nodes)]


def _in_slurms_order(view: ClusterView) -> list[Partition]:
    return list(view.partitions.values())


class ClustersController(Controller):
    """What there is to run on."""

    path = "/v1/clusters"
    tags = ("clusters",)

    @get(
        security=needs(Scope.CLUSTERS_READ),
        responses={status: ALL_PROBLEMS[status] for status in (400, 401, 403, 429)},
        summary="Clusters",
        description="Which there are, and whether each can be asked now.",
    )
    async def clusters(self, request: Asked, service: NamedDependency[Service]) -> list[ClusterSummary]:
        """List."""
        found = [
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
        same = [msgspec.structs.replace(cluster, observed_at=None) for cluster in found]
        manners.tagged(request.scope, msgspec.json.encode(same))
        return found

    @get(
        "/{cluster:str}/nodes",
        security=needs(Scope.CLUSTERS_READ),
        responses=problems() | {200: answers("The nodes, by name.", NodeList, NodePartList)},
        operation_class=Either,
        summary="Nodes of a cluster",
        description="As the last listing had them; `observed_at` says when that was.",
    )
    async def nodes(
        self,
        request: Asked,
        service: NamedDependency[Service],
        cluster: ClusterName,
        fields: Fields = None,
        max_age_s: MaxAge = None,
    ) -> Response[NodeList]:
        """List."""
        return _listed(request, service.target(cluster).observer, Node, _by_name, fields, max_age_s)

    @get(
        "/{cluster:str}/partitions",
        security=needs(Scope.CLUSTERS_READ),
        responses=problems() | {200: answers("The partitions, in Slurm's order.", PartitionList, PartitionPartList)},
        operation_class=Either,
        summary="Partitions of a cluster",
        description="As the last listing had them; `observed_at` says when that was.",
    )
    async def partitions(
        self,
        request: Asked,
        service: NamedDependency[Service],
        cluster: ClusterName,
        fields: Fields = None,
        max_age_s: MaxAge = None,
    ) -> Response[PartitionList]:
        """List."""
        return _listed(request, service.target(cluster).observer, Partition, _in_slurms_order, fields, max_age_s)

    @get(
        "/{cluster:str}/gpus",
        security=needs(Scope.CLUSTERS_READ),
        responses=problems() | {200: ResponseSpec(GpuPool, description="By type.", generate_examples=False)},
        summary="Accelerators of a cluster",
        description="How many of each type there are, in use, idle and down, and of what use the idle ones are; as the "
        "last listing had them.",
    )
    async def gpus(
        self, request: Asked, service: NamedDependency[Service], cluster: ClusterName, max_age_s: MaxAge = None
    ) -> Response[GpuPool]:
        """Count."""
        observer = service.target(cluster).observer
        return _listed(request, observer, GpuKind, lambda view: kinds_of(view.nodes.values()), None, max_age_s)

    @put(
        "/{cluster:str}/nodes/{node:str}/samples",
        security=needs(Scope.SAMPLES_WRITE),
        responses=problems(),
        opt={AUDITED: False},
        summary="What the devices of a node did",
        description="Told by `hpcjobs sample`, which runs on the node. The same device, time and job told again "
        "are replaced, so that whoever got no answer tells it again.",
    )
    async def samples(
        self,
        service: NamedDependency[Service],
        cluster: ClusterName,
        node: Annotated[str, PathParameter(description="Name of the node, as Slurm has it.")],
        data: JSONBody[NodeSamples],
    ) -> SamplesKept:
        """Keep."""
        observer = service.target(cluster).observer
        holder = holder_of(observer.view, node) if observer.view else None
        return await service.sampled.keep(observer.cluster, node, data, time.time(), holder)

    @get(
        "/{cluster:str}/scheduling",
        security=needs(Scope.CLUSTERS_READ),
        responses=problems(),
        summary="How a cluster schedules",
        description="What of Slurm's configuration decides when and where jobs start; the controller is asked.",
    )
    async def scheduling(self, request: Asked, service: NamedDependency[Service], cluster: ClusterName) -> Scheduling:
        """Ask."""
        return await service.target(cluster).observer.backend.scheduling()

    @get(
        "/{cluster:str}/capabilities",
        security=needs(Scope.CLUSTERS_READ),
        responses=problems(),
        summary="What can be done on a cluster",
        description="Which way does what; what no way can do is answered with 501 and the reasons that stand here.",
    )
    async def capabilities(
        self, request: Asked, service: NamedDependency[Service], cluster: ClusterName
    ) -> list[Capability]:
        """List."""
        return list(capabilities(service.target(cluster).observer.backend))


@get(
    "/healthz",
    summary="Is the process alive",
    description="Answers as long as the process does; it asks nobody. Needs no token.",
    responses={400: ALL_PROBLEMS[400]},
    tags=["health"],
    security=[],
    sync_to_thread=False,
)
def healthz() -> dict[str, str]:
    """Alive."""
    return {"status": "ok", "version": __version__}


@get(
    "/readyz",
    summary="Can it serve",
    description="A line for the database and for each cluster: `ok`, or what is wrong. Needs no token.",
    tags=["health"],
    security=[],
    responses={
        400: ALL_PROBLEMS[400],
        503: ResponseSpec(
            data_container=dict[str, str], description="A part is not ok; its line says why.", generate_examples=False
        ),
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
