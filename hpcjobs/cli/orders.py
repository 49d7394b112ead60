"""Commands that have something done with jobs, and the one that says why a job waits."""

from __future__ import annotations

import sys
from typing import Any, Final

import click

from hpcjobs.cli.common import cluster_option, complain, given, json_option, print_json, service
from hpcjobs.cli.completion import values

DOING: Final = {
    "cancel": "Cancelling",
    "hold": "Holding",
    "release": "Releasing",
    "requeue": "Requeueing",
    "suspend": "Suspending",
    "resume": "Resuming",
    "signal": "Signalling",
}


def each(job_ids: tuple[str, ...], verb: str, cluster: str | None, as_json: bool, **body: object) -> None:
    """Have the same done with each job; one that fails does not keep the others from it. Ends the process.

    As JSON: a list with ``asked``, ``done``, and ``job`` or ``problem``, in the order of the names.
    """
    from hpcjobs.client import ApiProblem

    results: list[dict[str, object]] = []
    with service() as client:
        for job_id in job_ids:
            try:
                job = getattr(client, verb)(job_id, cluster=cluster, **body)
            except ApiProblem as problem:
                complain(problem)
                results.append({"asked": job_id, "done": False, "problem": problem_document(problem)})
                continue
            results.append({"asked": job_id, "done": True, "job": job})
            if not as_json:
                click.echo(f"{DOING[verb]} job {job.slurm_name or job.id} on cluster {job.cluster}")
    if as_json:
        print_json(results)
    sys.exit(not all(one["done"] for one in results))


def problem_document(problem: Any) -> dict[str, object]:  # noqa: ANN401  of the client, which loads slowly
    """A problem for a JSON document."""
    return {"status": problem.status, "code": problem.code, "detail": problem.detail, "kept": problem.kept}


jobs_argument = click.argument(
    "job_ids", metavar="JOB_IDS...", nargs=-1, required=True, shell_complete=values.live_jobs
)


def _plain(verb: str, text: str) -> click.Command:
    @click.command(verb, help=text)
    @jobs_argument
    @cluster_option
    @json_option
    def command(job_ids: tuple[str, ...], cluster: str | None, as_json: bool) -> None:
        each(job_ids, verb, cluster, as_json)

    return command


cancel = _plain("cancel", "Cancel jobs, also 123_4 and 123_[1-5].")
hold = _plain("hold", "Hold waiting jobs.")
release = _plain("release", "Release held jobs.")
suspend = _plain("suspend", "Suspend running jobs; they keep their GPUs.")
resume = _plain("resume", "Resume suspended jobs.")


@click.command()
@jobs_argument
@click.option("--hold", is_flag=True, help="Requeue held.")
@cluster_option
@json_option
def requeue(job_ids: tuple[str, ...], hold: bool, cluster: str | None, as_json: bool) -> None:
    """Requeue jobs, running or ended."""
    each(job_ids, "requeue", cluster, as_json, hold=hold)


@click.command()
@click.argument("signal")
@jobs_argument
@click.option("--batch", "scope", flag_value="batch", help="Only to the batch script.")
@click.option("--full", "scope", flag_value="full", help="To the batch script, its children and all steps.")
@cluster_option
@json_option
def signal(signal: str, job_ids: tuple[str, ...], scope: str | None, cluster: str | None, as_json: bool) -> None:
    """Send SIGNAL (USR1, TERM, 10) to the steps of jobs."""
    from hpcjobs.model.order import SignalScope

    each(job_ids, "signal", cluster, as_json, signal=signal, **given(scope=SignalScope(scope) if scope else None))


@click.command()
@click.argument("job_id", shell_complete=values.live_jobs)
@cluster_option
@json_option
def why(job_id: str, as_json: bool, **query: Any) -> None:  # noqa: ANN401
    """Say what a job waits for, and what would help."""
    from hpcjobs.cli.show import moment

    with service() as client:
        detail = client.detail(job_id, **given(**query))
        answer = detail.why
        if as_json:
            print_json(answer)
        elif answer is None:
            job = detail.job
            click.echo(f"Job {job.slurm_name or job.id} does not wait: it is {job.fate or job.state}.")
        else:
            click.echo(answer.waits_for)
            for advice in answer.would_help:
                click.echo(f"  {advice}")
            if answer.ahead:
                click.echo(f"  {answer.ahead} jobs of higher priority want the same partition.")
            if answer.start_estimate is not None:
                click.echo(f"  Slurm expects it to start at {moment(answer.start_estimate)}.")


COMMANDS: Final[tuple[click.Command, ...]] = (cancel, hold, release, requeue, suspend, resume, signal, why)
