"""Ends of jobs at which several things are said at once (``data/failures.toml``), and what each comes to."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from hpcjobs.model.failure import Evidence, FailureClass, LogTail, Sureness, Suspect
from hpcjobs.model.job import Fate
from hpcjobs.recovery.classify import diagnose


class Case(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    name: str
    failure: FailureClass
    sure: Sureness
    root: str
    logs: tuple[LogTail, ...]
    fate: Fate = Fate.FAILED
    exit_code: int | None = None
    reason: str = ""
    nodes: tuple[str, ...] = ()
    failed_nodes: dict[str, float] = {}
    suspects: tuple[tuple[str, str], ...] = ()


class Cases(msgspec.Struct, frozen=True):
    cases: tuple[Case, ...]


CASES = msgspec.toml.decode((Path(__file__).parent / "data" / "failures.toml").read_bytes(), type=Cases).cases


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_of_all_that_is_said_the_root_is_found(case: Case) -> None:
    found = diagnose(
        Evidence(
            fate=case.fate,
            exit_code=case.exit_code,
            reason=case.reason,
            nodes=case.nodes,
            failed_nodes=case.failed_nodes,
            logs=case.logs,
            now=1_796_040_000.0,
        )
    )
    assert found is not None
    assert (found.failure, found.sure) == (case.failure, case.sure)
    if case.root:
        first = found.findings[0]
        assert case.root in first.text
        assert (first.pattern if first.line else first.text) in found.sentence
    assert found.suspects == tuple(Suspect(node, device) for node, device in case.suspects)
