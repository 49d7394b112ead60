"""Arguments that say how tasks lie on the machine: distribution, bindings, frequencies, needs of a task."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, NamedTuple

from hpcjobs.model.gres import check_gpus, parse_amount
from hpcjobs.sbatch.getopt import Misspelt


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
    lower = text.strip().lower()
    words = lower.removesuffix(",").split(",")
    for index, word in enumerate(words):
        name, joined, first = word.partition(":")
        if name in _MEM_LISTS and joined:  # all the rest is its list
            number = r"[0-9]+" if _MEM_LISTS[name] == "map_mem" else r"(?:0x)?[0-9a-f]+"
            listed = [first, *words[index + 1 :]]
            if lower.endswith(",") or not all(re.fullmatch(number, place) for place in listed):
                raise _no_mem_bind(text)
            kind, places = _MEM_LISTS[name], ",".join(listed).replace("0x", "")
            break
        if word in ("v", "verbose", "q", "quiet"):
            verbose = word.startswith("v")
        elif word in ("p", "prefer"):
            prefer = True
        elif word in _MEM_BINDS:
            kind = _MEM_BINDS[word]
        else:
            raise _no_mem_bind(text)
    return MemBind(kind, places, prefer, verbose)


def _no_mem_bind(text: str) -> ValueError:
    return ValueError(f"Invalid memory binding {text!r}: write local, rank, none, map_mem:list or mask_mem:list")


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


_GPU_BIND: Final = (
    r"(?i)(?:v(?:erbose)?,)?(?:none|closest|(?:per_task|single):[0-9]{1,9}|(?:map|mask)_gpu:[0-9a-fx*,]+)"
)


def parse_gpu_bind(text: str) -> str:
    """Check the argument of --gpu-bind: ``closest``, ``single:2``, ``map_gpu:0,1``, ``verbose,none`` and the like.

    Raises:
        ValueError: The text is of no such form.
    """
    if text and not re.fullmatch(_GPU_BIND, text):
        raise ValueError(f"{text!r} is not one of none, closest, per_task:N, single:N, map_gpu:LIST and mask_gpu:LIST")
    return text


def parse_gpu_freq(text: str) -> str:
    """Check the argument of --gpu-freq: ``[memory=]low|medium|highm1|high|MHz``, both with a comma, and ``verbose``.

    Raises:
        ValueError: The text is of no such form.
    """
    for word in text.lower().split(","):
        if word != "verbose" and not re.fullmatch(
            r"(?:(?:memory|graphics)=)?(?:low|medium|high|highm1|[0-9]{1,9})", word
        ):
            raise ValueError(f"{word!r} is not low, medium, highm1, high or a number of MHz")
    return text


GRES_FLAGS: Final = ("disable-binding", "enforce-binding", "multiple-tasks-per-sharing", "one-task-per-sharing")


def parse_gres_flags(text: str) -> tuple[str, ...]:
    """Read the argument of --gres-flags.

    Raises:
        ValueError: A word is not one of the flags, or two contradict each other.
    """
    flags = tuple(one_of(word, *GRES_FLAGS) for word in text.split(","))
    for pair in (set(GRES_FLAGS[:2]), set(GRES_FLAGS[2:])):
        if pair <= set(flags):
            combo = f"Invalid --gres-flags combo: {' and '.join(sorted(pair))} are mutually exclusive."
            raise Misspelt(f"{' and '.join(sorted(pair))} exclude each other", f"error: {combo}")
    return flags


_MOST_CPUS: Final = 0xFFFD


_NEED: Final = r"(cpu|(?:gres|license)/[^,=:\s]+(?::[^,=:\s]+)??)(?:[=:]([0-9]{1,19}[KMGTPkmgtp]?))?"


def gpus_of_needs(needs: Mapping[str, int]) -> int:
    """How many GPUs are among the needs of a task, of all types together."""
    return sum(count for name, count in needs.items() if name == "gres/gpu" or name.startswith("gres/gpu:"))


def parse_tres_per_task(text: str) -> dict[str, int]:
    """Read the argument of --tres-per-task, as ``cpu=2,gres/gpu:a100=1`` or ``cpu:2,gres/gpu:a100:1``.

    Returns:
        Amount by name, as ``gres/gpu:a100`` -> 1; ``2K`` are 2,048.

    Raises:
        ValueError: The text is of no such form, or asks for more than Slurm's fields hold.
    """
    needs: dict[str, int] = {}
    for item in text.strip().split(","):
        match = re.fullmatch(_NEED, item)
        amount = parse_amount(match[2] or "1") if match else 0
        if match is None or match[1] in needs or (match[1] == "cpu" and not (match[2] and 0 < amount <= _MOST_CPUS)):
            raise ValueError(f"Invalid TRES per task {text!r}: write cpu=2,gres/gpu:a100=1")
        needs[match[1]] = amount
    check_gpus(gpus_of_needs(needs))
    return needs
