"""Slurm's commands for what a backend is asked, and what their answers mean. Pure: nothing is run here.

A command line becomes text for a shell in one place only, ``quoted``. What is run is always a whole shell script
that travels on standard input to ``/bin/sh``: no text of a user stands in the command that sshd hands to a login shell.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from hpcjobs.errors import HpcjobsError, OutcomeUnknown, Refusal, Refused, SlurmUnavailable
from hpcjobs.model.order import Changes, Estimate, Order, SignalScope, Verb
from hpcjobs.sbatch.argv import argv_of
from hpcjobs.sbatch.directives import find_directives
from hpcjobs.sbatch.units import count_range_text
from hpcjobs.sbatch.variables import EARLY_VARIABLES, SWITCH_COUNT, SWITCH_WAIT, VARIABLES
from hpcjobs.slurm.base import Launch, ceil_div
from hpcjobs.slurm.errnos import error_of
from hpcjobs.slurm.errtexts import number_of
from hpcjobs.slurm.history import DAWN, NO_DATABASE
from hpcjobs.slurm.outcomes import Part
from hpcjobs.slurm.targets import parse_target

_OPTION_OF: Final = {**VARIABLES, **EARLY_VARIABLES, "SLURM_CONF": "conf"}
"""The variables that sbatch reads for itself, and the options that they stand for."""

_HALVES: Final = {SWITCH_COUNT: "switches", SWITCH_WAIT: "switches"}

UNKNOWN_WORDS: Final = -1
"""In place of a number, where Slurm says what is not in errtexts."""

_SLURM_CONF: Final = '${SLURM_CONF+SLURM_CONF="$SLURM_CONF"}'
"""A site's own way to its configuration goes with every command."""


def quoted(words: Sequence[str]) -> str:
    """A command line for a POSIX shell that is exactly these words.

    Raises:
        Refused: A word holds a NUL, which no command line can.
    """
    for word in words:
        if "\0" in word:
            raise Refused([Refusal("", "A NUL character cannot be handed to a command.", "nul")])
    return " ".join(shlex.quote(word) for word in words)


def without_directives(script: str) -> str:
    """A script that sbatch reads nothing out of: its directives become comments of the same line number.

    What they said is in the spec already, as far as admission let it stand; sbatch would read them a second time and
    bring back what was taken away. Every such line stands before the first command and begins with ``#``, so that
    for the script's interpreter it was a comment and still is one.
    """
    lines = script.split("\n")
    for directive in find_directives(script):
        lines[directive.line - 1] = f"#{lines[directive.line - 1]}"
    return "\n".join(lines)


def reserved_variables(launch: Launch) -> list[str]:
    """Variables of a job that sbatch would take for its own options: those that its command line does not say too.

    The line wins over a variable, but in a heterogeneous job a variable speaks to each component.
    """
    said = (
        {word.partition("=")[0].removeprefix("--") for word in sbatch_words(launch)} if not launch.spec.het else set()
    )
    options = {name: _OPTION_OF[name] for name in launch.spec.environment if name in _OPTION_OF}
    return [name for name, long in options.items() if _HALVES.get(long, long) not in said]


SETTLED = ("--export=", "--get-user-env", "--comment=")


def sbatch_words(launch: Launch) -> list[str]:
    """Options of sbatch for a submission, without the script and its environment."""
    spec = launch.spec
    options = argv_of(spec)
    # What is exported is settled in the environment itself, the login environment too; the comment carries our mark.
    first = options.index(":") if ":" in options else len(options)
    kept = [word for word in options[:first] if not word.startswith(SETTLED)]
    if spec.propagate is None and any(name.startswith("SLURM_RLIMIT_") for name in spec.environment):
        kept.append("--propagate=NONE")  # it would put its own limits in the place of those
    return ["--parsable", "--ignore-pbs", *kept, f"--comment={launch.comment}", *options[first:]]


def submit_script(launch: Launch, limit_s: int) -> str:
    """Shell that submits a job: the script comes through a pipe, the environment by ``env``.

    sbatch runs in exactly the job's environment and exports all of it. (``--export-file`` would be the word for this;
    26.05.5 makes an empty environment of it.)

    Args:
        launch: What to submit.
        limit_s: After so many seconds sbatch is killed: an attempt must not arrive after it was given up.
    """
    spec = launch.spec
    variables = [f"{name}={value}" for name, value in spec.environment.items()]
    options = sbatch_words(launch)
    return (
        'sbatch=$(command -v sbatch) || { echo "no sbatch here" >&2; exit 127; }\n'
        f"printf %s {quoted([without_directives(spec.script)])} |\n"
        f"timeout -k 2 {limit_s} env -i -- {_SLURM_CONF} {quoted(variables)} "
        f'"$sbatch" {quoted([*options, "/dev/stdin", *spec.args])}\n'
    )


def estimate_script(launch: Launch, limit_s: int) -> str:
    """Shell that asks when a job would start; times come in UTC."""
    options = [word for word in sbatch_words(launch) if word != "--parsable"]
    return (
        f"printf %s {quoted([without_directives(launch.spec.script)])} |\n"
        f"{plain_script(['sbatch', '--test-only', *options, '/dev/stdin', *launch.spec.args], limit_s)}"
    )


def plain_script(words: Sequence[str], limit_s: int) -> str:
    """Shell that runs one of Slurm's commands, untouched by SBATCH_..., SQUEUE_... and the like of the user."""
    kept = f'PATH="$PATH" HOME="$HOME" TZ=UTC {_SLURM_CONF}'
    return f"timeout -k 2 {limit_s} env -i {kept} {quoted(words)}\n"


def order_words(order: Order, now: float) -> list[str]:
    """The command that carries out an order."""
    target = parse_target(order.target).text
    if order.verb is Verb.CANCEL:
        return ["scancel", "--ctld", "-v", target]
    if order.verb is Verb.SIGNAL:
        scope = {SignalScope.STEPS: [], SignalScope.BATCH: ["--batch"], SignalScope.FULL: ["--full"]}[order.scope]
        return ["scancel", "--ctld", "-v", f"--signal={order.signal}", *scope, target]
    if order.verb is Verb.UPDATE:
        return ["scontrol", "update", f"JobId={target}", *change_words(order.changes or Changes(), now)]
    verb = "requeuehold" if order.verb is Verb.REQUEUE and order.hold else order.verb.value
    return ["scontrol", verb, target]


def change_words(changes: Changes, now: float) -> list[str]:
    """Changes in scontrol's words. Times are Unix seconds, which every Slurm of 20.02 and later reads as ``uts``."""
    words: dict[str, str | int | None] = {
        "JobName": changes.name,
        "Account": changes.account,
        "Partition": changes.partition,
        "QOS": changes.qos,
        "ReservationName": changes.reservation,
        "Dependency": changes.dependency,
        "Comment": changes.comment,
        "Features": changes.constraint,
        "ReqNodeList": changes.nodelist,
        "ExcNodeList": changes.exclude,
        "NumNodes": count_range_text(changes.nodes, changes.nodes_max),
        "TimeLimit": None if changes.wall_s is None else ceil_div(changes.wall_s, 60),
        "TimeMin": None if changes.time_min_s is None else ceil_div(changes.time_min_s, 60),
        "StartTime": None if changes.begin is None else f"uts{max(changes.begin or int(now), DAWN)}",
        "Deadline": None if changes.deadline is None else f"uts{max(changes.deadline, DAWN)}",
        "Nice": changes.nice,
        "Priority": changes.priority,
        "Requeue": None if changes.requeue is None else int(changes.requeue),
        "ArrayTaskThrottle": changes.array_max_running,
    }
    return [f"{word}={value}" for word, value in words.items() if value is not None]


def find_words(user: str, nonce: str) -> list[str]:
    """List a user's jobs and comments, each line behind a word that no comment can know."""
    return ["squeue", "--noheader", "--states=all", f"--user={user}", "--format", f"{nonce} %A %k"]


def parts_words(number: int) -> list[str]:
    """List the names of all parts of a job."""
    return ["squeue", "--noheader", "--states=all", f"--jobs={number}", "--format=%i"]


def find_in(listing: str, nonce: str, attempt: str) -> int | None:
    """The job whose comment ends with an attempt's mark, in a listing of find_words."""
    for entry in listing.split(f"{nonce} ")[1:]:
        number, _, comment = entry.partition(" ")
        if comment.rstrip("\n").endswith(f"hpcjobs:{attempt}"):
            return int(number)
    return None


_STARTS: Final = re.compile(
    r"Job \d+ to start at (?P<start>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)\D*? using (?P<cpus>\d+) processors"
    r"(?: on nodes (?P<nodes>\S+))?(?: in partition (?P<partition>\S+))?"
)


def read_estimate(said: str) -> Estimate | None:
    """What ``sbatch --test-only`` prints; None where it prints something else."""
    match = _STARTS.search(said)
    if match is None:
        return None
    start = datetime.fromisoformat(match["start"]).replace(tzinfo=UTC)
    return Estimate(int(start.timestamp()), match["nodes"] or "", match["partition"] or "", int(match["cpus"]))


_FAULT: Final = re.compile(
    r"^(?:scancel: error: Kill job error on job id (?P<killed>\S+): (?P<kill>.+)"
    r"|(?P<update>.+) for job (?P<updated>\S+)"
    r"|(?P<part>\d+(?:[_+]\S+)?): (?P<words>.+))$"
)


def read_parts(said: str) -> list[Part]:
    """What scancel and scontrol print about the parts of a job that they acted on."""
    parts = []
    for line in said.splitlines():
        match = _FAULT.match(line)
        if match is None:
            continue
        name = match["killed"] or match["updated"] or match["part"]
        words = match["kill"] or match["update"] or match["words"]
        parts.append(Part(name, 0 if words == "No error" else number_of(words) or UNKNOWN_WORDS, words))
    return parts


_PREFIX: Final = re.compile(r"^(?:sbatch|squeue|scancel|scontrol|sacct|slurm_\w+)(?:: | )(?:error:|fatal:|Error:)? ?")


def fault_of(said: str, *, changing: bool = False) -> HpcjobsError:
    """An error of a command as ours.

    Args:
        said: What it printed on standard error.
        changing: Whether it was to change something, so that a lost answer leaves open whether it did.
    """
    lines = [_PREFIX.sub("", line).strip() for line in said.splitlines()]
    lines = [line for line in lines if line]
    for line in reversed(lines):
        words = re.sub(r"^(?:Batch job submission failed|allocation failure|slurm_\w+ error): ?", "", line)
        number = number_of(words) or number_of(words.rpartition(": ")[2])
        if number:
            return error_of(number, words, changing=changing)
    if any("Unable to process configuration" in line or "cannot stat file" in line for line in lines):
        return SlurmUnavailable(f"Slurm on the login node is not set up: {lines[-1]}")
    if any(line.startswith("Problem talking to the database") for line in lines):
        return error_of(NO_DATABASE, lines[-1], changing=changing)
    detail = "; ".join(lines) or "nothing"
    return Refused([Refusal("", f"Slurm says: {detail}", "slurm-error")])


def read_submitted(said: str) -> int:
    """The job's number out of what ``sbatch --parsable`` prints: ``123`` or ``123;cluster``.

    Raises:
        OutcomeUnknown: It is something else.
    """
    match = re.fullmatch(r"(\d+)(?:;\S+)?", said.strip())
    if match is None:
        raise OutcomeUnknown(f"sbatch answered {said.strip()[:200]!r}, which is no job number.")
    return int(match[1])
