"""Commands of Slurm and of jobs among ours, for help and completion. A call of one goes past click: see entry.py."""

from __future__ import annotations

import functools
import importlib
import os
import sys
from collections.abc import Mapping
from typing import Final

import click
from click.shell_completion import CompletionItem

from hpcjobs.cli.common import environment
from hpcjobs.cli.completion.slurm import complete
from hpcjobs.cli.entry import IN_JOB, OF_SLURM
from hpcjobs.injob.command import call

HELP: Final[Mapping[str, str]] = {
    "sbatch": "As sbatch: scripts, #SBATCH lines, every option.",
    "squeue": "As squeue: -o, -O, -h, --json.",
    "scancel": "As scancel.",
    "sacct": "As sacct: --format, -p, --json.",
    "sinfo": "As sinfo: -o, -O, -h, --json.",
    "scontrol": "As scontrol: show, hold, release, requeue, suspend, update.",
    "run": "Inside a job: run a command that reports, saves and goes on.",
    "beat": "Inside a job: tell that it lives, and its step.",
    "checkpoint": "Checkpoints of a folder: publish, list, latest, verify.",
}


class StandIn(click.Command):
    """A program of Slurm: what it completes is its own, also where click sees an option."""

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """See click."""
        return complete(self.name or "", ctx, self.params[0], incomplete)


def command_of(program: str, module: str) -> click.Command:
    """One of them.

    Args:
        program: Slurm's name of it.
        module: Where it is.
    """

    def run(words: tuple[str, ...]) -> None:
        sys.exit(importlib.import_module(module).call(list(words), {**os.environ, **environment()}))

    argument = click.Argument(
        ["words"], nargs=-1, type=click.UNPROCESSED, shell_complete=functools.partial(complete, program)
    )
    return StandIn(
        program,
        callback=run,
        params=[argument],
        help=HELP.get(program, f"As {program} of Slurm."),
        add_help_option=False,
        context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
    )


def in_job(name: str) -> click.Command:
    """A command that runs inside jobs.

    Args:
        name: Its own.
    """

    def run(words: tuple[str, ...]) -> None:
        sys.exit(call([name, *words], os.environ))

    return click.Command(
        name,
        callback=run,
        params=[click.Argument(["words"], nargs=-1, type=click.UNPROCESSED)],
        help=HELP[name],
        add_help_option=False,
        context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
    )


def commands() -> list[click.Command]:
    """All of them."""
    of_slurm = [command_of(program, module) for program, module in OF_SLURM.items()]
    return [*of_slurm, *(in_job(name) for name in IN_JOB)]
