"""``hpcjobs``: what a researcher types. Heavy imports wait until a command needs them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hpcjobs import __version__
from hpcjobs.cli import operate, orders
from hpcjobs.cli.common import cluster_option, json_option
from hpcjobs.cli.common import given as _given
from hpcjobs.cli.common import print_json as _print_json
from hpcjobs.cli.common import service as _service
from hpcjobs.cli.events import events
from hpcjobs.cli.files import files

if TYPE_CHECKING:
    from hpcjobs.client import Client


def _text(script: Any) -> str:  # noqa: ANN401
    """The script byte for byte: line ends are the service's to judge."""
    try:
        return str(script.read(), "utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{getattr(script, 'name', '-')}: byte {error.start} is not UTF-8; is this a script?"
        ) from error


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="hpcjobs")
def main() -> None:
    """Jobs on Slurm clusters: submit, look, read, cancel.

    HPCJOBS_URL and HPCJOBS_TOKEN, or ~/.config/hpcjobs/config.toml, say where the service is and who you are.
    """


main.add_command(events)
main.add_command(files)
for _command in orders.COMMANDS:
    main.add_command(_command)


@main.command(context_settings={"allow_interspersed_args": False})
@click.argument("script", type=click.File("rb"))
@click.argument("args", nargs=-1)
@cluster_option
@click.option("--job-name", "-J", help="Name of the job.")
@click.option("--account", "-A", help="Account to charge.")
@click.option("--partition", "-p", help="Partition, or several with commas.")
@click.option("--qos", "-q", help="Quality of service.")
@click.option("--nodes", "-N", help="Number of nodes, or min-max.")
@click.option("--ntasks", "-n", type=int, help="Number of tasks.")
@click.option("--ntasks-per-node", type=int, help="Tasks a node.")
@click.option("--cpus-per-task", "-c", type=int, help="CPUs a task.")
@click.option("--gpus", "-G", help="GPUs of the whole job, [type:]count.")
@click.option("--gpus-per-node", help="GPUs a node, [type:]count.")
@click.option("--mem", help="Memory a node, with K, M, G or T.")
@click.option("--time", "-t", help="Time limit: minutes, hh:mm:ss or days-hh:mm:ss.")
@click.option("--output", "-o", help="File pattern of stdout.")
@click.option("--error", "-e", help="File pattern of stderr.")
@click.option("--chdir", "-D", help="Working directory on the cluster.")
@click.option("--follow", "-f", is_flag=True, help="Print the output as it is written; end as the job ends.")
@json_option
def submit(script: Any, args: tuple[str, ...], follow: bool, as_json: bool, **options: Any) -> None:  # noqa: ANN401
    """Submit SCRIPT (- is stdin) with ARGS. Options come before SCRIPT and win over its #SBATCH lines."""
    from hpcjobs.sbatch.units import parse_count_range, parse_memory, parse_time

    with _service() as client:
        nodes, nodes_max = parse_count_range(options["nodes"]) if options["nodes"] else (None, None)
        file_name = getattr(script, "name", "-")
        request = _given(
            script=_text(script),
            args=list(args) or None,
            cluster=options["cluster"],
            script_name=None if file_name in ("-", "<stdin>") else Path(file_name).name,
            name=options["job_name"],
            account=options["account"],
            partition=options["partition"],
            qos=options["qos"],
            stdout=options["output"],
            stderr=options["error"],
            workdir=options["chdir"],
            resources=_given(
                nodes=nodes,
                nodes_max=nodes_max if nodes_max != nodes else None,
                ntasks=options["ntasks"],
                ntasks_per_node=options["ntasks_per_node"],
                cpus_per_task=options["cpus_per_task"],
                gpus=options["gpus"],
                gpus_per_node=options["gpus_per_node"],
                mem_per_node_bytes=parse_memory(options["mem"]) if options["mem"] else None,
                wall_s=parse_time(options["time"]) if options["time"] else None,
            ),
        )
        job = client.submit(request)
        if as_json:
            _print_json(job)
        elif job.slurm_job_id is None:
            click.echo(f"Accepted as job {job.id} on cluster {job.cluster}: {job.detail}")
        else:
            click.echo(f"Submitted batch job {job.slurm_job_id} on cluster {job.cluster}")
        if follow:
            _follow(client, job.id)


@main.command()
@cluster_option
@click.option("--state", "-t", multiple=True, help="Only these states or ends; may be given several times.")
@click.option("--user", "-u", help="Only this user's jobs, as far as you may see them.")
@click.option("--name", "-n", help="Only jobs of this name.")
@click.option("--limit", type=click.IntRange(min=1), default=50, show_default=True, help="Most jobs.")
@click.option("--max-age", "max_age_s", type=float, help="Accept a listing that many seconds old.")
@json_option
def jobs(limit: int, as_json: bool, state: tuple[str, ...], **query: Any) -> None:  # noqa: ANN401
    """List the jobs that you may see, newest first."""
    from hpcjobs.cli import show as view
    from hpcjobs.model.job import Fate, State

    with _service() as client:
        words = {word.upper() for word in state}
        if unknown := words - set(State) - set(Fate):
            raise ValueError(f"no state is called {', '.join(sorted(unknown))}; there are {', '.join([*State, *Fate])}")
        states, fates = sorted(words & set(State)), sorted(words & set(Fate))
        if states and fates:
            raise ValueError("ask for states or for ends, not for both: a job that has not ended has no end")
        found = list(client.jobs(limit, **_given(state=states or None, fate=fates or None, **query)))
        _print_json(found) if as_json else view.jobs(found)


@main.command()
@click.argument("job_id")
@cluster_option
@click.option("--max-age", "max_age_s", type=float, help="Accept a listing that many seconds old.")
@json_option
def show(job_id: str, as_json: bool, **query: Any) -> None:  # noqa: ANN401
    """Show one job, by Slurm's number or our id."""
    from hpcjobs.cli import show as view

    with _service() as client:
        job = client.job(job_id, **_given(**query))
        _print_json(job) if as_json else view.job(job)


def _follow(client: Client, job_id: str, **query: Any) -> None:  # noqa: ANN401
    """Print what a job writes; exit as it did."""
    for data in client.follow(job_id, **query):
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    job = client.job(job_id, **{name: value for name, value in query.items() if name == "cluster"})
    if job.fate != "COMPLETED":
        click.echo(f"hpcjobs: job {job.slurm_job_id} ended {job.fate} (exit code {job.exit_code})", err=True)
        sys.exit(job.exit_code or 1)


@main.command()
@click.argument("job_id")
@cluster_option
@click.option("--follow", "-f", is_flag=True, help="Go on as it is written; end as the job ends, with its exit code.")
@click.option("--stderr", "stream", flag_value="stderr", default=None, help="The error file.")
@click.option("--tail", type=click.IntRange(min=1), help="Begin that many bytes before the end.")
def logs(job_id: str, follow: bool, tail: int | None, **query: Any) -> None:  # noqa: ANN401
    """Print a job's output."""
    with _service() as client:
        wanted = _given(offset=-tail if tail else None, **query)
        if follow:
            _follow(client, job_id, **wanted)
        else:
            sys.stdout.buffer.write(client.output(job_id, **wanted))
            sys.stdout.buffer.flush()


@main.command()
@cluster_option
@click.option("--max-age", "max_age_s", type=float, help="Accept a listing that many seconds old.")
@json_option
def nodes(cluster: str | None, as_json: bool, **query: Any) -> None:  # noqa: ANN401
    """List the nodes of a cluster."""
    from hpcjobs.cli import show as view

    with _service() as client:
        name = cluster or client.clusters()[0].name
        found = client.nodes(name, **_given(**query)).items
        _print_json(found) if as_json else view.nodes(found)


@main.command()
@click.option("--config", type=click.Path(path_type=Path), help="Settings file.")
def serve(config: Path | None) -> None:
    """Run the service."""
    from hpcjobs.api.serve import serve as run

    run(config)


main.add_command(operate.token)
main.add_command(operate.audit)


if __name__ == "__main__":
    main()
