"""Patterns of failures are data: each knows its own example, has a page, and never takes long."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from re import _constants as ops  # type: ignore[attr-defined]
from re import _parser as parser  # type: ignore[attr-defined]
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hpcjobs.model.failure import FailureClass, Finding, LogTail
from hpcjobs.model.job import Fate
from hpcjobs.recovery.lines import MOST_CHARS, MOST_CHARS_TOGETHER, MOST_LINE, lines_of
from hpcjobs.recovery.pattern import Pattern, knowledge
from hpcjobs.recovery.reading import MOST_HITS, read

PATTERNS = knowledge().patterns
OF_SEVERAL_LINES = ("python-exception", "elastic-first", "nccl-straggler")
OF_ONE_LINE = [pattern for pattern in PATTERNS if pattern.name not in OF_SEVERAL_LINES]


def found(text: str, **log: Any) -> list[Finding]:
    return [finding for hits in read([LogTail("stderr", text, **log)], None).found for _, finding in hits]


@pytest.mark.parametrize("pattern", OF_ONE_LINE, ids=lambda pattern: pattern.name)
def test_a_pattern_knows_its_example_and_whoever_else_knows_it_says_the_same(pattern: Pattern) -> None:
    names = {one.pattern for one in found(f"before\n{pattern.example}\nafter")}
    assert pattern.name in names
    classes = {one.failure for one in found(pattern.example)}
    assert classes == {pattern.failure}
    assert [one.line for one in found(f"before\n{pattern.example}\nafter")] == [2] * len(names)


# What a group of each pattern finds in its own example.
NAMED = {
    "slurm-memory-error": {"node": "c1"},
    "slurm-stepd-terminated": {"node": "c1"},
    "srun-out-of-memory": {"node": "c2", "rank": 3},
    "srun-node-failure": {"node": "c2"},
    "srun-task-segfault": {"node": "c2", "rank": 3},
    "srun-task-killed": {"node": "c2", "rank": 3},
    "srun-task-exited": {"node": "c2", "rank": 3},
    "xid-other": {"device": "0000:3b:00"},
    "sxid-fatal": {"device": "0000:05:00.0"},
    "gpu-off-the-bus": {"device": "0000:3b:00.0"},
    "gpu-lost": {"device": "0000:3B:00.0"},
    "amdgpu-uncorrectable": {"device": "0000:c3:00.0"},
    "amdgpu-reset": {"device": "0000:c3:00.0"},
    "hip-memory-fault": {"device": "2"},
    "nccl-watchdog": {"rank": 3},
    "nccl-watchdog-ended": {"rank": 3},
    "nccl-ib-event": {"device": "mlx5_3"},
    "nccl-socket": {"node": "c2"},
    "ib-retries": {"device": "mlx5_0"},
    "mlx5-link-down": {"device": "0000:5e:00.0"},
    "mpi-abort": {"rank": 3},
    "mpirun-signal": {"node": "c2", "rank": 3},
    "mpich-fatal": {"rank": 3},
    "slurm-launch-on-node": {"node": "c2"},
    "pmix-lost": {"rank": 5},
    "jax-heartbeat": {"rank": 37},
    "array-allocation": {"rank": 617},
    "nccl-aborted": {"rank": 3},
    "nccl-setup": {"rank": 3},
    "megatron-result": {"rank": 126, "node": "c9", "device": "0"},
}


@pytest.mark.parametrize(
    "pattern", [one for one in OF_ONE_LINE if re.compile(one.regex).groupindex], ids=lambda pattern: pattern.name
)
def test_the_groups_of_a_pattern_name_what_its_example_is_about(pattern: Pattern) -> None:
    said = NAMED.get(pattern.name, {"device": "0000:3b:00"} if pattern.name.startswith("xid-") else {})
    assert set(re.compile(pattern.regex).groupindex) == set(said)
    (finding,) = (one for one in found(pattern.example) if one.pattern == pattern.name)
    assert {name: getattr(finding, name) for name in said} == said


@pytest.mark.parametrize("pattern", PATTERNS, ids=lambda pattern: pattern.name)
def test_a_pattern_has_a_page_and_its_words_are_in_its_example(pattern: Pattern) -> None:
    ours = Path(__file__).parents[2] / "docs" / pattern.source
    assert pattern.source.startswith("https://") or ours.is_file()
    assert pattern.words in pattern.example


def test_names_are_unique_and_every_class_is_spoken_of() -> None:
    names = [pattern.name for pattern in PATTERNS]
    assert len(names) == len(set(names))
    assert set(knowledge().classes) == set(FailureClass)
    assert set(knowledge().states) >= {fate.value for fate in Fate} - {"COMPLETED", "FAILED"}


@pytest.mark.parametrize("pattern", PATTERNS, ids=lambda pattern: pattern.name)
def test_no_expression_goes_back_over_what_it_has_read(pattern: Pattern) -> None:
    open_ended, nested = 0, False
    for lowest, highest, inside in _repeats(parser.parse(pattern.regex)):
        assert highest <= 200, "a repeat without a bound"
        open_ended += highest > lowest and highest > 1
        nested |= highest > 1 and any(most > 1 for _, most, _ in _repeats(inside))
    assert open_ended <= 1, "only one repeat may give back what it took; others are possessive"
    assert not nested


def _repeats(tree: Any, *, giving_back: bool = True) -> Iterator[tuple[int, int, Any]]:
    """Repeats of an expression that may give back what they took."""
    for op, argument in tree:
        if op in (ops.MAX_REPEAT, ops.MIN_REPEAT):
            yield argument
        for part in _parts(argument):
            yield from _repeats(part)


def _parts(argument: Any) -> Iterator[Any]:
    if isinstance(argument, parser.SubPattern):
        yield argument
    elif isinstance(argument, Sequence) and not isinstance(argument, str):
        for part in argument:
            yield from _parts(part)


@given(st.lists(st.sampled_from([*(one.words for one in PATTERNS), *(one.example for one in PATTERNS)]), max_size=40))
@settings(max_examples=30, deadline=None)
def test_any_mixture_of_messages_is_read_and_all_that_is_found_is_in_it(parts: list[str]) -> None:
    text = " ".join(parts)
    for finding in found(text):
        assert finding.text in text


@pytest.mark.parametrize("pattern", PATTERNS, ids=lambda pattern: pattern.name)
def test_a_log_of_nothing_but_the_words_of_a_pattern_is_read_within_bounds(pattern: Pattern) -> None:
    word = pattern.words
    assert len(found(word * (MOST_CHARS // len(word)))) <= 3 * len(PATTERNS)
    hits = found(f"{pattern.example}\n" * 1000)
    assert sum(one.pattern == pattern.name for one in hits) <= MOST_HITS


def test_of_a_long_log_the_end_is_read_and_of_a_long_line_the_beginning() -> None:
    text = "No space left on device\n" + "x" * MOST_CHARS + "\nStale file handle"
    assert [one.pattern for one in found(text)] == ["stale"]
    assert found("x" * MOST_LINE + "Stale file handle") == []
    progress = "".join(f"\r{done}% of the epoch" for done in range(MOST_CHARS // 8))
    assert [one.pattern for one in found(f"{progress}\rStale file handle")] == ["stale"]


def test_many_logs_share_the_bound() -> None:
    logs = [LogTail(f"rank {rank}", "line\n" * 20_000, rank=rank) for rank in range(1000)]
    chars = sum(len(line.text) + 1 for _, lines in lines_of(logs, None) for line in lines)
    assert 0 < chars <= MOST_CHARS_TOGETHER + 2 * len(logs)


@pytest.mark.parametrize(
    "line",
    [
        "amdgpu 0000:c3:00.0: amdgpu: 0 uncorrectable hardware errors detected in umc block",
        "amdgpu 0000:c3:00.0: amdgpu: 3 correctable hardware errors detected in umc block",
        "step 12 loss 2.31 nanoseconds 14",
        "glossary: banana",
        "nvidia-nvswitch3: SXid (PCI:0000:05:00.0): 20009, Non-fatal, Link 30 Short Fatal",
        "Detected 8 GPUs",
        "NCCL INFO Channel 00/16 : 0 1 2 3",
        "WARNING: 12% of tests failed, time limit of the suite is 10 min",
        "the solver exceeded tolerance",
        "",
    ],
)
def test_what_only_looks_like_a_failure_is_none(line: str) -> None:
    assert found(line) == []


def test_the_tables_of_the_page_are_made_of_the_patterns() -> None:
    root = Path(__file__).parents[2]
    subprocess.run([sys.executable, str(root / "scripts" / "failures"), "--check"], check=True)
