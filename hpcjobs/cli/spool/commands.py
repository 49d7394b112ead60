"""``hpcjobs spool``: look at what waits for the service, send it, drop it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final

import click

from hpcjobs.cli.common import config, environment, json_option, print_json
from hpcjobs.cli.spool import folder_of
from hpcjobs.cli.spool.entries import Entry, Spool, left_behind

PATIENCE_S: Final = 10.0
LOCK_WAIT_S: Final = 30.0


@contextmanager
def _spool() -> Iterator[Spool]:
    try:
        yield Spool(folder_of(environment()))
    except (OSError, ValueError) as error:
        click.echo(f"hpcjobs: error: {error}", err=True)
        sys.exit(1)


def _tell_of_strangers(spool: Spool) -> None:
    for words in spool.unreadable():
        click.echo(f"hpcjobs: warning: {words}", err=True)


def _named(spool: Spool, entry_id: str) -> Entry:
    entry = spool.find(entry_id)
    if entry is None:
        raise ValueError(f"nothing is kept as {entry_id!r}")
    return entry


def _ids(_context: click.Context, _argument: click.Parameter, incomplete: str) -> list[str]:
    spool = Spool(folder_of(environment()))
    return [entry.id for entry in spool.waiting() + spool.done() if entry.id.startswith(incomplete)]


def _document(entry: Entry) -> dict[str, Any]:
    """What is shown of an entry in a list: not its variables."""
    return {name: value for name, value in entry._asdict().items() if name not in ("request", "key")}


@click.group()
def spool() -> None:
    """What was submitted with --queue-offline while the service was away: list, show, send, drop.

    Every command that reaches the service sends what waits for it, in order and each once.
    """


@spool.command("list")
@click.option("--all", "everything", is_flag=True, help="Also what was sent in the last 30 days.")
@json_option
def list_entries(everything: bool, as_json: bool) -> None:
    """List what waits and what was refused."""
    from hpcjobs.cli.show import moment, table

    with _spool() as kept:
        _tell_of_strangers(kept)
        waiting = kept.waiting()
        with suppress(ValueError):  # other commands say what is wrong with the configuration
            if words := left_behind(waiting, environment()):
                click.echo(f"hpcjobs: {words.removesuffix(': hpcjobs spool list')}", err=True)
        found = waiting + kept.done()
        shown = sorted((one for one in found if everything or one.state != "sent"), key=lambda one: one.id)
        if as_json:
            print_json([_document(entry) for entry in shown])
            return
        rows = [
            (
                entry.id,
                entry.name or "-",
                entry.state,
                entry.cluster or "-",
                moment(entry.kept_at),
                entry.profile or "-",
                str(entry.slurm_job_id or entry.job_id) if entry.state == "sent" else "; ".join(entry.said) or "-",
            )
            for entry in shown
        ]
        table(("ID", "NAME", "STATE", "CLUSTER", "KEPT", "PROFILE", "JOB (WHY)"), rows, 2)


@spool.command()
@click.argument("entry_id", metavar="ID", shell_complete=_ids)
@json_option
def show(entry_id: str, as_json: bool) -> None:
    """Show one: what it asks for, or what became of it. --json has all of it."""
    from hpcjobs.cli.show import facts, moment

    with _spool() as kept:
        entry = _named(kept, entry_id)
        if as_json:
            print_json(entry._asdict())
            return
        request = {name: value for name, value in entry.request.items() if name not in ("script", "environment")}
        facts(
            {
                "id": entry.id,
                "state": entry.state,
                "said": "; ".join(entry.said),
                "job": f"{entry.slurm_job_id or entry.job_id} on {entry.cluster}" if entry.state == "sent" else "",
                "kept": f"{moment(entry.kept_at)} on {entry.host}",
                "by": entry.who,
                "for": f"{entry.url}" + (f", profile {entry.profile}" if entry.profile else ""),
                "asks for": ", ".join(f"{name}={value}" for name, value in request.items()),
                "variables": str(len(entry.request.get("environment", ()))) if entry.request else "",
                "script": f"\n{entry.request['script']}" if entry.request.get("script") else "",
            }
        )


@spool.command()
@click.argument("entry_ids", metavar="[ID]...", nargs=-1, shell_complete=_ids)
@json_option
def send(entry_ids: tuple[str, ...], as_json: bool) -> None:
    """Send what waits for the service of this profile; of IDs also those that were refused.

    Exits with 1 where something still waits or is refused.
    """
    from hpcjobs.cli.spool.sending import Told, line_of
    from hpcjobs.cli.spool.sending import send as send_all

    told: list[Told] = []
    with _spool() as kept:
        said = config()
        _tell_of_strangers(kept)
        with kept.sending(LOCK_WAIT_S) as had:
            if not had:
                raise ValueError("another process is sending what waits")
            for entry in [_named(kept, one) for one in entry_ids]:
                if not entry.of(said):
                    raise ValueError(f"{entry.id} is for {entry.url}, profile {entry.profile or '-'}: see --profile")
                if entry.state == "refused":
                    kept.again(entry)
            for one in send_all(kept, said, PATIENCE_S):
                told.append(one)
                if not as_json:
                    click.echo(line_of(one), err=one.fate != "sent")
        others = [entry for entry in kept.waiting() if not entry.of(said)]
    if as_json:
        print_json([{**_document(one.entry), "said": one.said} for one in told])
    if others:
        of = ", ".join(sorted({entry.profile or entry.url for entry in others}))
        click.echo(f"hpcjobs: {len(others)} more wait for {of}: hpcjobs --profile NAME spool send", err=True)
    sys.exit(any(one.fate != "sent" for one in told))


@spool.command()
@click.argument("entry_ids", metavar="ID...", nargs=-1, required=True, shell_complete=_ids)
def drop(entry_ids: tuple[str, ...]) -> None:
    """Forget what waits, or was refused. Does not cancel: a job whose answer was lost may be there."""
    with _spool() as kept, kept.sending(LOCK_WAIT_S) as had:
        if not had:
            raise ValueError("another process is sending what waits")
        for entry in [_named(kept, one) for one in entry_ids]:
            kept.drop(entry)
            click.echo(f"Dropped {entry.id}")
