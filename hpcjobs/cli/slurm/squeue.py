"""``hpcjobs squeue``: the jobs that Slurm's controller lists now, as squeue prints them."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from hpcjobs.cli.series import version_text
from hpcjobs.cli.slurm import job_format, squeue_options
from hpcjobs.cli.slurm.common import Call, Failed, chosen_clusters, run, say
from hpcjobs.cli.slurm.job_columns import Look
from hpcjobs.cli.slurm.job_lines import Filters, apart, by_partition, chosen, combined, of_one_name
from hpcjobs.cli.slurm.job_names import JobName
from hpcjobs.cli.slurm.job_sort import in_order
from hpcjobs.cli.slurm.job_states import list_text
from hpcjobs.cli.slurm.json_document import LIST
from hpcjobs.cli.slurm.squeue_options import Asked
from hpcjobs.cli.slurm.times import Moment

if TYPE_CHECKING:
    from hpcjobs.model.job import Job

PROGRAM: Final = "squeue"

USAGE: Final = """\
Usage: squeue [-A account] [--clusters names] [-i seconds] [--job jobid]
              [-n name] [-o format] [-O Format] [--only-job-state] [-p partitions]
              [--qos qos] [--reservation reservation] [--sort fields] [--start]
              [-t states] [-u user_name] [--me] [--notme] [--usage]
              [-L licenses] [-w nodes] [--json] [-P]
              [--running-over=time] [--running-under=time] [-ahjlrv]
"""

HELP: Final = f"""{USAGE}
As squeue of Slurm (squeue(1)), answered by the hpcjobs service from the listing that it keeps: at most a few seconds
old, however many ask. Options, formats, sort orders, states and the SQUEUE_* variables are squeue's.

What differs:
  Which jobs    Those that you may see: your own, those of accounts that you coordinate; operators see all.
  -s, --steps   Refused: {squeue_options.NO_STEPS}.
  --yaml        Refused; --json has every key that the service knows.
  LastSchedEval Refused: it changes whenever Slurm looks at a job.
  StdOut, StdIn, StdErr are the expanded paths, as with --expand-patterns.
  Comment       Without the mark by which hpcjobs finds its jobs.
  SLUID, cpus-per-tres, mem-per-tres, tres-bind, tres-freq, tres-per-socket: N/A where the service reaches Slurm through
                pyslurm, which does not tell them.
  -P            Every partition has the same tier and priority here.
  -a, --all, --hide, --local, --federation, --sibling: taken, and change nothing.

Help options:
  --help, --usage, --version, --helpformat (letters of -o), --helpFormat (names of -O), --helpstate
"""


def call(words: Sequence[str], environment: Mapping[str, str] = os.environ) -> int:
    """Do what a call of squeue says; returns its exit code."""
    return run(PROGRAM, main, words, environment)


def main(call: Call) -> int:
    """See call.

    Raises:
        Misspelt, Failed, ValueError: It cannot be done.
    """
    asked = squeue_options.read(call.words, call.environment)
    if asked.early:
        sys.stdout.write(_early(asked.early))
        return 0
    from hpcjobs.cli.slurm.service_read import listed

    asked = _with_me(asked, call)
    layout = _layout(asked)
    names = [name or call.clusters[0] for name in chosen_clusters(call, asked.clusters)]
    whole_ids = asked.array or "SLURM_BITSTR_LEN" in call.environment
    while True:
        if asked.dated and asked.header:
            sys.stdout.write(time.strftime("%a %b %d %H:%M:%S %Y\n"))
        for at, name in enumerate(names):
            jobs = listed(call, name, _of_service(asked.filters))
            if asked.clusters is not None and asked.header and not asked.json:
                sys.stdout.write(("\n" if at else "") + f"CLUSTER: {name}\n")
            sys.stdout.flush()
            look = Look(Moment.of(call.environment), asked.convert, whole_ids)
            _print(call, asked, layout, name, jobs, look)
        if not asked.every_s:
            return 0
        sys.stdout.write("\n")
        time.sleep(asked.every_s)


def _early(name: str) -> str:
    texts: Mapping[str, Callable[[], str]] = {
        "help": lambda: HELP,
        "usage": lambda: USAGE,
        "version": version_text,
        "helpstate": lambda: list_text().replace(",", "\n") + "\n",
        "helpformat": job_format.letters_help,
        "helpFormat": job_format.names_help,
        "json": lambda: LIST,
    }
    return texts[name]()


def _with_me(asked: Asked, call: Call) -> Asked:
    if not asked.me and not asked.not_me:
        return asked
    name = call.user
    filters = asked.filters
    if asked.me:
        filters = filters._replace(users=[name])
    return asked._replace(filters=filters._replace(not_user=name if asked.not_me else None))


def _layout(asked: Asked) -> job_format.Line:
    if asked.letters is not None:
        layout = job_format.letters(asked.letters)
    elif asked.names is not None:
        layout = job_format.names(asked.names)
    else:
        layout = job_format.names(job_format.LONG if asked.long else job_format.DEFAULT)
    say(PROGRAM, *(f"error: Invalid job format specification: {name}" for name in layout.unknown))
    return layout


def _of_service(filters: Filters) -> dict[str, str]:
    """What of the filters the service can do: one user, by name."""
    users = filters.users or ()
    return {"user": users[0]} if len(users) == 1 and not users[0].isdigit() else {}


def _print(call: Call, asked: Asked, layout: job_format.Line, cluster: str, jobs: list[Job], look: Look) -> None:
    if asked.filters.jobs is not None and len(asked.filters.jobs) == 1:
        jobs = _of_one(jobs, asked.filters.jobs[0])
    lines = chosen(jobs, asked.filters, look.moment.now)
    if asked.json:
        from hpcjobs.cli.slurm.job_json import document

        sys.stdout.write(document(call, cluster, lines, look.moment.now))
        return
    if asked.by_partition:
        lines = by_partition(lines)
        wanted = asked.filters.partitions
        lines = lines if wanted is None else [job for job in lines if job.partition in wanted]
    lines = _sorted(lines if asked.array else combined(lines), asked, look.moment.now)
    out = sys.stdout.buffer
    if asked.header:
        out.write(job_format.header(layout))
    for job in apart(lines) if asked.array else lines:
        out.write(job_format.line(layout, job, look))
    out.flush()


def _of_one(jobs: list[Job], name: JobName) -> list[Job]:
    """The jobs of the only name that was given.

    Raises:
        Failed: Slurm does not list it, or the caller may not see it.
    """
    whole = [job for job in jobs if name.number in (job.slurm_job_id, job.array_job_id, job.het_job_id)]
    if not whole:
        sys.stderr.write("slurm_load_jobs error: Invalid job id specified\n")
        raise Failed
    return of_one_name(whole)


def _sorted(lines: list[Job], asked: Asked, now: int) -> list[Job]:
    try:
        return in_order(lines, asked.sort, now)
    except ValueError as error:
        raise Failed(f"error: {error}") from None
