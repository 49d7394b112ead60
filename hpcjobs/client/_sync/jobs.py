# Made by scripts/unasync of hpcjobs/client/_async/jobs.py; change that and run it. Alike on purpose.
"""Submitting jobs, looking at them, and reading what they write."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from typing import Literal, Unpack

import msgspec

from hpcjobs.client._sync.caller import Caller
from hpcjobs.client.fields import SpecFields
from hpcjobs.client.patience import Patience, Stream
from hpcjobs.client.problems import ApiProblem, NotFound
from hpcjobs.client.wire import NDJSON, JobFilters, JobName, Lines, body_of, cluster_of, job_path, name_of
from hpcjobs.model.detail import JobDetail
from hpcjobs.model.gang import Gang
from hpcjobs.model.job import Job, JobPage
from hpcjobs.model.job_runs import JobRuns
from hpcjobs.model.job_usage import JobUsage
from hpcjobs.model.order import Verdict
from hpcjobs.model.reliability import Advised
from hpcjobs.model.spec import JobSpec
from hpcjobs.sbatch.called import Call, Sbatched

PAGE = 1000
"""Jobs of one page at the most."""


class Jobs(Caller):
    """Jobs."""

    def submit(
        self,
        spec: JobSpec | Mapping[str, object] | None = None,
        /,
        *,
        cluster: str | None = None,
        key: str | None = None,
        **fields: Unpack[SpecFields],
    ) -> Job:
        """Submit a job, exactly once.

        The call is said again with the same key after a lost connection, a 429 and a 503, until the service has an
        answer or ``retry_for_s`` is over.

        Args:
            spec: What is asked for, as a JobSpec or as a mapping with its fields.
            cluster: Where; None: the service's default cluster.
            key: Idempotency key: one per job that is wanted, at most 255 characters. The same user, key and request
                make one job, ever: also from another process, after a crash of either side, a week later. None: a
                new one for this call. Give one of your own, and keep it before you call, where you want to be able
                to repeat a call whose end your process did not live to see.
            fields: Fields of JobSpec by name; they win over those of ``spec``. ``resources`` may be a mapping.

        Returns:
            The job. A normal return guarantees:

            - **It is kept.** The job with its id is a row that the service's database has committed to disk. That was
              done before Slurm was called. It stays when this process, the service or Slurm's controller is killed
              now: as safe as the service's database is, not safer.
            - **It is one job.** However often this call was sent, and however often the service was killed meanwhile,
              this key has made this job and no other, and Slurm gets it at most once. A submission to Slurm whose
              answer was lost is looked for by a mark in the job's comment; it is not sent again unless Slurm and its
              accounting have been seen not to know it.
            - **It was admitted**: nothing that the service itself checks is against it.
            - ``job.slurm_job_id`` **is a number** (the service said 201): Slurm has taken the job under this number.
            - ``job.slurm_job_id`` **is None** (it said 202; state SUBMITTING): Slurm does not answer, others wait
              before it, or the answer was lost. The service sends it by itself, in the order in which jobs came, and
              ``job.detail`` says what it waits for. ``wait(job, until=lambda job: job.slurm_job_id is not None)``
              waits for the number, but see below. Where this key had made the job before, it is shown as it is now.

            It does not guarantee:

            - that the job starts, or when, or that it can (a dependency may never come true, a partition may close);
            - without a number, that Slurm will take it: Slurm may refuse it when its turn comes. The job is then kept
              as FINISHED with fate REFUSED, the reason in ``detail``;
            - that the number stays: a slurmctld that is killed forgets its last seconds. What it lost before it began
              goes out again by itself, under another number or the same, and the job's id holds;
            - that listings show it at once with Slurm's own words: those come with the next listing of the cluster;
            - that the job runs once: Slurm requeues jobs, as after the loss of a node, unless ``requeue=False``.

        Raises:
            Refused: The service or Slurm is against it, with an entry in ``errors`` per fault. Nothing runs. A job
                that Slurm refused is kept with fate REFUSED, and the same key gets the same refusal again.
            Conflict: The key was used for another request; nothing was done.
            NotAllowed: The token, or the user, may not submit; nothing runs.
            NotSupported: No way to this cluster can do what was asked for; nothing runs.
            Transient: No answer came in ``retry_for_s``. **It is open whether the job was kept.** Call again with the
                same ``key`` and the same request; a key that you did not give is lost with this exception.
            ValueError: There is no token.
        """
        body = body_of(spec, {**fields, "cluster": cluster})
        headers = {"Idempotency-Key": uuid.uuid4().hex if key is None else key}
        return self.ask(Job, "POST", "/v1/jobs", body=body, headers=headers)

    def sbatch(self, call: Call, *, key: str | None = None) -> Sbatched:
        """Submit a job as sbatch would, exactly once; see submit().

        Args:
            call: A command line of sbatch, with the script and the variables of whoever calls it.
            key: Idempotency key; None: a new one for this call.

        Returns:
            The job, and what sbatch would print. With ``--test-only`` nothing is submitted.

        Raises:
            Refused: sbatch, the service or Slurm is against it: entries of ``errors`` with the code
                ``sbatch-misspelt`` are lines that sbatch would say, those with ``sbatch-needed`` name the script
                (field ``script``) or files (field ``files``) that must come with the call.
            Conflict: The key was used for another request; nothing was done.
            NotAllowed: The token, or the user, may not submit; nothing runs.
            Transient: No answer came in ``retry_for_s``; see submit().
            ValueError: There is no token.
        """
        headers = {"Idempotency-Key": uuid.uuid4().hex if key is None else key}
        return self.ask(Sbatched, "POST", "/v1/sbatch", body=msgspec.json.encode(call), headers=headers)

    def submit_gang(
        self,
        jobs: Iterable[JobSpec | Mapping[str, object]],
        /,
        *,
        name: str = "",
        cluster: str | None = None,
        key: str | None = None,
    ) -> Gang:
        """Submit several jobs that start together or not at all, exactly once; see submit().

        Args:
            jobs: What each is, as for submit(); 2 to 1000.
            name: Of the gang; ``""``: any.
            cluster: Where; None: the service's default cluster.
            key: Idempotency key; None: a new one for this call.

        Returns:
            The gang: all of its jobs are kept. Where their shapes allow it they are one heterogeneous job (``way``
            HET); else jobs of their own, which policy ``gang`` of the service starts together (HELD).

        Raises:
            Refused: The service or Slurm is against one of them; none runs. Fields are called ``jobs.N.field``.
            Conflict: The key was used for another request; nothing was done.
            NotAllowed: The token, or the user, may not submit; nothing runs.
            NotSupported: No way to this cluster can do what one of them asks for; nothing runs.
            Transient: No answer came in ``retry_for_s``; see submit().
            ValueError: There is no token.
        """
        request = {"jobs": list(jobs), "name": name, "cluster": cluster}
        headers = {"Idempotency-Key": uuid.uuid4().hex if key is None else key}
        return self.ask(Gang, "POST", "/v1/gangs", body=msgspec.json.encode(request), headers=headers)

    def validate(
        self,
        spec: JobSpec | Mapping[str, object] | None = None,
        /,
        *,
        cluster: str | None = None,
        **fields: Unpack[SpecFields],
    ) -> Verdict:
        """What would come of a submission: when it would start, or everything against it. Nothing is kept.

        Args:
            spec: As for submit().
            cluster: As for submit().
            fields: As for submit().
        """
        return self.ask(Verdict, "POST", "/v1/jobs/validate", body=body_of(spec, {**fields, "cluster": cluster}))

    def job(self, job: JobName, *, cluster: str | None = None, max_age_s: float | None = None) -> Job:
        """One job.

        Args:
            job: By any of its names.
            cluster: On which cluster Slurm's numbers count; None: the default cluster.
            max_age_s: How old the listing may be that it is from, in seconds.
        """
        query = {"cluster": cluster_of(job, cluster), "max_age_s": max_age_s}
        return self.ask(Job, "GET", job_path(job), query)

    def detail(self, job: JobName, *, cluster: str | None = None, max_age_s: float | None = None) -> JobDetail:
        """Everything about one job: why it waits, what was asked for, its steps, attempts and events."""
        query = {"cluster": cluster_of(job, cluster), "max_age_s": max_age_s}
        return self.ask(JobDetail, "GET", job_path(job, "/detail"), query)

    def job_runs(self, job: JobName, *, cluster: str | None = None) -> JobRuns:
        """What happened to a job, run by run: why each ended, what was decided then; and what will happen next."""
        return self.ask(JobRuns, "GET", job_path(job, "/runs"), {"cluster": cluster_of(job, cluster)})

    def advise(
        self,
        job: JobName | None = None,
        *,
        nodes: int | None = None,
        save_s: float | None = None,
        restart_s: float | None = None,
        interval_s: float | None = None,
        cluster: str | None = None,
    ) -> Advised:
        """How often a job should save, and how much of its time will be productive.

        Args:
            job: Which; None: any with so many nodes.
            nodes: How many it has; None: as the job.
            save_s: Seconds for which a checkpoint stops the work; None: as the job's agent measured last.
            restart_s: Seconds from a start until it works; None: as others published.
            interval_s: Seconds of work between two checkpoints; None: as should be.
            cluster: Where; None: the job's, or the first.

        Raises:
            Refused: Nobody knows how many nodes it has, or how long saving takes.
        """
        query = {"nodes": nodes, "save_s": save_s, "restart_s": restart_s, "interval_s": interval_s, "cluster": cluster}
        if job is not None:
            query |= {"job": name_of(job), "cluster": cluster_of(job, cluster)}
        return self.ask(Advised, "GET", "/v1/recovery/advice", query)

    def job_usage(self, job: JobName, *, cluster: str | None = None) -> JobUsage:
        """What a job used, run by run, as far as accounting has been read."""
        return self.ask(JobUsage, "GET", job_path(job, "/usage"), {"cluster": cluster_of(job, cluster)})

    def jobs_page(self, *, cursor: str | None = None, limit: int = 100, **filters: Unpack[JobFilters]) -> JobPage:
        """One page of jobs, newest first, and how old what it shows is.

        Args:
            cursor: ``next_cursor`` of the page before.
            limit: Most jobs, up to 1000.
            filters: Which jobs.
        """
        return self.ask(JobPage, "GET", "/v1/jobs", {**filters, "cursor": cursor, "limit": limit})

    def jobs(self, limit: int | None = None, **filters: Unpack[JobFilters]) -> Stream[Job]:
        """Jobs, newest first, as many as there are. What breaks off goes on where it was.

        Args:
            limit: Most jobs; None: all of them, as one stream that holds none of them back.
            filters: Which jobs.
        """
        if limit is None:
            for job in self._every_job(filters):
                yield job
            return
        cursor: str | None = None
        while limit > 0:
            page = self.jobs_page(cursor=cursor, limit=min(limit, PAGE), **filters)
            for job in page.items:
                yield job
            limit -= len(page.items)
            cursor = page.next_cursor
            if cursor is None:
                return

    def _every_job(self, filters: JobFilters) -> Stream[Job]:
        cursor: str | None = None
        patient = Patience(self.retry_for_s)
        while True:
            try:
                query = {**filters, "cursor": cursor}
                with self.stream("GET", "/v1/jobs", query, headers={"Accept": NDJSON}) as response:
                    lines = Lines()
                    for data in response.iter_bytes():
                        for line in lines.feed(data):
                            job = msgspec.json.decode(line, type=Job)
                            cursor = job.id
                            patient.renew()
                            yield job
            except ApiProblem as problem:
                self.pause(problem, patient)
            else:
                return

    def output(
        self,
        job: JobName,
        *,
        stream: Literal["stdout", "stderr"] = "stdout",
        offset: int = 0,
        cluster: str | None = None,
    ) -> bytes:
        """What a job has written so far.

        Args:
            job: By any of its names.
            stream: Which file.
            offset: First byte; negative counts from the end.
            cluster: On which cluster Slurm's numbers count.

        Raises:
            NotFound: There is none (yet).
        """
        return (self._read_output(job, {"stream": stream, "offset": offset}, cluster))[1]

    def _read_output(self, job: JobName, query: Mapping[str, object], cluster: str | None) -> tuple[int, bytes]:
        told = {**query, "cluster": cluster_of(job, cluster)}
        response = self.request("GET", job_path(job, "/output"), told)
        return int(response.headers.get("Output-Offset", 0)), response.content

    def follow(
        self,
        job: JobName,
        *,
        stream: Literal["stdout", "stderr"] = "stdout",
        offset: int = 0,
        cluster: str | None = None,
    ) -> Stream[bytes]:
        """What a job writes, as it writes it, until it has ended. A broken stream goes on where it broke.

        Args:
            job: By any of its names.
            stream: Which file.
            offset: First byte; negative counts from the end of what is there now.
            cluster: On which cluster Slurm's numbers count.
        """
        if offset < 0:
            try:
                at, data = self._read_output(job, {"stream": stream, "offset": offset}, cluster)
            except NotFound as problem:
                if problem.code != "output-missing":
                    raise
                at, data = 0, b""
            offset = at + len(data)
            if data:
                yield data
        patient = Patience(self.retry_for_s)
        while True:
            query = {"stream": stream, "offset": offset, "follow": True, "cluster": cluster_of(job, cluster)}
            headers = {"Accept-Encoding": "identity"}
            try:
                with self.stream("GET", job_path(job, "/output"), query, headers=headers) as response:
                    patient.renew()  # a job may be quiet for longer than anybody is patient
                    for data in response.iter_raw():
                        patient.renew()
                        offset += len(data)
                        yield data
            except ApiProblem as problem:
                self.pause(problem, patient)
            else:
                return
