"""``scontrol show job``, hold, release, requeue, suspend and resume."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from hpcjobs.cli.slurm.common import Failed
from hpcjobs.cli.slurm.job_lines import named, of_one_name
from hpcjobs.cli.slurm.job_names import JobName, parted, service_name
from hpcjobs.cli.slurm.job_orders import INVALID, Outcome, act
from hpcjobs.cli.slurm.job_states import base_state
from hpcjobs.cli.slurm.job_words import text_of
from hpcjobs.cli.slurm.service_read import listed
from hpcjobs.cli.slurm.times import Moment
from hpcjobs.model.order import Verb

if TYPE_CHECKING:
    from hpcjobs.cli.slurm.scontrol import Request
    from hpcjobs.model.job import Job

PROGRAM: Final = "scontrol"
_ID: Final = re.compile(r"0*([1-9][0-9]{0,9})(?:_([0-9]{1,7})|\+([0-9]{1,4}))?", re.ASCII)
_NAME: Final = re.compile(r"(?:Job)?Name=(.*)", re.IGNORECASE | re.DOTALL)


def show(request: Request) -> int:
    """``scontrol show job [ID[,ID...]]``."""
    moment = Moment.of(request.call.environment)
    asked = [word for word in request.words[0].split(",") if word] if request.words else []
    wrong = [word for word in asked if not _ID.fullmatch(word)]
    if wrong:
        return _fault(request, f"scontrol_print_job error: {INVALID}")
    jobs = listed(request.call, request.cluster_name)
    code, chosen = 0, jobs
    if asked:
        chosen = []
        for word in asked:
            found, fault = _of(jobs, word)
            chosen += found
            code |= _fault(request, fault) if fault else 0
    if "json" in request.options:
        from hpcjobs.cli.slurm.job_json import document

        sys.stdout.write(document(request.call, request.cluster_name, chosen, moment.now))
        return code
    details, one_line = "details" in request.options, "oneliner" in request.options
    texts = (text_of(job, moment, details=details, one_line=one_line) for job in chosen)
    sys.stdout.buffer.write("".join(texts).encode(errors="surrogateescape"))
    sys.stdout.buffer.flush()
    if not asked and not jobs:
        sys.stdout.write("No jobs in the system\n")
    return code


def _fault(request: Request, words: str) -> int:
    if not request.quiet:
        sys.stdout.flush()
        sys.stderr.write(f"{words}\n")
    return 1


def _of(jobs: Sequence[Job], word: str) -> tuple[list[Job], str]:
    """The jobs of a name, and what scontrol says where there is none."""
    match = _ID.fullmatch(word)
    if match is None:
        return [], f"scontrol_print_job error: {INVALID}"
    number, task, offset = int(match[1]), match[2], match[3]
    whole = [job for job in jobs if number in (job.slurm_job_id, job.array_job_id, job.het_job_id)]
    if not whole:
        return [], f"slurm_load_jobs error: {INVALID}"
    if task is not None:
        name = JobName(number, frozenset({int(task)}))
        found = [one for job in whole if (one := named(job, [name])) is not None]
        return found, "" if found else f"Job {word} not found"
    if offset is not None:
        found = [job for job in whole if job.het_job_id == number and job.het_offset == int(offset)]
        return found, "" if found else f"Job {word} not found"
    exact = [job for job in whole if job.slurm_job_id == number]
    if exact and exact[0].het_job_id != number and exact[0].array_job_id != number:
        return exact, ""
    return of_one_name(whole), ""


def names_of(request: Request, words: Sequence[str], *, waiting: bool = False) -> list[str]:
    """The jobs that words name: numbers, lists of them, ``JobId=`` and ``Name=``.

    Args:
        request: What is asked for.
        words: Its words.
        waiting: Whether ``Name=`` is taken, and means the jobs of that name that wait.
    """
    found: list[str] = []
    for word in words:
        by_name = _NAME.fullmatch(word) if waiting else None
        if by_name:
            jobs = listed(request.call, request.cluster_name, {"name": by_name[1]})
            found += [service_name(job) for job in jobs if base_state(job) == "PENDING"]
        else:
            found += parted(re.sub(r"^job(id)?=", "", word, flags=re.IGNORECASE))
    return found


def told(request: Request, outcomes: Sequence[Outcome]) -> int:
    """Say what could not be done, as scontrol does; the exit code."""
    failed = [one for one in outcomes if one.words]
    for one in failed:
        _fault(request, f"{one.words} for job {one.name}")
    return 1 if failed else 0


def _act(request: Request, verb: Verb, *, hold: bool = False, waiting: bool = False) -> int:
    names = names_of(request, request.words, waiting=waiting)
    wrong = [Outcome(name, INVALID) for name in names if not re.match(r"[0-9]", name)]
    fine = [name for name in names if re.match(r"[0-9]", name)]
    outcomes = wrong + act(request.call, request.cluster, verb, fine, hold=hold)
    code = told(request, outcomes)
    if code and waiting:
        last = next(one.words for one in reversed(outcomes) if one.words)
        _fault(request, f"slurm_suspend error:{last}")  # so scontrol says of hold and release
    return code


def hold(request: Request) -> int:
    """``scontrol hold``, uhold, holdu: the owner may release it."""
    return _act(request, Verb.HOLD, waiting=True)


def release(request: Request) -> int:
    """``scontrol release``."""
    return _act(request, Verb.RELEASE, waiting=True)


def requeue(request: Request) -> int:
    """``scontrol requeue``."""
    return _requeue(request, hold=False)


def requeue_hold(request: Request) -> int:
    """``scontrol requeuehold``."""
    return _requeue(request, hold=True)


def _requeue(request: Request, *, hold: bool) -> int:
    for word in request.words:
        if re.match(r"state=|incomplete", word, re.IGNORECASE):
            raise Failed(f"error: {word} is not possible through the service")
    return _act(request, Verb.REQUEUE, hold=hold)


def suspend(request: Request) -> int:
    """``scontrol suspend``."""
    return _act(request, Verb.SUSPEND)


def resume(request: Request) -> int:
    """``scontrol resume``."""
    return _act(request, Verb.RESUME)
