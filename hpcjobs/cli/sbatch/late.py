"""What only some calls of sbatch need, and loads slowly: the whole client."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec

from hpcjobs.cli.advice import advice
from hpcjobs.cli.outcome import NotDone, Sent
from hpcjobs.client import ApiProblem, Client
from hpcjobs.model.job import Job
from hpcjobs.profiles import ClientConfig
from hpcjobs.sbatch.called import Call, Sbatched


def _waiting(problem: ApiProblem) -> None:
    sys.stderr.write(f"sbatch: {problem.detail} Trying again in {problem.retry_after_s:g} s.\n")


@contextmanager
def service(config: ClientConfig) -> Iterator[Client]:
    """The whole client, whose problems become NotDone."""
    try:
        with Client(config.url, config.token, _waiting) as client:
            yield client
    except ApiProblem as problem:
        raise NotDone(problem.sentences, problem.kept or advice(problem)) from problem


def _sent(job: Job) -> Sent:
    return Sent(job.id, job.slurm_job_id, job.cluster, job.detail)


def call_again(config: ClientConfig, made: dict[str, Any], key: str) -> Sbatched:
    """Say a call again with its key, as long as that can help."""
    with service(config) as client:
        return client.sbatch(msgspec.convert(made, Call), key=key or None)


def numbered(config: ClientConfig, sent: Sent) -> Sent:
    """Wait until Slurm has given a job its number. Whoever interrupts this does not end the job."""
    with service(config) as client:
        job = client.wait(sent.job_id, until=lambda job: job.slurm_job_id is not None or job.final)
    if job.slurm_job_id is None:
        raise NotDone([job.detail], f"Job {job.id} is kept as {job.fate}.")
    return _sent(job)


def exit_code(config: ClientConfig, sent: Sent) -> int:
    """Wait for a job's end; what sbatch --wait exits with: the largest code of its tasks, 1 for a signal."""
    with service(config) as client:
        job = client.wait(sent.job_id)
        tasks = list(client.jobs(parent=job.id, tasks=True)) if job.array_size else []
    return max(1 if one.exit_signal else one.exit_code for one in (tasks or [job]))
