"""Pictures of a comparison, with matplotlib: utilisation and fragmentation over time, waits by size, Gantt charts.

Imported only where pictures are wanted: matplotlib takes long to load. Colours are those of Okabe and Ito, which people
tell apart who see colours otherwise ("Color Universal Design", 2008); lines differ in their dashes, too.
"""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Final

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from hpcjobs.sim import metrics
from hpcjobs.sim.report.bars import Bar, bars
from hpcjobs.sim.report.figures import size_words
from hpcjobs.sim.report.report import Report
from hpcjobs.sim.result import Result

COLOURS: Final = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
DASHES: Final = ("-", "--", "-.", ":")
MARKERS: Final = ("o", "s", "^", "D", "v")
SIZES: Final = ("#56B4E9", "#009E73", "#F0E442", "#E69F00", "#D55E00", "#CC79A7", "#0072B2", "#999999")
STEPS: Final = 200
"""So many steps has a line over time."""
MOST_BARS: Final = 2000
"""A Gantt chart has no more bars, each a run on a node."""
MOST_ROWS: Final = 96
"""Nor more nodes."""
MOST_NAMES: Final = 32
"""Nor names of nodes beside it; with more nodes not all are named."""
MOST_FLAT: Final = 8
"""Names of more sizes are slanted."""
KINDS: Final = ("svg", "png")
_UNITS: Final = ((2 * 86_400.0, "days", 86_400.0), (2 * 3600.0, "hours", 3600.0), (300.0, "minutes", 60.0))


def draw(
    report: Report, results: Mapping[str, Result], nodes: Mapping[str, Sequence[str]], folder: Path
) -> Iterator[str]:
    """Write every picture, as SVG and as PNG.

    Args:
        report: The comparison.
        results: A result of each case, that of the first seed.
        nodes: Names of the nodes of each case.
        folder: Where they go.

    Yields:
        What there is no picture of, and why.

    Raises:
        OSError: They cannot be written.
    """
    cases = [(name, result) for name, result in results.items() if result.runs]
    if not cases:
        yield "at all: nothing ran"
        return
    pictures: dict[str, Callable[[Axes], None]] = {
        "utilisation": partial(utilisation, cases=cases),
        "waits": partial(waits, report=report),
    }
    if any(_fragments(result) for _, result in cases):
        pictures["fragmentation"] = partial(fragmentation, cases=cases)
    with mpl.rc_context({
        "font.size": 10, "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True, "grid.alpha": 0.3,
        "axes.axisbelow": True, "text.parse_math": False, "legend.frameon": False, "svg.hashsalt": "hpcjobs",
        "savefig.dpi": 144,
    }):  # fmt: skip
        for name, picture in pictures.items():
            _write(folder / name, (9.0, 4.2), picture, _title(report, ""))
        for number, (name, result) in enumerate(cases, start=1):
            names = [_file_name(other) for other, _ in cases]
            what = f"gantt-{names[number - 1]}" + (f"-{number}" if names.count(names[number - 1]) > 1 else "")
            rows = bars(result)
            high = len({row.node for row in rows})
            if not rows or len(rows) > MOST_BARS or high > MOST_ROWS:
                yield f"{what}: " + (f"more than {MOST_BARS} runs or {MOST_ROWS} nodes" if rows else "no node is known")
                continue
            picture = partial(gantt, rows=rows, result=result, nodes=nodes[name])
            _write(folder / what, (10.0, min(14.0, 1.8 + 0.22 * high)), picture, _title(report, name))


def utilisation(axes: Axes, cases: Sequence[tuple[str, Result]]) -> None:
    """How much of the fleet jobs have, over time."""
    span_s = max(metrics.makespan_s(result) for _, result in cases)
    unit, scale_s = _time(span_s)
    step_s = max(span_s / STEPS, 1e-9)
    for place, (name, result) in enumerate(cases):
        steps = metrics.utilisation(result, step_s)
        rate = metrics.allocation_rate(result)
        first, last = metrics.arrival_window(result)
        label = f"{name}: {100 * rate:.1f} % allocated" if last > first else name
        axes.step([at / scale_s for at, _ in steps], [100 * share for _, share in steps], where="post",
            label=label, color=COLOURS[place % len(COLOURS)], linestyle=DASHES[place % len(DASHES)], linewidth=1.4,
            alpha=0.9)  # fmt: skip
    _arrivals_end(axes, cases[0][1], scale_s)
    what = "GPUs" if cases[0][1].gpus else "nodes"
    axes.set(xlabel=f"time ({unit})", ylabel=f"{what} allocated (%)", ylim=(0, 105), xlim=(0, None))
    _legend(axes)


def fragmentation(axes: Axes, cases: Sequence[tuple[str, Result]]) -> None:
    """Which part of the free GPUs no waiting job could use, over time: mean of the samples of each step.

    A line has gaps where no GPU was free or no job waited.
    """
    span_s = max(sample.at_s for _, result in cases for sample in result.samples)
    unit, scale_s = _time(span_s)
    step_s = max(span_s / STEPS, 1e-9)
    for place, (name, result) in enumerate(cases):
        steps: dict[int, list[float]] = {}
        for at_s, share in _fragments(result):
            steps.setdefault(int(at_s // step_s), []).append(share)
        mean = metrics.fragmentation(result)
        label = name if mean is None else f"{name}: mean {100 * mean:.1f} %"
        every = range(min(steps, default=0), max(steps, default=-1) + 1)
        shares = [100 * sum(told) / len(told) if (told := steps.get(step)) else math.nan for step in every]
        axes.plot([(step + 0.5) * step_s / scale_s for step in every], shares, label=label, linewidth=0.8,
            marker=MARKERS[place % len(MARKERS)], markersize=max(2.0, 5.0 - place), color=COLOURS[place % len(COLOURS)],
            alpha=0.85)  # fmt: skip
    _arrivals_end(axes, cases[0][1], scale_s)
    axes.set(xlabel=f"time ({unit})", ylabel="free GPUs no waiting job fits (%)", ylim=(-2, 105), xlim=(0, None))
    _legend(axes)


def waits(axes: Axes, report: Report) -> None:
    """Waits by size of job: a bar to the mean, a whisker to the 99th percentile."""
    by_case = {case.case.name: {one.size: one for one in case.trials[0].waits} for case in report.cases}
    sizes = sorted({size for waits in by_case.values() for size in waits}, key=lambda size: int(size.split("-")[0]))
    longest_s = max((one.wait.p99_s for waits in by_case.values() for one in waits.values()), default=0.0)
    unit, scale_s = _time(longest_s)
    width = 0.8 / max(1, len(by_case))
    for place, (name, waits) in enumerate(by_case.items()):
        there = [(number, waits[size].wait) for number, size in enumerate(sizes) if size in waits]
        at = [number + (place - (len(by_case) - 1) / 2) * width for number, _ in there]
        means = [wait.mean_s / scale_s for _, wait in there]
        tops = [wait.p99_s / scale_s for _, wait in there]
        axes.bar(at, means, width * 0.92, color=COLOURS[place % len(COLOURS)], label=name,
            hatch=("", "//", "..", "xx")[place // len(COLOURS) % 4], edgecolor="white", linewidth=0.5)  # fmt: skip
        axes.vlines(at, means, tops, color="#444444", linewidth=0.9)
        axes.plot(at, tops, linestyle="none", marker="_", markersize=6, color="#444444")
    units = {one.unit for waits in by_case.values() for one in waits.values()}
    jobs = {size: max(waits[size].wait.count for waits in by_case.values() if size in waits) for size in sizes}
    names = [f"{size} ({jobs[size]})" for size in sizes]
    axes.set_xticks(range(len(sizes)), names, fontsize=8)
    if len(sizes) > MOST_FLAT:
        axes.tick_params("x", labelrotation=35)
        for label in axes.get_xticklabels():
            label.set(ha="right", rotation_mode="anchor")
    axes.grid(visible=False, axis="x")
    axes.set(xlabel=f"size of the job in {' or '.join(sorted(units)) or 'GPUs'} (number of jobs)", ylim=(0, None),
        ylabel=f"wait ({unit}): mean, whisker to p99")  # fmt: skip
    _legend(axes)


def gantt(axes: Axes, rows: Sequence[Bar], result: Result, nodes: Sequence[str]) -> None:
    """What ran when on which node; a row is as many lanes high as the node had GPUs in use at a time."""
    there = sorted({row.node for row in rows})
    place = {node: number for number, node in enumerate(there)}
    unit, scale_s = _time(max(row.end_s for row in rows))
    used: dict[int, str] = {}
    for row in rows:
        colour = used.setdefault(row.size, SIZES[row.size.bit_length() % len(SIZES)])
        lane = 0.86 / row.lanes
        axes.broken_barh(
            [(row.start_s / scale_s, (row.end_s - row.start_s) / scale_s)],
            (place[row.node] - 0.43 + row.lane * lane, row.width * lane),
            facecolor=colour, edgecolor="white" if not row.cut else "black", linewidth=0.4,
            hatch="////" if row.cut else None,
        )  # fmt: skip
    in_ = "GPUs" if result.gpus else "nodes"
    handles = [
        Patch(facecolor=used[size], label=f"{size_words(size)} {in_ if size > 1 else in_[:-1]}")
        for size in sorted(used)
    ]
    if any(row.cut for row in rows):
        handles.append(Patch(facecolor="white", edgecolor="black", hatch="////", label="cut off, then again"))
    names = [nodes[node] for node in there]
    every = -(-len(names) // MOST_NAMES)
    axes.set_yticks(range(0, len(names), every), names[::every], fontsize=8)
    axes.set(xlabel=f"time ({unit})", ylabel="node", ylim=(len(there) - 0.4, -0.6), xlim=(0, None))
    axes.grid(visible=False, axis="y")
    axes.legend(handles=handles, title="size of the job", loc="upper left", bbox_to_anchor=(1.01, 1.0))


def _fragments(result: Result) -> list[tuple[float, float]]:
    return [
        (one.at_s, one.gpus_stuck / one.gpus_free) for one in result.samples if one.gpus_free and one.waiting
    ]  # fmt: skip


def _arrivals_end(axes: Axes, result: Result, scale_s: float) -> None:
    first, last = metrics.arrival_window(result)
    if last > first:
        axes.axvline(last / scale_s, color="#777777", linewidth=0.9, linestyle=(0, (1, 2)))
        axes.text(last / scale_s, 1.0, " last arrival", transform=axes.get_xaxis_transform(), fontsize=8, va="bottom",
            color="#555555", ha="center")  # fmt: skip


def _legend(axes: Axes) -> None:
    axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1.0))


def _time(span_s: float) -> tuple[str, float]:
    return next(((unit, scale_s) for least_s, unit, scale_s in _UNITS if span_s >= least_s), ("s", 1.0))


def _title(report: Report, case: str) -> str:
    demand = next((case.figures["demand"] for case in report.cases if case.figures["demand"] is not None), None)
    told = [case, report.origin if len(report.origin) <= 90 else f"{report.origin[:89]}…"]
    size = f"{report.gpus} GPUs on {report.nodes} nodes" if report.gpus else f"{report.nodes} nodes"
    under = [size, f"demand {demand.mean:.2f}" if demand else "", f"seed {report.seeds[0]}"]
    return ": ".join(filter(None, told)) + "\n" + ", ".join(filter(None, under))


def _file_name(case: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "-", case).strip("-.") or "case"


def _write(path: Path, size: tuple[float, float], picture: Callable[[Axes], None], title: str) -> None:
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.add_subplot()
    picture(axes)
    axes.set_title(title, fontsize=10, loc="left", pad=14)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing", UserWarning)  # names come from people of any script
        for kind in KINDS:
            figure.savefig(path.with_name(f"{path.name}.{kind}"), metadata={"Date": None} if kind == "svg" else None)
