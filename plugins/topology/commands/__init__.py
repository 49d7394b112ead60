"""``hpcjobs topology``: fabrics found, shown, compared, checked, and brought to Slurm (docs/TOPOLOGY.md).

The service is not asked. Imports that load slowly wait until a command needs them: ``hpcjobs --help`` loads this.
"""

from __future__ import annotations

from typing import Final

import click

from hpcjobs_plugins.topology.commands.apply import apply
from hpcjobs_plugins.topology.commands.check import check
from hpcjobs_plugins.topology.commands.diff import diff
from hpcjobs_plugins.topology.commands.discover import discover
from hpcjobs_plugins.topology.commands.rankmap import rankmap
from hpcjobs_plugins.topology.commands.show import show
from hpcjobs_plugins.topology.commands.translate import translate

COMMANDS: Final[tuple[click.Command, ...]] = (discover, show, diff, check, translate, apply, rankmap)


class InOrder(click.Group):
    """A group whose commands stand in the order in which they are used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """See click."""
        return list(self.commands)


@click.group(cls=InOrder, context_settings={"help_option_names": ["-h", "--help"]})
def topology() -> None:
    """Fabrics: discover, show, compare, check them, tell Slurm of them, and lay ranks on them.

    \b
    hpcjobs topology discover --command ibnetdiscover -o site.json
    hpcjobs topology check site.json
    hpcjobs topology apply site.json --dry-run

    A site that was saved is read again by all others; each of them can ask the same sources itself.
    """  # noqa: D301 (click's sign for lines that stay as they are)


for _command in COMMANDS:
    topology.add_command(_command)
