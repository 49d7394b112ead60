"""Commands that have something done with jobs, and the one that says why a job waits."""

from __future__ import annotations

import sys
from typing import Any, Final

import click

from hpcjobs.cli.common import cluster_option, given, json_option, print_json, service

DOING: Final = {
    "cancel": "Cancelling",
    "hold": "Holding",
    "release": "Releasing",
    "requeue": "Requeueing",
    "suspend": "Suspending",
    "resume": "Resuming",
    "signal": "Signalling",
}


def each(job_ids: tuple[str, ...], verb: str, cluster: str | None, **body: object) -> None:
    """Have the same done with each job; one that fails does not keep the others from it. Ends the process."""
    failed = False
    for job_id in job_ids:
        try:
            with service() as client:
                job = getattr(client, verb)(job_id, cluster=cluster, **body)
                click.echo(f"{DOING[verb]} job {job.slurm_name or job.id} on cluster {job.cluster}")
        except SystemExit:
            failed = True  # said already
    sys.exit(failed)


def _plain(verb: str, text: str) -> click.Command:
    @click.command(verb, help=text)
    @click.argument("job_ids", nargs=-1, required=True)
    @cluster_option
    def command(job_ids: tuple[str, ...], cluster: str | None) -> None:
        each(job_ids, verb, cluster)

    return command


cancel = _plain("cancel", "Cancel jobs, also 123_4 and 123_[1-5].")
hold = _plain("hold", "Hold waiting jobs.")
release = _plain("release", "Release held jobs.")
suspend = _plain("suspend", "Suspend running jobs; they keep their GPUs.")
resume = _plain("resume", "Resume suspended jobs.")


@click.command()
@click.argument("job_ids", nargs=-1, required=True)
@click.option("--hold", is_flag=True, help="Requeue held.")
@cluster_option
def requeue(job_ids: tuple[str, ...], hold: bool, cluster: str | None) -> None:
    """Requeue jobs, running or ended."""
    each(job_ids, "requeue", cluster, hold=hold)


@click.command()
@click.argument("signal")
@click.argument("job_ids", nargs=-1, required=True)
@click.option("--batch", "scope", flag_value="batch", help="Only to the batch script.")
@click.option("--full", "scope", flag_value="full", help="To the batch script, its children and all steps.")
@cluster_option
def signal(signal: str, job_ids: tuple[str, ...], scope: str | None, cluster: str | None) -> None:
    """Send SIGNAL (USR1, TERM, 10) to the steps of jobs."""
    from hpcjobs.model.order import SignalScope

    each(job_ids, "signal", cluster, signal=signal, **given(scope=SignalScope(scope) if scope else None))


@click.command()
@click.argument("job_id")
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
            if answer.start_estimate is not None:
                click.echo(f"  Slurm expects it to start at {moment(answer.start_estimate)}.")


COMMANDS: Final[tuple[click.Command, ...]] = (cancel, hold, release, requeue, suspend, resume, signal, why)
