"""``/v1/gangs``: several jobs that start together or not at all."""

from __future__ import annotations

import msgspec
from litestar import Response, post
from litestar.di import NamedDependency
from litestar.params import JSONBody

from hpcjobs.api import submitted
from hpcjobs.api.access import SUBMITS, Asked, needs
from hpcjobs.api.common import IdempotencyKey
from hpcjobs.api.jobs import allowed
from hpcjobs.identity import Scope
from hpcjobs.model.gang import Gang
from hpcjobs.model.spec import JobSpec
from hpcjobs.service import Service


class GangRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Jobs to submit as one gang.

    Attributes:
        jobs: Each as POST /v1/jobs takes it, without a cluster and without a gang in its hints; 2 to 1000.
        name: Of the gang; ``""``: any.
        cluster: Where; None is the default cluster.
    """

    jobs: tuple[JobSpec, ...]
    name: str = ""
    cluster: str | None = None


@post(
    "/v1/gangs",
    security=needs(Scope.JOBS_WRITE),
    opt=SUBMITS,
    responses=submitted.documents(Gang),
    summary="Submit jobs that start together",
    description="All of them are kept, or none. Where their shapes allow it they are one heterogeneous job, whose "
    "components Slurm starts together and whose output says how each member ended; else jobs of their own that wait "
    "until policy `gang` starts them together. `way` says which, and `why`. With an Idempotency-Key the same request "
    "makes one gang, however often it is sent.",
    tags=["jobs"],
)
async def gangs(
    request: Asked,
    service: NamedDependency[Service],
    data: JSONBody[GangRequest],
    idempotency_key: IdempotencyKey = None,
) -> Response[Gang]:
    """Submit."""
    target = service.target(data.cluster)
    allowed(request.user, *data.jobs)
    gang, replayed = await service.together.submit(request.user.user, target, data.jobs, data.name, idempotency_key)
    return submitted.answer(gang, gang.jobs, replayed=replayed)
