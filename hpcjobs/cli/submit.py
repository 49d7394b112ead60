"""``hpcjobs submit``: a script, and options of the common kind."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hpcjobs.cli.common import cluster_option, complain, config, environment, given, json_option, print_json, service
from hpcjobs.cli.completion import values
from hpcjobs.cli.contained import container_of, container_options
from hpcjobs.cli.output import follow_to_end

if TYPE_CHECKING:
    from hpcjobs.cli.spool.entries import Entry
    from hpcjobs.client import Client

RELATIVE = ("begin", "deadline")
DAY_S = 86_400


def _text(script: Any) -> str:  # noqa: ANN401
    """The script byte for byte: line ends are the service's to judge."""
    try:
        return str(script.read(), "utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{getattr(script, 'name', '-')}: byte {error.start} is not UTF-8; is this a script?"
        ) from error


def settled(request: dict[str, Any], now: float) -> dict[str, Any]:
    """A request in which times of the script that count from now are moments: it may be sent much later.

    Args:
        request: Body of a submission, whose ``#SBATCH`` lines the service reads.
        now: Unix seconds.
    """
    from hpcjobs.sbatch.fold import read_directives
    from hpcjobs.sbatch.when import parse_when

    components, _faults = read_directives(request["script"])
    found = {}
    for name in RELATIVE:
        said = components[0].get(name) if components else None
        try:
            moment = parse_when(str(said), now) if said and name not in request else 0
            if moment and parse_when(str(said), now + DAY_S) != moment:
                found[name] = f"uts{moment}"
        except ValueError:
            continue  # the service says what is wrong with it
    return request | found


@click.command(context_settings={"allow_interspersed_args": False})
@click.argument("script", type=click.File("rb"))
@click.argument("args", nargs=-1)
@cluster_option
@click.option("--job-name", "-J", help="Name of the job.")
@click.option("--account", "-A", help="Account to charge.", shell_complete=values.accounts)
@click.option("--partition", "-p", help="Partition, or several with commas.", shell_complete=values.partitions)
@click.option("--qos", "-q", help="Quality of service.", shell_complete=values.qos)
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
@click.option("--parallel", metavar="WORDS", help="How a training is parallel: tp=8,pp=4,dp=32.")
@click.option("--gang", metavar="NAME:SIZE", help="It starts together with the other jobs of this gang, or not at all.")
@click.option("--elastic", metavar="MIN-MAX", help="It can run with so many nodes.")
@click.option("--dataset", "datasets", multiple=True, metavar="NAME", help="It reads this data set; several times.")
@click.option("--preemptible", is_flag=True, help="It may be requeued for others: it goes on from a checkpoint.")
@click.option("--pinned", is_flag=True, help="Though preemptible, it is not moved to make room.")
@click.option("--urgent", is_flag=True, help="It is to start before all that are not.")
@click.option("--recover", is_flag=True, help="It is started again where it ended badly and that can help.")
@click.option("--checkpoints", metavar="DIR", help="Its checkpoint folder on the cluster, for hpcjobs run inside it.")
@click.option(
    "--hang-after", metavar="TIME", help="It has hung when it does nothing for so long; else by its own pace."
)
@container_options
@click.option("--follow", "-f", is_flag=True, help="Print the output as it is written; end as the job ends.")
@click.option("--queue-offline", is_flag=True, help="Without an answer of the service keep it, and send it later.")
@json_option
def submit(
    script: Any,  # noqa: ANN401
    args: tuple[str, ...],
    follow: bool,
    queue_offline: bool,
    as_json: bool,
    **options: Any,  # noqa: ANN401
) -> None:
    """Submit SCRIPT (- is stdin) with ARGS. Options come before SCRIPT and win over its #SBATCH lines."""
    with service(interrupted=0) as client:
        request = request_of(script, args, options) | given(cluster=options["cluster"])
        if queue_offline or config().queue_offline:
            sent = _submit_or_keep(request)
            if sent is None:
                raise click.exceptions.Exit(0)
            entry, detail = sent
            job_id = entry.job_id
            if as_json:
                print_json(_job_of(client, entry))
            else:
                _tell(job_id, entry.slurm_job_id, entry.cluster, detail)
        else:
            job = client.submit(request)
            job_id = job.id
            if as_json:
                print_json(job)
            else:
                _tell(job_id, job.slurm_job_id, job.cluster, job.detail)
        if follow:
            follow_to_end(client, job_id)


def request_of(script: Any, args: tuple[str, ...], options: dict[str, Any]) -> dict[str, Any]:  # noqa: ANN401
    """The body of a submission, without the cluster, from what the command line says.

    Raises:
        ValueError: An option cannot be read.
    """
    from hpcjobs.sbatch.units import parse_count_range, parse_memory, parse_time

    nodes, nodes_max = parse_count_range(options["nodes"]) if options["nodes"] else (None, None)
    file_name = getattr(script, "name", "-")
    return given(
        script=_text(script),
        args=list(args) or None,
        script_name=None if file_name in ("-", "<stdin>") else Path(file_name).name,
        name=options["job_name"],
        account=options["account"],
        partition=options["partition"],
        qos=options["qos"],
        stdout=options["output"],
        stderr=options["error"],
        workdir=options["chdir"] or config().workdir or None,
        parallel=options["parallel"],
        hints=_hints(options) or None,
        container=container_of(options),
        resources=given(
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


def _hints(options: dict[str, Any]) -> dict[str, Any]:
    """What the policies are told."""
    from hpcjobs.sbatch.units import parse_count_range, parse_time

    gang, colon, size = (options["gang"] or "").rpartition(":")
    if options["gang"] and not (colon and size.isascii() and size.isdigit()):
        raise ValueError(f"--gang {options['gang']}: write NAME:SIZE, as llama:4")
    fewest, most = parse_count_range(options["elastic"]) if options["elastic"] else (0, 0)
    said = {
        "gang": gang,
        "gang_size": int(size or 0),
        "nodes_min": fewest,
        "nodes_max": most or 0,
        "datasets": list(options["datasets"]),
        **{name: options[name] for name in ("preemptible", "pinned", "urgent", "recover", "checkpoints")},
        "hang_s": parse_time(options["hang_after"]) if options["hang_after"] else 0,
    }
    return {name: value for name, value in said.items() if value}


def _tell(job_id: str, number: int | None, cluster: str, detail: str) -> None:
    if number is None:
        click.echo(f"Accepted as job {job_id} on cluster {cluster}: {detail}")
    else:
        click.echo(f"Submitted batch job {number} on cluster {cluster}")


def _job_of(client: Client, entry: Entry) -> object:
    """The job that an entry has become; where the service does not show it now, what is known of it."""
    from hpcjobs.client import ApiProblem

    try:
        return client.job(entry.job_id)
    except ApiProblem as problem:
        complain(problem)
        return {"id": entry.job_id, "slurm_job_id": entry.slurm_job_id, "cluster": entry.cluster}


def _submit_or_keep(request: dict[str, Any]) -> tuple[Entry, str] | None:
    """Submit, or keep and say so: what was sent, and why it has no number yet; None: it is kept."""
    from hpcjobs.cli.outcome import NotDone
    from hpcjobs.cli.spool.direct import submit_or_keep, told_of_kept

    try:
        entry, why = submit_or_keep(config(), settled(request, time.time()), environment())
    except (NotDone, OSError) as error:
        for line in error.details if isinstance(error, NotDone) else [f"it cannot be kept for later: {error}"]:
            click.echo(f"hpcjobs: error: {line}", err=True)
        if isinstance(error, NotDone) and error.kept:
            click.echo(f"hpcjobs: {error.kept}", err=True)
        raise click.exceptions.Exit(1) from None
    if entry.state == "sent":
        return entry, why[0] if why else ""
    for line in why:
        click.echo(f"hpcjobs: {line}", err=True)
    if click.get_current_context().params["as_json"]:
        print_json({"queued_offline": entry.id, "said": list(why)})
    else:
        click.echo(told_of_kept(entry))
    return None
