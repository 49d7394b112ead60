"""The one acting path: admit, write the attempt, call the backend, write what came of it."""

from __future__ import annotations

import asyncio
import functools
import logging
import socket
import time
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec
from sqlalchemy.exc import IntegrityError

from hpcjobs.admitting import Admitted, Admitting
from hpcjobs.backlog import Backlog
from hpcjobs.containers.script import batch_script
from hpcjobs.errors import (
    Conflict,
    HpcjobsError,
    JobUnknown,
    NotAllowed,
    NotSupported,
    OutcomeUnknown,
    PluginFailed,
    Refusal,
    Refused,
    Unavailable,
    ViewStale,
)
from hpcjobs.fetching import Submitted, digest_of, waiting
from hpcjobs.identity import check_may_run
from hpcjobs.model.attempt import AttemptState
from hpcjobs.model.job import Job, State
from hpcjobs.model.order import Verdict
from hpcjobs.model.spec import JobSpec
from hpcjobs.observe.observer import Observer
from hpcjobs.sbatch.environment import submission_environment
from hpcjobs.sbatch.values import parse_array
from hpcjobs.slurm.base import Launch
from hpcjobs.slurm.explain import explain
from hpcjobs.store import attempts, intake
from hpcjobs.store.intake import Begun, Request, Sent
from hpcjobs.store.store import Store

log = logging.getLogger(__name__)

LANES: Final = 8
"""Of how many users what waits is sent at once."""
MOST_TURNS: Final = 2000
"""How much of what waits is looked at in one second."""

LOOK_UPS: Final = 3
LOOK_UP_PAUSE_S: Final = 0.5


class Target(msgspec.Struct, frozen=True):
    """Where jobs go: a cluster's observer (with its backend) and its pattern of home directories."""

    observer: Observer
    home: str


@functools.cache
def host_name() -> str:
    """This machine's, as SLURM_SUBMIT_HOST shows it."""
    return socket.gethostname()


def launch_of(spec: JobSpec, attempt: str, user: str, home: str) -> Launch:
    """Fill in what a backend must not choose: working directory, environment, and what starts a container.

    The job gets the user's login environment, unless the spec brings all of its own, and over it what sbatch sends.
    """
    home_dir = home.format(user=user)
    environment = submission_environment(spec, home_dir, host_name())
    script = spec.script if spec.launch is None else batch_script(spec.launch, spec.script, home_dir)
    return Launch(
        msgspec.structs.replace(spec, script=script, environment=environment, workdir=spec.workdir or home_dir), attempt
    )


class Submission:
    """Brings jobs into Slurm, in the name of the user who asked.

    Args:
        store: Where attempts are written before Slurm is called.
        never_run_as: Names that no job may run as.
        min_uid: No job runs as a local account with a lower number.
        admitting: The rules of the house and the plugins.
    """

    def __init__(self, store: Store, never_run_as: Iterable[str], min_uid: int, admitting: Admitting) -> None:
        self.store = store
        self.admitting = admitting
        self.never_run_as = frozenset(never_run_as)
        self.min_uid = min_uid
        self.backlog = Backlog()

    async def start(self, clusters: Sequence[str]) -> None:
        """Take up what an earlier life of the service left waiting."""
        for cluster in clusters:
            await self._count(cluster)

    async def _count(self, cluster: str) -> int:
        """Ask the database how much waits."""
        self.backlog.reading(cluster)
        self.backlog.read(cluster, await self.store.read(attempts.waiting_by_user, cluster))
        return self.backlog.of(cluster)

    async def submit(self, user: str, target: Target, asked: JobSpec, key: str | None) -> Submitted:
        """Submit a job.

        Args:
            user: Whom the job runs as.
            target: On which cluster.
            asked: The spec as asked for.
            key: Idempotency key: the same user, key and request make one job, however often they are sent.

        Returns:
            The job. Its row is on disk. With ``slurm_job_id`` Slurm has it; without, it waits visibly and goes to
            Slurm once, after what the user sent before, as soon as Slurm answers. A slurmctld that is killed forgets
            what it took in its last seconds: what it loses so before it began goes out again by itself, under another
            number.

        Raises:
            Refused: Admission or Slurm is against it. Nothing runs.
            NotAllowed: No job may run as this user.
            Conflict: The key was used for another request.
            PluginFailed: A plugin that must be asked could not answer. Nothing was kept.
            Unavailable: The database does not answer. Nothing was kept.
        """
        check_may_run(user, self.never_run_as, self.min_uid)
        digest = digest_of(target.observer.cluster, asked) if key else ""
        if asked.container is not None and (before := await self._before(user, key)):
            return self.answer_again(before, digest)  # whatever its registry says now
        try:
            admitted = await self.admitting.admitted(user, target.observer, asked)
        except (Refused, PluginFailed, ViewStale):
            # A rule may have come since the first request with this key: what it made is there all the same.
            before = await self._before(user, key)
            if before is None:
                raise
            return self.answer_again(before, digest)
        admitted = await self.with_image(user, target, admitted)
        spec = await self.admitting.with_host_file(user, target.observer, admitted)
        # Shielded: a caller who hangs up must not leave an attempt without its outcome.
        return await asyncio.shield(self.submit_admitted(user, target, spec, digest, key, admitted.generation))

    async def with_image(self, user: str, target: Target, admitted: Admitted) -> Admitted:
        """A job that waits for what brings its image (hpcjobs.fetching), whose user's credential is there for that."""
        if admitted.authfile is not None:
            await self.admitting.keep_authfile(user, target.observer, admitted.authfile)
        if admitted.fetch is None:
            return admitted
        await self.admitting.make_folder(user, target.observer, admitted.fetch.logs)
        return await waiting(admitted, target.observer.cluster, functools.partial(self.submit, user, target))

    async def _before(self, user: str, key: str | None) -> Begun | None:
        """What an earlier request with a key made."""
        return await self.store.read(intake.made_before, user, key) if key else None

    async def submit_admitted(
        self, user: str, target: Target, spec: JobSpec, digest: str, key: str | None, generation: int
    ) -> Submitted:
        """Submit a job that a generation of plugins has admitted; see submit, and Request."""
        request = self.request_of(user, target.observer, spec, digest, key, generation)
        try:
            begun = await self.store.write_each(intake.begin, request)
        except IntegrityError:  # another process had the key first
            begun = await self.store.write_each(intake.begin, request)
        if not begun.made:
            return self.answer_again(begun, digest)
        return Submitted(await self.send_begun(target, spec, begun), replayed=False)

    async def begin_together(self, requests: Sequence[Request]) -> list[Begun]:
        """Write several submissions with their attempts, all or none; or find those that earlier ones made."""
        try:
            return await self.store.write(intake.begin, requests)
        except IntegrityError:  # another process had a key first
            return await self.store.write(intake.begin, requests)

    def request_of(
        self, user: str, observer: Observer, spec: JobSpec, digest: str, key: str | None, generation: int
    ) -> Request:
        """A submission as it is kept; see submit_admitted."""
        size = parse_array(spec.array).tasks if spec.array else 0
        waits = self._must_wait(user, observer)
        return Request(user, observer.cluster, spec, key, digest, time.time(), size, waits, generation)

    async def send_begun(self, target: Target, spec: JobSpec, begun: Begun) -> Job:
        """Send a job whose attempt is written, or leave it waiting behind its user's others. Raises as submit."""
        if begun.state is AttemptState.WAITING:
            self.backlog.join(target.observer.cluster, begun.job.user)
            return begun.job
        return await self._send(target, spec, begun.job, begun.attempt)

    def _must_wait(self, user: str, observer: Observer) -> str:
        """Why a new submission cannot go to Slurm now, or ``""``."""
        if down := observer.known_down():
            return f"It goes to Slurm as soon as Slurm answers. {down}"
        if before := self.backlog.of(observer.cluster, user):
            return f"It goes to Slurm after {before} of {user} that came before it."
        return ""

    @staticmethod
    def answer_again(begun: Begun, digest: str) -> Submitted:
        """Answer a request whose job an earlier one with the same key made.

        Raises:
            Conflict: That was another request.
            Refused: Slurm was against it; ``replayed`` says that it is so of old.
        """
        if begun.digest != digest:
            raise Conflict(
                "This Idempotency-Key was used for another request.",
                kept=f"Job {begun.job.id} of the first request is as it was.",
            )
        if begun.state is AttemptState.REFUSED:
            kept = f"Job {begun.job.id} is kept as refused."
            for kind in (NotAllowed, NotSupported):
                if begun.refusals and begun.refusals[0].code == kind.code:
                    raise kind(begun.refusals[0].detail, kept=kept).of_old()
            raise Refused(begun.refusals, kept=kept).of_old()
        return Submitted(begun.job, replayed=True)

    async def _send(self, target: Target, spec: JobSpec, job: Job, attempt: str) -> Job:
        """Send, and keep the observer from judging the attempt meanwhile, however long it waits for its turn.

        Returns:
            The job with Slurm's number, or without where it waits or where its answer was lost.
        """
        in_flight = target.observer.in_flight
        in_flight.add(attempt)
        try:
            return await self._call(target, spec, job, attempt)
        finally:
            in_flight.discard(attempt)

    async def _call(self, target: Target, spec: JobSpec, job: Job, attempt: str) -> Job:
        observer = target.observer
        kept = f"Job {job.id} is kept as refused."
        try:
            number = await observer.backend.submit(job.user, launch_of(spec, attempt, job.user, target.home))
        except (Conflict, JobUnknown) as error:
            # There is no job yet that could be in a wrong state: so says a site's job_submit plugin that it refuses.
            refusal = Refusal("", error.detail, error.code)
            await self.store.write(attempts.settle_refused, attempt, [refusal], time.time())
            raise Refused([refusal], kept=kept) from error
        except Refused as error:
            refusals = [explain(refusal, spec, observer.view) for refusal in error.refusals]
            await self.store.write(attempts.settle_refused, attempt, refusals, time.time())
            raise Refused(refusals, kept=kept) from error
        except (NotAllowed, NotSupported) as error:
            refusal = Refusal("", error.detail, error.code)
            await self.store.write(attempts.settle_refused, attempt, [refusal], time.time())
            error.kept = kept
            raise
        except OutcomeUnknown as error:
            found = await self._look_up(job.user, observer, attempt)
            if found is None:
                detail = f"{error.detail} Whether it runs is settled as soon as Slurm can be asked."
                return await self.store.write(attempts.mark_unknown, attempt, detail, time.time())
            number = found
        except Unavailable as error:
            detail = f"It goes to Slurm as soon as Slurm answers. {error.detail}"
            waiting = await self.store.write(attempts.settle_unsent, attempt, detail, time.time())
            self.backlog.join(observer.cluster, job.user)
            return waiting
        at = time.time()
        try:
            sent = await self.store.write_each(intake.settle_sent, Sent(job, attempt, number, at))
        except Unavailable as error:
            # The attempt is on disk and its mark is in Slurm: the next listing brings the number to its row.
            log.warning("job %s is %d in Slurm, which could not be written down: %s", job.id, number, error.detail)
            return msgspec.structs.replace(job, slurm_job_id=number, attempt=attempt, state=State.PENDING, detail="")
        observer.expect(sent, at)
        return sent

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

    async def send_waiting(self, target: Target, now: float) -> None:
        """Send what waits: each user's in order, several users' at once, for as long as Slurm takes it.

        Args:
            target: On which cluster.
            now: Unix seconds.
        """
        cluster = target.observer.cluster
        if target.observer.view is None or target.observer.known_down() or not await self._count(cluster):
            return
        paused = self.backlog.paused(cluster, now)
        turns = await self.store.read(attempts.turns, cluster, paused, MOST_TURNS)
        lanes = asyncio.Semaphore(LANES)
        sends = [self._send_turns(target, user, waiting, lanes) for user, waiting in turns.items()]
        for outcome in await asyncio.gather(*sends, return_exceptions=True):
            if isinstance(outcome, BaseException):
                raise outcome

    async def _send_turns(self, target: Target, user: str, waiting: Sequence[str], lanes: asyncio.Semaphore) -> None:
        """Send what waits of one user, until one of them must go on waiting: that may be this user's alone."""
        observer = target.observer
        async with lanes:
            for attempt in waiting:
                if observer.known_down():
                    return
                turn = await self.store.write(attempts.take, attempt, observer.cluster, time.time())
                if turn is None:  # cancelled meanwhile
                    continue
                try:
                    job = await self._send(target, turn.spec, turn.job, turn.attempt)
                except (Refused, NotAllowed, NotSupported) as error:
                    log.warning("job %s was refused when its turn came: %s", turn.job.id, error.detail)
                else:
                    if job.state is State.SUBMITTING:
                        self.backlog.failed(observer.cluster, user, time.time())
                        return
                finally:
                    self.backlog.leave(observer.cluster, user)
                self.backlog.went(observer.cluster, user)

    async def validate(self, user: str, target: Target, asked: JobSpec) -> Verdict:
        """Say what would come of a submission; nothing is submitted or kept.

        Raises:
            NotAllowed: No job may run as this user.
            Unavailable: Slurm does not answer.
        """
        check_may_run(user, self.never_run_as, self.min_uid)
        view = target.observer.view
        try:
            admitted = await self.admitting.admitted(user, target.observer, asked)
        except Refused as error:
            return Verdict(valid=False, errors=tuple(explain(refusal, asked, view) for refusal in error.refusals))
        placement = admitted.placement
        try:
            launch = launch_of(admitted.spec, "0" * 32, user, target.home)
            estimate = await target.observer.backend.estimate(user, launch)
            return Verdict(valid=True, estimate=estimate, placement=placement)
        except NotSupported as error:
            return Verdict(valid=True, note=error.detail, placement=placement)
        except Refused as error:
            refusals = tuple(explain(refusal, asked, view) for refusal in error.refusals)
            return Verdict(valid=False, errors=refusals, placement=placement)
