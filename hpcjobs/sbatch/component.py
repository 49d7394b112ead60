"""One component of a call of sbatch while it is heard: who said what, and what the next component has of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, Literal

from hpcjobs.sbatch.getopt import Grammar, Misspelt, named_options
from hpcjobs.sbatch.options import BY_LONG, Option
from hpcjobs.sbatch.said import Said, hear

EARLY: Final = frozenset({"autocomplete", "help", "quiet", "usage", "verbose", "version", "wrap"})
"""What counts wherever it stands on the command line, and only there."""

KEPT_AT_HETJOB: Final = frozenset({"exclude", "mem", "prefer", "time", "time-min"})
"""Options of a component that the next one has too, unless it says otherwise."""

By = Literal["caller", "variable"]


class Part:
    """One component while it is heard."""

    def __init__(self, before: Part | None) -> None:
        """After another, whose options that are not forgotten it has too.

        That a variable said an option sbatch never forgets, and counts the whole command line, which it has looked
        through before, for variables: so does this.
        """
        self.said = Said.nothing()
        self.by: dict[str, By] = {}
        if before is not None:
            self.by = {long: by for long, by in before.by.items() if by == "variable" or not _is_forgotten(long)}
            options = (BY_LONG.get(long) for long in self.by if not _is_forgotten(long))
            kept = {name for option in options if isinstance(option, Option) for name in option.fields}
            self.said.fields.update({name: before.said.fields.get(name) for name in kept})
            self.said.client.update(before.said.client)
            self.said.site.update(before.said.site)

    def hear(self, options: Iterable[tuple[str, str | None]], by: By = "caller") -> None:
        """Add what options say."""
        for long, argument in options:
            if not long:
                told = f"error: Invalid directive found in batch script: {argument}"
                raise Misspelt(f"{argument!r} is no option", told)
            if long not in EARLY:
                hear(self.said, long, argument)
                self.mark(long, by)

    def mark(self, long: str, by: By) -> None:
        """Note who said an option last; what was said last stands last."""
        self.by.pop(long, None)
        self.by[long] = by

    def hear_directives(self, lines: Iterable[tuple[int, list[str]]], grammar: Grammar) -> None:
        """Add what lines of the script say, each with its number: to sbatch they are one command line."""
        at = 0

        def every_word() -> Iterator[str]:
            nonlocal at
            for number, words in lines:
                at = number
                yield from words

        try:
            self.hear(named_options(every_word(), grammar))
        except Misspelt as error:
            raise Misspelt(f"line {at} of the script: {error}", *error.heard, exit_code=error.exit_code) from error

    def hear_foreign(self, script: str, name: str) -> None:
        """What the lines of other schedulers say counts as the caller's word."""
        from hpcjobs.sbatch.foreign import hear_foreign  # few scripts have such lines

        before = dict(self.said.fields)
        hear_foreign(self.said, script, name)
        changed = {name for name, value in self.said.fields.items() if name not in before or before[name] != value}
        for long in options_of(changed):
            self.mark(long, "caller")

    def is_by(self, by: By, *longs: str) -> list[str]:
        """Which of these options somebody said last."""
        return [long for long in longs if self.by.get(long) == by]

    def forget(self, *longs: str) -> None:
        """Take options back."""
        for long in longs:
            option = BY_LONG[long]
            if isinstance(option, Option):
                self.said.fields.update(dict.fromkeys(option.fields))
            if self.by.get(long) == "caller":
                del self.by[long]


def _is_forgotten(long: str) -> bool:
    option = BY_LONG.get(long)
    if option is None:
        return False
    of_component = option.of_component if isinstance(option, Option) else long in ("nodefile", "external")
    return of_component and long not in KEPT_AT_HETJOB


def options_of(fields: set[str]) -> set[str]:
    """The options that say some of these fields."""
    said = ((long, option) for long, option in BY_LONG.items() if isinstance(option, Option))
    return {long for long, option in said if fields.intersection(option.fields)}
