"""The one acting path: admit, write the attempt, call the backend, write what came of it."""

from __future__ import annotations

import asyncio
import hashlib
import socket
import time
from collections.abc import Sequence
from typing import Final

import msgspec
from sqlalchemy.exc import IntegrityError

from hpcjobs.admission import admit
from hpcjobs.errors import (
    Conflict,
    HpcjobsError,
    NotAllowed,
    NotSupported,
    OutcomeUnknown,
    Refusal,
    Refused,
    SlurmUnavailable,
    Unavailable,
)
from hpcjobs.identity import check_may_run
from hpcjobs.model.job import Job
from hpcjobs.model.order import Order, Verb
from hpcjobs.model.spec import JobSpec
from hpcjobs.observe.observer import Observer
from hpcjobs.sbatch.environment import submission_environment
from hpcjobs.sbatch.when import with_absolute_times
from hpcjobs.slurm.base import Launch
from hpcjobs.slurm.explain import explain
from hpcjobs.store import attempts
from hpcjobs.store.attempts import AttemptState, Begun
from hpcjobs.store.store import Store

LOOK_UPS: Final = 3
LOOK_UP_PAUSE_S: Final = 0.5

SCRIPT_PATH: Final = "/usr/local/bin:/usr/bin:/bin"


class Target(msgspec.Struct, frozen=True):
    """Where jobs go: a cluster's observer (with its backend) and its pattern of home directories."""

    observer: Observer
    home: str


class Submitted(msgspec.Struct, frozen=True):
    """A job in Slurm, and whether this call or an earlier one with the same key brought it there."""

    job: Job
    replayed: bool


def digest_of(cluster: str, spec: JobSpec) -> str:
    """What tells one request from another: SHA-256 of cluster and spec."""
    return hashlib.sha256(cluster.encode() + b"\0" + msgspec.json.encode(spec, order="deterministic")).hexdigest()


def launch_of(spec: JobSpec, attempt: str, user: str, home: str) -> Launch:
    """Fill in what a backend must not choose: working directory and environment.

    The job gets the user's login environment, over it what sbatch says of the request, and over that the variables
    of the spec.
    """
    home_dir = home.format(user=user)
    environment = {
        "PATH": SCRIPT_PATH,
        **submission_environment(spec, home_dir, socket.gethostname()),
        **spec.environment,
    }
    return Launch(msgspec.structs.replace(spec, environment=environment, workdir=spec.workdir or home_dir), attempt)


class Submission:
    """Brings jobs into Slurm and ends them, in the name of the user who asked.

    Args:
        store: Where attempts are written before Slurm is called.
        never_run_as: Names that no job may run as.
        min_uid: No job runs as a local account with a lower number.
    """

    def __init__(self, store: Store, never_run_as: Sequence[str], min_uid: int) -> None:
        self.store = store
        self.never_run_as = frozenset(never_run_as)
        self.min_uid = min_uid

    async def submit(self, user: str, target: Target, asked: JobSpec, key: str | None) -> Submitted:
        """Submit a job.

        Args:
            user: Whom the job runs as.
            target: On which cluster.
            asked: The spec as asked for.
            key: Idempotency key: the same user, key and request make one job, however often they are sent.

        Returns:
            The job, with Slurm's number. On return its row is on disk and Slurm has it.

        Raises:
            Refused: Admission or Slurm is against it. Nothing runs.
            Unavailable: Slurm does not answer. Nothing runs; the same key tries again.
            OutcomeUnknown: It was sent and the answer was lost. The observer settles whether it runs.
            NotAllowed: No job may run as this user.
            Conflict: The key was used for another request.
        """
        check_may_run(user, self.never_run_as, self.min_uid)
        spec = with_absolute_times(admit(asked), time.time())
        observer = target.observer
        digest = digest_of(observer.cluster, asked)
        arguments = (user, observer.cluster, spec, key, digest, time.time())
        try:
            begun = await self.store.write(attempts.begin, *arguments)
        except IntegrityError:
            begun = await self.store.write(attempts.begin, *arguments)  # another process had the key first
        if not begun.made:
            return self._answer_again(begun, digest)
        # Shielded: a caller who hangs up must not leave an attempt without its outcome.
        return Submitted(await asyncio.shield(self._send_once(user, target, spec, begun)), replayed=False)

    @staticmethod
    def _answer_again(begun: Begun, digest: str) -> Submitted:
        if begun.digest != digest:
            raise Conflict(
                "This Idempotency-Key was used for another request.",
                kept=f"Job {begun.job.id} of the first request is as it was.",
            )
        if begun.state is AttemptState.REFUSED:
            kept = f"Job {begun.job.id} is kept as refused."
            for kind in (NotAllowed, NotSupported):
                if begun.refusals and begun.refusals[0].code == kind.code:
                    raise kind(begun.refusals[0].detail, kept=kept)
            raise Refused(begun.refusals, kept=kept)
        if begun.job.slurm_job_id is None:
            raise OutcomeUnknown(
                "An earlier call with this Idempotency-Key is under way, or its answer was lost and is being settled.",
                kept=f"Job {begun.job.id} is kept.",
            )
        return Submitted(begun.job, replayed=True)

    async def _send_once(self, user: str, target: Target, spec: JobSpec, begun: Begun) -> Job:
        """Send, and keep the observer from judging the attempt meanwhile, however long it waits for its turn."""
        in_flight = target.observer.in_flight
        in_flight.add(begun.attempt)
        try:
            return await self._send(user, target, spec, begun)
        finally:
            in_flight.discard(begun.attempt)

    async def _send(self, user: str, target: Target, spec: JobSpec, begun: Begun) -> Job:
        observer, attempt = target.observer, begun.attempt
        kept = f"Job {begun.job.id} is kept"
        try:
            if down := observer.known_down(time.time()):
                raise SlurmUnavailable(down)
            number = await observer.backend.submit(user, launch_of(spec, attempt, user, target.home))
        except Refused as error:
            refusals = [explain(refusal, spec, observer.view) for refusal in error.refusals]
            await self.store.write(attempts.settle_refused, attempt, refusals, time.time())
            raise Refused(refusals, kept=f"{kept} as refused.") from error
        except (NotAllowed, NotSupported) as error:
            refusal = Refusal("", error.detail, error.code)
            await self.store.write(attempts.settle_refused, attempt, [refusal], time.time())
            error.kept = f"{kept} as refused."
            raise
        except OutcomeUnknown as error:
            found = await self._look_up(user, observer, attempt)
            if found is None:
                await self.store.write(attempts.mark_unknown, attempt, error.detail, time.time())
                raise OutcomeUnknown(
                    error.detail,
                    kept=f"{kept} and settled as soon as Slurm can be asked: GET /v1/jobs/{begun.job.id}",
                ) from error
            number = found
        except Unavailable as error:
            await self.store.write(attempts.settle_unsent, attempt, error.detail, time.time())
            error.kept = f"{kept}; it did not reach Slurm. The same request with the same Idempotency-Key sends it."
            raise
        try:
            return await self.store.write(attempts.settle_sent, attempt, number, time.time())
        except Unavailable as error:
            raise OutcomeUnknown(
                f"Slurm has the job as {number}, but that could not be written down: {error.detail}",
                kept=f"{kept} and takes that number with the next listing: GET /v1/jobs/{begun.job.id}",
            ) from error

    @staticmethod
    async def _look_up(user: str, observer: Observer, attempt: str) -> int | None:
        """Look for the job of an attempt whose answer was lost, for as long as a caller may wait."""
        for _ in range(LOOK_UPS):
            try:
                found = await observer.backend.find(user, attempt)
            except HpcjobsError:
                return None
            if found is not None:
                return found
            await asyncio.sleep(LOOK_UP_PAUSE_S)
        return None

    async def cancel(self, job: Job, user: str, observer: Observer) -> None:
        """Cancel a job.

        Args:
            job: Which.
            user: In whose name.
            observer: Of its cluster.

        Raises:
            Conflict: It has ended, or is not in Slurm.
            Unavailable: Slurm does not answer; the job goes on.
        """
        if job.final:
            raise Conflict(f"Job {job.id} has already ended: {job.fate}.", kept="It is as it was.")
        if job.slurm_job_id is None:
            raise Conflict(f"Job {job.id} is not known to be in Slurm; its submission is being settled.")
        await observer.backend.act(user, Order(Verb.CANCEL, str(job.slurm_job_id)))
