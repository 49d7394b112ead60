"""A job whose image is not in the store yet waits for the job that brings it there; that is one for all who want it."""

from __future__ import annotations

import asyncio
import functools
import hashlib
import time
from collections.abc import Awaitable, Callable
from typing import Final

import msgspec

from hpcjobs.admitting import Admitted
from hpcjobs.errors import NotAllowed, NotSupported, Refusal, Refused, Unavailable
from hpcjobs.images.fetching import Fetch
from hpcjobs.model.job import Job
from hpcjobs.model.spec import JobSpec

DAY_S: Final = 86_400
SENT_S: Final = 10.0
"""How long somebody else's request may take to send that job, in seconds."""
ASK_S: Final = 0.2
MOST_FETCHES: Final = 50
"""How often a day one image is fetched for one user: so often it may have been removed, or its registry in trouble."""


class Submitted(msgspec.Struct, frozen=True):
    """A job that is kept, and whether this call or an earlier one with the same key made it."""

    job: Job
    replayed: bool


def digest_of(cluster: str, spec: JobSpec) -> str:
    """What tells one request from another: SHA-256 of cluster and spec."""
    return hashlib.sha256(cluster.encode() + b"\0" + msgspec.json.encode(spec, order="deterministic")).hexdigest()


Submit = Callable[[JobSpec, str], Awaitable[Submitted]]
"""Submits a job with a key, as the user and where the one that waits goes."""


async def waiting(admitted: Admitted, cluster: str, submit: Submit) -> Admitted:
    """A job that waits for the one which brings its image; that is submitted, if it is not under way.

    Args:
        admitted: The job.
        cluster: Where.
        submit: Submits the other.

    Raises:
        Refused: Slurm is against that job, or this one can wait for nothing more.
        Unavailable: Slurm has not taken it yet.
    """
    if admitted.fetch is None:
        return admitted
    spec, depends = admitted.spec, admitted.spec.dependency or ""
    if "?" in depends:
        told = "Its image is not here yet, and the job must wait for it: a dependency with ? cannot say so."
        raise Refused([Refusal("dependency", told, "image-dependency")])
    job = await _under_way(admitted.fetch, cluster, submit)
    if job.slurm_job_id is None:
        raise Unavailable(f"Its image must be fetched first, and Slurm has not taken that job ({job.id}) yet.")
    # What it waits for by its own words may come to be fulfilled yet, as by a job that is started again.
    ends = True if spec.kill_on_invalid_dep is None and not depends else spec.kill_on_invalid_dep
    dependency = ",".join(filter(None, (depends, f"afterok:{job.slurm_job_id}")))
    return msgspec.structs.replace(
        admitted, spec=msgspec.structs.replace(spec, dependency=dependency, kill_on_invalid_dep=ends)
    )


async def _under_way(fetch: Fetch, cluster: str, submit: Submit) -> Job:
    """The job that brings an image: one that has not ended, or a new one."""
    key = f"image:{digest_of(cluster, fetch.spec)[:32]}:{int(time.time() // DAY_S)}"
    for turn in range(MOST_FETCHES):
        try:
            submitted = await _sent(functools.partial(submit, fetch.spec, f"{key}:{turn}"))
        except (Refused, NotAllowed, NotSupported) as error:
            if error.replayed:
                continue
            told = f"The job that would bring its image is refused: {error.detail}"
            raise Refused([Refusal("container.image", told, "image-fetch")], kept=error.kept) from error
        if not submitted.replayed or not submitted.job.final:
            return submitted.job
    told = f"Its image was to be fetched {MOST_FETCHES} times today and is not there: see the output of those jobs."
    raise Refused([Refusal("container.image", told, "image-fetch")])


async def _sent(submit: Callable[[], Awaitable[Submitted]]) -> Submitted:
    """A submission with Slurm's number: another request may be sending it at this moment."""
    submitted = await submit()
    give_up = time.monotonic() + SENT_S
    while submitted.job.slurm_job_id is None and not submitted.job.detail and time.monotonic() < give_up:
        await asyncio.sleep(ASK_S)
        submitted = await submit()
    return submitted
