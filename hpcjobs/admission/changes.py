"""What can be held against changes of a job by themselves: the bounds of a submission, and no NUL."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

import msgspec

from hpcjobs.admission.resources import AMOUNTS, JOB_AMOUNTS, U32
from hpcjobs.admission.texts import MAX_COMMENT_BYTES, MAX_NAME, MAX_TEXT
from hpcjobs.errors import Refusal
from hpcjobs.model.order import Changes

YEAR_10000: Final = 253_402_300_800
"""In Unix seconds; Slurm reads years of four digits."""

_BOUNDS: Final[Mapping[str, tuple[int, int]]] = {
    **{name: AMOUNTS[name] for name in ("nodes", "nodes_max", "wall_s", "time_min_s")},
    **{name: JOB_AMOUNTS[name] for name in ("nice", "priority")},
    "begin": (0, YEAR_10000 - 1),
    "deadline": (0, YEAR_10000 - 1),
    "array_max_running": (0, U32),
}

_NAMES: Final = frozenset({"account", "qos", "reservation"})


def judge_changes(changes: Changes) -> list[Refusal]:
    """Everything that is against changes, whatever the job."""
    return list(_faults(changes))


def _faults(changes: Changes) -> Iterator[Refusal]:
    for name, value in zip(Changes.__struct_fields__, msgspec.structs.astuple(changes), strict=True):
        if isinstance(value, str):
            longest = MAX_NAME if name in _NAMES else MAX_TEXT
            if "\0" in value:
                yield Refusal(name, f"{name} contains a NUL character.")
            if len(value) > longest:
                yield Refusal(name, f"{name} is longer than {longest} characters.")
            if name == "comment" and len(value.encode()) > MAX_COMMENT_BYTES:
                yield Refusal(name, f"The comment is longer than {MAX_COMMENT_BYTES} bytes.")
        elif value is not None and name in _BOUNDS:
            least, most = _BOUNDS[name]
            if not least <= value <= most:
                yield Refusal(name, f"{name} must be between {least} and {most}; {value} was asked for.")
    if changes.nodes_max is not None and changes.nodes_max < (changes.nodes or 1):
        yield Refusal("nodes_max", "nodes_max is below nodes.")
