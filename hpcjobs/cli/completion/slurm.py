"""Completion for the stand-ins of Slurm's commands: their options, and what stands after some of them."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import click

from hpcjobs.cli.completion import values
from hpcjobs.sbatch.getopt import Grammar

GRAMMARS: Final[Mapping[str, tuple[str, str]]] = {
    "sbatch": ("hpcjobs.sbatch.options", "SBATCH"),
    "squeue": ("hpcjobs.cli.slurm.squeue_options", "SQUEUE"),
    "sinfo": ("hpcjobs.cli.slurm.sinfo_options", "SINFO"),
    "sacct": ("hpcjobs.cli.slurm.sacct_options", "SACCT"),
    "scontrol": ("hpcjobs.cli.slurm.scontrol", "SCONTROL"),
    "scancel": ("hpcjobs.cli.slurm.scancel", "SCANCEL"),
}
"""Where the options of a program are: a module, and a name in it. Others complete file names."""

OWN: Final[Mapping[str, Sequence[str]]] = {"sbatch": ("--queue-offline",)}
"""Options of ours beside Slurm's."""

OPERANDS: Final[Mapping[str, Callable[..., list[Any]]]] = {"scancel": values.live_jobs}
"""What stands where no option does; file names for the others."""

BY_OPTION: Final[Mapping[str, Callable[..., list[Any]]]] = {
    "partition": values.partitions,
    "account": values.accounts,
    "accounts": values.accounts,
    "qos": values.qos,
    "cluster": values.clusters,
    "clusters": values.clusters,
    "job": values.live_jobs,
    "jobs": values.live_jobs,
}


def _grammar(program: str) -> Grammar:
    module, name = GRAMMARS[program]
    grammar: Grammar = getattr(importlib.import_module(module), name)
    return grammar


def _awaited(word: str, grammar: Grammar) -> str:
    """The option whose argument the next word is; ``""``: none."""
    if word.startswith("--"):
        long = grammar.aliases.get(word[2:], word[2:])
    else:
        long = grammar.shorts.get(word[-1:], "") if word.startswith("-") else ""
    return long if grammar.longs.get(long) in ("required", "optional") else ""


def _operands(words: Sequence[str], grammar: Grammar) -> bool:
    """Whether a word that is neither an option nor the argument of one has been said."""
    awaited = ""
    for word in words:
        if not word.startswith("-") and not awaited:
            return True
        awaited = "" if awaited else _awaited(word, grammar)
        if grammar.longs.get(awaited) == "optional" and word.startswith("--"):
            awaited = ""
    return False


def complete(program: str, context: click.Context, parameter: click.Parameter, incomplete: str) -> list[Any]:
    """What may stand at the end of a command line.

    Args:
        program: Slurm's name of it.
        context: click's, whose parameter ``words`` is what stands before.
        parameter: click's.
        incomplete: What was typed of the word.
    """
    from click.shell_completion import CompletionItem

    files = [CompletionItem(incomplete, type="file")]
    words: Sequence[str] = context.params.get("words") or ()
    operands = OPERANDS.get(program)
    if program not in GRAMMARS:
        return operands(context, parameter, incomplete) if operands else files
    grammar = _grammar(program)
    if program == "sbatch" and _operands(words, grammar):
        return files  # the script's own arguments
    name, joined, begun = incomplete.partition("=")
    if joined and name.startswith("--"):
        found = BY_OPTION.get(grammar.aliases.get(name[2:], name[2:]))
        items = found(context, parameter, begun) if found else []
        return [CompletionItem(f"{name}={item.value}", help=item.help) for item in items]
    awaited = _awaited(words[-1], grammar) if words else ""
    if awaited and (grammar.longs[awaited] == "required" or not incomplete.startswith("-")):
        found = BY_OPTION.get(awaited)
        return found(context, parameter, incomplete) if found else files
    if incomplete.startswith("-"):
        options = [f"--{long}" for long in (*grammar.longs, *grammar.aliases)] + list(OWN.get(program, ()))
        options += [f"-{letter}" for letter in grammar.shorts]
        return [CompletionItem(option) for option in sorted(options) if option.startswith(incomplete)]
    return operands(context, parameter, incomplete) if operands else files
