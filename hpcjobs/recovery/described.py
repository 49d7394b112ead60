"""What is known of failures, as tables for docs/RECOVERY.md."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from hpcjobs.recovery.pattern import Pattern, Word, knowledge


def tables() -> dict[str, str]:
    """Each table by its name on the page, in Markdown, with a line feed at its end."""
    known = knowledge()
    xids = [one for one in known.patterns if one.name.startswith("xid-") and one.name != "xid-other"]
    others = [one for one in known.patterns if one not in xids]
    return {
        "classes": _table(
            ("class", "what happened", "what would help"),
            [(f"`{one.name.value}`", one.says, one.hint) for one in known.classes.values()],
        ),
        "words": _table(
            ("Slurm says", "class", "meaning"),
            [
                *_words("state", known.states.values()),
                *_words("reason", known.reasons.values()),
                *_words("exit code", known.exits.values()),
                *_words("signal", known.signals.values()),
            ],
        ),
        "patterns": _table(
            ("pattern", "class", "kind", "for example", "page"),
            [
                (one.name, f"`{one.failure.value}`", _kind(one), f"`{_plain(one.example)}`", f"[page]({one.source})")
                for one in sorted(others, key=lambda one: one.failure.value)
            ],
        ),
        "xids": _table(("class", "kind", "numbers"), _xids(xids)),
    }


def _xids(xids: Iterable[Pattern]) -> list[Sequence[str]]:
    numbers: dict[tuple[str, str], list[str]] = defaultdict(list)
    for one in xids:
        numbers[f"`{one.failure.value}`", _kind(one)].append(one.name.removeprefix("xid-"))
    return [(failure, kind, ", ".join(which)) for (failure, kind), which in sorted(numbers.items())]


def _words(kind: str, words: Iterable[Word]) -> list[Sequence[str]]:
    return [(f"{kind} `{one.word}`", f"`{one.failure.value}`", one.means) for one in words]


def _kind(pattern: Pattern) -> str:
    return f"{'symptom' if pattern.symptom else 'root'}{', weak' if pattern.weak else ''}"


def _plain(example: str) -> str:
    return example.replace("`", "'").replace("|", "\\|")


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
