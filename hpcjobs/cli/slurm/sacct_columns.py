"""The columns that sacct prints: read from --format, and written. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from hpcjobs.cli.slurm.common import Failed
from hpcjobs.cli.slurm.sacct_fields import TABLE, Field, Kind, Row

DEFAULT: Final = "jobid,jobname,partition,account,alloccpus,state,exitcode"
BRIEF: Final = "jobid,state,exitcode"
LONG: Final = (
    "jobid,jobidraw,jobname,partition,maxvmsize,maxvmsizenode,maxvmsizetask,avevmsize,maxrss,maxrssnode,maxrsstask,"
    "averss,maxpages,maxpagesnode,maxpagestask,avepages,mincpu,mincpunode,mincputask,avecpu,ntasks,alloccpus,elapsed,"
    "state,exitcode,avecpufreq,reqcpufreqmin,reqcpufreqmax,reqcpufreqgov,reqmem,consumedenergy,maxdiskread,"
    "maxdiskreadnode,maxdiskreadtask,avediskread,maxdiskwrite,maxdiskwritenode,maxdiskwritetask,avediskwrite,"
    "reqtres,alloctres,tresusageinave,tresusageinmax,tresusageinmaxn,tresusageinmaxt,tresusageinmin,"
    "tresusageinminn,tresusageinmint,tresusageintot,tresusageoutmax,tresusageoutmaxn,tresusageoutmaxt,"
    "tresusageoutave,tresusageouttot"
)
_DIGITS: Final = re.compile(r"\s*(-?)([0-9]{1,6})")


class Column(NamedTuple):
    """A column.

    Attributes:
        field: What it shows.
        width: Characters; negative: at the left; 0: it shows nothing.
    """

    field: Field
    width: int

    def cell(self, text: str) -> str:
        """A value as it is printed."""
        width = abs(self.width)
        if not width:
            return ""
        if len(text) > width:
            if self.field.kind is Kind.TIME:
                text = "#" * width
            elif self.field.kind is Kind.TEXT:
                text = f"{text[: width - 1]}+"
        return text.rjust(width) if self.width > 0 else text.ljust(width)

    @property
    def title(self) -> str:
        """Its name as it is printed."""
        width = abs(self.width)
        name = self.field.name[:width]
        return name.rjust(width) if self.width > 0 else name.ljust(width)


def read_columns(text: str) -> list[Column]:
    """Read --format: names or beginnings of names, each with ``%width`` or ``%-width`` (at the left), or ``all``.

    Args:
        text: The argument.

    Raises:
        Failed: There is no such field.
    """
    columns: list[Column] = []
    for part in text.split(","):
        name, percent, width = (piece.strip() for piece in part.partition("%"))
        if not part.strip():
            continue
        chosen = _width(width) if percent else None
        fields: Sequence[Field] = TABLE if "all".startswith(name.lower()) else _named(name)
        columns += [Column(field, field.width if chosen is None else chosen) for field in fields]
    return columns


def _width(text: str) -> int:
    match = _DIGITS.match(text)
    return int(match[1] + match[2]) if match else 0


def _named(name: str) -> list[Field]:
    for field in TABLE:
        if field.name.lower().startswith(name.lower()):
            return [field]
    raise Failed(f'error: Invalid field requested: "{name}"')


class Shape(NamedTuple):
    """How lines are written.

    Attributes:
        delimiter: Between fields; None: in columns of their widths.
        last: Whether it stands behind the last one too.
        header: Whether there is one.
    """

    delimiter: str | None = None
    last: bool = False
    header: bool = True


def lines(columns: Sequence[Column], rows: Iterable[Row], shape: Shape) -> Iterator[str]:
    """The lines that sacct prints.

    Args:
        columns: What each shows.
        rows: What there is.
        shape: How.
    """
    if shape.delimiter is not None:
        end = shape.delimiter if shape.last else ""
        if shape.header:
            yield shape.delimiter.join(column.field.name for column in columns) + end
        for row in rows:
            yield shape.delimiter.join(column.field.value(row) for column in columns) + end
        return
    if shape.header:
        yield "".join(f"{column.title} " for column in columns)
        yield "".join(f"{'-' * abs(column.width)} " for column in columns)
    for row in rows:
        yield "".join(f"{column.cell(column.field.value(row))} " for column in columns)
