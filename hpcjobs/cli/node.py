"""``hpcjobs node``: whether this node is well, and what slurm.conf says so that Slurm asks."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Final

import click

FOLDER: Final = Path("/opt/hpcjobs/nodecheck")
KILLED_S: Final = 60
"""HealthCheckTimeout of Slurm: after so long it kills the program, and the interval must be longer."""


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def node() -> None:
    """A node of a cluster: whether it is well."""


@node.command(
    add_help_option=False, context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False}
)
@click.argument("words", nargs=-1, type=click.UNPROCESSED)
def check(words: tuple[str, ...]) -> None:
    """See whether this node is well; ends with 3 where it is not.

    Nodes need no hpcjobs for it: "python3 FOLDER", where FOLDER is a copy of hpcjobs/nodecheck, is the same.
    """
    from hpcjobs.nodecheck.command import call

    sys.exit(call(words, os.environ))


@node.command()
@click.option("--folder", type=click.Path(path_type=Path), default=FOLDER, show_default=True,
    help="Where hpcjobs/nodecheck is on nodes.")  # fmt: skip
@click.option("--every", type=click.IntRange(min=KILLED_S + 1), default=300, show_default=True,
    help="Seconds from one look at a node to the next.")  # fmt: skip
def plan(folder: Path, every: int) -> None:
    """Print what slurm.conf says so that Slurm looks at nodes with it, and how it comes there. Nothing is changed."""
    click.echo(_text(folder, every), nl=False)


def _text(folder: Path, every: int) -> str:
    import hpcjobs.nodecheck

    source = Path(hpcjobs.nodecheck.__file__).parent
    return f"""\
# On each node, with Python 3.9 or later: copy the folder to {folder}.
#   scp -r {source} NODE:{folder}
# What a site has otherwise than checks.json in it, nodes read in /etc/hpcjobs/health.json.

HealthCheckProgram={folder}/periodic
HealthCheckInterval={every}
# ANY: also drained ones, which may be well again. CYCLE: not all nodes at the same time.
HealthCheckNodeState=ANY,CYCLE
# Beside the Prolog and Epilog that are there, if any: both may be given more than once.
Prolog={folder}/prolog
Epilog={folder}/epilog
# Before the job begins, on all of its nodes, and not with its first step on each.
PrologFlags=Alloc
# Added to the SchedulerParameters that are there: else a job whose prolog failed is held until somebody releases it.
SchedulerParameters=nohold_on_prolog_fail
"""
