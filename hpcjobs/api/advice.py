"""``/v1/recovery/advice``: how often a job should save, and what it has to expect."""

from __future__ import annotations

import time
from typing import Annotated

from litestar import get
from litestar.di import NamedDependency
from litestar.params import QueryParameter

from hpcjobs.api.access import Asked, needs
from hpcjobs.api.common import Cluster, own_job, problems
from hpcjobs.identity import Scope
from hpcjobs.model.reliability import Advised
from hpcjobs.service import Service

MOST_NODES = 1_000_000


@get(
    "/v1/recovery/advice",
    security=needs(Scope.JOBS_READ),
    responses=problems(),
    summary="How often a job should save",
    description="For a job, or for any with so many nodes: the interval between checkpoints by Young and Daly, how "
    "much of the time will be productive (ETTR), how many spare nodes suffice. The failure rate is counted on the "
    "cluster over 28 days, or that which others published where too few failures were seen; `told` says of each figure "
    "where it is from (docs/ETTR.md).",
    tags=["jobs"],
)
async def advice(
    request: Asked,
    service: NamedDependency[Service],
    job: Annotated[str | None, QueryParameter(description="Any of its names. Says `nodes` and `save_s`.")] = None,
    nodes: Annotated[int | None, QueryParameter(ge=1, le=MOST_NODES, description="How many nodes it has.")] = None,
    save_s: Annotated[
        float | None, QueryParameter(gt=0, le=1e9, description="Seconds for which a checkpoint stops the work.")
    ] = None,
    restart_s: Annotated[
        float | None, QueryParameter(ge=0, le=1e9, description="Seconds from a start until it works; 300 if left out.")
    ] = None,
    interval_s: Annotated[
        float | None,
        QueryParameter(gt=0, le=1e9, description="Seconds of work between two checkpoints; the best if left out."),
    ] = None,
    cluster: Cluster = None,
) -> Advised:
    """Advise."""
    of = await own_job(service, request, job, cluster) if job is not None else None
    where = service.target(of.cluster if of is not None else cluster).observer.cluster
    return await service.advising.advise(
        where, time.time(), job=of, nodes=nodes, save_s=save_s, restart_s=restart_s, interval_s=interval_s
    )
