"""Having things done with jobs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Unpack

from hpcjobs.client._async.caller import AsyncCaller
from hpcjobs.client.fields import ChangesFields
from hpcjobs.client.wire import JobName, body_of, cluster_of, job_path, name_of
from hpcjobs.model.action import MAX_JOBS, ActionReport, ActionRequest, JobSet, RequeueRequest, SignalRequest
from hpcjobs.model.job import Job
from hpcjobs.model.order import Changes, SignalScope, Verb

ONCE = frozenset({Verb.REQUEUE, Verb.SIGNAL})
"""What is done twice when it is said twice."""


class AsyncOrders(AsyncCaller):
    """What can be had done with jobs. Each returns when Slurm has taken it; the state follows within a listing.

    They all raise Conflict where the job's state does not allow it, NotFound where there is no such job, NotSupported
    where no way to the cluster can do it, and Transient where Slurm or the service stays away: the job goes on as it
    was.
    """

    async def _order(
        self, job: JobName, verb: Verb, cluster: str | None, given: RequeueRequest | SignalRequest | None = None
    ) -> Job:
        body = None if given is None else body_of(given, {})
        query = {"cluster": cluster_of(job, cluster)}
        return await self.ask(Job, "POST", job_path(job, f"/{verb}"), query, body=body, repeatable=verb not in ONCE)

    async def cancel(self, job: JobName, *, cluster: str | None = None) -> Job:
        """Cancel a job; at once, where it still waits for Slurm to answer."""
        return await self.ask(Job, "DELETE", job_path(job), {"cluster": cluster_of(job, cluster)})

    async def hold(self, job: JobName, *, cluster: str | None = None) -> Job:
        """Keep a waiting job from starting."""
        return await self._order(job, Verb.HOLD, cluster)

    async def release(self, job: JobName, *, cluster: str | None = None) -> Job:
        """Let a held job start."""
        return await self._order(job, Verb.RELEASE, cluster)

    async def suspend(self, job: JobName, *, cluster: str | None = None) -> Job:
        """Suspend a running job; with Slurm 24.11 for operators only. It keeps its GPUs."""
        return await self._order(job, Verb.SUSPEND, cluster)

    async def resume(self, job: JobName, *, cluster: str | None = None) -> Job:
        """Let a suspended job go on."""
        return await self._order(job, Verb.RESUME, cluster)

    async def requeue(self, job: JobName, *, hold: bool = False, cluster: str | None = None) -> Job:
        """Have a job, running or ended, wait and run again under the same number.

        Args:
            job: By any of its names.
            hold: Keep it from starting until it is released.
            cluster: On which cluster Slurm's numbers count.

        Raises:
            AnswerLost: It may have been done; another try could stop the new run.
        """
        return await self._order(job, Verb.REQUEUE, cluster, RequeueRequest(hold))

    async def signal(
        self, job: JobName, signal: str, *, scope: SignalScope = SignalScope.STEPS, cluster: str | None = None
    ) -> Job:
        """Send a signal to a job's processes.

        Args:
            job: By any of its names.
            signal: Name without SIG (``USR1``), or number.
            scope: To which of them.
            cluster: On which cluster Slurm's numbers count.

        Raises:
            AnswerLost: It may have been sent.
        """
        return await self._order(job, Verb.SIGNAL, cluster, SignalRequest(signal, scope))

    async def update(
        self,
        job: JobName,
        changes: Changes | Mapping[str, object] | None = None,
        /,
        *,
        cluster: str | None = None,
        **fields: Unpack[ChangesFields],
    ) -> Job:
        """Change a job: same as ``scontrol update job``.

        Args:
            job: By any of its names.
            changes: What to change, as Changes or as a mapping with its fields.
            cluster: On which cluster Slurm's numbers count.
            fields: Fields of Changes by name; they win over those of ``changes``.
        """
        query = {"cluster": cluster_of(job, cluster)}
        return await self.ask(Job, "PATCH", job_path(job), query, body=body_of(changes, fields))

    async def act(
        self,
        verb: Verb,
        jobs: Sequence[JobName] | JobSet,
        *,
        cluster: str | None = None,
        signal: str = "",
        scope: SignalScope = SignalScope.STEPS,
        hold: bool = False,
        changes: Changes | None = None,
    ) -> ActionReport:
        """Have the same done with many jobs; one that fails does not keep the others from it.

        Args:
            verb: What.
            jobs: By name, any number of them; or by what they are now, up to 1000 of them: more are refused, and
                then nothing was done.
            cluster: On which cluster Slurm's numbers count; with a JobSet: only jobs of this cluster.
            signal: For SIGNAL: name or number.
            scope: For SIGNAL: which processes.
            hold: For REQUEUE: requeue them held.
            changes: For UPDATE.

        Returns:
            What became of each, in the order of ``jobs``.

        Raises:
            AnswerLost: It may have been done with some; only for SIGNAL and REQUEUE, all others are said again.
        """
        if isinstance(jobs, JobSet):
            return await self._act(ActionRequest(verb, None, jobs, cluster, signal, scope, hold, changes))
        names = [name_of(job) for job in jobs]
        whole = ActionReport([], 0, 0)
        for start in range(0, len(names), MAX_JOBS):
            some = names[start : start + MAX_JOBS]
            report = await self._act(ActionRequest(verb, some, None, cluster, signal, scope, hold, changes))
            whole = ActionReport(whole.results + report.results, whole.done + report.done, whole.failed + report.failed)
        return whole

    async def _act(self, request: ActionRequest) -> ActionReport:
        return await self.ask(
            ActionReport, "POST", "/v1/jobs/actions", body=body_of(request, {}), repeatable=request.verb not in ONCE
        )
