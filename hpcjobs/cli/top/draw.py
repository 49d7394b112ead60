"""Draws the view for a screen of some size."""

from __future__ import annotations

import time
from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from hpcjobs.cli.show import COLOUR, clean, gpus_text
from hpcjobs.cli.top.picture import SORTS, Choice, ClusterLine, Seen, Use, cluster_lines, shown_jobs, time_of, where_of
from hpcjobs.model.job import Job

KEYS = "q quit  {sorts} sort  r reverse  m {whose}  arrows choose  c cancel"
WIDTHS = {"JOB": (12, 12), "NAME": (12, 16), "USER": (0, 10), "STATE": (10, 10), "TIME": (11, 21), "NODES": (5, 5),
    "GPUS": (7, 12)}  # fmt: skip
"""Most columns of each, on a narrow screen and on a wide one; 0: it is not shown."""
NARROW = 100
"""Columns below which bars are short and the user's column goes away."""


def _bar(use: Use, width: int) -> Text:
    full = min(width, round(width * use.used / use.whole)) if use.whole else 0
    colour = "green" if not use.whole or use.used < 0.8 * use.whole else "yellow" if use.used < use.whole else "red"
    return Text("█" * full, style=colour) + Text("░" * (width - full), style="dim") + f" {use.used}/{use.whole}"


def _clusters(lines: Sequence[ClusterLine], width: int) -> Table:
    bar = 8 if width < NARROW else 16
    table = Table(box=None, pad_edge=False, header_style="bold", expand=True)
    for name in ("CLUSTER", "GPUS", "CPUS", "NODES", "RUNNING", "WAITING"):
        table.add_column(name, no_wrap=True, overflow="ellipsis", justify="right" if name[-3:] == "ING" else "left")
    for line in lines:
        if line.trouble:
            table.add_row(line.name, Text(clean(line.trouble), style="red", overflow="ellipsis"), "", "", "", "")
            continue
        usable = Text(
            f"{line.nodes.used}/{line.nodes.whole}", style="" if line.nodes.used == line.nodes.whole else "yellow"
        )
        table.add_row(
            line.name, _bar(line.gpus, bar), _bar(line.cpus, bar), usable, str(line.running), str(line.waiting)
        )
    return table


def _jobs(jobs: Sequence[Job], choice: Choice, now: float, width: int, begin: int) -> Table:
    wide = width >= NARROW
    table = Table(box=None, pad_edge=False, header_style="bold", expand=True)
    for name, (short, long) in WIDTHS.items():
        if wide or short:
            table.add_column(name, no_wrap=True, overflow="ellipsis", max_width=long if wide else short)
    table.add_column("WHERE (WHY)", no_wrap=True, overflow="ellipsis", ratio=1)
    for number, job in enumerate(jobs, start=begin):
        state = str(job.fate or job.state)
        cells = [
            Text(job.slurm_name or "-"),
            Text(clean(job.name)),
            *([Text(job.user)] if wide else []),
            Text(state, style=COLOUR.get(state, "red")),
            Text(time_of(job, now, limit=wide)),
            Text(str(job.nodes or "-")),
            Text(gpus_text(job.gpus)),
            Text(clean(where_of(job, now))),
        ]
        table.add_row(*cells, style="reverse" if number == choice.row else "")
    return table


def picture(seen: Seen, choice: Choice, now: float, width: int, height: int | None, note: str = "") -> RenderableType:
    """The whole view.

    Args:
        seen: What the service has told.
        choice: What is chosen.
        now: Unix seconds.
        width: Columns.
        height: Lines; None: as many as there are, and no line of keys.
        note: What is wrong, or ``""``.
    """
    lines, jobs = cluster_lines(seen), shown_jobs(seen, choice)
    head = Text(f"hpcjobs top  {seen.user} at {seen.url}", style="bold", no_wrap=True, overflow="ellipsis")
    clock = f"{time.strftime('%H:%M:%S', time.localtime(now))}"
    head = Text.assemble((f"{clock}  ", "dim"), head, no_wrap=True, overflow="ellipsis")
    if note:
        head.append(f"  {note}", style="red")
    whose = "jobs" if choice.everybody else "your jobs"
    title = f"{len(jobs)}{'+' if seen.more else ''} {whose}, by {SORTS[choice.sort][0]}"
    title += " backwards" if choice.backwards else ""
    parts: list[RenderableType] = [head, "", _clusters(lines, width), "", Text(title, style="dim")]
    if height is None:
        return Group(*parts, _jobs(jobs, choice._replace(row=-1), now, width, 0))
    room = max(1, height - len(lines) - 7)
    begin = max(0, min(choice.row - room // 2, len(jobs) - room))
    table = _jobs(jobs[begin : begin + room], choice, now, width, begin)
    used = len(lines) + 6 + min(room, len(jobs))
    keys = choice.question or KEYS.format(sorts="/".join(SORTS), whose="mine" if choice.everybody else "everybody's")
    foot = Text(keys, style="bold yellow" if choice.question else "dim", no_wrap=True, overflow="ellipsis")
    return Group(*parts, table, *[""] * max(0, height - used - 1), foot)
