"""Jobs and nodes for the eye: rich tables on a terminal, plain columns in a pipe."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from hpcjobs.model.cluster import Node
from hpcjobs.model.event import Event, EventKind
from hpcjobs.model.file import FileEntry
from hpcjobs.model.job import Job

COLOUR: Mapping[str, str] = {
    "RUNNING": "green", "COMPLETED": "green", "PENDING": "yellow", "SUBMITTING": "yellow", "HELD": "yellow",
    "COMPLETING": "cyan", "SUSPENDED": "yellow", "UNKNOWN": "magenta",
    "file": "none", "dir": "cyan", "symlink": "magenta",
}  # fmt: skip

LAST_COLUMN = 14
NAME_COLUMN = 8
"""Least widths, in characters, before a terminal is too narrow."""


def _clean(text: str) -> str:
    """Without what would move the cursor: names come from other people."""
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)


def _columns(header: Sequence[str], rows: Sequence[Sequence[str]], colour_column: int) -> None:
    console = Console()
    if not console.is_terminal:
        for row in [header, *rows]:
            print("\t".join(_clean(cell) for cell in row))
        return
    cells = [[_clean(cell) for cell in row] for row in rows]
    widths = [max(len(cell) for cell in column) for column in zip(header, *cells, strict=True)]
    # A narrow terminal shortens the name, then what stands last; a job's number and state are never cut.
    spare = console.width - sum(widths[:-1]) - 2 * len(header) - LAST_COLUMN
    table = Table(box=None, pad_edge=False, header_style="bold", expand=True)
    for name, width in zip(header[:-1], widths, strict=False):
        wide = max(NAME_COLUMN, width + min(spare, 0)) if name == "NAME" else width
        table.add_column(name, overflow="ellipsis", no_wrap=True, width=min(wide, width))
    table.add_column(header[-1], overflow="ellipsis", no_wrap=True, ratio=1)
    for row in cells:
        texts = [Text(cell) for cell in row]
        texts[colour_column].stylize(COLOUR.get(row[colour_column].split(" ")[0], "red"))
        table.add_row(*texts)
    console.print(table)


def gpus_text(gpus: Mapping[str, int]) -> str:
    """``8 a100``, or ``-``."""
    return ", ".join(f"{count} {kind}".strip() for kind, count in sorted(gpus.items())) or "-"


def duration(seconds: float) -> str:
    """``1-02:03:04``."""
    minutes, second = divmod(int(max(seconds, 0)), 60)
    hours, minute = divmod(minutes, 60)
    days, hour = divmod(hours, 24)
    return (f"{days}-" if days else "") + f"{hour:02}:{minute:02}:{second:02}"


def moment(seconds: float) -> str:
    """A time of day, local; ``-`` for none."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds)) if seconds else "-"


def _ran(job: Job) -> str:
    if not job.start_time or job.start_time > time.time():
        return "-"
    return duration((job.end_time if job.final else time.time()) - job.start_time)


def jobs(found: Sequence[Job]) -> None:
    """A line a job."""
    rows = [
        (
            str(job.slurm_job_id or "-"),
            job.name,
            job.user,
            job.partition or "-",
            str(job.fate or job.state),
            _ran(job),
            str(job.nodes or "-"),
            gpus_text(job.gpus),
            job.node_list or (f"({job.reason})" if job.reason else job.detail or "-"),
        )
        for job in found
    ]
    _columns(("JOB", "NAME", "USER", "PARTITION", "STATE", "TIME", "NODES", "GPUS", "WHERE (WHY)"), rows, 4)


def job(found: Job) -> None:
    """Everything of one job, a line a fact."""
    facts = {
        "job": f"{found.slurm_job_id or 'not in Slurm'} on {found.cluster}",
        "id": found.id,
        "name": found.name,
        "state": f"{found.fate or found.state}" + (f" ({found.raw_state})" if found.raw_state else ""),
        "why": found.detail or found.reason,
        "user, account": f"{found.user}, {found.account or '-'}",
        "partition, qos": f"{found.partition or '-'}, {found.qos or '-'}",
        "nodes": f"{found.nodes} {found.node_list}".strip(),
        "tasks, cpus": f"{found.ntasks}, {found.cpus}",
        "gpus": gpus_text(found.gpus),
        "memory": f"{found.mem_bytes / 2**30:.1f} GiB",
        "time limit": duration(found.wall_s) if found.wall_s is not None else "-",
        "submitted": moment(found.submit_time),
        "started": moment(found.start_time),
        "ended": moment(found.end_time) if found.final else "-",
        "ran": _ran(found),
        "exit code": f"{found.exit_code}" + (f", signal {found.exit_signal}" if found.exit_signal else ""),
        "restarts": str(found.restarts),
        "working directory": found.workdir,
        "stdout": found.stdout,
        "stderr": found.stderr,
        "comment": found.comment,
    }
    width = max(map(len, facts))
    console = Console(highlight=False, soft_wrap=True)
    for name, value in facts.items():
        if value:
            console.print(Text(f"{name:>{width}}  ", style="dim") + Text(_clean(value)))


def nodes(found: Sequence[Node]) -> None:
    """A line a node."""
    rows = [
        (
            node.name,
            node.raw_state,
            f"{node.cpus_alloc}/{node.cpus}",
            f"{node.mem_alloc_bytes / 2**30:.0f}/{node.mem_bytes / 2**30:.0f}",
            f"{sum(node.gpus_alloc.values())}/{gpus_text(node.gpus)}",
            ",".join(node.partitions),
            node.reason or "-",
        )
        for node in found
    ]
    _columns(("NODE", "STATE", "CPUS", "MEM GiB", "GPUS", "PARTITIONS", "REASON"), rows, 1)


def files(found: Sequence[FileEntry]) -> None:
    """A line a file."""
    rows = [
        (
            file.mode,
            file.owner,
            file.group,
            str(file.size_bytes),
            moment(file.mtime),
            file.type,
            file.name + (f" -> {file.target}" if file.target is not None else ""),
        )
        for file in found
    ]
    _columns(("MODE", "OWNER", "GROUP", "BYTES", "CHANGED", "TYPE", "NAME"), rows, 5)


def event_line(event: Event) -> str:
    """One event, for one line."""
    data = event.data
    match event.kind:
        case EventKind.JOB_STATE:
            words = [f"{data.get('before') or 'new'} -> {data.get('fate') or data.get('state')}"]
            words += [f"({why})" for why in [data.get("detail") or data.get("reason")] if why]
        case EventKind.JOB_ORDER:
            words = [f"{data.get('verb')} {data.get('tasks') or ''}".strip(), f"by {data.get('by')}"]
        case EventKind.NODE_STATE:
            words = [str(data.get("node")), "in use again" if data.get("usable") else "out of use"]
            words += [f"{data.get('raw_state')}", *([f"({data.get('reason')})"] if data.get("reason") else [])]
        case EventKind.CLUSTER_STATE:
            words = ["answers" if data.get("up") else "does not answer", str(data.get("detail") or "")]
        case _:
            words = [f"{name}={value}" for name, value in data.items() if value not in (None, "")]
    whose = [f"job {data.get('slurm_name') or data.get('slurm_job_id') or event.job_id} of {event.user}:"] * (
        event.job_id is not None
    )
    at = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(event.at))
    return _clean(" ".join(filter(None, [str(event.seq), at, event.kind, event.cluster, *whose, *words])))
