"""What the devices of a node are doing, read from what a vendor's command prints. Pure: others run it."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator, Mapping
from typing import Final, Literal, get_args

import msgspec

Field = Literal["index", "uuid", "model", "profile", "instance", "busy_percent", "busy_ratio", "mem_used", "power_w"]
IDENTITY: Final[tuple[Field, ...]] = ("index", "uuid", "model", "profile", "instance")
"""What says which device it is; in the Prometheus format these are labels, the others are metrics."""
KEY: Final = "@key"
"""In JSON: by which key of an object a device stands."""

_NUMBER: Final = re.compile(r"(?<![-.\d])\d+(?:\.\d+)?(?:[eE][+-]?\d+)?")
_METRIC: Final = re.compile(r"(\w+)(?:\{(.*)\})?\s+(\S+)")
_LABEL: Final = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


class Sampling(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A command that prints what each device of a node is doing, and how that is read.

    Attributes:
        argv: The command; it only reads, and ends by itself.
        format: ``csv`` with a line of headings, ``json``, ``prometheus``, or ``text``: lines that a pattern matches.
        fields: Where each is: heading, path of keys (``usage/gfx``), label or metric; the first of them that is there.
        devices: In JSON the path to the list or object of devices; ``""``: the document is it.
        pattern: Of ``text``: a regular expression with a group for each field; each match is a device.
        mem_bytes: In what memory is counted, in bytes.
    """

    argv: tuple[str, ...]
    format: Literal["csv", "json", "prometheus", "text"]
    fields: dict[Field, tuple[str, ...]] = {}
    devices: str = ""
    pattern: str = ""
    mem_bytes: int = 1

    def __post_init__(self) -> None:
        """Refuse a text without a pattern, and a pattern with groups that are no fields."""
        try:
            groups = set(re.compile(self.pattern).groupindex)
        except re.error as error:
            raise ValueError(f"{self.pattern!r} is no regular expression: {error}") from error
        if not (groups if self.format == "text" else self.fields):
            raise ValueError("it is not said where what is")
        if wrong := groups - set(get_args(Field)):
            raise ValueError(f"there is no field {', '.join(sorted(wrong))}")

    @property
    def names(self) -> frozenset[str]:
        """The fields that it tells."""
        return frozenset(re.compile(self.pattern).groupindex) | self.fields.keys()


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """What one device was doing.

    Attributes:
        index: Its number on the node; None: not told.
        uuid: Its maker's name of this one device; ``""``: not told.
        model: As its maker calls it; ``""``: not told.
        profile: Of a slice its profile, ``1g.5gb``; ``""``: it is whole.
        instance: Of a slice which one of its device it is; ``""``: it is whole.
        busy: Share of the time in which it was busy, 0 to 1; None: not measured.
        mem_used_bytes: Memory in use; None: not measured.
        power_w: Power that it drew; None: not measured.
    """

    index: int | None = None
    uuid: str = ""
    model: str = ""
    profile: str = ""
    instance: str = ""
    busy: float | None = None
    mem_used_bytes: int | None = None
    power_w: float | None = None


def readings(sampling: Sampling, output: str) -> list[Reading]:
    """What a command said of each device, in its order.

    Args:
        sampling: How it was asked, and how that is read.
        output: What it printed.

    Raises:
        ValueError: It is not of that format.
    """
    rows = {"csv": _csv, "json": _json, "prometheus": _prometheus, "text": _text}[sampling.format]
    return [_reading(row, sampling.mem_bytes) for row in rows(sampling, output)]


Row = Mapping[str, str]


def _reading(row: Row, mem_bytes: int) -> Reading:
    percent, ratio, mem = (_number(row, field) for field in ("busy_percent", "busy_ratio", "mem_used"))
    busy = percent / 100 if percent is not None else ratio
    index = re.search(r"\d+", row.get("index", ""))
    return Reading(
        index=int(index[0]) if index else None,
        uuid=row.get("uuid", ""),
        model=row.get("model", ""),
        profile=row.get("profile", ""),
        instance=row.get("instance", ""),
        busy=None if busy is None else min(max(busy, 0.0), 1.0),
        mem_used_bytes=None if mem is None else round(mem * mem_bytes),
        power_w=_number(row, "power_w"),
    )


def _number(row: Row, field: Field) -> float | None:
    """The first number in it: ``35 %`` is 35. ``N/A`` is none, and ``-1``, by which exporters say the same."""
    found = _NUMBER.search(row.get(field, ""))
    return float(found[0]) if found else None


def _csv(sampling: Sampling, output: str) -> Iterator[Row]:
    lines = [line for line in output.splitlines() if line.strip()]
    rows = csv.DictReader(io.StringIO("\n".join(lines)), skipinitialspace=True)
    headings = {heading.strip() for heading in rows.fieldnames or ()}
    if lines and not any(name in headings for names in sampling.fields.values() for name in names):
        raise ValueError(f"{sampling.argv[0]} printed none of the columns that are known, but {lines[0]!r}")
    for row in rows:
        told = {heading.strip(): cell.strip() for heading, cell in row.items() if isinstance(cell, str)}
        yield _chosen(sampling, told)


def _chosen(sampling: Sampling, told: Row) -> Row:
    """Of each field the first of its names that is told."""
    places = {field: next(filter(told.__contains__, names), None) for field, names in sampling.fields.items()}
    return {field: told[name] for field, name in places.items() if name is not None}


def _json(sampling: Sampling, output: str) -> Iterator[Row]:
    try:
        document: object = json.loads(output)
    except ValueError as error:
        raise ValueError(f"{sampling.argv[0]} printed no JSON: {error}") from error
    found = _at(document, sampling.devices) if sampling.devices else document
    if isinstance(found, dict):
        devices = [(str(key), device) for key, device in found.items()]
    elif isinstance(found, list):
        devices = [("", device) for device in found]
    else:
        raise ValueError(f"{sampling.argv[0]} printed no devices at {sampling.devices or 'the top'!r}")  # noqa: TRY004
    names = {name for names in sampling.fields.values() for name in names if name != KEY}
    for key, device in devices:
        if isinstance(device, dict):
            told = {name: value for name in names if (value := _word(_at(device, name)))}
            if row := _chosen(sampling, told):
                yield {**row, **_chosen(sampling, {KEY: key, **told})}


def _at(value: object, path: str) -> object:
    for key in path.split("/"):
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _word(value: object) -> str:
    return str(value).strip() if isinstance(value, str | int | float) else ""


def _prometheus(sampling: Sampling, output: str) -> Iterator[Row]:
    """Metrics of one device, together by the labels that say which it is."""
    labels = {name for field in IDENTITY for name in sampling.fields.get(field, ())}
    metrics = {name for names in sampling.fields.values() for name in names} - labels
    devices: dict[frozenset[tuple[str, str]], dict[str, str]] = {}
    for line in output.splitlines():
        told = _METRIC.match(line)
        if told is not None and told[1] in metrics:
            who = {name: value for name, value in _LABEL.findall(told[2] or "") if name in labels}
            devices.setdefault(frozenset(who.items()), who)[told[1]] = told[3]
    yield from (_chosen(sampling, device) for device in devices.values())


def _text(sampling: Sampling, output: str) -> Iterator[Row]:
    for match in re.finditer(sampling.pattern, output, re.MULTILINE):
        yield {field: value.strip() for field, value in match.groupdict().items() if value}
