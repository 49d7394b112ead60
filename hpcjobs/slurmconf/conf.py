"""slurm.conf: read through all that it includes, and changed where it must be, the same elsewhere. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

import msgspec

from hpcjobs.sbatch.hostlists import expand_hostlist
from hpcjobs.slurmconf.lines import Line, Pair, Unreadable, included, lines_of, pairs_of

DEEPEST: Final = 8
"""How deep files may include one another."""


class SlurmConf(msgspec.Struct, frozen=True):
    """What of a cluster's slurm.conf is asked here.

    Attributes:
        files: Texts by name as it is included, ``slurm.conf`` first.
        settings: Values of keys that stand for themselves, by key in small letters; of several the last.
        nodes: Names of all nodes, in their order.
        node_lines: The keys of each NodeName line, in small letters.
        partitions: Keys of each PartitionName line but DEFAULT, in small letters, by name.
    """

    files: Mapping[str, str]
    settings: Mapping[str, str]
    nodes: tuple[str, ...]
    node_lines: tuple[Mapping[str, str], ...]
    partitions: Mapping[str, Mapping[str, str]]


ARRAYS: Final = frozenset({"nodename", "partitionname", "nodeset", "downnodes", "frontendname"})
"""Keys that begin a line of keys of their own."""


def read_slurm_conf(read: Callable[[str], str], name: str = "slurm.conf") -> SlurmConf:
    """The files of a cluster.

    Args:
        read: Gives the text of a file by its name, which is as it is included: relative to slurm.conf's folder.
        name: Of the first.

    Raises:
        Unreadable: A line names nodes in no way that can be read, or files include one another.
        Exception: What ``read`` raises.
    """
    files: dict[str, str] = {}
    settings: dict[str, str] = {}
    nodes: dict[str, None] = {}
    node_lines: list[Mapping[str, str]] = []
    partitions: dict[str, Mapping[str, str]] = {}
    for file, line in _every_line(read, name, files, ()):
        pairs, _ = pairs_of(line.text)
        keys = {pair.key.lower(): pair.value for pair in pairs}
        first = pairs[0].key.lower() if pairs else ""
        if first not in ARRAYS:
            settings.update(keys)
        elif first == "partitionname" and keys[first].upper() != "DEFAULT":
            partitions[keys[first]] = keys
        elif first == "nodename":
            node_lines.append(keys)
            if keys[first].upper() != "DEFAULT":
                try:
                    nodes.update(dict.fromkeys(expand_hostlist(keys[first])))
                except ValueError as error:
                    raise Unreadable(str(error), file, line.number) from None
    return SlurmConf(files, settings, tuple(nodes), tuple(node_lines), partitions)


def _every_line(
    read: Callable[[str], str], name: str, files: dict[str, str], above: tuple[str, ...]
) -> Iterator[tuple[str, Line]]:
    if name in above or len(above) > DEEPEST:
        raise Unreadable(f"{name} is included in itself, or too deep", above[-1])
    files[name] = read(name)
    for line in lines_of(files[name]):
        if other := included(line.text):
            yield from _every_line(read, other, files, (*above, name))
        else:
            yield name, line


def amended(
    files: Mapping[str, str], said: Mapping[str, str | None], partitions: Mapping[str, str] | None = None
) -> dict[str, str]:
    """The files that must change for slurm.conf to say so, with their new texts; all else stays as it is, byte by byte.

    Args:
        files: Of ``SlurmConf``.
        said: Values by key; a key that is nowhere is put at the end of the first file. None takes a key away, and with
            it a line that has nothing else.
        partitions: Topology of each partition; None: no line of a partition is touched, else those that are not among
            them lose theirs.

    Raises:
        Unreadable: A line that must change is continued or has escapes: it must be changed by hand; or a partition
            that is to have a topology is not there.
    """
    new = dict(files)
    missing = {key: value for key, value in said.items() if value is not None}
    without = dict(partitions or {})
    for name, text in files.items():
        rows: list[str | None] = list(text.split("\n"))
        for line in lines_of(text):
            pairs, _ = pairs_of(line.text)
            first = pairs[0].key.lower() if pairs else ""
            wanted: dict[str, str | None] = {}
            if first not in ARRAYS:
                wanted = {
                    pair.key.lower(): said[key] for pair in pairs for key in said if key.lower() == pair.key.lower()
                }
                for key in said:
                    if key.lower() in wanted:
                        missing.pop(key, None)
            elif first == "partitionname" and partitions is not None and pairs[0].value.upper() != "DEFAULT":
                wanted = {"topology": without.pop(pairs[0].value, None)}
            rows[line.number - 1] = _replaced(name, line, rows[line.number - 1] or "", pairs, wanted)
        new[name] = "\n".join(row for row in rows if row is not None)
    if without:
        raise Unreadable(f"there is no partition {', '.join(sorted(without))}", "slurm.conf")
    if missing:
        start = next(iter(files))
        end = "" if not new[start] or new[start].endswith("\n") else "\n"
        new[start] += end + "".join(f"{key}={value}\n" for key, value in missing.items())
    return {name: text for name, text in new.items() if text != files[name]}


def _replaced(name: str, line: Line, row: str, pairs: Sequence[Pair], wanted: Mapping[str, str | None]) -> str | None:
    """A row in which keys have other values; a value that is None takes the key away. None: nothing is left of it."""
    there = {pair.key.lower(): pair for pair in pairs}
    changes = {key: value for key, value in wanted.items() if (there[key].value if key in there else None) != value}
    if not changes:
        return row
    if line.length > 1 or not row.startswith(line.text.rstrip()):
        raise Unreadable(
            f"{', '.join(changes)} of this line must be changed by hand: it is continued", name, line.number
        )
    for key, value in sorted(changes.items(), key=lambda change: -there[change[0]].start if change[0] in there else 0):
        if key not in there:
            end = pairs[-1].end
            row = f"{row[:end]} {key.capitalize()}={value}{row[end:]}"
        elif value is None:
            row = row[: there[key].start].rstrip(" \t") + row[there[key].end :]
        else:
            row = f"{row[: there[key].start]}{there[key].key}={value}{row[there[key].end :]}"
    return row if row.strip() else None
