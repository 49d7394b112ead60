"""What sinfo says of itself: ``--help``, ``--usage``, ``--helpformat``, ``--helpFormat``, ``--helpstate``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from hpcjobs.cli.series import PARSER, version_text
from hpcjobs.cli.slurm.json_document import LIST
from hpcjobs.cli.slurm.node_filters import TOLD
from hpcjobs.cli.slurm.sinfo_fields import FIELDS
from hpcjobs.cli.slurm.sinfo_options import REFUSED, SINFO

USAGE: Final = (
    "Usage: sinfo [-abdelNRrsv] [-i seconds] [-t states] [-p partition] [-n nodes]\n"
    "             [-S fields] [-o format] [-O Format] [--local]\n"
)

MEANING: Final = {
    "all": "Hidden partitions too.",
    "dead": "Only nodes that do not respond.",
    "exact": "Nodes stand on one line only where their sizes are the same.",
    "federation": "Taken, and of no effect: one cluster is asked.",
    "help": "This text.",
    "helpformat": "Letters of --format.",
    "helpFormat": "Names of --Format.",
    "helpstate": "Names of states.",
    "hide": "No hidden partitions.",
    "iterate": "Again and again, so many seconds apart.",
    "local": "Taken, and of no effect: one cluster is asked.",
    "long": "More columns.",
    "clusters": "These clusters of the service.",
    "nodes": "Only these nodes.",
    "noconvert": "Counts in full: 2048, not 2K.",
    "noheader": "No headings.",
    "Node": "A line for each node.",
    "format": "Columns, as in '%9P %.5a %N'.",
    "Format": "Columns, as in partition:9,available:.5,nodelist.",
    "partition": "Only these partitions.",
    "responding": "Only nodes that respond.",
    "list-reasons": "Why nodes are down or drained.",
    "summarize": "A line for each partition.",
    "sort": "By which columns, as in P,-t.",
    "states": "Only nodes in these states.",
    "usage": "A short text.",
    "verbose": "The date above.",
    "version": "The version.",
    "json": f"Slurm's JSON ({PARSER}).",
}


def text_of(what: str) -> str:
    """The text.

    Args:
        what: Name of the option that asks for it.
    """
    match what:
        case "usage":
            return USAGE
        case "version":
            return version_text()
        case "json":
            return LIST
        case "helpstate":
            return "".join(f"{name}\n" for name in TOLD)
        case "helpformat":
            letters = [field.letter for field in FIELDS if field.letter and not field.hidden]
            return _rows([f"%{letter:<5}" for letter in letters], 8)
        case "helpFormat":
            return _rows([f"{field.name:<20}" for field in FIELDS if not field.hidden], 4)
        case _:
            return _help()


def _rows(cells: Sequence[str], width: int) -> str:
    return "\n".join("".join(cells[at : at + width]) for at in range(0, len(cells), width)) + "\n"


def _help() -> str:
    lines = [USAGE]
    letters = {long: letter for letter, long in SINFO.shorts.items()}
    for long, takes in SINFO.longs.items():
        short = f"-{letters[long]}," if long in letters else "   "
        value = {"none": "", "optional": "[=value]", "required": "=value"}[takes]
        told = MEANING[long] if long in MEANING else f"Refused: {REFUSED[long]}."
        lines.append(f"  {short} --{long}{value}".ljust(30) + told)
    return "\n".join(lines) + "\n"
