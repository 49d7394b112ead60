"""Families of accelerators as rows of words: for a terminal, and for the table of docs/GRES.md. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from typing import Final

from hpcjobs.devices.family import Containers, Family, Model, facts

HEADS: Final = ("FAMILY", "NAME", "GRES", "VARIABLE", "DEVICE FILES", "AUTODETECT", "TELLS", "MODELS")
"""TELLS is what its devices can be asked."""


def rows(families: Iterable[Family]) -> list[tuple[str, ...]]:
    """A line a family."""
    return [
        (
            one.name,
            one.title,
            one.gres,
            one.visible or "-",
            _files(one) or "-",
            " ".join(one.autodetect) or "-",
            " ".join(_tells(one)) or "-",
            " ".join(model.name for model in one.models) or "-",
        )
        for one in families
    ]


def said(family: Family) -> list[tuple[str, str, str]]:
    """A line a fact: which, what it is, and the page that says it; ``""``: none does."""
    return [(fact, _words(family, fact), page) for fact, page in facts(family).items()]


def markdown(families: Iterable[Family]) -> str:
    """The same as ``rows``, as a table of a page."""
    lines = [HEADS, ("---",) * len(HEADS), *(tuple(_code(row)) for row in rows(families))]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _code(row: tuple[str, ...]) -> Iterable[str]:
    for head, cell in zip(HEADS, row, strict=True):
        plain = head in ("NAME", "TELLS", "MODELS") or cell == "-"
        yield cell if plain else f"`{cell}`"


def _tells(family: Family) -> list[str]:
    fields = {field for way in family.sample for field in way.names}
    told = {"use": {"busy_percent", "busy_ratio"}, "memory": {"mem_used"}, "power": {"power_w"}}
    return [word for word, of in told.items() if of & fields] + ["health"] * (family.probe is not None)


def _files(family: Family) -> str:
    if family.files is None or not family.files_from:
        return (family.files or "").replace("%d", "N")
    return family.files.replace("%d", f"({family.files_from}+N)")


def _words(family: Family, fact: str) -> str:
    kind, _, rest = fact.partition(".")
    if kind == "files":
        return _files(family)
    if kind == "sample":
        return shlex.join(family.sample[int(rest)].argv)
    if kind == "probe" and family.probe is not None:
        return shlex.join(family.probe.argv)
    if kind == "containers" and family.containers is not None:
        return _contained(family.containers, rest)
    if rest:
        return _of_model(next(model for model in family.models if model.name == rest), kind)
    value = getattr(family, kind)
    return " ".join(value) if isinstance(value, tuple) else str(value)


def _contained(containers: Containers, field: str) -> str:
    value = getattr(containers, field)
    return " ".join(value) if isinstance(value, tuple) else str(value)


def _of_model(model: Model, kind: str) -> str:
    if kind == "tdp_w":
        return f"{model.tdp_w:g} W"
    if kind == "partitions":
        return ", ".join(f"{profile} {part}/{of}" for profile, (part, of) in model.partitions.items())
    return model.title + (f", {model.mem_gib} GiB" if model.mem_gib else "")
