"""The folder of ``--out``: report.json, metrics.csv, jobs.csv, samples.csv, plots."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

import click
import msgspec

from hpcjobs.cli.simulate.inputs import refused
from hpcjobs.sim.report import tables
from hpcjobs.sim.report.report import Report
from hpcjobs.sim.result import Result
from hpcjobs.sim.workload import SimNode

PLOTS: Final = "pip install matplotlib"


class Out:
    """Files of one comparison, each written anew.

    Args:
        folder: Where; None: nowhere.

    Raises:
        Refused: It cannot be written to.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        if folder is None:
            return
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise refused("--out", f"{folder}: {error.strerror}") from error
        self._write("jobs.csv", [tables.JOBS])
        self._write("samples.csv", [tables.SAMPLES])

    def trial(self, case: str, seed: int, result: Result, nodes: Sequence[SimNode]) -> None:
        """One simulation has ended."""
        if self._folder is not None:
            self._write("jobs.csv", tables.jobs_rows(case, seed, result, nodes), "a")
            self._write("samples.csv", tables.samples_rows(case, seed, result), "a")

    def report(self, report: Report, results: Mapping[str, Result], nodes: Mapping[str, Sequence[SimNode]]) -> None:
        """All have ended. Without matplotlib there are no plots, and it is said what to install."""
        if self._folder is None:
            return
        self._text("report.json", msgspec.json.format(msgspec.json.encode(report)).decode() + "\n")
        self._write("metrics.csv", [tables.METRICS, *tables.metrics_rows(report)])
        try:
            from hpcjobs.sim.report import plots
        except ImportError:
            click.echo(f"hpcjobs: no plots: they need matplotlib; {PLOTS}", err=True)
            return
        try:
            names = {case: [node.name for node in of_case] for case, of_case in nodes.items()}
            for name in plots.draw(report, results, names, self._folder):
                click.echo(f"hpcjobs: no plot {name}", err=True)
        except OSError as error:
            raise refused("--out", f"{self._folder}: {error.strerror}") from error

    def _write(self, name: str, rows: Iterable[Sequence[object]], mode: str = "w") -> None:
        self._text(name, tables.as_csv(rows), mode)

    def _text(self, name: str, text: str, mode: str = "w") -> None:
        if self._folder is None:
            return
        try:
            with (self._folder / name).open(mode, encoding="utf-8", newline="") as file:
                file.write(text)
        except OSError as error:
            raise refused("--out", f"{self._folder / name}: {error.strerror}") from error
