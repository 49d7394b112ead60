"""Arguments that say several things at once: array, signal, distribution, bindings. Text in, parts out."""

from __future__ import annotations

import functools
import re
import signal as signals
from typing import Final, NamedTuple

from hpcjobs.model.spans import count_tasks, parse_spans
from hpcjobs.sbatch.limits import LIMITS
from hpcjobs.sbatch.units import parse_time


class Array(NamedTuple):
    """The tasks of an array.

    Attributes:
        text: Normalised: no spaces, brackets, leading zeros or steps of one.
        tasks: How many.
        at_once: How many may run at a time; None: all.
    """

    text: str
    tasks: int
    at_once: int | None


@functools.lru_cache(maxsize=128)
def parse_array(text: str) -> Array:
    """Read the argument of --array.

    Args:
        text: ``0-15``, ``1,3,5-7``, ``0-100:10``, each with ``%4`` for four at a time.

    Raises:
        ValueError: The text is of no such form, or an index is above 4,000,000.
    """
    numbers, _, limit = text.strip().partition("%")
    if limit and not re.fullmatch(r"[0-9]{1,9}", limit):
        raise ValueError(f"Invalid array specification {text[:80]!r}: after % stands how many tasks may run at once")
    if numbers.startswith("[") and numbers.endswith("]"):
        numbers = numbers[1:-1]
    try:
        spans = parse_spans(numbers)
        tasks = count_tasks(spans)
    except ValueError as error:
        raise ValueError(f"Invalid array specification {text[:80]!r}: {error}") from error
    at_once = int(limit or 0) or None
    return Array(",".join(map(_span_text, spans)) + (f"%{at_once}" if at_once else ""), tasks, at_once)


def _span_text(span: range) -> str:
    first, last = span.start, span.stop - 1
    return f"{first}" if first == last else f"{first}-{last}" + (f":{span.step}" if span.step > 1 else "")


class Signal(NamedTuple):
    """A signal before the time limit.

    Attributes:
        name: As ``USR1``, or a number.
        number: Of the signal.
        time_s: How long before, in seconds.
        batch: To the batch script only.
        reservation: The job may overlap a reservation that way.
    """

    name: str
    number: int
    time_s: int
    batch: bool
    reservation: bool


_SIGNAL: Final = r"(?ia)(?:(?P<flags>[RB]{1,2}):)?(?P<name>[A-Z0-9]+)(?:@(?P<time>[0-9]{1,6}))?"
_DEFAULT_WARN_S: Final = 60
_MOST_16: Final = 0xFFFF


def signal_number(name: str) -> int:
    """The number of a signal.

    Args:
        name: With SIG or without (``USR1``), or a number.

    Raises:
        ValueError: There is no such signal.
    """
    if re.fullmatch(r"[0-9]{1,2}", name) and 0 < int(name) < signals.NSIG:
        return int(name)
    known = signals.Signals.__members__.get(f"SIG{name.upper().removeprefix('SIG')}")
    if known is None:
        raise ValueError(f"There is no signal {name[:80]!r}")
    return known.value


def parse_signal(text: str) -> Signal:
    """Read the argument of --signal, ``[[R][B]:]signal[@seconds]``.

    Raises:
        ValueError: The text is of no such form, or no such signal is known.
    """
    match = re.fullmatch(_SIGNAL, text.strip())
    form = f"Invalid signal specification {text!r}: write [[R][B]:]signal[@seconds], as B:USR1@60"
    if match is None:
        raise ValueError(form)
    name, time_s = match["name"].upper().removeprefix("SIG"), int(match["time"] or _DEFAULT_WARN_S)
    try:
        number = signal_number(name)
    except ValueError as error:
        raise ValueError(form) from error
    if time_s > _MOST_16:
        raise ValueError(form)
    flags = (match["flags"] or "").upper()
    return Signal(name, number, time_s, "B" in flags, "R" in flags)


MAIL_TYPES: Final = ("BEGIN", "END", "FAIL", "REQUEUE", "STAGE_OUT", "INVALID_DEPEND", "TIME_LIMIT", "TIME_LIMIT_90",
    "TIME_LIMIT_80", "TIME_LIMIT_50", "ARRAY_TASKS")  # fmt: skip
MAIL_ALL: Final = MAIL_TYPES[:6]
"""What ALL stands for (sbatch(1), --mail-type)."""


def parse_mail_type(text: str) -> tuple[str, ...]:
    """Read the argument of --mail-type.

    Returns:
        The events, in Slurm's capitals; none where NONE is among them.

    Raises:
        ValueError: A word is not one of an event.
    """
    events: set[str] = set()
    words = [word.strip().upper() for word in text.split(",")]
    for word in words:
        if word not in (*MAIL_TYPES, "ALL", "NONE"):
            raise ValueError(f"Invalid mail type {word!r}: write {', '.join(MAIL_TYPES)}, ALL or NONE")
        events.update(MAIL_ALL if word == "ALL" else () if word == "NONE" else (word,))
    return () if "NONE" in words else tuple(event for event in MAIL_TYPES if event in events)


PROFILES: Final = ("ENERGY", "LUSTRE", "NETWORK", "TASK")


def parse_profile(text: str) -> tuple[str, ...]:
    """Read the argument of --profile: ``all``, ``none`` or any of energy, lustre, network and task.

    Returns:
        The kinds, in capitals; ``("NONE",)`` for none.

    Raises:
        ValueError: A word is not one of these.
    """
    words = {word.strip().upper() for word in text.split(",")}
    if words in ({"ALL"}, {"NONE"}):
        return PROFILES if words == {"ALL"} else ("NONE",)
    if not words <= set(PROFILES):
        raise ValueError(f"Invalid profile {text!r}: write all, none or some of {', '.join(PROFILES).lower()}")
    return tuple(word for word in PROFILES if word in words)


def parse_switches(text: str) -> tuple[int, int | None]:
    """Read the argument of --switches, ``count[@time]``: the count, and how long to wait in seconds.

    Raises:
        ValueError: The text is of no such form.
    """
    count, _, wait = text.strip().partition("@")
    if not re.fullmatch(r"[1-9][0-9]{0,9}", count) or (wait and not wait[0].isdigit()):
        raise ValueError(f"Invalid switches {text!r}: write count[@time]")
    return int(count), parse_time(wait) if wait else None


def parse_extra_node_info(text: str) -> tuple[int | None, int | None, int | None]:
    """Read the argument of --extra-node-info: sockets, cores per socket, threads per core; None where ``*`` stands.

    Raises:
        ValueError: The text is of no such form.
    """
    if not re.fullmatch(r"(?:[1-9][0-9]{0,4}|\*)(?::(?:[1-9][0-9]{0,4}|\*)){0,2}", text.strip()):
        raise ValueError(f"Invalid extra node information {text!r}: write sockets[:cores[:threads]]")
    parts = [None if part == "*" else int(part) for part in text.strip().split(":")]
    if any(part is not None and part > _MOST_16 - 2 for part in parts):
        raise ValueError(f"Invalid extra node information {text!r}: none may be above {_MOST_16 - 2}")
    sockets, cores, threads = (*parts, None, None)[:3]
    return sockets, cores, threads


def parse_mem_update(text: str) -> tuple[int, int]:
    """Read the argument of --mem-update: margin in percent and delay in minutes.

    Raises:
        ValueError: The text is of no such form.
    """
    match = re.fullmatch(r"(\d{1,5})@(\d{1,5})", text.strip())
    if match is None or not all(0 < int(part) <= _MOST_16 for part in match.groups()):
        raise ValueError(f"Invalid memory update {text!r}: write margin in percent@delay in minutes")
    return int(match[1]), int(match[2])


def parse_propagate(text: str) -> tuple[str, ...]:
    """Read the argument of --propagate: ALL, NONE or names of limits.

    Raises:
        ValueError: A word is not one of them.
    """
    words = tuple(word.strip().upper().removeprefix("RLIMIT_") for word in text.split(","))
    if unknown := [word for word in words if word not in (*LIMITS, "ALL", "NONE")]:
        raise ValueError(f"{unknown[0]!r} is not a limit: write ALL, NONE or some of {', '.join(LIMITS)}")
    return words


def parse_node_counts(text: str) -> str:
    """Read a list of numbers of nodes, as ``1,3`` or ``2-8:2``.

    Raises:
        ValueError: The text is of no such form.
    """
    item = r"[1-9]\d{0,6}(?:-[1-9]\d{0,6}(?::[1-9]\d{0,6})?)?"
    if not re.fullmatch(rf"{item}(?:,{item})*", text.strip()):
        raise ValueError(f"Invalid numbers of nodes {text!r}: write 1,3 or 2-8:2")
    return text.strip()


def parse_acctg_freq(text: str) -> str:
    """Read the argument of --acctg-freq: seconds, or seconds of each kind of sample, as ``task=30,energy=60``.

    Raises:
        ValueError: The text is of no such form.
    """
    sample = r"(?:all|energy|filesystem|network|task)=\d{1,9}"
    if not re.fullmatch(rf"\d{{1,9}}|{sample}(?:,{sample})*", text.strip().lower()):
        raise ValueError(f"Invalid sampling {text!r}: write 30 or task=30,energy=60,network=60,filesystem=60")
    return text.strip()


_VARIABLE: Final = r"(?s)([A-Za-z_][A-Za-z0-9_]*)(?:=(.*))?"
_QUOTED: Final = r"""(?s)((?:[^,'"]|'[^']*'|"[^"]*")*)(,|$)"""


def export_words(text: str) -> list[str]:
    """Split the argument of --export: a comma between quotes is none, and quotes around all of a word vanish.

    Raises:
        ValueError: A quote is not closed.
    """
    words = []
    at = 0
    while at < len(text):
        match = re.compile(_QUOTED).match(text, at)
        if match is None:
            raise ValueError(f"Improperly formed environment variable ({text[at:]})")
        word = match[1]
        words.append(word[1:-1] if len(word) > 1 and word[0] == word[-1] and word[0] in "'\"" else word)
        at = match.end()
    return words


def parse_export(text: str) -> dict[str, str | None]:
    """Read the argument of --export: ``ALL``, ``NONE``, ``NIL``, and with ALL or alone ``NAME`` or ``NAME=value``.

    Returns:
        Values by name; None: the caller's own, which is the request's ``environment`` here.

    Raises:
        ValueError: A word is not a variable.
    """
    if text.upper() in ("ALL", "NONE", "NIL"):
        return {}
    variables: dict[str, str | None] = {}
    for word in export_words(text):
        match = re.fullmatch(_VARIABLE, word)
        if match is None:
            raise ValueError(f"Invalid export {text!r}: write ALL, NONE, NIL or NAME=value,NAME=value")
        if word.upper() != "ALL":
            variables[match[1]] = match[2]
    return variables
