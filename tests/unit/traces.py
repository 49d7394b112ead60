"""Real traces, which may not be copied into the repository, and mutilated text."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import strategies as st

from hpcjobs.errors import Refused
from hpcjobs.sim.workload import Workload
from tests.unit.fabrics import shared


def real_trace(name: str) -> Path:
    """A file of HPCJOBS_TRACES or of ``shared/traces``; the test is skipped where there is none."""
    named = Path(os.environ.get("HPCJOBS_TRACES", "/nonexistent"), name)
    path = named if named.is_file() else shared("traces", name)
    if path is None:
        pytest.skip(f"no {name} in HPCJOBS_TRACES or shared/traces: it may not be copied into the repository")
    return path


JUNK = [
    "-1",
    "nan",
    "inf",
    "-inf",
    "1e400",
    "9" * 400,
    "\0",
    "|",
    ",",
    '"',
    ";",
    " ",
    "\ufffd",
    "-0",
    "1e15",
    "1_0",
    "٣",
]


@st.composite
def mutilated(draw: st.DrawFn, lines: list[str]) -> list[str]:
    """The lines of a file with some of them cut, doubled, swapped, emptied, or overwritten by anything."""
    found = list(lines)
    for _ in range(draw(st.integers(0, 6))):
        at = draw(st.integers(0, len(found) - 1))
        line = found[at]
        cut = draw(st.integers(0, len(line)))
        junk = draw(st.one_of(st.text(max_size=12), st.sampled_from(JUNK)))
        found[at] = draw(st.sampled_from([line[:cut], line[cut:], line[:cut] + junk + line[cut:], junk, line + line]))
    if draw(st.booleans()):
        del found[draw(st.integers(0, len(found) - 1)) :]
    return found


def outcome(read: Callable[[], Workload], *expected: str) -> Workload | None:
    """What a reader makes of a file; None: it refuses it in one of the expected ways, and only so."""
    try:
        return read()
    except Refused as error:
        if not error.detail.startswith(expected):
            raise
        return None
