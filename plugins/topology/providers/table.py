"""Fabrics that somebody has written down, as a table (CSV) or a tree (YAML), as Dumps. Pure.

A table has a header of these columns, in any order; lines that begin with ``#`` are comments, and a further header
begins another table::

    host,switch,host_port,switch_port,gbps,fabric,role
    n1,leaf1,1,1,200,ib0,compute
    switch,above,switch_port,above_port,gbps
    leaf1,spine1,33,1,200

``above2`` and ``above3`` go on from ``above`` upward. In the line of a host the cables between switches are said once
for all lines; in a line without a host each line is a cable. ``host_port`` is the number or the name of the adapter.

A tree has what hangs on a switch below it; names that have a place as a switch are switches, others hosts::

    network: infiniband
    fabrics:
      ib0:
        gbps: 200
        storage: sto[1-2]
        switches:
          spine1: {leaf1: "n[1-4]", leaf2: "n[5-8],sto[1-2]"}
          spine2: "leaf[1-2]"

Ports that nobody says are counted, so that they move when lines do. GUIDs are made of names.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from typing import Final

from hpcjobs_plugins.topology.fabric import Dump, FabricError, Network
from hpcjobs_plugins.topology.providers.tables import Tables
from hpcjobs_plugins.topology.providers.text import decoded
from hpcjobs_plugins.topology.providers.trees import read_tree

COLUMNS: Final = (
    "host",
    "switch",
    "above",
    "above2",
    "above3",
    "host_port",
    "switch_port",
    "above_port",
    "gbps",
    "fabric",
    "role",
)
"""Those that a table may have."""


def read(
    data: bytes, source: str, columns: Mapping[str, str] | None = None, network: Network = Network.INFINIBAND
) -> Dump:
    """The Dump of a table or a tree; a tree if the source's name ends in ``.yaml`` or ``.yml``.

    Args:
        data: Text.
        source: What it is called in messages.
        columns: For a table with other columns: ours by what they are made of, ``{"host": "{ip}", "switch":
            "{pod}-{asw}"}``, where braces stand for the table's.
        network: What the fabrics carry, where a tree does not say it.

    Raises:
        FabricError: It is neither, or has a port twice.
    """
    text = decoded(data, source)
    tables = Tables(source)
    if source.removesuffix(".gz").endswith((".yaml", ".yml")):
        network = read_tree(text, source, tables) or network
    else:
        for line, row in _rows(text, source, columns):
            tables.row(row, line)
    return tables.dump(network)


def _rows(text: str, source: str, columns: Mapping[str, str] | None) -> Iterator[tuple[int, Mapping[str, str]]]:
    reader = csv.reader(text.split("\n"), skipinitialspace=True, strict=True)
    header: list[str] = []
    while True:
        try:
            cells = next(reader, None)
        except csv.Error as error:
            raise FabricError(f"no CSV: {error}", source, reader.line_num) from error
        if cells is None:
            return
        cells, line = [cell.strip() for cell in cells], reader.line_num
        if not any(cells) or cells[0].startswith("#"):
            continue
        if not header or (columns is None and set(cells) <= set(COLUMNS)):
            header = cells
            _checked(header, columns, source, line)
            continue
        if len(cells) != len(header):
            raise FabricError(f"{len(cells)} cells in a table of {len(header)} columns", source, line)
        row = dict(zip(header, cells, strict=True))
        yield line, row if columns is None else {ours: _filled(form, row) for ours, form in columns.items()}


def _checked(header: list[str], columns: Mapping[str, str] | None, source: str, line: int) -> None:
    if len(set(header)) < len(header):
        raise FabricError("a column stands there twice", source, line)
    ours = set(header) if columns is None else set(columns)
    if unknown := ours - set(COLUMNS):
        known = ", ".join(COLUMNS)
        raise FabricError(f"no column is called {min(unknown)!r}; there are {known}", source, line)
    if "switch" not in ours or not {"host", "above"} & ours:
        raise FabricError("a table has a column switch, and host or above", source, line)
    for form in (columns or {}).values():
        if missing := [name for name in _named(form) if name not in header]:
            raise FabricError(f"the table has no column {missing[0]!r}", source, line)


def _named(form: str) -> list[str]:
    return [part.partition("}")[0] for part in form.split("{")[1:]]


def _filled(form: str, row: Mapping[str, str]) -> str:
    for name in _named(form):
        form = form.replace(f"{{{name}}}", row[name])
    return form
