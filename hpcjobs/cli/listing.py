"""``hpcjobs jobs``, ``show``, ``nodes`` and ``partitions``: looking at what there is."""

from __future__ import annotations

import contextlib
import shlex
import sys
import time
from typing import TYPE_CHECKING, Any, Final

import click

from hpcjobs.cli.common import cluster_option, given, json_option, print_json, service
from hpcjobs.cli.completion import values
from hpcjobs.cli.expand import Moment

if TYPE_CHECKING:
    from hpcjobs.client import Client
    from hpcjobs.model.detail import JobDetail

LEAST_S: Final = 1.0
"""Between two looks of --watch, in seconds."""
LONG_POLL_S: Final = 30.0

max_age_option = click.option("--max-age", "max_age_s", type=float, help="Accept a listing that many seconds old.")


def states_of(words: tuple[str, ...]) -> dict[str, list[str] | None]:
    """Names of states and of ends, in any capitals, as a filter.

    Raises:
        ValueError: There is none of that name, or both kinds are asked for.
    """
    from hpcjobs.model.job import Fate, State

    said = {word.upper() for part in words for word in part.split(",")}
    if unknown := said - set(State) - set(Fate):
        raise ValueError(f"no state is called {', '.join(sorted(unknown))}; there are {', '.join([*State, *Fate])}")
    states, fates = sorted(said & set(State)), sorted(said & set(Fate))
    if states and fates:
        raise ValueError("ask for states or for ends, not for both: a job that has not ended has no end")
    return {"state": [str(one) for one in states] or None, "fate": [str(one) for one in fates] or None}


@click.command()
@cluster_option
@click.option("--state", "-t", multiple=True, help="Only these states or ends; may be given several times.",
    shell_complete=values.states)  # fmt: skip
@click.option("--live", is_flag=True, help="Only jobs that have not ended.")
@click.option("--user", "-u", help="Only this user's jobs, as far as you may see them.")
@click.option("--me", is_flag=True, help="Only your own jobs.")
@click.option("--name", "-n", help="Only jobs of this name.")
@click.option("--partition", "-p", help="Only jobs in this partition.", shell_complete=values.partitions)
@click.option("--account", "-A", help="Only jobs under this account.", shell_complete=values.accounts)
@click.option("--since", type=Moment(), help="Only jobs known since then: 2h (ago), 3d, 10:00, 2026-12-01.")
@click.option("--until", type=Moment(), help="Only jobs known before then.")
@click.option("--tasks", is_flag=True, default=None, help="Also the tasks that Slurm has split off their arrays.")
@click.option("--limit", type=click.IntRange(min=1), default=50, show_default=True, help="Most jobs.")
@click.option("--all", "every", is_flag=True, help="All jobs, however many.")
@click.option("--watch", "-w", is_flag=True, help="Show the list again when something changes, until Ctrl-C.")
@max_age_option
@json_option
def jobs(
    limit: int,
    every: bool,
    me: bool,
    live: bool,
    watch: bool,
    as_json: bool,
    state: tuple[str, ...],
    **query: Any,  # noqa: ANN401
) -> None:
    """List the jobs that you may see, newest first."""
    from hpcjobs.model.job import LIVE

    with service() as client:
        if me and query["user"]:
            raise ValueError("--me and --user exclude each other")
        if live and state:
            raise ValueError("--live and --state exclude each other")
        state = LIVE if live else state
        user = client.me().user if me else query.pop("user")
        wanted = given(**{**query, "user": user}, **states_of(state))
        if watch:
            _watch(client, None if every else limit, wanted, as_json)
        else:
            _list(client, None if every else limit, wanted, as_json)


def _list(client: Client, limit: int | None, wanted: dict[str, Any], as_json: bool) -> None:
    from hpcjobs.cli import show as view

    found = list(client.jobs(limit, **wanted))
    print_json(found) if as_json else view.jobs(found)


def _watch(client: Client, limit: int | None, wanted: dict[str, Any], as_json: bool) -> None:
    """Look again when an event says that something has changed."""
    place = client.events_page(limit=1).next_after
    filters = {name: wanted[name] for name in ("cluster", "user", "account") if name in wanted}
    with contextlib.suppress(KeyboardInterrupt, BrokenPipeError):
        while True:
            if sys.stdout.isatty() and not as_json:
                click.clear()
            _list(client, limit, wanted, as_json)
            sys.stdout.flush()
            time.sleep(LEAST_S)
            page = client.events_page(after=place, wait_s=LONG_POLL_S, limit=1000, **filters)
            while page.more:
                page = client.events_page(after=page.next_after, limit=1000, **filters)
            place = page.next_after


@click.command()
@click.argument("job_ids", metavar="JOB_ID...", nargs=-1, required=True, shell_complete=values.recent_jobs)
@cluster_option
@click.option("--events", "with_events", is_flag=True, help="Also what has happened to it, and how it came into Slurm.")
@click.option("--script", "only_script", is_flag=True, help="Only the script that it was submitted with.")
@click.option("--detail", "whole", is_flag=True, help="With --json: all that is known of it.")
@max_age_option
@json_option
def show(
    job_ids: tuple[str, ...],
    with_events: bool,
    only_script: bool,
    whole: bool,
    as_json: bool,
    **query: Any,  # noqa: ANN401
) -> None:
    """Show jobs, by Slurm's number or our id: what they are, why they wait, what was asked for, their steps.

    --json is the job; with --detail also why, spec, steps, attempts and events. Of several jobs it is a list.
    """
    with service() as client:
        asked = given(**query)
        if as_json:
            ask = client.detail if whole or with_events else client.job
            found = [ask(job_id, **asked) for job_id in job_ids]
            print_json(found[0] if len(found) == 1 else found)
            return
        for number, job_id in enumerate(job_ids):
            detail = client.detail(job_id, **asked)
            if only_script:
                if detail.spec is None or not detail.spec.script:
                    raise ValueError(f"the script of job {job_id} is not known here, or not yours to see")
                click.echo(detail.spec.script, nl=False)
                continue
            if number:
                click.echo()
            _show(detail, with_events)


def _show(detail: JobDetail, with_events: bool) -> None:
    from hpcjobs.cli import show as view
    from hpcjobs.sbatch.argv import argv_of

    why, spec = detail.why, detail.spec
    more = {}
    if why is not None:
        lines = [why.waits_for, *why.would_help]
        if why.ahead:
            lines.append(f"{why.ahead} jobs of higher priority want the same partition.")
        if why.start_estimate is not None:
            lines.append(f"Slurm expects it to start at {view.moment(why.start_estimate)}.")
        more["waits for"] = " ".join(lines)
    if detail.quotas:
        more["quota"] = " ".join(detail.quotas)
    if spec is not None:
        more["asked for"] = shlex.join(argv_of(spec))
        more["arguments"] = shlex.join(spec.args)
    view.job(detail.job, more)
    if detail.steps:
        click.echo()
        view.steps(detail.steps)
    elif detail.steps_note:
        click.echo(f"\nNo steps: {detail.steps_note}")
    if with_events:
        click.echo()
        for attempt in detail.attempts:
            plugins = f"admitted by plugins of generation {attempt.generation}" if attempt.generation else ""
            told = ", ".join(filter(None, (attempt.detail, plugins)))
            words = (f"attempt {attempt.number}", attempt.state, f"({told})" if told else "")
            click.echo(f"{view.moment(attempt.created_at)} {' '.join(filter(None, words))}")
        for event in detail.events:
            click.echo(view.event_line(event))


@click.command()
@cluster_option
@max_age_option
@json_option
def nodes(cluster: str | None, as_json: bool, **query: Any) -> None:  # noqa: ANN401
    """List the nodes of a cluster."""
    from hpcjobs.cli import show as view

    with service() as client:
        name = cluster or client.clusters()[0].name
        found = client.nodes(name, **given(**query)).items
        print_json(found) if as_json else view.nodes(found)


@click.command()
@cluster_option
@max_age_option
@json_option
def gpus(cluster: str | None, as_json: bool, **query: Any) -> None:  # noqa: ANN401
    """Count the GPUs of a cluster by type: in use, idle, down.

    FRAGMENTED are idle ones beside some that are in use, STRANDED those without a free CPU or memory.
    """
    from hpcjobs.cli import show as view

    with service() as client:
        found = client.gpus(cluster or client.clusters()[0].name, **given(**query))
        print_json(found) if as_json else view.gpu_kinds(found.items)


@click.command()
@cluster_option
@max_age_option
@json_option
def partitions(cluster: str | None, as_json: bool, **query: Any) -> None:  # noqa: ANN401
    """List the partitions of a cluster, and what is free in them."""
    from hpcjobs.cli import show as view

    with service() as client:
        name = cluster or client.clusters()[0].name
        found = client.partitions(name, **given(**query)).items
        print_json(found) if as_json else view.partitions(found, client.nodes(name, **given(**query)).items)
