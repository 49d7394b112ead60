"""``hpcjobs scontrol``: what scontrol shows of jobs and hosts, and what it does with jobs."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

from hpcjobs.cli.slurm.common import Call, Failed, chosen_clusters, run
from hpcjobs.sbatch.getopt import Grammar, Misspelt, Takes, permuted

PROGRAM: Final = "scontrol"

USAGE: Final = """\
scontrol [<OPTION>] <COMMAND>
"""

HELP: Final = f"""{USAGE}
As scontrol of Slurm (scontrol(1)), answered by the hpcjobs service; for users, not for administrators.

Commands:
  show job [ID[,ID...]]        keys and values as scontrol prints them, of jobs that you may see; without an ID all
  show node [LIST]             of nodes
  show partition [NAME]        of partitions
  show hostnames|hostlist|hostlistsorted LIST
  hold|uhold|release ID...     also Name=JOBNAME
  requeue|requeuehold ID...
  suspend|resume ID...
  update JobId=ID KEY=VALUE... keys: Account ArrayTaskThrottle Comment Deadline Dependency ExcNodeList Features JobName
                               Nice NumNodes Partition Priority QOS ReqNodeList Requeue ReservationName StartTime
                               TimeLimit TimeMin
  version, help

Options:
  -d, --details    also DerivedExitCode, and SLUID where the service knows it; GRES in use of nodes
  -o, --oneliner   one job, node or partition a line
  -M, --cluster    which cluster
  -Q, --quiet      say nothing of what went wrong
  -a, --all        hidden partitions too
  --json           JSON with every key that the service knows
  --hide, --local, --federation, --sibling, -v: taken, and change nothing

What differs: keys that the service does not know are left out (LastSchedEval, Scheduler, what -d tells of each node);
another user's job that you may not see is an invalid job id. Everything else of scontrol is refused.
"""

REQUIRED: Final = ("cluster", "uid")
OPTIONAL: Final = ("json", "yaml")
PLAIN: Final = ("all", "details", "federation", "future", "help", "hide", "local", "oneliner", "quiet", "sibling",
    "usage", "verbose", "version")  # fmt: skip
LONGS: Final[Mapping[str, Takes]] = {
    **dict.fromkeys(REQUIRED, "required"),
    **dict.fromkeys(OPTIONAL, "optional"),
    **dict.fromkeys(PLAIN, "none"),
}
SCONTROL: Final = Grammar(
    longs=LONGS,
    shorts={"a": "all", "d": "details", "F": "future", "h": "help", "M": "cluster", "o": "oneliner", "Q": "quiet",
            "u": "uid", "v": "verbose", "V": "version"},
    aliases={"clusters": "cluster"},
)  # fmt: skip


class Request(NamedTuple):
    """What a call of scontrol asks for.

    Attributes:
        call: The call.
        words: What follows the command.
        options: Arguments of the options, by full name.
    """

    call: Call
    words: Sequence[str]
    options: Mapping[str, str | None]

    @property
    def quiet(self) -> bool:
        """Whether nothing is said of what went wrong."""
        return "quiet" in self.options

    @property
    def cluster(self) -> str:
        """Which cluster it is about; ``""``: the service's default, which nobody need be asked for."""
        return chosen_clusters(self.call, self.options.get("cluster"))[0]

    @property
    def cluster_name(self) -> str:
        """The same by name."""
        return self.cluster or self.call.clusters[0]


Does = Callable[[Request], int]

SHOWS: Final[Mapping[str, str]] = {
    "jobs": "scontrol_job:show",
    "nodes": "scontrol_nodes:show_nodes",
    "partitions": "scontrol_nodes:show_partitions",
    "hostnames": "scontrol_hosts:show_names",
    "hostlist": "scontrol_hosts:show_list",
    "hostlistsorted": "scontrol_hosts:show_sorted",
}
"""What ``show`` shows, and which function of which module beside this one does: it takes a Request."""

COMMANDS: Final[Mapping[str, str]] = {
    "hold": "scontrol_job:hold",
    "uhold": "scontrol_job:hold",
    "holdu": "scontrol_job:hold",
    "release": "scontrol_job:release",
    "requeue": "scontrol_job:requeue",
    "requeuehold": "scontrol_job:requeue_hold",
    "suspend": "scontrol_job:suspend",
    "resume": "scontrol_job:resume",
    "update": "scontrol_update:update",
}
"""Commands beside ``show``, and what does them."""

OTHERS: Final = frozenset(
    ("abort", "cancel_reboot", "completing", "create", "delete", "errnumstr", "fsdampeningfactor", "getent",
     "getaddrs", "listjobs", "listpids", "liststeps", "notify", "pidinfo", "ping", "power", "power_down", "reboot",
     "reconfigure", "setdebug", "setdebugflags", "schedloglevel", "shutdown", "takeover", "token", "top", "wait_job",
     "write")
)  # fmt: skip
"""Commands of scontrol that are not for the service to do."""

OTHER_SHOWS: Final = ("aliases", "assoc_mgr", "bbstat", "burstbuffer", "config", "daemons", "dwstat", "federation",
    "licenses", "reservations", "slurmd", "step", "topoconf", "topology")  # fmt: skip
"""What scontrol shows and the service does not."""


def call(words: Sequence[str], environment: Mapping[str, str] = os.environ) -> int:
    """Do what a call of scontrol says; returns its exit code."""
    return run(PROGRAM, main, words, environment)


def main(call: Call) -> int:
    """See call.

    Raises:
        Misspelt, Failed, ValueError: It cannot be done.
    """
    try:
        heard, operands = permuted(call.words, SCONTROL)
    except Misspelt as error:
        error.exit_code = 1
        raise
    options = dict(heard)
    if "SLURM_CLUSTERS" in call.environment:
        options.setdefault("cluster", call.environment["SLURM_CLUSTERS"])
    command = operands[0].lower() if operands else ""
    if {"help", "usage"} & options.keys() or command == "help":
        sys.stdout.write(HELP)
        return 0
    if "version" in options or command == "version":
        from hpcjobs.cli.series import version_text

        sys.stdout.write(version_text())
        return 0
    _refuse(options)
    if "json" in options:
        from hpcjobs.cli.slurm.json_document import LIST, asks_for_list

        if asks_for_list(options["json"]):
            sys.stdout.write(LIST)
            return 0
    if not command:
        raise Failed("error: without a command scontrol reads commands, and hpcjobs scontrol does not; see --help")
    request = Request(call, operands[1:], options)
    if "show".startswith(command) and len(command) > 1:
        return _show(request)
    name = command if command in COMMANDS else next((one for one in COMMANDS if one.startswith(command)), "")
    if not name:
        known = any(one.startswith(command) for one in OTHERS)
        raise _Said(f"scontrol {command} is not possible through the service" if known
                    else f"invalid keyword: {operands[0]}")  # fmt: skip
    if not request.words:
        raise _Said(f"too few arguments for keyword:{operands[0]}")
    return _found(COMMANDS[name])(request)


class _Said(Failed):
    """A refusal without the program's name before it, as scontrol says some."""

    def __init__(self, words: str) -> None:
        super().__init__()
        sys.stderr.write(f"{words}\n")


def _refuse(options: Mapping[str, str | None]) -> None:
    if "yaml" in options:
        raise Failed("error: --yaml is not possible through the service; --json is")
    if "uid" in options:
        raise Failed("error: --uid is not possible: whoever calls the service acts")


def _found(where: str) -> Does:
    module, _, function = where.partition(":")
    does: Does = getattr(importlib.import_module(f"hpcjobs.cli.slurm.{module}"), function)
    return does


def _show(request: Request) -> int:
    if not request.words:
        raise _Said("too few arguments for keyword:show")
    what = request.words[0].lower()
    word, joined, value = what.partition("=")
    name = word if word in SHOWS else next((one for one in SHOWS if one.startswith(word)), "")
    if not name:
        if any(one.startswith(word) for one in OTHER_SHOWS):
            raise _Said(f"scontrol show {word} is not possible through the service")
        raise _Said(f"invalid entity:{request.words[0]} for keyword:show")
    rest = [value, *request.words[1:]] if joined else request.words[1:]
    if len(rest) > 1:
        raise _Said("too many arguments for keyword:show")
    return _found(SHOWS[name])(request._replace(words=rest))
