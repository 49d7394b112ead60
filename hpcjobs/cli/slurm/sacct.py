"""``sacct`` through the service, from its first word to its exit code."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from hpcjobs.cli.series import version_text
from hpcjobs.cli.slurm import sacct_columns as columns
from hpcjobs.cli.slurm import sacct_jobs as jobs
from hpcjobs.cli.slurm.common import EVERY, Call, Failed, chosen_clusters, run
from hpcjobs.cli.slurm.json_document import LIST, asks_for_list
from hpcjobs.cli.slurm.sacct_fields import TABLE, UNANSWERED, Way
from hpcjobs.cli.slurm.sacct_options import REFUSED, SACCT, USAGE, help_text
from hpcjobs.cli.slurm.sacct_window import BadTime, Window, window
from hpcjobs.cli.slurm.times import Moment
from hpcjobs.model.amount import UNITS
from hpcjobs.sbatch.getopt import Misspelt, permuted

if TYPE_CHECKING:
    from hpcjobs.model.history import Accounted, AccountedList

EACH: Final = {
    "accounts": "account",
    "partition": "partition",
    "name": "name",
    "qos": "qos",
    "wckeys": "wckey",
    "reason": "reason",
    "gid": "group",
    "constraints": "constraint",
    "associations": "association",
    "user": "user",
}
"""Options that are lists, and the service's parameters."""
WHOLE: Final = {"nodelist": "nodes", "ncpus": "cpus", "nnodes": "node_count"}
"""Options that are texts, and the service's parameters."""


class Asked(NamedTuple):
    """What a call asks for.

    Attributes:
        said: Options by their long names.
        window: The time that is looked at.
        filters: What the service is asked.
        choice: What is left of its answer.
        own: Whether only one's own jobs are wanted.
        now: Unix seconds.
    """

    said: Mapping[str, str | None]
    window: Window
    filters: Mapping[str, Any]
    choice: jobs.Choice
    own: bool
    now: float


def call(words: Sequence[str], environment: Mapping[str, str] = os.environ) -> int:
    """Do what a call of sacct says.

    Args:
        words: After the program's name.
        environment: The caller's variables.

    Returns:
        The exit code: sacct's own.
    """
    return run("sacct", _main, words, environment)


def _main(call: Call) -> int:
    try:
        said, others = permuted(call.words, SACCT)
    except Misspelt as error:
        raise Failed(*(error.heard or (f"error: {error}",))) from error
    options = dict(said)
    if text := _early(options):
        sys.stdout.write(text)
        return 0
    if others:
        raise Failed("error: Unknown arguments:", *(f"error:  {word}" for word in others))
    for name, why in REFUSED.items():
        if name in options:
            raise Failed(f"error: {why}")
    try:
        asked = read_call(options, time.time())
    except BadTime as error:
        sys.stderr.write(f"{error}\n")
        return 1
    if "json" in options:
        return _print_json(call, asked)
    return _print_lines(call, asked)


def _early(options: Mapping[str, str | None]) -> str:
    """What only asks about sacct; ``""``: nothing does."""
    if "help" in options:
        return help_text()
    if "usage" in options:
        return USAGE
    if "version" in options:
        return version_text()
    if "helpformat" in options:
        return _grid([field.name for field in TABLE], 4)
    if "helpstate" in options:
        return _grid([name for name in jobs.STATES.values() if name not in ("REQUEUED", "RESIZING", "REVOKED")], 4)
    if "json" in options and asks_for_list(options["json"]):
        return LIST
    if "helpreason" in options:
        from hpcjobs.slurm.reason_words import WORDS

        return _grid([word for word in WORDS if word], 2)
    return ""


def _grid(names: Sequence[str], across: int) -> str:
    width = 80 // across
    lines = [
        " ".join(name.ljust(width - 1) for name in names[first : first + across])
        for first in range(0, len(names), across)
    ]
    return "\n".join(lines) + "\n"


def read_call(options: Mapping[str, str | None], now: float) -> Asked:
    """What a call asks for.

    Args:
        options: By their long names.
        now: Unix seconds.

    Raises:
        Failed: An option says what sacct would not take.
        BadTime: A time is none.
    """
    wanted = jobs.read_jobs(options.get("jobs") or "")
    states = jobs.read_states(options.get("state") or "")
    shown = window(
        options.get("starttime"),
        options.get("endtime"),
        now,
        with_jobs=bool(wanted),
        with_states=bool(states),
    )
    filters: dict[str, Any] = {"since": shown.since, "until": shown.until, "steps": "allocations" not in options}
    filters |= {EACH[name]: _words(options[name]) for name in EACH if name in options}
    filters |= {WHOLE[name]: (options[name] or "").strip() for name in WHOLE if name in options}
    if wanted:
        filters["number"] = sorted({one.number for one in wanted})
    if states:
        filters["state"] = states
    if "duplicates" in options:
        filters["duplicates"] = True
    whole = _whole(options)
    choice = jobs.Choice(
        wanted,
        whole,
        jobs.read_flags(options.get("flags") or ""),
        _limits(options),
        "allocations" in options,
        "array" in options,
    )
    own = not wanted and "allusers" not in options and "user" not in options
    return Asked(options, shown, filters, choice, own, now)


def _words(text: str | None) -> list[str]:
    return [word.strip() for word in (text or "").split(",") if word.strip()]


def _whole(options: Mapping[str, str | None]) -> str:
    if "whole-hetjob" not in options:
        return ""
    value = (options["whole-hetjob"] or "yes").lower()
    if value not in ("yes", "no"):
        raise Failed(f'error: Invalid --whole-hetjob value "{value}". Valid values: [yes|no].')
    return value


def _limits(options: Mapping[str, str | None]) -> tuple[int, int] | None:
    """Time limits in minutes, least and largest."""
    from hpcjobs.sbatch.units import parse_time

    if "timelimit-min" not in options:
        return None
    low = parse_time(options["timelimit-min"] or "") // 60
    high = options.get("timelimit-max")
    return low, parse_time(high) // 60 if high else low


def _unit(options: Mapping[str, str | None]) -> str:
    unit = (options.get("units") or "").upper()
    if "units" in options and (not unit or unit not in UNITS):
        raise Failed(
            f"error: Invalid unit type '{options['units']}'. Possible options are '{''.join(UNITS)}'",
            "fatal: Invalid unit type",
        )
    return unit


def _chosen(options: Mapping[str, str | None], environment: Mapping[str, str]) -> list[columns.Column]:
    """The columns, of which one that nobody can fill is refused where it is asked for by name."""
    if "format" in options:
        text = options["format"] or ""
    elif "long" in options:
        text = columns.LONG
    elif "brief" in options:
        text = columns.BRIEF
    else:
        text = environment.get("SACCT_FORMAT", columns.DEFAULT)
    found = columns.read_columns(text)
    if len(found) < len(TABLE):
        for column in found:
            if why := UNANSWERED.get(column.field.name):
                raise Failed(f"error: {column.field.name} cannot be told through the service: {why}.")
    return found


def _answers(call: Call, asked: Asked) -> list[tuple[str, AccountedList]]:
    """What the service tells, by cluster."""
    filters = dict(asked.filters)
    if asked.own:
        filters["user"] = [call.user]
    said = EVERY if "allclusters" in asked.said else asked.said.get("clusters")
    names = [name or call.clusters[0] for name in chosen_clusters(call, said)]
    return [(name, _ask(call, name, filters, asked)) for name in names]


def _ask(call: Call, cluster: str, filters: Mapping[str, Any], asked: Asked) -> AccountedList:
    from hpcjobs.cli.slurm.service_read import accounting

    answer = accounting(call, cluster, filters)
    if asked.choice.whole == "yes":
        named = set(filters.get("number", ()))
        missing = {job.record.het_job_id for job in answer.items if job.record.het_job_id} - named
        if named and missing:
            return accounting(call, cluster, {**filters, "number": sorted(named | missing)})
    return answer


def _cut(asked: Asked) -> Callable[[Accounted], Accounted]:
    if "truncate" not in asked.said:
        return lambda job: job
    until = asked.window.until or int(asked.now)
    return lambda job: jobs.truncated(job, asked.window.since, until)


def _print_lines(call: Call, asked: Asked) -> int:
    options, environment = asked.said, call.environment
    found = _chosen(options, environment)
    delimited = "parsable" in options or "parsable2" in options
    shape = columns.Shape(
        (options.get("delimiter", "|") or "") if delimited else None,
        "parsable" in options and "parsable2" not in options,
        "noheader" not in options,
    )
    chars = environment.get("SLURM_BITSTR_LEN", "")
    way = Way(
        Moment.of(environment),
        task_chars=int(chars) if chars.isdigit() else 64,
        unit=_unit(options),
        convert="noconvert" not in options,
        expand="expand-patterns" in options,
    )
    cut = _cut(asked)
    rows = (
        row
        for cluster, answer in _answers(call, asked)
        for row in asked.choice.rows(map(cut, answer.items), way._replace(cluster=cluster, uids=answer.user_ids))
    )
    for line in columns.lines(found, rows, shape):
        sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
    return 0


def _print_json(call: Call, asked: Asked) -> int:
    from hpcjobs.cli.slurm.sacct_json import document

    told = [(cluster, answer.items) for cluster, answer in _answers(call, asked)]
    sys.stdout.write(document(call, told, asked.choice))
    return 0
