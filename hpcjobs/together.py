"""Several jobs as one gang: all of them are kept, or none; as one heterogeneous job where that can be."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from collections.abc import Sequence
from typing import Final, NamedTuple

import msgspec

from hpcjobs.admission import AFTER_PLUGINS, admit
from hpcjobs.admission.hints import MAX_GANG, NAME
from hpcjobs.errors import Conflict, HpcjobsError, NotAllowed, NotSupported, Refusal, Refused
from hpcjobs.fetching import Submitted
from hpcjobs.gangs.joining import join, members_of, why_not
from hpcjobs.identity import check_may_run
from hpcjobs.model.capability import Op
from hpcjobs.model.gang import Gang, GangWay
from hpcjobs.model.job import Job
from hpcjobs.model.order import Order, Verb
from hpcjobs.model.spec import JobSpec
from hpcjobs.store import attempts, intake, repository
from hpcjobs.store.intake import Begun
from hpcjobs.store.store import new_id
from hpcjobs.submission import Submission, Target, launch_of

log = logging.getLogger(__name__)

MOST_NAME: Final = 90
"""Characters of a gang's name: what makes it unique comes behind it."""
DEFAULT_NAME: Final = "gang"


class SubmittedGang(NamedTuple):
    """A gang that is kept, and whether this call or an earlier one with the same key made it."""

    gang: Gang
    replayed: bool


def digest_of(cluster: str, asked: Sequence[JobSpec], name: str) -> str:
    """What tells one request from another: SHA-256 of cluster, name and specs."""
    said = msgspec.json.encode(["gang", cluster, name, *asked], order="deterministic")
    return hashlib.sha256(said).hexdigest()


def key_of(key: str | None, number: int) -> str | None:
    """The key of a held member: the first has the gang's own, by which the gang is found again."""
    if key is None or not number:
        return key
    return f"gang:{hashlib.sha256(key.encode()).hexdigest()}:{number}"


class Together:
    """Brings gangs into Slurm, in the name of the user who asked.

    Args:
        submission: Brings each job there.
    """

    def __init__(self, submission: Submission) -> None:
        self.submission = submission
        self.store = submission.store

    async def submit(
        self, user: str, target: Target, asked: Sequence[JobSpec], name: str, key: str | None
    ) -> SubmittedGang:
        """Submit several jobs that start together or not at all.

        Args:
            user: Whom they run as.
            target: On which cluster.
            asked: Their specs as asked for.
            name: Of the gang; ``""``: any.
            key: Idempotency key: the same user, key and request make one gang, however often they are sent.

        Returns:
            The gang. The rows of all its jobs are on disk.

        Raises:
            Refused: Admission or Slurm is against one of them; none runs. Field names begin with ``jobs.N.``.
            NotAllowed: No job may run as this user.
            NotSupported: No way to the cluster can do what one of them asks for; none runs.
            Conflict: The key was used for another request.
            PluginFailed: A plugin that must be asked could not answer. Nothing was kept.
            Unavailable: The database does not answer. Nothing was kept.
        """
        check_may_run(user, self.submission.never_run_as, self.submission.min_uid)
        digest = digest_of(target.observer.cluster, asked, name)
        before = await self.store.read(intake.made_before, user, key) if key else None
        if before is not None:
            return await self._again(user, before, digest, key)
        _judge(asked, name)
        members, generation = await self._admitted(user, target, asked)
        joined, why = _joined(members, name, target, user)
        if joined is None:
            return await asyncio.shield(self._hold(user, target, asked, name or DEFAULT_NAME, why, digest, key))
        # Shielded: a caller who hangs up must not leave an attempt without its outcome.
        submitted = await asyncio.shield(self.submission.submit_admitted(user, target, joined, digest, key, generation))
        return _het(submitted, len(members))

    async def _admitted(
        self, user: str, target: Target, asked: Sequence[JobSpec], *, fetches: bool = False
    ) -> tuple[list[JobSpec], int]:
        """All of them as admitted, and the generation of plugins that did it; every refusal gathered.

        Args:
            user: Whom they run as.
            target: On which cluster.
            asked: Their specs as asked for.
            fetches: Whether what brings their images is submitted.
        """
        refusals: list[Refusal] = []
        members, generation = [], 0
        for number, spec in enumerate(asked):
            try:
                admitted = await self.submission.admitting.admitted(user, target.observer, spec)
                if fetches:
                    admitted = await self.submission.with_image(user, target, admitted)
            except Refused as error:
                refusals += _of_member(number, error.refusals)
            else:
                members.append(admitted.spec)
                generation = admitted.generation
        if refusals:
            raise Refused(refusals)
        return members, generation

    async def _hold(
        self, user: str, target: Target, asked: Sequence[JobSpec], name: str, why: str, digest: str, key: str | None
    ) -> SubmittedGang:
        """Submit them as held members that policy gang starts together."""
        name = f"{name}.{new_id()}"
        hinted = [
            msgspec.structs.replace(spec, hints=msgspec.structs.replace(spec.hints, gang=name, gang_size=len(asked)))
            for spec in asked
        ]
        members, generation = await self._admitted(user, target, hinted, fetches=True)
        if any(member.begin is None for member in members):
            needs = "and jobs that wait for each other take policy gang, which is not in use here."
            raise Refused([Refusal("jobs", f"{why} So they cannot be one heterogeneous job, {needs}", "gang-policy")])
        requests = [
            self.submission.request_of(user, target.observer, spec, digest, key_of(key, number), generation)
            for number, spec in enumerate(members)
        ]
        begun = await self.submission.begin_together(requests)
        if not begun[0].made:
            return await self._again(user, begun[0], digest, key)
        jobs = await self._send(user, target, members, begun)
        return SubmittedGang(Gang(name, GangWay.HELD, why, tuple(jobs)), replayed=False)

    async def _send(self, user: str, target: Target, members: Sequence[JobSpec], begun: Sequence[Begun]) -> list[Job]:
        """Send all members; where Slurm is against one, none of them stays."""
        observer = target.observer
        in_flight = {one.attempt for one in begun}
        observer.in_flight |= in_flight  # those whose turn comes later are not lost
        jobs: list[Job] = []
        try:
            for spec, one in zip(members, begun, strict=True):
                jobs.append(await self.submission.send_begun(target, spec, one))
        except (Refused, NotAllowed, NotSupported) as error:
            refused = Refusal("", f"Job {len(jobs)} of the gang was refused: {error.detail}", "gang-refused")
            for one in begun[len(jobs) + 1 :]:
                await self.store.write(attempts.settle_refused, one.attempt, [refused], time.time())
            await self._take_back(user, target, jobs)
            error.kept = "All jobs of the gang are kept as refused or cancelled; none runs."
            if isinstance(error, Refused):
                raise Refused(_of_member(len(jobs), error.refusals), kept=error.kept) from error
            raise
        finally:
            observer.in_flight -= in_flight
        return jobs

    async def _take_back(self, user: str, target: Target, jobs: Sequence[Job]) -> None:
        """Cancel members that Slurm has, or that wait: they would wait for the others for ever."""
        for job in jobs:
            try:
                if job.slurm_job_id is not None:
                    await target.observer.backend.act(user, Order(Verb.CANCEL, str(job.slurm_job_id)))
                else:
                    await self.store.write(attempts.cancel_waiting, job.id, time.time())
            except HpcjobsError as error:  # it never starts: its gang is never whole
                log.warning("job %s of a gang that was refused could not be cancelled: %s", job.id, error.detail)

    async def _again(self, user: str, before: Begun, digest: str, key: str | None) -> SubmittedGang:
        """Answer a request that was answered before."""
        first = self.submission.answer_again(before, digest)
        spec = await self.store.read(repository.spec_of, first.job.id)
        if spec is None:
            raise Conflict("What this Idempotency-Key made is not known any more.", kept="It is as it was.")
        if spec.het:
            return _het(first, len(members_of(spec)))
        jobs = [first.job]
        for number in range(1, spec.hints.gang_size):
            other = await self.store.read(intake.made_before, user, key_of(key, number) or "")
            if other is not None:
                jobs.append(self.submission.answer_again(other, digest).job)
        why = "They were submitted as jobs that wait for each other."
        return SubmittedGang(Gang(spec.hints.gang, GangWay.HELD, why, tuple(jobs)), replayed=True)


def _judge(asked: Sequence[JobSpec], name: str) -> None:
    refusals = []
    if not 2 <= len(asked) <= MAX_GANG:
        refusals.append(Refusal("jobs", f"A gang has 2 to {MAX_GANG} jobs; {len(asked)} were asked for."))
    if name and (len(name) > MOST_NAME or not NAME.fullmatch(name)):
        refusals.append(
            Refusal("name", f"{name[:40]!r} is no name: letters, digits and . _ : / @ + -, {MOST_NAME} at the most.")
        )
    for number, spec in enumerate(asked):
        if spec.hints.gang or spec.hints.gang_size:
            refusals.append(Refusal(f"jobs.{number}.hints.gang", "A job of a gang names no gang of its own."))
    if refusals:
        raise Refused(refusals)


def _joined(members: Sequence[JobSpec], name: str, target: Target, user: str) -> tuple[JobSpec | None, str]:
    """The heterogeneous job that these are; or None, and why not."""
    if why := why_not(members):
        return None, why
    try:
        joined = admit(join(members, name or DEFAULT_NAME), AFTER_PLUGINS)
    except Refused as error:
        return None, f"As one heterogeneous job they would be refused: {error.detail}"
    lacking = target.observer.backend.lacks(Op.SUBMIT, launch_of(joined, "0" * 32, user, target.home))
    return (None, f"No way to this cluster has it: {lacking}.") if lacking else (joined, "")


def _het(submitted: Submitted, members: int) -> SubmittedGang:
    why = f"One heterogeneous job has all {members} as components: Slurm starts and ends them together."
    job = submitted.job
    return SubmittedGang(Gang(job.name, GangWay.HET, why, (job,)), submitted.replayed)


def _of_member(number: int, refusals: Sequence[Refusal]) -> list[Refusal]:
    """Refusals of one member, with the field names that the gang has for them."""
    return [
        msgspec.structs.replace(one, field=f"jobs.{number}.{one.field}" if one.field else f"jobs.{number}")
        for one in refusals
    ]
