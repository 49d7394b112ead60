"""From a call of sbatch to the body of a submission: wherever the call is read, with the same outcome. Pure."""

from __future__ import annotations

import os.path
from collections.abc import Mapping
from datetime import UTC, timedelta, timezone, tzinfo
from typing import Any, Final, NamedTuple
from zoneinfo import ZoneInfo

from hpcjobs.sbatch.called import Call
from hpcjobs.sbatch.command import Client, Command, Line, read_command_line, read_line
from hpcjobs.sbatch.getopt import Grammar, Misspelt
from hpcjobs.sbatch.handed_on import job_environment, of_limits, of_plugins, of_the_call
from hpcjobs.sbatch.options import SBATCH
from hpcjobs.sbatch.script import WRAPPED, checked_script, with_burst_buffer
from hpcjobs.sbatch.when import LEAST_UTS, parse_when

Request = dict[str, Any]

OFFLINE: Final = "queue-offline"
"""An option of ours: docs/CLI.md."""

FOR_ROOT: Final = ("uid", "gid")
WITHOUT_MEANING: Final = {
    "external": "a job without a script cannot be sent through a service",
    "runtime": "it came with Slurm 26.11",
}


class Needed(Exception):
    """A call names what did not come with it.

    Attributes:
        script: The word that names the script; ``""``: it comes on stdin; None: it is there.
        files: Names of files.
    """

    def __init__(self, script: str | None = None, *files: str) -> None:
        """With what is needed."""
        super().__init__("; ".join(filter(None, (script, *files))))
        self.script = script
        self.files = files


class Reading(NamedTuple):
    """What a call asks for.

    Attributes:
        request: Body of ``POST /v1/jobs``.
        client: Options for the program.
        clusters: Where to: a name, several, or ``all``; ``""``: the default cluster.
        notes: What sbatch would say about it on stderr, after its own name.
    """

    request: Request
    client: Client
    clusters: str
    notes: list[str]


def line_of(call: Call) -> Line:
    """The command line of a call, looked through.

    Raises:
        Misspelt: A word is no option, or has an argument that it cannot have.
    """
    return read_line(call.words, grammar_of(call).with_own({OFFLINE: "none"}))


def grammar_of(call: Call) -> Grammar:
    """Sbatch's options and those of the site's SPANK plugins."""
    return SBATCH.with_site({name: option.takes for name, option in call.spank.items()})


def zone_of(call: Call) -> tzinfo:
    """The time zone of the caller."""
    for name in (call.environment.get("TZ", "").removeprefix(":"), call.zone):
        if name:
            try:
                return ZoneInfo(name)
            except (OSError, ValueError):  # a rule written out (POSIX), or a name that is not known here
                continue
    return timezone(timedelta(seconds=call.utc_offset_s)) if abs(call.utc_offset_s) < 86_400 else UTC


def read_call(call: Call) -> Reading:
    """Read a call.

    Args:
        call: As it was made.

    Raises:
        Misspelt: Something cannot be read or obeyed, or excludes something else.
        Needed: It names a script or files that did not come with it.
    """
    line = line_of(call)
    script, path = _script(line, call)
    name = os.path.basename(path) if path else "stdin"
    command = read_command_line(line, script, call.environment, grammar_of(call), name)
    return _reading(command, call, script, path, line.words[1:])


def _script(line: Line, call: Call) -> tuple[str, str | None]:
    """The script, and where it was found."""
    if "wrap" in line.early and not line.words:
        return WRAPPED.format(command=line.early["wrap"]), None
    word, there = (line.words[0] if line.words else None), call.script
    if there is None or there.word != word:
        raise Needed(word or "")
    return checked_script(there.text.encode(errors="surrogatepass"), there.path), there.path


def _refuse(client: Client) -> None:
    """Refuse options that cannot be obeyed here."""
    for long in FOR_ROOT:
        if long in client:
            raise Misspelt("a job runs as whoever submits it", f"error: --{long} only permitted by root user")
    for long, why in WITHOUT_MEANING.items():
        if long in client:
            raise Misspelt(why, f"error: --{long} is not possible: {why}", exit_code=1)
    if "quiet" in client and "verbose" in client:
        told = "don't specify both --verbose (-v) and --quiet (-Q)"
        raise Misspelt(told, f"error: {told}", exit_code=1)


def _file(call: Call, name: str) -> bytes | None:
    """The content of a file that the call names; None: it cannot be read."""
    if name not in call.files:
        raise Needed(None, name)
    text = call.files[name]
    return None if text is None else text.encode("latin-1", errors="replace")


def _hosts(call: Call, name: str) -> str:
    data = _file(call, name)
    try:
        lines = (line.partition("#")[0].strip() for line in (data or b"").decode().splitlines())
        found = ",".join(filter(None, lines))
    except UnicodeDecodeError as error:
        raise Misspelt(f"{name}: {error}", "error: Invalid --nodefile node file") from error
    if data is None:
        raise Misspelt(f"{name} cannot be read", "error: Invalid --nodefile node file")
    return found


def _variables(call: Call, name: str) -> dict[str, str]:
    """Variables of a file: ``NAME=value``, each ended by a NUL."""
    data = _file(call, name)
    if data is None:
        told = f"Could not open user environment file {name}"
        raise Misspelt(f"{told}: it cannot be read", f"error: {told}", exit_code=1)
    pairs = (one.partition("=") for one in data.decode(errors="replace").split("\0"))
    return {name: value for name, equals, value in pairs if name and equals}


def _name_nodes(request: Request, client: Client, call: Call) -> None:
    """Names of nodes may come in files: ``--nodefile``, ``--nodelist`` with a slash in it, SLURM_HOSTFILE."""
    resources = request.setdefault("resources", {})
    if "nodefile" in client:
        resources["nodelist"] = _hosts(call, str(client["nodefile"]))
    elif "nodelist" not in resources and call.environment.get("SLURM_HOSTFILE"):
        resources["nodelist"] = _hosts(call, call.environment["SLURM_HOSTFILE"])
        resources["distribution"] = "arbitrary"
    for one in (resources, *(component.get("resources", {}) for component in request.get("het", ()))):
        for name in ("nodelist", "exclude"):
            if "/" in one.get(name, ""):
                one[name] = _hosts(call, one[name])


def _settle_times(request: Request, call: Call) -> None:
    """Times of day are those of the caller's machine."""
    for name in ("begin", "deadline"):
        if name in request:
            request[name] = f"uts{max(parse_when(request[name], call.now, zone_of(call)), LEAST_UTS)}"
    if "begin" in request and "deadline" in request and int(request["begin"][3:]) > int(request["deadline"][3:]):
        told = "Incompatible begin and deadline time specification"
        raise Misspelt(told, f"error: {told}", exit_code=1)


def _caller(call: Call, client: Client) -> Mapping[str, str]:
    return _variables(call, str(client["export-file"])) if "export-file" in client else call.environment


def _reading(command: Command, call: Call, script: str, path: str | None, args: list[str]) -> Reading:
    request: Request = command.request()
    client = command.client
    _refuse(client)
    if "array" in request and "het" in request:
        told = "error: Batch job submission failed: Invalid job array specification"
        raise Misspelt("a heterogeneous job cannot be an array", told, exit_code=1)
    own = of_the_call(call, client) | of_plugins(command.site, call.spank)
    own |= of_limits(call, request.pop("propagate", None) or call.propagate or None)
    export = request.pop("export", call.export or None)
    variables, login = job_environment(export, _caller(call, client), own)
    request["environment"] = variables
    request["get_user_env"] = bool(request.get("get_user_env") or login)
    _name_nodes(request, client, call)
    _settle_times(request, call)
    name = "wrap" if "wrap" in client else os.path.basename(path) if path else "sbatch"
    request.setdefault("name", name)
    request["workdir"] = os.path.join(call.workdir or call.cwd, request.get("workdir", ""))
    if request["workdir"] != "/":
        request["workdir"] = request["workdir"].rstrip("/")
    if "bbf" in client:
        lines = _file(call, str(client["bbf"]))
        script = with_burst_buffer(script, None if lines is None else lines.decode(errors="replace"))
    request["script"] = script
    request["read_directives"] = False
    if args:
        request["args"] = args
    if path:
        request["script_name"] = os.path.basename(path)
    unsent = [f"warning: {', '.join(call.unsent)} not handed on: not UTF-8"] if call.unsent else []
    clusters = str(client.get("clusters") or client.get("cluster") or call.cluster)
    return Reading(request, client, clusters, [*command.notes, *unsent])
