"""``sbatch --help``: the options, each with what the spec's field says of it."""

from __future__ import annotations

import inspect
import re
from typing import Final

from hpcjobs.model.spec import JobSpec, Resources
from hpcjobs.sbatch.options import ALIASES, BY_LONG, BY_SHORT, SBATCH, Option

OF_THE_PROGRAM: Final = {
    "bbf": "Burst buffer lines from a file, put into the script after its first line.",
    "cluster": "Same as --clusters.",
    "clusters": "Where to; of several, or all, where it starts first.",
    "export-file": "Variables of the job from a file, NAME=value each ended by a NUL.",
    "gid": "For root only, and not through a service.",
    "help": "This text.",
    "ignore-pbs": "Do not read #PBS and #BSUB lines.",
    "nodefile": "Names of nodes from a file.",
    "parsable": "Print the job's number only, and ;cluster with --clusters.",
    "quiet": "Print errors only.",
    "test-only": "Say when and where the job would start; submit nothing.",
    "uid": "For root only, and not through a service.",
    "usage": "A short text.",
    "verbose": "Say more.",
    "version": "Print the version.",
    "wait": "Wait for the job's end, and exit as it does.",
    "wrap": "Run this command line; there is no script then.",
}


def _documented() -> dict[str, str]:
    """What the docstrings of the spec say of its fields."""
    said: dict[str, str] = {}
    for kind, prefix in ((JobSpec, ""), (Resources, "resources.")):
        for match in re.finditer(
            r"^    (\w+): (.*(?:\n        .*)*)", inspect.cleandoc(kind.__doc__ or ""), re.MULTILINE
        ):
            said[prefix + match[1]] = " ".join(match[2].split())
    return said


def help_text(usage: str) -> str:
    """The whole text."""
    documented = _documented()
    lines = [usage, "", "Options; those of each component of a heterogeneous job stand between colons.", ""]
    for long, option in sorted(BY_LONG.items()):
        if not isinstance(option, Option) and long not in OF_THE_PROGRAM:
            continue
        short = f"-{option.short}," if option.short else "   "
        value = {"none": "", "optional": "[=value]", "required": "=value"}[option.takes]
        told = documented.get(option.fields[0], "") if isinstance(option, Option) else OF_THE_PROGRAM[long]
        told = re.sub(rf"[;,]? ?same as --{long} of sbatch|[;,]? ?[Ss]ame as --{long}\b", "", told).strip(" .;") + "."
        lines.append(f"  {short} --{long}{value}".ljust(34) + ("" if told == "." else f" {told}"))
    lines += ["", "Of hpcjobs itself, and written out:", ""]
    lines += ["      --queue-offline             Without an answer of the service keep the call, and send it later."]
    lines += ["", "Other names: " + ", ".join(f"--{name} is --{long}" for name, long in sorted(ALIASES.items())) + "."]
    return "\n".join(lines) + "\n"


def options_with(text: str) -> str:
    """The options that hold a text, for a shell to complete: ``--autocomplete``."""
    lines = []
    for long, takes in sorted([*SBATCH.longs.items(), *((name, SBATCH.longs[of]) for name, of in ALIASES.items())]):
        if text in long:
            lines += {"none": [f"--{long}"], "optional": [f"--{long}=", f"--{long} "], "required": [f"--{long}="]}[
                takes
            ]
    lines += [f"-{letter}" for letter in sorted(BY_SHORT) if letter == text]
    return "".join(f"{line}\n" for line in lines) + "\n"
