"""Jobs and nodes for the eye: rich tables on a terminal, plain columns in a pipe."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from hpcjobs.model.cluster import Node
from hpcjobs.model.event import Event, EventKind
from hpcjobs.model.file import FileEntry
from hpcjobs.model.history import Step
from hpcjobs.model.job import Job
from hpcjobs.model.partition import Partition
from hpcjobs.model.pool import GpuKind

COLOUR: Mapping[str, str] = {
    "RUNNING": "green", "COMPLETED": "green", "PENDING": "yellow", "SUBMITTING": "yellow", "HELD": "yellow",
    "COMPLETING": "cyan", "SUSPENDED": "yellow", "UNKNOWN": "magenta",
    "IDLE": "green", "ALLOCATED": "green", "MIXED": "green", "UP": "green", "DRAIN": "yellow", "INACTIVE": "yellow",
    "file": "none", "dir": "cyan", "symlink": "magenta",
}  # fmt: skip

LAST_COLUMN = 14
NAME_COLUMN = 8
"""Least widths, in characters, before a terminal is too narrow."""


def clean(text: str) -> str:
    """Without what would move the cursor: names come from other people."""
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)


def table(header: Sequence[str], rows: Sequence[Sequence[str]], colour_column: int | None) -> None:
    """A line a row: a table on a terminal, plain columns with tabs between them in a pipe; None: no state in it."""
    console = Console()
    if not console.is_terminal:
        for row in [header, *rows]:
            print("\t".join(clean(cell) for cell in row))
        return
    cells = [[clean(cell) for cell in row] for row in rows]
    widths = [max(len(cell) for cell in column) for column in zip(header, *cells, strict=True)]
    # A narrow terminal shortens the name, then what stands last; a job's number and state are never cut.
    spare = console.width - sum(widths[:-1]) - 2 * len(header) - LAST_COLUMN
    shown = Table(box=None, pad_edge=False, header_style="bold", expand=True)
    for name, width in zip(header[:-1], widths, strict=False):
        wide = max(NAME_COLUMN, width + min(spare, 0)) if name == "NAME" else width
        shown.add_column(name, overflow="ellipsis", no_wrap=True, width=min(wide, width))
    shown.add_column(header[-1], overflow="ellipsis", no_wrap=True, ratio=1)
    for row in cells:
        texts = [Text(cell) for cell in row]
        if colour_column is not None:
            texts[colour_column].stylize(COLOUR.get(row[colour_column].split(" ")[0], "red"))
        shown.add_row(*texts)
    console.print(shown)


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


def ran(job: Job) -> str:
    """For how long a job has run; ``-``: it has not."""
    if not job.start_time or job.start_time > time.time():
        return "-"
    return duration((job.end_time if job.final else time.time()) - job.start_time)


def jobs(found: Sequence[Job]) -> None:
    """A line a job."""
    rows = [
        (
            job.slurm_name or "-",
            job.name,
            job.user,
            job.partition or "-",
            str(job.fate or job.state),
            ran(job),
            str(job.nodes or "-"),
            gpus_text(job.gpus),
            job.node_list or (f"({job.reason})" if job.reason else job.detail or "-"),
        )
        for job in found
    ]
    table(("JOB", "NAME", "USER", "PARTITION", "STATE", "TIME", "NODES", "GPUS", "WHERE (WHY)"), rows, 4)


def facts(found: Mapping[str, str]) -> None:
    """A line a fact; what is empty is left out."""
    width = max(map(len, found))
    console = Console(highlight=False, soft_wrap=True)
    for name, value in found.items():
        if value:
            words = "\n".join(map(clean, value.split("\n")))
            console.print(Text(f"{name:>{width}}  ", style="dim") + Text(words))


def job(found: Job, more: Mapping[str, str] | None = None) -> None:
    """Everything of one job, a line a fact.

    Args:
        found: The job.
        more: Further facts.
    """
    facts(
        {
            "job": f"{found.slurm_name or 'not in Slurm'} on {found.cluster}",
            "id": found.id,
            "name": found.name,
            "state": f"{found.fate or found.state}" + (f" ({found.raw_state})" if found.raw_state else ""),
            "why": found.detail or found.reason,
            "tasks": ", ".join(f"{count} {state}" for state, count in sorted(found.tasks.items())),
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
            "ran": ran(found),
            "exit code": f"{found.exit_code}" + (f", signal {found.exit_signal}" if found.exit_signal else ""),
            "restarts": f"{found.restarts}: see hpcjobs history {found.slurm_name}" if found.restarts else "0",
            "dependency": found.dependency,
            "working directory": found.workdir,
            "stdout": found.stdout,
            "stderr": found.stderr,
            "comment": found.comment,
            **(more or {}),
        }
    )


def steps(found: Sequence[Step]) -> None:
    """A line a step."""
    rows = [
        (
            step.id,
            step.name or "-",
            step.raw_state,
            duration(step.end_time - step.start_time) if step.start_time and step.end_time else "-",
            f"{step.exit_code}:{step.exit_signal}",
            str(step.ntasks),
            str(step.cpus),
            gpus_text(step.gpus),
            f"{step.mem_max_bytes / 2**20:.0f} MiB" if step.mem_max_bytes else "-",
            step.node_list or "-",
        )
        for step in found
    ]
    table(("STEP", "NAME", "STATE", "TIME", "EXIT", "TASKS", "CPUS", "GPUS", "MOST MEM", "NODES"), rows, 2)


def nodes(found: Sequence[Node]) -> None:
    """A line a node."""
    rows = [
        (
            node.name,
            node.raw_state,
            f"{node.cpus_alloc}/{node.cpus}",
            f"{node.mem_alloc_bytes / 2**30:.0f}/{node.mem_bytes / 2**30:.0f}",
            f"{sum(node.gpus_alloc.values())}/{gpus_text(node.gpus)}",
            ",".join(node.features) or "-",
            ",".join(node.partitions),
            node.reason or "-",
        )
        for node in found
    ]
    table(("NODE", "STATE", "CPUS", "MEM GiB", "GPUS", "FEATURES", "PARTITIONS", "REASON"), rows, 1)


def gpu_kinds(found: Sequence[GpuKind]) -> None:
    """A line a type of accelerator, and their sum where there are several."""

    def number(value: float) -> str:
        return f"{value:.2f}".rstrip("0").rstrip(".")

    fields = ("nodes", "total", "allocated", "begun", "idle", "fragmented", "stranded", "reserved", "down")
    rows = [(one.kind or "(no type)", *(number(getattr(one, field)) for field in fields)) for one in found]
    if len(found) > 1:
        sums = [number(sum(getattr(one, field) for one in found)) for field in fields]
        rows.append(("total", "", *sums[1:]))  # nodes with several types would count twice
    table(("GPU", *(field.upper() for field in fields)), rows, None)


def partitions(found: Sequence[Partition], nodes: Sequence[Node]) -> None:
    """A line a partition, with what its nodes have and what of it is free."""
    rows = []
    for partition in found:
        inside = [node for node in nodes if partition.name in node.partitions]
        usable = [node for node in inside if node.usable]
        gpus: Counter[str] = Counter()
        for node in inside:
            gpus.update(node.gpus)
        rows.append(
            (
                partition.name + ("*" if partition.default else ""),
                partition.state,
                f"{sum(not node.cpus_alloc for node in usable)}/{partition.total_nodes}",
                f"{sum(node.cpus - node.cpus_alloc for node in usable)}/{partition.total_cpus}",
                f"{sum(sum(node.gpus.values()) - sum(node.gpus_alloc.values()) for node in usable)}/{gpus_text(gpus)}",
                "unlimited" if partition.wall_max_s is None else duration(partition.wall_max_s),
                "-" if partition.wall_default_s is None else duration(partition.wall_default_s),
                partition.nodes or "-",
            )
        )
    header = ("PARTITION", "STATE", "FREE NODES", "FREE CPUS", "FREE GPUS", "TIME LIMIT", "DEFAULT TIME", "NODES")
    table(header, rows, 1)


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
    table(("MODE", "OWNER", "GROUP", "BYTES", "CHANGED", "TYPE", "NAME"), rows, 5)


def event_line(event: Event) -> str:
    """One event, for one line."""
    data = event.data
    match event.kind:
        case EventKind.JOB_STATE:
            words = [f"{data.get('before') or 'new'} -> {data.get('fate') or data.get('state')}"]
            words += [f"({why})" for why in [data.get("detail") or data.get("reason")] if why]
        case EventKind.JOB_ORDER:
            words = [f"{data.get('verb')} {data.get('tasks') or ''}".strip(), f"by {data.get('by')}"]
        case EventKind.JOB_RECOVERY:
            words = [f"run {data.get('run')} failed ({data.get('failure')}), {data.get('decision')}"]
            words += [f"without {data.get('avoid')}"] if data.get("avoid") else []
            words += [f"by {data.get('plugin')}: {data.get('why')}"]
        case EventKind.NODE_STATE:
            words = [str(data.get("node")), "in use again" if data.get("usable") else "out of use"]
            words += [f"{data.get('raw_state')}", *([f"({data.get('reason')})"] if data.get("reason") else [])]
        case EventKind.NODE_FAILED:
            words = [
                f"{data.get('node')} failed under it",
                *([f"({data.get('reason')})"] if data.get("reason") else []),
            ]
        case EventKind.NODE_LEMON:
            words = [str(data.get("node")), "is a lemon" if data.get("standing") == "lemon" else "is no lemon any more"]
            words += [f"({data.get('evidence')})"] if data.get("evidence") else []
        case EventKind.NODE_PARDON:
            words = [f"{data.get('node')} was pardoned by {data.get('by')}", f"({data.get('why')})"]
        case EventKind.CLUSTER_STATE:
            words = ["answers" if data.get("up") else "does not answer", str(data.get("detail") or "")]
        case EventKind.PLUGIN_STATE:
            words = [f"{data.get('plugin')} is {data.get('state')}", f"in generation {data.get('generation')}"]
            words += [f"({data.get('detail')})"] if data.get("detail") else []
        case EventKind.PLUGIN_FINDING:
            words = [f"{data.get('plugin')}:", str(data.get("text"))]
        case _:
            words = [f"{name}={value}" for name, value in data.items() if value not in (None, "")]
    whose = [f"job {data.get('slurm_name') or data.get('slurm_job_id') or event.job_id} of {event.user}:"] * (
        event.job_id is not None
    )
    at = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(event.at))
    return clean(" ".join(filter(None, [str(event.seq), at, event.kind, event.cluster, *whose, *words])))
