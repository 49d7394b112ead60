"""``hpcjobs history``: what happened to a job since it was submitted."""

from __future__ import annotations

import itertools
import textwrap
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

import click

from hpcjobs.cli.common import cluster_option, json_option, print_json, service
from hpcjobs.cli.completion import values

if TYPE_CHECKING:
    from hpcjobs.model.job_runs import JobRun, JobRuns
    from hpcjobs.model.losses import JobTime
    from hpcjobs.model.progress import Progress
    from hpcjobs.model.recovery import Recovery

WIDTH: Final = 80
"""Of lines of text, in characters."""
MOST_LINES: Final = 3
"""Of what says why a run ended."""


@click.command()
@click.argument("job", shell_complete=values.recent_jobs)
@cluster_option
@json_option
def history(job: str, cluster: str | None, as_json: bool) -> None:
    """What happened to JOB, run by run: where it ran, why it ended, what was decided then; and what comes next.

    Runs are counted from 0, as SLURM_RESTART_COUNT does.
    """
    with service() as client:
        found = client.job_runs(job, cluster=cluster)
        print_json(found) if as_json else _show(found)


def _show(found: JobRuns) -> None:
    from hpcjobs.cli.show import clean, moment, table
    from hpcjobs.model.spans import fold_tasks

    if found.more:
        click.echo(f"{found.more} runs before these are left out.\n")
    if found.tasks:
        name = found.job.slurm_name
        told = f"Tasks of which something was decided: {fold_tasks(found.tasks)}."
        click.echo(_folded(f"{told} See hpcjobs history {name}_{found.tasks[0]}.", ""))
    if found.runs:
        table(("RUN", "BEGAN", "RAN", "END", "THEN", "NODES"), [_row(run) for run in found.runs], 3)
    if len(found.attempts) > 1:
        click.echo()
        for attempt in found.attempts:
            word = attempt.state.lower()
            click.echo(_folded(f"{moment(attempt.created_at)} attempt {attempt.number} {word}. {attempt.detail}", ""))
    for run in found.runs:
        if run.recovery is not None or run.progress is not None or run.requeued_by:
            click.echo()
            for line, indent in _story(run):
                click.echo(_folded(clean(line), indent))
    if found.time is not None and len(found.runs) > 1:
        click.echo("\n" + _folded(_spent(found.time), ""))
    then = f" Not before {moment(found.next_at)}." if found.next_at else ""
    click.echo("\n" + _folded(clean(f"Next: {found.next}{then}"), ""))


def _spent(time_: JobTime) -> str:
    """Where its time went, in a sentence, and how far that is known."""
    from hpcjobs.cli.show import duration

    parts = time_.losses.time_s
    whole = parts.whole or 1.0
    lost = [(name, getattr(parts, name)) for name in parts.__struct_fields__ if name != "productive"]
    told = ", ".join(f"{name} {100 * part / whole:.1f} %" for name, part in lost if part)
    ratio = f"ETTR {time_.ettr or 0.0:.3f}: of {duration(parts.whole)} {duration(parts.productive)} were productive"
    return " ".join([f"{ratio}{'; ' if told else ''}{told}.", *time_.told])


def _folded(line: str, indent: str) -> str:
    return textwrap.fill(line, WIDTH, initial_indent=indent, subsequent_indent=f"{indent}  ", break_on_hyphens=False)


def _row(run: JobRun) -> tuple[str, ...]:
    from hpcjobs.cli.show import duration, moment

    until = run.ended or (time.time() if run.state != "FINISHED" else None)
    ran = duration(until - run.began) if run.began and until else "-"
    end = str(run.fate or run.state)
    if run.state == "FINISHED" and run.fate is None:
        end = run.raw_state or "?"
    return str(run.run), moment(run.began or 0), ran, end, _then(run), run.node_list or "-"


def _then(run: JobRun) -> str:
    if run.again_s is not None:
        return f"again in {_took(run.again_s)}"
    if run.recovery is None:
        return "requeued" if run.requeued_by else "-"
    return {"Started again": "again", "Held": "held"}.get(_what(run.recovery), "stays")


def _what(recovery: Recovery) -> str:
    from hpcjobs.model.recovery import Hold, RecoveryState, Retry

    if isinstance(recovery.decision, Retry):
        return "Started again"
    held = isinstance(recovery.decision, Hold) and recovery.state is not RecoveryState.OVER
    return "Held" if held else "Left as it ended"


def _took(seconds: float) -> str:
    from hpcjobs.cli.show import duration

    return f"{seconds:.1f} s" if seconds < 60 else duration(seconds)


def _story(run: JobRun) -> Iterator[tuple[str, str]]:
    """Lines about a run that ended, each with how far it is indented."""
    from hpcjobs.cli.show import moment

    ended = f", ended {moment(run.ended)}" if run.ended else ""
    code = f", exit code {run.exit_code}" if run.exit_code else ""
    signal = f", signal {run.exit_signal}" if run.exit_signal else ""
    yield f"Run {run.run}{ended}{code}{signal}:", ""
    if run.progress is not None:
        yield from _progress(run.progress, run.resumed_step)
    if run.recovery is not None:
        yield from _why(run.recovery)
        yield from _decided(run, run.recovery)
    if run.requeued_by:
        yield f"{run.requeued_by} had it requeued" + (f": {run.requeued_why}" if run.requeued_why else "."), "  "


def _progress(told: Progress, resumed: int | None) -> Iterator[tuple[str, str]]:
    from hpcjobs.cli.show import moment

    words = [
        f"Went on from step {resumed}." if resumed is not None else "Went on from a checkpoint." * bool(told.resumed)
    ]
    words += [f"Came to step {told.step}."] if told.step is not None else []
    if told.checkpoint:
        saved = f" at {moment(told.checkpoint_at)}" if told.checkpoint_at else ""
        words.append(f"Last checkpoint: step {told.checkpoint_step}{saved}.")
    else:
        words.append("It left no checkpoint.")
    yield " ".join(filter(None, words)), "  "
    if told.fault:
        yield f"Its agent: {told.fault}", "    "


def _why(recovery: Recovery) -> Iterator[tuple[str, str]]:
    diagnosis = recovery.diagnosis
    sure = ", not sure" if diagnosis.sure == "weak" and diagnosis.failure != "unknown" else ""
    yield f"{diagnosis.sentence} ({diagnosis.failure}{sure})", "  "
    new = (one for one in diagnosis.findings if one.text and one.text not in diagnosis.sentence)
    for one in itertools.islice(new, MOST_LINES):
        where = f"{one.source}:{one.line}" if one.line else one.source
        yield f"{where}: {one.text}", "    "


def _decided(run: JobRun, recovery: Recovery) -> Iterator[tuple[str, str]]:
    from hpcjobs.model.recovery import Retry

    decision = recovery.decision
    why = decision.why.removeprefix(recovery.diagnosis.sentence).strip()  # it mostly begins with what was said above
    if isinstance(decision, Retry):
        avoided = f" Avoided: {', '.join(decision.avoid)}." if decision.avoid else ""
        yield f"{why or 'Started again.'}{avoided}", "  "
    else:
        yield f"{_what(recovery)}: {why or 'nothing else would help.'}", "  "
    after = f" {_took(run.decision_s)} after the end" if run.decision_s is not None else ""
    if recovery.diagnosis.failure == "hang" and (run.ended is None or run.ended > recovery.decided_at):
        after = " while it hung"
    again = f"; it ran again {_took(run.restart_s)} later" if run.restart_s is not None else ""
    yield f"Decided by {recovery.plugin}{after}{again}.", "  "
