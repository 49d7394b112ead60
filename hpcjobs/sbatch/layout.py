"""Arguments that say how tasks lie on the machine: distribution, bindings, frequencies, needs of a task."""

from __future__ import annotations

import re
from typing import Final, NamedTuple


class Distribution(NamedTuple):
    """How tasks are laid out.

    Attributes:
        text: Normalised, as ``block:cyclic,pack``, ``plane`` or ``arbitrary``.
        plane_size: Tasks in a block of ``plane``; None: another layout.
    """

    text: str
    plane_size: int | None


_LEVELS: Final = ("block", "cyclic", "cyclic")
_METHODS: Final = (("block", "cyclic"), ("block", "cyclic", "fcyclic"), ("block", "cyclic", "fcyclic"))


def parse_distribution(text: str) -> Distribution:
    """Read the argument of --distribution: ``nodes[:sockets[:cores]][,Pack|NoPack]``, ``plane=size``, ``arbitrary``.

    Raises:
        ValueError: The text is of no such form.
    """
    lower = text.strip().lower()
    if plane := re.fullmatch(r"plane=(\d{1,5})", lower):
        if 0 < int(plane[1]) < 0xFFFE:
            return Distribution("plane", int(plane[1]))
    elif lower == "arbitrary":
        return Distribution("arbitrary", None)
    else:
        layout, _, packing = lower.partition(",")
        if not packing and layout in ("pack", "nopack"):
            return Distribution(layout, None)
        methods = layout.split(":")
        if len(methods) <= len(_LEVELS) and packing in ("", "pack", "nopack"):
            full = [_LEVELS[level] if word == "*" else word for level, word in enumerate(methods)]
            if len(full) == len(_LEVELS) and methods[2] == "*":
                full[2] = full[1]
            if all(word in _METHODS[level] for level, word in enumerate(full)):
                return Distribution(":".join(full) + (f",{packing}" if packing else ""), None)
    raise ValueError(f"Invalid distribution {text!r}: write block:cyclic, plane=4 or arbitrary")


_GOVERNORS: Final = ("conservative", "ondemand", "performance", "powersave", "schedutil", "userspace")
_SPEED: Final = r"(?:\d{1,10}|low|medium|highm1|high)"


def parse_cpu_freq(text: str) -> tuple[str | None, str | None, str | None]:
    """Read the argument of --cpu-freq, ``p1[-p2[:p3]]``: least and most frequency (kHz or a word) and governor.

    Raises:
        ValueError: The text is of no such form.
    """
    lower = text.strip().lower()
    if lower in _GOVERNORS:
        return None, None, lower
    match = re.fullmatch(rf"({_SPEED})(?:-({_SPEED}):({'|'.join(_GOVERNORS)}))?", lower)
    if match is None:
        raise ValueError(f"Invalid CPU frequency {text!r}: write low-high:performance, 2400000 or a governor")
    return (match[1], match[2], match[3]) if match[2] else (None, match[1], None)


_MEM_BINDS: Final = {"no": "none", "none": "none", "local": "local", "rank": "rank"}
_MEM_LISTS: Final = {"map_mem": "map_mem", "mask_mem": "mask_mem", "mapmem": "map_mem", "maskmem": "mask_mem"}


class MemBind(NamedTuple):
    """How tasks are bound to memory.

    Attributes:
        kind: ``none``, ``rank``, ``local``, ``map_mem``, ``mask_mem``, or ``""``.
        places: Nodes or masks of the last two.
        prefer: The first node that holds memory is filled first.
        verbose: Says what it does.
    """

    kind: str
    places: str
    prefer: bool
    verbose: bool

    @property
    def text(self) -> str:
        """As sbatch hands it to the job."""
        kind = f"{self.kind}:{self.places}" if self.places else self.kind
        words = [word for word, said in (("verbose", self.verbose), ("prefer", self.prefer), (kind, kind)) if said]
        return ",".join(words)


def parse_mem_bind(text: str) -> MemBind:
    """Read the argument of --mem-bind; of several kinds the last counts.

    Raises:
        ValueError: The text is of no such form.
    """
    kind = places = ""
    prefer, verbose = False, False
    rest = text.strip().lower()
    said = bool(rest)
    while rest:
        word, _, after = rest.partition(",")
        name, joined, _ = word.partition(":")
        if name in _MEM_LISTS and joined:
            number = r"\d+" if _MEM_LISTS[name] == "map_mem" else r"(?:0x)?[0-9a-f]+"
            listed = rest.partition(":")[2]
            if not re.fullmatch(rf"{number}(?:,{number})*", listed):
                break
            kind, places, rest = _MEM_LISTS[name], listed.replace("0x", ""), ""
        elif word in ("v", "verbose", "q", "quiet"):
            verbose, rest = word.startswith("v"), after
        elif word in ("p", "prefer"):
            prefer, rest = True, after
        elif word in _MEM_BINDS:
            kind, rest = _MEM_BINDS[word], after
        else:
            break
    if rest or not said:
        raise ValueError(f"Invalid memory binding {text!r}: write local, rank, none, map_mem:list or mask_mem:list")
    return MemBind(kind, places, prefer, verbose)


def parse_hint(text: str) -> str:
    """Read the argument of --hint.

    Raises:
        ValueError: It is none of the four.
    """
    return one_of(text, "compute_bound", "memory_bound", "multithread", "nomultithread")


def one_of(text: str, *words: str) -> str:
    """One of these words, whatever its capitals.

    Raises:
        ValueError: It is none of them.
    """
    lower = text.strip().lower()
    if lower not in words:
        raise ValueError(f"{text!r} is not one of {', '.join(words)}")
    return lower


GRES_FLAGS: Final = ("disable-binding", "enforce-binding", "multiple-tasks-per-sharing", "one-task-per-sharing")


def parse_gres_flags(text: str) -> tuple[str, ...]:
    """Read the argument of --gres-flags.

    Raises:
        ValueError: A word is not one of the flags, or two contradict each other.
    """
    flags = tuple(one_of(word, *GRES_FLAGS) for word in text.split(","))
    for pair in (set(GRES_FLAGS[:2]), set(GRES_FLAGS[2:])):
        if pair <= set(flags):
            raise ValueError(f"{' and '.join(sorted(pair))} exclude each other")
    return flags


def parse_tres_per_task(text: str) -> dict[str, str]:
    """Read the argument of --tres-per-task, as ``cpu=2,gres/gpu:a100=1`` or ``cpu:2,gres/gpu:a100:1``.

    Returns:
        Amount by name, as ``gres/gpu:a100`` -> ``1``.

    Raises:
        ValueError: The text is of no such form.
    """
    needs: dict[str, str] = {}
    for item in text.strip().split(","):
        match = re.fullmatch(r"(cpu|(?:gres|license)/[^,=:\s]+(?::[^,=:\s]+)??)(?:[=:](\d+[KMGTP]?))?", item)
        if match is None or match[1] in needs or (match[1] == "cpu" and not int(match[2] or 0)):
            raise ValueError(f"Invalid TRES per task {text!r}: write cpu=2,gres/gpu:a100=1")
        needs[match[1]] = match[2] or "1"
    return needs
