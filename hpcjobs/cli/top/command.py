"""The command, and what keys do."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

import click

from hpcjobs.cli.common import cluster_option, config, json_option, print_json, service

if TYPE_CHECKING:
    from hpcjobs.cli.top.looking import Looker
    from hpcjobs.cli.top.picture import Choice, Seen
    from hpcjobs.client import Client
    from hpcjobs.model.job import Job

TICK_S = 1.0
"""How often the times on the screen move on, in seconds. It asks nobody."""
PAGE = 10


@click.command()
@cluster_option
@click.option("--everybody", "-a", is_flag=True, help="Jobs of others too, as far as you may see them.")
@click.option("--once", is_flag=True, help="Print it once, as it is now; in a pipe always so.")
@json_option
def top(cluster: str | None, everybody: bool, once: bool, as_json: bool) -> None:
    """Watch clusters and jobs: GPUs and CPUs in use, what runs, what waits and why.

    Keys: q ends; s, j, n, t, g, u order by state, job, name, time, GPUs, user, r turns that round; m shows
    everybody's jobs; arrows choose a job, and c cancels it.
    """
    from hpcjobs.cli.top.looking import look
    from hpcjobs.cli.top.picture import Choice

    with service() as client:
        seen = look(client, client.me().user, cluster)
        choice = Choice(everybody=everybody)
        if as_json:
            _print_json(seen, choice)
        elif once or not (sys.stdout.isatty() and sys.stdin.isatty()):
            _print_once(seen, choice)
        else:
            _live(client, seen, choice, cluster)


def _print_json(seen: Seen, choice: Choice) -> None:
    from hpcjobs.cli.top.picture import cluster_lines, shown_jobs

    lines = [
        {**line._asdict(), **{name: getattr(line, name)._asdict() for name in ("gpus", "cpus", "nodes")}}
        for line in cluster_lines(seen)
    ]
    print_json({"user": seen.user, "at": seen.at, "clusters": lines, "jobs": shown_jobs(seen, choice)})


def _print_once(seen: Seen, choice: Choice) -> None:
    from rich.console import Console

    from hpcjobs.cli.top.draw import picture

    console = Console(highlight=False)
    console.print(picture(seen, choice, time.time(), console.width, None))


def _live(client: Client, seen: Seen, choice: Choice, cluster: str | None) -> None:
    from rich.console import Console
    from rich.live import Live

    from hpcjobs.cli.top.draw import picture
    from hpcjobs.cli.top.keys import next_key, pressed
    from hpcjobs.cli.top.looking import Looker
    from hpcjobs.cli.top.picture import shown_jobs

    looker = Looker(config(), seen, cluster)
    looker.start()
    console = Console(highlight=False)
    asked: Job | None = None
    try:
        with pressed() as terminal, Live(console=console, screen=True, auto_refresh=False) as live:
            while True:
                jobs = shown_jobs(looker.seen, choice)
                choice = choice._replace(row=max(0, min(choice.row, len(jobs) - 1)))
                size = console.size
                live.update(
                    picture(looker.seen, choice, time.time(), size.width, size.height, looker.note), refresh=True
                )
                key = next_key(terminal, TICK_S)
                if asked is not None and key:
                    said = _cancel(client, looker, asked) if key in ("y", "Y") else ""
                    asked, choice = None, choice._replace(question=said)
                elif key == "c" and jobs:
                    asked = jobs[choice.row]
                    question = f"Cancel job {asked.slurm_name or asked.id} ({asked.name}) of {asked.user}? y/n"
                    choice = choice._replace(question=question)
                elif key == "q":
                    return
                elif key:
                    choice = chosen(choice._replace(question=""), key)
    except KeyboardInterrupt:
        return


def chosen(choice: Choice, key: str) -> Choice:
    """What is chosen after a key. Pure."""
    from hpcjobs.cli.top.picture import SORTS

    if key in SORTS:
        return choice._replace(sort=key, backwards=False, row=0)
    moves = {"up": -1, "k": -1, "down": 1, "page up": -PAGE, "page down": PAGE}
    if key in moves:
        return choice._replace(row=max(0, choice.row + moves[key]))
    if key == "r":
        return choice._replace(backwards=not choice.backwards, row=0)
    if key == "m":
        return choice._replace(everybody=not choice.everybody, row=0)
    return choice


def _cancel(client: Client, looker: Looker, job: Job) -> str:
    from hpcjobs.client import ApiProblem

    try:
        client.cancel(job)
    except ApiProblem as problem:
        return problem.detail
    looker.hurry()
    return f"Cancelling job {job.slurm_name or job.id}"
