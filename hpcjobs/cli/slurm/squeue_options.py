"""A call of squeue read: its options and the variables that stand for some (squeue(1)). Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from hpcjobs.cli.slurm.common import Failed
from hpcjobs.cli.slurm.job_format import ONLY_STATE, START
from hpcjobs.cli.slurm.job_lines import Filters
from hpcjobs.cli.slurm.job_names import JobName, parted, read_name
from hpcjobs.cli.slurm.job_states import find_state, list_text
from hpcjobs.cli.slurm.json_document import asks_for_list
from hpcjobs.cli.slurm.times import full_span
from hpcjobs.sbatch.getopt import Grammar, Misspelt, Takes, permuted
from hpcjobs.sbatch.hostlists import expand_hostlist
from hpcjobs.sbatch.units import parse_time

REQUIRED: Final = ("accounts", "clusters", "Format", "format", "iterate", "licenses", "name", "nodelist", "partitions",
    "qos", "reservation", "running-over", "running-under", "sort", "states", "users")  # fmt: skip
OPTIONAL: Final = ("jobs", "steps", "json", "yaml")
PLAIN: Final = ("all", "array", "expand-patterns", "federation", "help", "helpstate", "helpformat", "helpFormat",
    "hide", "local", "long", "me", "noconvert", "noheader", "notme", "only-job-state", "priority", "sibling", "start",
    "usage", "verbose", "version")  # fmt: skip
LONGS: Final[Mapping[str, Takes]] = {
    **dict.fromkeys(REQUIRED, "required"),
    **dict.fromkeys(OPTIONAL, "optional"),
    **dict.fromkeys(PLAIN, "none"),
}
SQUEUE: Final = Grammar(
    longs=LONGS,
    shorts={"A": "accounts", "U": "accounts", "a": "all", "h": "noheader", "i": "iterate", "j": "jobs", "l": "long",
            "L": "licenses", "M": "clusters", "n": "name", "O": "Format", "o": "format", "p": "partitions",
            "P": "priority", "q": "qos", "R": "reservation", "r": "array", "s": "steps", "S": "sort", "t": "states",
            "u": "users", "v": "verbose", "V": "version", "w": "nodelist"},
    aliases={"cluster": "clusters", "node": "nodelist", "nodes": "nodelist", "sib": "sibling", "user": "users"},
)  # fmt: skip

VARIABLES: Final = {
    "SQUEUE_ACCOUNT": "accounts", "SQUEUE_NAMES": "name", "SQUEUE_LICENSES": "licenses",
    "SQUEUE_PARTITION": "partitions", "SQUEUE_QOS": "qos", "SQUEUE_STATES": "states", "SQUEUE_USERS": "users",
    "SQUEUE_SORT": "sort", "SLURM_CLUSTERS": "clusters",
}  # fmt: skip
"""Variables that say an option where the command line does not."""

FLAGS: Final = {"SQUEUE_ARRAY": "array", "SQUEUE_PRIORITY": "priority"}

BESIDE_ONLY_STATE: Final = frozenset(
    ("only-job-state", "jobs", "states", "clusters", "federation", "local", "sibling", "format", "Format", "array",
     "expand-patterns", "iterate", "noconvert", "noheader", "sort", "verbose", "json")
)  # fmt: skip
"""What squeue lets stand beside --only-job-state."""

EARLY: Final = ("help", "usage", "version", "helpstate", "helpformat", "helpFormat")
"""Options that are answered at once."""

NO_STEPS: Final = "the service keeps no list of running steps; hpcjobs show JOB shows the steps of one job"


class Asked(NamedTuple):
    """What a call of squeue asks for.

    Attributes:
        early: The option that is answered at once, ``json``: with the versions that there are; or ``""``.
        filters: Which lines; ``--me`` and ``--notme`` stand apart, as only the service knows who that is.
        me: Only one's own.
        not_me: Only others'.
        clusters: Argument of --clusters; None: not said.
        letters: Argument of -o; None: not said.
        names: Argument of -O; None: not said.
        long: Whether the long default format is used.
        sort: Argument of --sort; None: squeue's default.
        header: Whether a header is printed.
        array: Whether each task is a line.
        by_partition: Whether each partition of a waiting job is a line.
        convert: Whether amounts are written with the largest unit.
        every_s: Print again after so many seconds; 0: once.
        dated: Whether the date stands above the header.
        json: Whether JSON is printed.
    """

    early: str = ""
    filters: Filters = Filters()
    me: bool = False
    not_me: bool = False
    clusters: str | None = None
    letters: str | None = None
    names: str | None = None
    long: bool = False
    sort: str | None = None
    header: bool = True
    array: bool = False
    by_partition: bool = False
    convert: bool = True
    every_s: int = 0
    dated: bool = False
    json: bool = False


def _words(text: str | None) -> list[str] | None:
    return None if text is None else [word for word in text.split(",") if word]


def job_names(text: str) -> list[JobName]:
    """Read a list of jobs: ``12,13_4,14_[1-3],15+0``.

    Raises:
        Failed: One is of no such form.
    """
    return [_job_name(word) for word in parted(text)]


def _job_name(word: str) -> JobName:
    try:
        return read_name(word)
    except ValueError:
        raise Failed(f"error: Invalid job id: {word}") from None


def _states(text: str | None) -> list[str] | None:
    if text is None:
        return None
    if text.lower() == "all":
        return []
    found = []
    for word in _words(text) or ():
        state = find_state(word)
        if state is None:
            raise Failed(
                f"error: Invalid job state specified: {word}", f"error: Valid job states include: {list_text()}\n"
            )
        found.append(state)
    return found


def _seconds(text: str | None) -> int | None:
    if text is None:
        return None
    try:
        seconds = parse_time(text)
    except ValueError:
        seconds = -1
    if seconds <= 0:
        raise Failed("fatal: Invalid time limit specification")
    return seconds


def _positive(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,9}", text.strip(), re.ASCII) or not int(text):
        raise Failed(f"error: --iterate={text}\n")
    return int(text)


def _heard(words: Sequence[str]) -> tuple[dict[str, str | None], list[str]]:
    try:
        options, operands = permuted(words, SQUEUE)
    except Misspelt as error:
        error.exit_code = 1
        raise
    said: dict[str, str | None] = {}
    for name, argument in options:
        other = {"format": "Format", "Format": "format"}.get(name)
        if other in said:
            short, other_short = ("-o", "-O") if name == "format" else ("-O", "-o")
            raise Failed(f"error: {short} (--{name}) is incompatible with {other_short} (--{other})")
        if argument is not None or name not in said:
            said[name] = argument
    return said, operands


def read(words: Sequence[str], environment: Mapping[str, str]) -> Asked:
    """Read a call.

    Args:
        words: After the program's name.
        environment: The caller's variables.

    Raises:
        Misspelt: A word is no option, or lacks an argument.
        Failed: An argument is wrong, or what is asked for cannot be answered.
    """
    said, operands = _heard(words)
    if early := next((name for name in said if name in EARLY), ""):
        return Asked(early)
    if "json" in said and asks_for_list(said["json"]):
        return Asked("json")
    if operands and ("jobs" in said or "steps" in said):
        said["jobs" if "jobs" in said else "steps"] = operands.pop(0)
    if operands:
        raise Failed(f"error: Unrecognized option: {operands[0]}")
    if "yaml" in said:
        raise Failed("error: --yaml is not possible through the service; --json is")
    if "steps" in said:
        raise Failed(f"error: --steps is not possible: {NO_STEPS}")
    if "long" in said and "format" in said:
        raise Failed("fatal: Options -o(--format) and -l(--long) are mutually exclusive. Please remove one and retry.")
    if "only-job-state" in said and not said.keys() <= BESIDE_ONLY_STATE:
        raise Failed(
            "fatal: Option --only-job-state only works alone, with -j (--jobs) and/or -t (--states) parameters, "
            "parameters for cluster/federation selection, and the printing options."
        )
    for variable, name in VARIABLES.items():
        if name not in said and variable in environment:
            said[name] = environment[variable]
    said |= {name: None for variable, name in FLAGS.items() if variable in environment}
    _read_formats(said, environment)
    return Asked(
        filters=_filters(said),
        me="me" in said,
        not_me="notme" in said,
        clusters=said.get("clusters"),
        letters=said.get("format"),
        names=said.get("Format"),
        long="long" in said,
        sort=said.get("sort"),
        header="noheader" not in said,
        array="array" in said,
        by_partition="priority" in said,
        convert="noconvert" not in said,
        every_s=_positive(said["iterate"] or "") if "iterate" in said else 0,
        dated=bool({"iterate", "verbose", "long"} & said.keys()),
        json="json" in said,
    )


def _read_formats(said: dict[str, str | None], environment: Mapping[str, str]) -> None:
    """Which format counts, and what --start and --only-job-state say beside it."""
    if not {"format", "Format", "long", "start"} & said.keys():
        for variable, name in (("SQUEUE_FORMAT", "format"), ("SQUEUE_FORMAT2", "Format")):
            if variable in environment and "format" not in said:
                said[name] = environment[variable]
    if "start" in said:
        said.setdefault("format", START) if "Format" not in said else None
        said.setdefault("sort", "S")
        said.setdefault("states", "PD")
    if "only-job-state" in said and not {"format", "Format"} & said.keys():
        said["format"] = ONLY_STATE


def _filters(said: Mapping[str, str | None]) -> Filters:
    over_s, under_s = _seconds(said.get("running-over")), _seconds(said.get("running-under"))
    if over_s and under_s and over_s > under_s:
        raise Failed(
            f"fatal: --running-over={full_span(over_s)} and --running-under={full_span(under_s)} will return 0 jobs."
        )
    jobs, nodes = said.get("jobs"), said.get("nodelist")
    try:
        hosts = None if nodes is None else expand_hostlist(nodes)
    except ValueError:
        raise Failed(f"error: '{nodes}' invalid entry for --nodelist") from None
    return Filters(
        jobs=None if jobs is None else job_names(jobs),
        states=_states(said.get("states")),
        users=_words(said.get("users")),
        accounts=_words(said.get("accounts")),
        qos=_words(said.get("qos")),
        names=_words(said.get("name")),
        partitions=_words(said.get("partitions")),
        licenses=_words(said.get("licenses")),
        reservations=_words(said.get("reservation")),
        nodes=hosts,
        over_s=over_s,
        under_s=under_s,
    )
