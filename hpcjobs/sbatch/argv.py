"""The inverse of reading: the command line of sbatch that says a spec."""

from __future__ import annotations

from collections.abc import Sequence

from hpcjobs.model.spec import Component, JobSpec
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

    The script, its arguments and the environment travel beside them. A flag that is false is said by silence. Read
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
