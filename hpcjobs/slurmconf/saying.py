"""How commands about Slurm's configuration speak: to eyes on a terminal, to pipes, of errors on stderr in a sentence.

Light: it is imported by each start of the command line.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import click

CLAUSE: Final = 0.7
"""A line that is as full as this behind a comma ends there."""

INTERRUPTED: Final = 130
FAILED: Final = 2
"""Exit codes: by Ctrl-C, and for what could not be read, reached or done."""


def on_terminal() -> bool:
    """Whether somebody looks at it."""
    return sys.stdout.isatty()


def columns() -> int:
    """Letters of a line; COLUMNS wins."""
    return shutil.get_terminal_size().columns


def clean(text: str) -> str:
    """Without what would move the cursor, and what the output cannot hold: names come from other people."""
    kept = "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text)
    encoding = sys.stdout.encoding or "ascii"
    return kept.encode(encoding, "replace").decode(encoding)


def styled(text: str, colour: str | None = None, *, bold: bool = False) -> str:
    """Text in a colour where there are colours."""
    if not (colour or bold) or not on_terminal() or os.environ.get("NO_COLOR"):
        return text
    return click.style(text, fg=colour, bold=bold or None)


def folded(text: str, width: int) -> list[str]:
    """A text in lines; they end behind a comma, as hostlists have many of, at a blank, or else anywhere."""
    lines: list[str] = []
    line = ""
    for part in re.findall(r"[^ ,]*(?:,+ ?| |$)", text):
        if line and len(line) + len(part.rstrip()) > width:
            comma = line.rfind(", ") + 2
            end = comma if comma > width * CLAUSE else len(line)
            lines.append(line[:end].rstrip())
            line = line[end:]
        line += part
        while len(line.rstrip()) > width:
            lines.append(line[:width])
            line = line[width:]
    return [*lines, line.rstrip()] if line.strip() or not lines else lines


def say(*lines: str) -> None:
    """Lines for stdout."""
    for line in lines:
        click.echo(line)


def tell(text: str, kind: str = "") -> None:
    """A sentence for stderr.

    Args:
        text: The sentence.
        kind: ``error``, ``warning``, ``note``, or nothing.
    """
    line = ": ".join(filter(None, ("hpcjobs", kind, clean(text))))
    first, *others = folded(line, columns() - 4) if sys.stderr.isatty() else [line]
    click.echo("\n    ".join([first, *others]), err=True)


def print_json(value: object) -> None:
    """One document, for people and programs."""
    import msgspec

    click.echo(msgspec.json.format(msgspec.json.encode(value)).decode())


@contextmanager
def faults() -> Iterator[None]:
    """What cannot be read, reached or done becomes a sentence on stderr and an exit code."""
    from hpcjobs.errors import HpcjobsError
    from hpcjobs.slurmconf.lines import Unreadable

    try:
        yield
    except (KeyboardInterrupt, click.Abort):
        click.echo(err=True)
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        raise
    except (Unreadable, HpcjobsError) as error:
        tell(str(error), "error")
        sys.exit(FAILED)
    except OSError as error:
        why = error.strerror or str(error)
        tell(f"{error.filename}: {why}" if error.filename else why, "error")
        sys.exit(FAILED)
