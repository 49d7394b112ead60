"""A report for the eye: tables on stdout, what has to be known beside them on stderr."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Final

import click

from hpcjobs.cli.show import duration, moment, table
from hpcjobs.sim.report import tables
from hpcjobs.sim.report.report import Report

MOST_LINES: Final = 50
"""So many jobs that wait are shown; report.json has all."""
MOST_REASONS: Final = 5
AT_ONCE_S: Final = 10.0
"""What starts so soon starts at once: slurmctld looks about every second, and waits for more submissions."""


def report(found: Report) -> None:
    """The tables."""
    cases = [case.case.name for case in found.cases]
    if found.observed_at is not None:
        _expected(found, cases)
        click.echo()
    table(("FIGURE", "UNIT", *cases), tables.figures(found), None)
    rows = tables.waits(found)
    if rows and found.observed_at is None:
        click.echo()
        table(("SIZE", "IN", "JOBS", *(f"{case}: MEAN / P99 WAIT, s" for case in cases)), rows, None)


def _expected(found: Report, cases: Sequence[str]) -> None:
    rows = [
        (
            one.job,
            one.name,
            one.user,
            str(one.nodes),
            str(one.gpus),
            duration(one.wall_s),
            *(_start(one.starts[case], found.observed_at or 0.0) for case in cases),
        )
        for one in found.expected
    ]
    table(
        ("JOB", "NAME", "USER", "NODES", "GPUS", "LIMIT", *(f"{case}: STARTS" for case in cases)),
        rows[:MOST_LINES],
        None,
    )
    if len(rows) > MOST_LINES:
        click.echo(f"and {len(rows) - MOST_LINES} more; --json and --out have all", err=True)


def _start(at: float | None, observed_at: float) -> str:
    if at is None:
        return "not as things are"
    return "at once" if at <= observed_at + AT_ONCE_S else moment(at)


def troubles(found: Report, of_policies: Mapping[str, Mapping[str, str]]) -> None:
    """What was simulated, what is assumed, and what went wrong, on stderr."""
    many = f", seeds {found.seeds[0]} to {found.seeds[-1]}" if len(found.seeds) > 1 else ""
    click.echo(f"{found.origin}: {found.jobs} jobs, {found.nodes} nodes, {found.gpus} GPUs{many}", err=True)
    if found.observed_at is not None:
        click.echo(f"As listed at {moment(found.observed_at)} ({time.strftime('%Z')}).", err=True)
    for what, counts in (("left out", found.dropped), ("remark", found.remarks)):
        for reason, count in list(counts.items())[:MOST_REASONS]:
            click.echo(f"{what}: {reason}: {count}", err=True)
        if len(counts) > MOST_REASONS:
            click.echo(f"{what}: {len(counts) - MOST_REASONS} more reasons; --json has all", err=True)
    for line in found.assumptions:
        click.echo(f"assumed: {line}", err=True)
    for case in found.cases:
        waiting = case.figures["waiting"]
        if waiting is not None and waiting.most:
            what = f"{waiting.most:.0f} jobs still waited or ran when it stopped"
            click.echo(f"hpcjobs: warning: {case.case.name}: {what}", err=True)
        for policy, trouble in of_policies.get(case.case.name, {}).items():
            click.echo(f"hpcjobs: warning: {case.case.name}: {policy} {trouble}", err=True)
        for policy, count in case.trials[0].policy_errors.items():
            what = f"{policy} failed in {count} ticks; what it wished before was kept"
            click.echo(f"hpcjobs: warning: {case.case.name}: {what}", err=True)
