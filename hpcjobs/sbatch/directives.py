"""``#SBATCH`` lines of a script, found and split by sbatch's rules (sbatch(1), DESCRIPTION)."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

HETJOB: Final = ("hetjob", "packjob")
"""What a directive says, in any capitals, where the next component begins. sbatch does not read the rest of it."""

_SPACE: Final = " \t\n\r\f\v"
"""What isspace() of C takes for white: all else, a no-break space too, is part of a word or a command."""

_HEADER: Final = re.compile(r"(?:[ \t\r\f\v]*+(?:#[^\n]*+)?+\n)*+(?:#[^\n]*+)?+")
_DIRECTIVE: Final = re.compile(r"^(#SBATCH|#SLURM)([^\n]*)", re.MULTILINE)
_PLAIN: Final = re.compile(r"[^\"'\\#]*")


class Directive(NamedTuple):
    """A line that sbatch reads options from.

    Attributes:
        line: Its number, from 1.
        magic: ``#SBATCH``, or ``#SLURM``, which sbatch reads as well and only complains about.
        text: What follows.
    """

    line: int
    magic: str
    text: str


class Unclosed(ValueError):
    """A quote that is not closed.

    Attributes:
        heard: What sbatch says of it, after the place.
    """

    def __init__(self, quote: str, text: str, rest: str) -> None:
        """In a text, of which the rest is not split yet."""
        super().__init__(f"the quote {quote} in {text.strip()!r} is not closed")
        self.heard = f"Unmatched `{quote}` in [{rest}]"


def split_words(text: str) -> list[str]:
    """Split what follows ``#SBATCH`` into arguments.

    Quotes group and vanish, a backslash takes the next character as it is (between quotes of either kind too), an
    unquoted ``#`` ends the line, also inside a word, and so does an empty argument (``""``, or a backslash at the end).

    Args:
        text: The rest of the line.

    Returns:
        The arguments.

    Raises:
        Unclosed: A quote is not closed.
    """
    if _PLAIN.fullmatch(text):
        return re.findall(f"[^{_SPACE}]+", text)
    words: list[str] = []
    word: list[str] | None = None
    quote, begin = "", 0
    characters = iter(enumerate(text))
    for at, character in characters:
        if character == "\\":
            word = word or []
            word.append(next(characters, (0, ""))[1])
        elif quote:
            if character == quote:
                quote = ""
            elif word is not None:
                word.append(character)
        elif character in "\"'":
            quote = character
            word = word if word is not None else []
        elif character in _SPACE:
            if word is not None and not any(word):
                return words
            if word is not None:
                words.append("".join(word))
                begin = at
            word = None
        elif character == "#":
            break
        else:
            word = word if word is not None else []
            word.append(character)
    if quote:
        raise Unclosed(quote, text, text[begin:])
    if word is not None and any(word):
        words.append("".join(word))
    return words


def header_of(script: str) -> str:
    """The lines that sbatch looks for directives in: empty ones and comments, up to the first that holds a command."""
    match = _HEADER.match(script)
    return match[0] if match else ""


def find_directives(script: str) -> list[Directive]:
    """Find the directive lines.

    A directive starts in column 0, its first option may follow at once; ``##SBATCH`` and `` #SBATCH`` are comments;
    the first line that holds a command ends the search.

    Args:
        script: The batch script, or its header.

    Returns:
        Line by line.
    """
    found: list[Directive] = []
    header = header_of(script)
    line, at = 1, 0
    for match in _DIRECTIVE.finditer(header):
        line += header.count("\n", at, match.start())
        at = match.start()
        found.append(Directive(line, match[1], match[2]))
    return found
