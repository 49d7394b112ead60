"""The inverse of reading: the command line of sbatch that says a spec."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import msgspec

from hpcjobs.model.spec import Component, JobSpec
from hpcjobs.sbatch.fold import fill_in, read_command
from hpcjobs.sbatch.options import OPTIONS, Option


def _words(part: JobSpec | Component, options: Sequence[Option]) -> list[str]:
    words = []
    for option in options:
        values = (getattr(part.resources if "." in name else part, name.rpartition(".")[2]) for name in option.fields)
        argument = option.write(*values)
        if argument is True:
            words.append(f"--{option.long}")
        elif isinstance(argument, str):
            words.append(f"--{option.long}={argument}")
    return words


def argv_of(spec: JobSpec) -> list[str]:
    """The options of sbatch that say a spec: each in its long form, the argument joined, components between ``:``.

    The script, its arguments and ``environment`` travel beside them. A flag that is false is said by silence. Read
    back by ``read_command`` it is the same spec.

    Args:
        spec: As admitted.

    Returns:
        Words for an argument list. They are not quoted for a shell.
    """
    words = _words(spec, OPTIONS)
    of_component = [option for option in OPTIONS if option.of_component]
    for component in spec.het:
        words += [":", *_words(component, of_component)]
    return words


def beyond_sbatch(spec: JobSpec) -> list[str]:
    """What sbatch, given a spec's command line and its script, would understand otherwise.

    sbatch reads the script's directives again, and has no word against some of them: a spec with ``hold=False`` over
    a script with ``#SBATCH --hold`` cannot be said to it.

    Args:
        spec: As admitted.

    Returns:
        Names of the fields; none: sbatch understands what the spec says.
    """
    heard, _ = fill_in(read_command(argv_of(spec), spec.script))
    names = [
        name
        for name in JobSpec.__struct_fields__
        if name not in ("script", "args", "script_name", "environment", "resources", "het")
        and (getattr(heard, name) or None) != (getattr(spec, name) or None)
    ]
    wanted, got = spec.all_resources, heard.all_resources
    if len(wanted) != len(got):
        return [*names, "het"]
    names += [
        f"resources.{name}"
        for mine, its in zip(wanted, got, strict=True)
        for name in msgspec.structs.asdict(mine)
        if _plain(getattr(mine, name)) != _plain(getattr(its, name))
    ]
    # sbatch would carry the memory of a node over to a component that asks for memory otherwise.
    changes = any(
        after.mem_per_node_bytes is None is not before.mem_per_node_bytes for before, after in pairwise(wanted)
    )
    return [*names, "resources.mem_per_node_bytes"] if changes else names


def _plain(value: object) -> object:
    """A false flag is one that was left out; a number of GPUs is its text."""
    return None if value is False else value if value is True or value is None else str(value)
