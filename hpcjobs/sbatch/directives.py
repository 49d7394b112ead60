"""``#SBATCH`` lines of a script, found and split by sbatch's rules (sbatch(1), DESCRIPTION)."""

from __future__ import annotations

from typing import Final

MAGIC: Final = "#SBATCH"


def split_words(text: str) -> list[str]:
    """Split what follows ``#SBATCH`` into arguments.

    Quotes group and vanish, a backslash takes the next character as it is (between quotes of either kind too), an
    unquoted ``#`` ends the line, also inside a word.

    Args:
        text: The rest of the line.

    Returns:
        The arguments.

    Raises:
        ValueError: A quote is not closed.
    """
    words: list[str] = []
    word: list[str] | None = None
    quote = ""
    characters = iter(text)
    for character in characters:
        if character == "\\":
            word = word or []
            word.append(next(characters, ""))
        elif quote:
            if character == quote:
                quote = ""
            elif word is not None:
                word.append(character)
        elif character in "\"'":
            quote = character
            word = word if word is not None else []
        elif character.isspace():
            if word is not None:
                words.append("".join(word))
            word = None
        elif character == "#":
            break
        else:
            word = word if word is not None else []
            word.append(character)
    if quote:
        raise ValueError(f"the quote {quote} in {text.strip()!r} is not closed")
    if word is not None:
        words.append("".join(word))
    return words


def find_directives(script: str) -> list[tuple[int, str]]:
    """Find the directive lines.

    A directive starts in column 0, its first option may follow at once; ``##SBATCH`` and `` #SBATCH`` are comments;
    the first line that holds a command ends the search.

    Args:
        script: The batch script.

    Returns:
        Line number from 1, and the text after ``#SBATCH``.
    """
    found: list[tuple[int, str]] = []
    for number, line in enumerate(script.split("\n"), start=1):
        if line.startswith(MAGIC):
            found.append((number, line[len(MAGIC) :]))
        elif line.strip() and not line.lstrip().startswith("#"):
            break
    return found
