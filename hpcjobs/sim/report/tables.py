"""Tables of a comparison, as rows of text: for the eye, and for files of CSV. Pure."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from hpcjobs.sbatch.hostlists import fold_hostlist
from hpcjobs.sim.report.figures import UNITS, Spread
from hpcjobs.sim.report.report import Report
from hpcjobs.sim.result import Result, Run
from hpcjobs.sim.workload import SimNode

NOISE: Final = 1e-9
"""A relative spread below it is that of rounding, and not told."""
ONLY_WHERE_THERE: Final = frozenset(
    {"gang_wait_count", "waiting", "refused", "restarts", "timeouts", "failed", "failures"}
)
"""Figures that are not shown where they are 0."""
Row = tuple[str, ...]
JOBS: Final = ("case", "seed", "job", "name", "user", "account", "partition", "gang", "nodes", "gpus", "submit_s",
    "first_start_s", "last_end_s", "wait_s", "run_s", "wall_s", "runs", "lost_s", "idle_s", "end",
    "node_list")  # fmt: skip
METRICS: Final = ("case", "metric", "unit", "mean", "sd", "least", "most", "seeds")
SAMPLES: Final = ("case", "seed", "at_s", "waiting", "running", "nodes_used", "nodes_up", "gpus_used", "gpus_free",
    "gpus_stuck")  # fmt: skip


def number(value: float | None) -> str:
    """A number with four digits that count, as people read it; ``-`` for none."""
    if value is None:
        return "-"
    if value == int(value) or abs(value) >= 1_000:
        return f"{value:.0f}"
    return f"{value:.4g}"


def _cell(figure: Spread | None) -> str:
    if figure is None:
        return "-"
    mean = number(figure.mean)
    spread = number(float(f"{figure.sd:.2g}"))
    return f"{mean} ± {spread}" if figure.sd > abs(figure.mean) * NOISE else mean


def figures(report: Report) -> list[Row]:
    """A line a figure, a column a case; what no case has is left out, and what went wrong in none."""
    rows: list[Row] = []
    for name, unit in UNITS.items():
        cells = [_cell(case.figures[name]) for case in report.cases]
        nothing = ("-", "0") if name in ONLY_WHERE_THERE else ("-",)
        if any(cell not in nothing for cell in cells):
            rows.append((name, unit or "-", *cells))
    return rows


def waits(report: Report) -> list[Row]:
    """A line a class of size, for each case the mean and the 99th percentile; of the first seed."""
    by_case = [{one.size: one for one in case.trials[0].waits} for case in report.cases]
    sizes = list(dict.fromkeys(size for sizes in by_case for size in sizes))
    sizes.sort(key=lambda size: int(size.split("-")[0]))
    rows: list[Row] = []
    for size in sizes:
        cells: list[str] = []
        for sizes_of in by_case:
            wait = sizes_of[size].wait if size in sizes_of else None
            cells.append("-" if wait is None else f"{number(wait.mean_s)} / {number(wait.p99_s)}")
        there = next(sizes_of[size] for sizes_of in by_case if size in sizes_of)
        rows.append((size, there.unit, str(there.wait.count), *cells))
    return rows


def metrics_rows(report: Report) -> Iterator[Sequence[object]]:
    """Of metrics.csv: a line a figure of a case."""
    for case in report.cases:
        for name, unit in UNITS.items():
            told = case.figures[name]
            if told is not None:
                yield case.case.name, name, unit, told.mean, told.sd, told.least, told.most, told.seeds


def jobs_rows(case: str, seed: int, result: Result, nodes: Sequence[SimNode]) -> Iterator[Sequence[object]]:
    """Of jobs.csv: a line a job. Empty is what a job does not have: one that waits has no start."""
    runs: dict[int, list[Run]] = {}
    for run in result.runs:
        runs.setdefault(run.job, []).append(run)
    refused = frozenset(result.refused)
    for job in result.jobs.values():
        own = runs.get(job.number, [])
        first = min((run.start_s for run in own), default=None)
        last = max(own, key=lambda run: run.start_s, default=None)
        end = result.ended.get(job.number)
        open_ = "RUNNING" if last is not None and last.end_s is None else "WAITING"
        yield (
            case, seed, job.number, job.name, job.user, job.account, job.partition, job.hints.gang, job.nodes, job.gpus,
            job.submit_s, first, last.end_s if last is not None and end is not None else None,
            None if first is None else first - job.submit_s, job.run_s, job.wall_s, len(own),
            sum(run.lost_s for run in own), sum(run.idle_s for run in own),
            str(end) if end is not None else "REFUSED" if job.number in refused else open_,
            fold_hostlist(nodes[index].name for index in last.indices) if last is not None else "",
        )  # fmt: skip


def samples_rows(case: str, seed: int, result: Result) -> Iterator[Sequence[object]]:
    """Of samples.csv: a line a sample."""
    for one in result.samples:
        yield (case, seed, *(getattr(one, name) for name in one.__struct_fields__))


def as_csv(rows: Iterable[Sequence[object]]) -> str:
    """Lines of CSV (RFC 4180, lines end as on Unix). A cell that a spreadsheet would take for a formula is quoted."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([[_safe(cell) for cell in row] for row in rows])
    return text.getvalue()


def _safe(cell: object) -> object:
    """Names come from other people."""
    return f"'{cell}" if isinstance(cell, str) and cell[:1] in ("=", "+", "-", "@", "\t", "\r") else cell
