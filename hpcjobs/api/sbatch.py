"""``/v1/sbatch``: a call of sbatch, read here as sbatch reads it."""

from __future__ import annotations

from datetime import datetime
from typing import Final

import msgspec
from litestar import Response, post
from litestar.di import NamedDependency
from litestar.params import JSONBody

from hpcjobs.api import submitted
from hpcjobs.api.access import SUBMITS, Asked, needs
from hpcjobs.api.common import IdempotencyKey
from hpcjobs.api.jobs import SubmitRequest
from hpcjobs.errors import ClusterUnknown, Refusal, Refused
from hpcjobs.fetching import Submitted
from hpcjobs.identity import Scope
from hpcjobs.model.order import Verdict
from hpcjobs.model.spec import JobSpec
from hpcjobs.sbatch.called import Call, Sbatched
from hpcjobs.sbatch.getopt import Misspelt
from hpcjobs.sbatch.reading import Needed, Reading, read_call, zone_of
from hpcjobs.service import Service
from hpcjobs.soonest import soonest
from hpcjobs.store import intake
from hpcjobs.submission import Target

EVERYWHERE: Final = "all"
TEXT: Final = "text/plain"
MISSPELT: Final = "sbatch-misspelt"
NEEDED: Final = "sbatch-needed"


def _read(call: Call) -> tuple[Reading, JobSpec]:
    """The call and the job that it asks for.

    Raises:
        Refused: It cannot be read; or something that it names did not come with it.
    """
    try:
        reading = read_call(call)
        request = msgspec.convert(reading.request, SubmitRequest)
    except Needed as needed:
        asked = [] if needed.script is None else [Refusal("script", needed.script, NEEDED)]
        raise Refused([*asked, *(Refusal("files", name, NEEDED) for name in needed.files)]) from needed
    except Misspelt as error:
        raise Refused([Refusal("words", line, MISSPELT) for line in error.heard or (str(error),)]) from error
    except ValueError as error:
        raise Refused([Refusal("words", f"error: {error}", MISSPELT)]) from error
    return reading, request.spec()


def _targets(service: Service, clusters: str) -> list[tuple[str, Target | ClusterUnknown]]:
    names = list(service.targets) if clusters == EVERYWHERE else clusters.split(",")
    found: list[tuple[str, Target | ClusterUnknown]] = []
    for name in names:
        try:
            found.append((name, service.target(name)))
        except ClusterUnknown as error:
            found.append((name, error))
    return found


async def _target(service: Service, user: str, clusters: str, spec: JobSpec, key: str | None) -> Target:
    """Where the job goes. What was said before with the same key goes where it went then."""
    if clusters != EVERYWHERE and "," not in clusters:
        return service.target(clusters or None)
    if key and (before := await service.store.read(intake.made_before, user, key)):
        return service.target(before.job.cluster)
    return await soonest(service.submission, user, _targets(service, clusters), spec)


def _tested(call: Call, reading: Reading, verdict: Verdict) -> Sbatched:
    """What --test-only says."""
    told = verdict.note
    if verdict.errors:
        raise Refused(verdict.errors)
    if (found := verdict.estimate) is not None:
        at = datetime.fromtimestamp(found.start_time, zone_of(call)).strftime("%Y-%m-%dT%H:%M:%S")
        where = f"on nodes {found.node_list} in partition {found.partition}"
        told = f"Job to start at {at} a using {found.cpus} processors {where}"
    return Sbatched("done", None, "", (*reading.notes, *(() if "quiet" in reading.client else (told,))))


def _submitted(reading: Reading, made: Submitted) -> Sbatched:
    job, client = made.job, reading.client
    if job.slurm_job_id is None:
        return Sbatched("number", job, "", tuple(reading.notes))
    with_cluster = "clusters" in client or "cluster" in client
    if "quiet" in client:
        told = ""
    elif "parsable" in client:
        told = f"{job.slurm_job_id}" + (f";{job.cluster}" if with_cluster else "")
    else:
        told = f"Submitted batch job {job.slurm_job_id}" + (f" on cluster {job.cluster}" if with_cluster else "")
    return Sbatched("wait" if "wait" in client else "done", job, told, tuple(reading.notes))


@post(
    "/v1/sbatch",
    security=needs(Scope.JOBS_WRITE),
    opt=SUBMITS,
    responses=submitted.documents(Sbatched),
    summary="Submit as sbatch does",
    description="A command line of sbatch with the script and the variables of whoever calls it, read as sbatch "
    "reads it: options, `#SBATCH`, `#PBS` and `#BSUB` lines, input variables. What sbatch would refuse is a 422, its "
    "words in `errors` with the code `sbatch-misspelt`; what the call names and did not bring is a 422 with "
    "`sbatch-needed`: the word of the script, or names of files. With `Accept: text/plain` the answer comes in lines: "
    "then, exit code, id, Slurm's number and cluster; stdout; stderr.",
    tags=["jobs"],
)
async def sbatch(
    request: Asked,
    service: NamedDependency[Service],
    data: JSONBody[Call],
    idempotency_key: IdempotencyKey = None,
) -> Response[Sbatched]:
    """Submit."""
    user = request.user.user
    reading, spec = _read(data)
    target = await _target(service, user, reading.clusters, spec, idempotency_key)
    if "test-only" in reading.client:
        tested = _tested(data, reading, await service.submission.validate(user, target, spec))
        response = Response(tested, status_code=200)
    else:
        made = await service.submission.submit(user, target, spec, idempotency_key)
        response = submitted.answer(_submitted(reading, made), [made.job], replayed=made.replayed)
    if request.headers.get("accept", "").startswith(TEXT):
        text = f"{response.content.text}\n"
        return Response(text, status_code=response.status_code, headers=response.headers, media_type=TEXT)  # type: ignore[arg-type]
    return response
