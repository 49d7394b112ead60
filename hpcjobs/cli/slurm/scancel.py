"""``hpcjobs scancel``: jobs cancelled or sent a signal, as scancel does it."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from hpcjobs.cli.series import version_text
from hpcjobs.cli.slurm.common import Call, Failed, chosen_clusters, run, say
from hpcjobs.cli.slurm.job_names import JobName, parted, read_name, service_name
from hpcjobs.cli.slurm.job_orders import DONE, INVALID, Outcome, act
from hpcjobs.cli.slurm.job_states import SHOWN, base_state, find_state
from hpcjobs.sbatch.getopt import Grammar, Misspelt, Takes, permuted
from hpcjobs.sbatch.hostlists import expand_hostlist, in_hostlist
from hpcjobs.sbatch.values import signal_number

if TYPE_CHECKING:
    from hpcjobs.model.job import Job
    from hpcjobs.model.order import SignalScope, Verb

PROGRAM: Final = "scancel"

USAGE: Final = """\
Usage: scancel [-A account] [--batch] [--ctld] [--full] [--interactive] [-n job_name]
               [-p partition] [-Q] [-q qos] [-R reservation] [-s signal | integer]
               [-t PENDING | RUNNING | SUSPENDED] [--usage] [-u user_name] [--me]
               [-V] [-v] [-w hosts...] [--wckey=wckey]
               [job_id[_array_id]]
"""

HELP: Final = f"""{USAGE}
As scancel of Slurm (scancel(1)) through the hpcjobs service: options, filters, words and exit codes are scancel's.
Several jobs go in one call; which they are is read from the listing that the service keeps.

What differs:
  ID.STEP           Refused: the service sends no signals to single steps.
  --hurry, --cron, --admin-comment, --sibling: refused.
  Others' jobs      A job that you may not see is an invalid job id.
"""

REQUIRED: Final = ("account", "admin-comment", "clusters", "name", "nodelist", "partition", "qos", "reservation",
    "sibling", "signal", "state", "user", "wckey")  # fmt: skip
PLAIN: Final = ("batch", "ctld", "cron", "full", "help", "hurry", "interactive", "me", "quiet", "usage", "verbose",
    "version")  # fmt: skip
LONGS: Final[Mapping[str, Takes]] = {
    **dict.fromkeys(REQUIRED, "required"),
    **dict.fromkeys(PLAIN, "none"),
}
SCANCEL: Final = Grammar(
    longs=LONGS,
    shorts={"A": "account", "b": "batch", "c": "cron", "f": "full", "H": "hurry", "i": "interactive",
            "M": "clusters", "n": "name", "p": "partition", "Q": "quiet", "q": "qos", "R": "reservation",
            "s": "signal", "t": "state", "u": "user", "v": "verbose", "V": "version", "w": "nodelist"},
    aliases={"cluster": "clusters", "jobname": "name"},
)  # fmt: skip

VARIABLES: Final = {
    "SCANCEL_ACCOUNT": "account", "SCANCEL_NAME": "name", "SCANCEL_PARTITION": "partition", "SCANCEL_QOS": "qos",
    "SCANCEL_STATE": "state", "SCANCEL_USER": "user", "SCANCEL_WCKEY": "wckey", "SLURM_CLUSTERS": "clusters",
}  # fmt: skip
SWITCHES: Final = {"SCANCEL_BATCH": "batch", "SCANCEL_FULL": "full", "SCANCEL_INTERACTIVE": "interactive",
    "SCANCEL_VERBOSE": "verbose"}  # fmt: skip
"""Variables that are true or false."""

REFUSED: Final = {
    "hurry": "burst buffers are Slurm's own matter",
    "cron": "the service knows no scrontab",
    "admin-comment": "the service writes none",
    "sibling": "the service knows no federation",
}

FILTERS: Final = ("account", "name", "nodelist", "partition", "qos", "reservation", "state", "user", "wckey")
TOLD: Final = {"name": "job_name", "user": "user_name"}
"""Names of filters in scancel's messages where they differ."""

BY_ITSELF: Final = (*FILTERS, "batch", "interactive", "signal")
"""Options without which the jobs that are named are cancelled unseen."""


class Asked(NamedTuple):
    """A call of scancel.

    Attributes:
        options: Arguments by full name.
        words: The jobs as they were written.
        jobs: The same, read.
        signal: Number of the signal; None: not said.
        verbose: How much is said: below 0 nothing of what there is not.
    """

    options: Mapping[str, str | None]
    words: Sequence[str]
    jobs: Sequence[JobName]
    signal: int | None
    verbose: int


def call(words: Sequence[str], environment: Mapping[str, str] = os.environ) -> int:
    """Do what a call of scancel says; returns its exit code."""
    return run(PROGRAM, main, words, environment)


def main(call: Call) -> int:
    """See call.

    Raises:
        Misspelt, Failed, ValueError: It cannot be done.
    """
    options, operands, verbose = _heard(call.words, call.environment)
    for name, text in (("help", HELP), ("usage", USAGE), ("version", version_text())):
        if name in options:
            sys.stdout.write(text)
            return 0
    asked = _read(options, operands, verbose)
    code = 0
    for cluster in chosen_clusters(call, options.get("clusters")):
        code = max(code, _cancel(call, asked, cluster))
    return code & 0xFF if code else 0


def _plain(*lines: str) -> Failed:
    """What scancel says without its name before it."""
    sys.stderr.write("".join(f"{line}\n" for line in lines))
    return Failed()


def _heard(words: Sequence[str], environment: Mapping[str, str]) -> tuple[dict[str, str | None], list[str], int]:
    try:
        heard, operands = permuted(words, SCANCEL)
    except Misspelt as error:
        error.exit_code = 1
        raise
    options: dict[str, str | None] = {}
    for variable, name in VARIABLES.items():
        if variable in environment:
            options[name] = environment[variable]
    for variable, name in SWITCHES.items():
        value = environment.get(variable, "")
        if value.lower() in ("true", "t"):
            options[name] = None
        elif value and value.lower() not in ("false", "f"):
            say(PROGRAM, f"error: Unrecognized {variable} value: {value}")
    verbose = int("verbose" in options)
    for name, argument in heard:
        options[name] = argument
        if name in ("verbose", "quiet"):
            verbose = verbose + 1 if name == "verbose" else -1
    return options, operands, verbose


def _read(options: dict[str, str | None], operands: Sequence[str], verbose: int) -> Asked:
    for name, why in REFUSED.items():
        if name in options:
            raise Failed(f"error: --{name} is not possible: {why}")
    signal = None
    if options.get("signal") is not None:
        try:
            signal = signal_number(options["signal"] or "")
        except ValueError:
            raise _plain(f"Unknown job signal: {options['signal']}") from None
    state = options.get("state")
    if state is not None:
        found = find_state(state)
        if found is None:
            raise _plain(
                f"Invalid job state specified: {state}", "Valid job states are PENDING, RUNNING, and SUSPENDED"
            )
        options["state"] = found
    for name in ("account", "qos"):
        if options.get(name) is not None:
            options[name] = (options[name] or "").lower()
    words = [one for word in operands for one in parted(word)]
    jobs = [_job(word) for word in words]
    if not jobs and not {*FILTERS, "me"} & options.keys():
        raise Failed("error: No job identification provided")
    return Asked(options, words, jobs, signal, verbose)


def _job(word: str) -> JobName:
    if re.fullmatch(r"[0-9]+(?:_[0-9]+)?\.[0-9]+", word, re.ASCII):
        raise Failed(f"error: {word}: the service sends no signals to single steps")
    if re.fullmatch(r"[1-9][0-9]{0,9}_\*", word, re.ASCII):
        return JobName(int(word[:-2]))
    try:
        return read_name(word)
    except ValueError:
        raise Failed(f"error: Invalid job id {word}") from None


def _order(asked: Asked) -> tuple[Verb, str, SignalScope]:
    """What is done: a job is cancelled by SIGKILL to all of it."""
    from hpcjobs.model.order import SignalScope, Verb

    batch, full = "batch" in asked.options, "full" in asked.options
    scope = SignalScope.FULL if full else SignalScope.BATCH if batch else SignalScope.STEPS
    if asked.signal in (None, 9) and not batch:
        return Verb.CANCEL, "", SignalScope.STEPS
    return Verb.SIGNAL, str(asked.signal or 9), scope


def _cancel(call: Call, asked: Asked, cluster: str) -> int:
    if not {*BY_ITSELF, "me"} & asked.options.keys():
        names = [re.sub(r"_\*$", "", word) for word in asked.words]
        return _do(call, asked, cluster, list(zip(asked.words, names, strict=True)))
    user = asked.options.get("user")
    if "me" in asked.options:
        user = call.user
    from hpcjobs.cli.slurm.service_read import listed

    jobs = [job for job in listed(call, cluster or call.clusters[0]) if base_state(job) in SHOWN]
    code, jobs = _named(asked, jobs)
    chosen = [job for job in jobs if _matches(job, asked.options, user)]
    if not chosen and asked.verbose > 0 and set(FILTERS) & asked.options.keys():
        said = "".join(f"{TOLD.get(name, name)}={asked.options[name]} " for name in FILTERS if name in asked.options)
        say(PROGRAM, f"error: No active jobs match ALL job filters, including: {said}")
    for waits in (True, False):
        some = [job for job in chosen if (base_state(job) == "PENDING") is waits]
        if "interactive" in asked.options:
            some = [job for job in some if _confirmed(job)]
        names = [name for job in some if (name := _name(job, asked))]
        code = max(code, int(len(names) < len(some)), _do(call, asked, cluster, [(name, name) for name in names]))
    return code


def _name(job: Job, asked: Asked) -> str:
    """The name to act on; ``""``: the tasks that wait together cannot be told, for Slurm has cut their list short."""
    if "..." not in job.array_task:
        return service_name(job)
    if not {"state", "nodelist"} & asked.options.keys():  # else all tasks are alike to the filters
        return str(job.array_job_id)
    say(
        PROGRAM,
        f"error: which tasks of {job.array_job_id} wait is not known; scancel {job.array_job_id} takes them all",
    )
    return ""


def _named(asked: Asked, jobs: Sequence[Job]) -> tuple[int, list[Job]]:
    """Those of the jobs that were named, and the exit code that those bring that are not there."""
    from hpcjobs.cli.slurm.job_lines import named

    if not asked.jobs:
        return 0, list(jobs)
    code = 0
    for word, name in zip(asked.words, asked.jobs, strict=True):
        if not any(named(job, [name]) for job in jobs):
            code = 1
            if asked.verbose >= 0:
                say(PROGRAM, f"error: Kill job error on job id {word}: {INVALID}")
    return code, [one for job in jobs if (one := named(job, asked.jobs)) is not None]


def _matches(job: Job, options: Mapping[str, str | None], user: str | None) -> bool:
    told = job.particulars
    pairs = (
        ("account", job.account), ("name", job.name), ("partition", job.partition), ("qos", job.qos),
        ("reservation", told.reservation), ("state", base_state(job)),
    )  # fmt: skip
    if any(options.get(name) not in (None, value) for name, value in pairs):
        return False
    if user is not None and user not in (job.user, str(told.user_id)):
        return False
    nodes, key = options.get("nodelist"), options.get("wckey")
    if nodes is not None and not any(in_hostlist(name, job.node_list) for name in _hosts(nodes)):
        return False
    if key is not None and key != (told.wckey if key.startswith("*") else told.wckey.removeprefix("*")):
        return False
    return not (job.het_job_id and job.het_offset)  # the first component stands for all of them


def _hosts(text: str) -> Iterable[str]:
    if "/" in text:
        try:
            with open(text, encoding="utf-8") as file:
                text = ",".join(file.read().split())
        except (OSError, UnicodeDecodeError) as error:
            raise Failed(f"error: {text}: {error}") from error
    try:
        return expand_hostlist(text)
    except ValueError as error:
        raise Failed(f"error: {error}") from None


def _confirmed(job: Job) -> bool:
    while True:
        sys.stdout.write(f"Cancel job_id={service_name(job)} name={job.name} partition={job.partition} [y/n]? ")
        sys.stdout.flush()
        answer = sys.stdin.readline()
        if not answer or answer[:1] in "nN":
            return False
        if answer[:1] in "yY":
            return True


def _do(call: Call, asked: Asked, cluster: str, jobs: Sequence[tuple[str, str]]) -> int:
    """Act on jobs, each by the name that is said and that of the service; the exit code."""
    verb, signal, scope = _order(asked)
    kind = {"batch": "batch ", "full": "full "}.get(scope, "")
    if asked.verbose > 0:
        for said, _ in jobs:
            told = (
                f"Terminating {kind}job {said}"
                if asked.signal is None
                else f"Signal {asked.signal} to {kind}job {said}"
            )
            say(PROGRAM, told)
    outcomes = act(call, cluster, verb, [name for _, name in jobs], signal=signal, scope=scope)
    return max((_told(asked, said, outcome) for (said, _), outcome in zip(jobs, outcomes, strict=True)), default=0)


def _told(asked: Asked, said: str, outcome: Outcome) -> int:
    """Say what is against it, as scancel does; what is over or gone is as good as cancelled."""
    if not outcome.words:
        return 0
    over = outcome.words in (DONE, INVALID)
    if asked.verbose > 0 or not over:
        say(PROGRAM, f"error: Kill job error on job id {said}: {outcome.words}")
    return 0 if over and asked.signal in (None, 9) else outcome.errno
