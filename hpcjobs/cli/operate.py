"""Commands for whoever runs the service: they need its key or its database, so they run where it runs."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from hpcjobs.store.audit import Verdict
    from hpcjobs.store.store import Store

LIFE = re.compile(r"([0-9]+(?:\.[0-9]+)?)([smhd])")
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
SEEN = re.compile(r"([1-9][0-9]*):([0-9a-f]{64})")

config_option = click.option("--config", type=click.Path(path_type=Path), help="Settings file of the service.")


class Life(click.ParamType[float]):
    """A time like 90s, 30m, 1h or 7d; in seconds."""

    name = "time"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """See click."""
        match = LIFE.fullmatch(str(value))
        if match is None or float(match[1]) == 0:
            self.fail(f"{value!r} is not a time like 90s, 30m, 1h or 7d", param, ctx)
        return float(match[1]) * SECONDS[match[2]]


@click.command()
@click.argument("user")
@click.option("--life", "life_s", type=Life(), help="How long it holds: 90s, 30m, 1h, 7d.  [default: 24h]")
@click.option("--hours", type=float, help="The same, in hours.")
@click.option(
    "--scope", "scopes", multiple=True, help="What it is for; may be given several times. All where left out."
)
@config_option
def token(user: str, life_s: float | None, hours: float | None, scopes: tuple[str, ...], config: Path | None) -> None:
    """Make a token that speaks for USER. Needs the service's key: run it where the service runs.

    What the user may do is in the settings and in Slurm; --scope makes the token good for less than that.
    """
    import time

    from hpcjobs.errors import HpcjobsError
    from hpcjobs.identity import Scope, load_key, make_token
    from hpcjobs.settings import load

    if unknown := set(scopes) - set(Scope):
        raise click.BadParameter(f"{', '.join(sorted(unknown))}: there are {', '.join(Scope)}", param_hint="--scope")
    life_s = life_s or (hours or 24.0) * 3600
    try:
        key = load_key(load(config).token_key_file)
    except (HpcjobsError, OSError) as error:
        click.echo(f"hpcjobs: error: {error}", err=True)
        sys.exit(1)
    click.echo(make_token(key, user, time.time(), life_s, [Scope(word) for word in scopes] if scopes else None))


@click.group()
def audit() -> None:
    """The audit log. Admins read it with GET /v1/audit."""


@audit.command()
@click.option(
    "--seen", metavar="N:HASH", help="An end of the log that was written down earlier: it must still be there."
)
@config_option
def verify(seen: str | None, config: Path | None) -> None:
    """Check that no entry was changed, left out or put in between.

    Prints the number of entries and the hash of the last. Write both down where the database's keepers cannot reach:
    given with --seen next time, they find out a log that was cut short or made anew.
    """
    from contextlib import closing

    from hpcjobs.errors import HpcjobsError
    from hpcjobs.settings import load
    from hpcjobs.store.store import Store

    before = SEEN.fullmatch(seen) if seen else None
    if seen and before is None:
        raise click.BadParameter("is not a number, a colon and a hash of 64 digits", param_hint="--seen")
    try:
        with closing(Store(load(config).database_url)) as store:
            verdict, still = _check(store, int(before[1]) if before else None)
    except HpcjobsError as error:
        click.echo(f"hpcjobs: error: {error}", err=True)
        sys.exit(1)
    fault = verdict.fault
    if not fault and before is not None and still != before[2]:
        fault = f"entry {before[1]} is not the one that was seen"
    if fault:
        click.echo(f"hpcjobs: error: the audit log does not hold after {verdict.entries} entries: {fault}", err=True)
        sys.exit(1)
    click.echo(f"{verdict.entries}:{verdict.head}")


def _check(store: Store, seq: int | None) -> tuple[Verdict, str | None]:
    import asyncio

    from hpcjobs.store import audit as log

    async def ask() -> tuple[Verdict, str | None]:
        return await store.read(log.verify), None if seq is None else await store.read(log.hash_of, seq)

    return asyncio.run(ask())
