"""Words of a command line heard as getopt_long of glibc hears them: for every program of Slurm that we stand in for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Literal, NamedTuple

Takes = Literal["none", "optional", "required"]


class Misspelt(ValueError):
    """A word that is no option, or an option with an argument that it cannot have.

    Attributes:
        heard: What Slurm's program says of it on stderr, after its own name and a colon: a line each.
        exit_code: How the program exits.
    """

    def __init__(self, detail: str, *heard: str, exit_code: int = 255) -> None:
        """With our own words, and Slurm's."""
        super().__init__(detail)
        self.heard = heard
        self.exit_code = exit_code


class Grammar(NamedTuple):
    """The options of a program.

    Attributes:
        longs: Whether an argument must follow, may be joined to it, or cannot; by the name after ``--``.
        shorts: The long name that a letter after ``-`` stands for.
        aliases: Other long names, and what they stand for.
        whole: Long names that must be written out: the beginnings of others mean what they would without these.
    """

    longs: Mapping[str, Takes]
    shorts: Mapping[str, str]
    aliases: Mapping[str, str] = {}
    whole: frozenset[str] = frozenset()

    def with_site(self, site: Mapping[str, Takes]) -> Grammar:
        """The same with a site's own options beside it; the program's own names win."""
        return self._replace(longs={**site, **self.longs}) if site else self

    def with_own(self, own: Mapping[str, Takes]) -> Grammar:
        """The same with options of ours, which Slurm's program has not, and which must be written out."""
        return self._replace(longs={**self.longs, **own}, whole=self.whole | own.keys())


def find_long(word: str, grammar: Grammar) -> str:
    """The full name of an option, from it, from another name of it or from the beginning of one.

    Args:
        word: What follows ``--``; an argument may be joined to it.
        grammar: The program's options.

    Raises:
        Misspelt: No option begins so, or several do.
    """
    name = word.partition("=")[0]
    names = (*grammar.longs, *grammar.aliases)
    begins = (
        [name]
        if name in names
        else [full for full in names if name and full.startswith(name) and full not in grammar.whole]
    )
    found = {grammar.aliases.get(full, full) for full in begins}
    if len(found) > 1:
        could_be = sorted(f"--{full}" for full in found)
        raise Misspelt(
            f"the option '--{name}' could be any of {', '.join(could_be)}",
            f"option '--{word}' is ambiguous; possibilities: {' '.join(map(repr, could_be))}",
        )
    if not found:
        raise Misspelt(f"the option '--{name}' is not one that hpcjobs knows", f"unrecognized option '--{word}'")
    return found.pop()


def _argument(rest: Iterator[str], option: str, heard: str) -> str:
    argument = next(rest, None)
    if argument is None:
        raise Misspelt(f"{option} needs an argument", heard)
    return argument


def _long(word: str, rest: Iterator[str], grammar: Grammar) -> tuple[str, str | None]:
    _, joined, text = word.partition("=")
    long = find_long(word[2:], grammar)
    takes = grammar.longs[long]
    if joined and takes == "none":
        raise Misspelt(f"--{long} takes no argument", f"option '--{long}' doesn't allow an argument")
    if joined or takes != "required":
        return long, text if joined else None
    return long, _argument(rest, f"--{long}", f"option '--{long}' requires an argument")


def _letters(word: str, rest: Iterator[str], grammar: Grammar) -> Iterator[tuple[str, str | None]]:
    for at, letter in enumerate(word[1:], start=2):
        if letter not in grammar.shorts:
            told = f"{f'-{letter}'!r} of {word[:80]!r} is not an option that hpcjobs knows"
            raise Misspelt(told, f"invalid option -- '{letter}'")
        long = grammar.shorts[letter]
        takes = grammar.longs[long]
        if takes == "none":
            yield long, None
            continue
        lacking = f"option requires an argument -- '{letter}'"
        yield long, word[at:] or (_argument(rest, f"--{long}", lacking) if takes == "required" else None)
        return


def named_options(words: Iterable[str], grammar: Grammar) -> Iterator[tuple[str, str | None]]:
    """The options that words name, each with its argument.

    Args:
        words: Arguments. Of an iterator those after the options are left in it.
        grammar: The program's options.

    Yields:
        Full name and argument; at last ``("", word)`` where a word is no option: there the options end.

    Raises:
        Misspelt: An option is unknown, lacks its argument or has one too many.
    """
    rest = iter(words)
    for word in rest:
        if word == "--":
            yield from (("", after) for after in islice(rest, 1))
            return
        if word.startswith("--"):
            yield _long(word, rest, grammar)
        elif not word.startswith("-") or word == "-":
            yield "", word
            return
        else:
            yield from _letters(word, rest, grammar)


def permuted(words: Iterable[str], grammar: Grammar) -> tuple[list[tuple[str, str | None]], list[str]]:
    """Options and operands of a program that takes them in any order.

    Args:
        words: Arguments.
        grammar: The program's options.

    Returns:
        The options with their arguments, and the other words.

    Raises:
        Misspelt: An option is unknown, lacks its argument or has one too many.
    """
    rest = list(words)
    last = rest.index("--") if "--" in rest else len(rest)
    left, operands = iter(rest[:last]), list(rest[last + 1 :])
    options: list[tuple[str, str | None]] = []
    others: list[str] = []
    more = True
    while more:
        more = False
        for long, argument in named_options(left, grammar):
            if long:
                options.append((long, argument))
            else:
                others.append(argument or "")
                more = True
    return options, others + operands
