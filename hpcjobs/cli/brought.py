"""Commands that other distributions bring: entry points of the group ``hpcjobs.commands``.

They are looked for only where a name is none of ours, or where all are listed: no other command starts slower for them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import click

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

ENTRY_POINTS: Final = "hpcjobs.commands"
"""The group: the entry point's name is the command's, its value a click command."""


class NotBrought(Exception):
    """A command cannot be used; says why."""


class Brought(click.Group):
    """A group that finds commands of others beside its own. Its own win."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """See click."""
        others = {point.name for point in _points()}
        for name in sorted(others & self.commands.keys()):
            _warn(ctx, f"a distribution brings a command {name}, which is ours: left out")
        return sorted(self.commands.keys() | others)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """See click; one that cannot be loaded is not there, with a word on stderr."""
        if own := super().get_command(ctx, cmd_name):
            return own
        try:
            return _loaded(cmd_name)
        except NotBrought as error:
            _warn(ctx, str(error))
            return None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """See click; who asks for one that cannot be loaded is told why."""
        if not ctx.resilient_parsing and args[0] not in self.commands:
            try:
                _loaded(args[0])
            except NotBrought as error:
                click.echo(f"hpcjobs: error: {error}", err=True)
                ctx.exit(2)
        return super().resolve_command(ctx, args)


def _warn(ctx: click.Context, text: str) -> None:
    if not ctx.resilient_parsing:  # a shell that completes words shows nothing else
        click.echo(f"hpcjobs: warning: {text}", err=True)


def _points(name: str | None = None) -> list[EntryPoint]:
    from importlib.metadata import entry_points

    return list(entry_points(group=ENTRY_POINTS) if name is None else entry_points(group=ENTRY_POINTS, name=name))


def _loaded(name: str) -> click.Command | None:
    """A command; None: nobody brings one of this name.

    Raises:
        NotBrought: It cannot be loaded, is none, or several distributions bring one.
    """
    points = _points(name)
    if not points:
        return None
    if len({point.value for point in points}) > 1:
        brought = ", ".join(sorted({point.dist.name for point in points if point.dist}))
        raise NotBrought(f"more than one distribution brings a command {name}: {brought}")
    point = points[0]
    try:
        command = point.load()
    except (Exception, SystemExit) as error:
        of = f" of {point.dist.name} {point.dist.version}" if point.dist else ""
        raise NotBrought(f"the command {name}{of} cannot be loaded: {type(error).__name__}: {error}") from error
    if not isinstance(command, click.Command):
        raise NotBrought(f"the command {name} ({point.value}) is a {type(command).__name__}, no click command")
    return command
