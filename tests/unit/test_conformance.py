"""The tests that authors of plugins import: what they let pass, and what not."""

from __future__ import annotations

import random
from collections.abc import Callable

import msgspec
import pytest

from hpcjobs.conformance import faults_of
from hpcjobs.errors import Refusal
from hpcjobs.model.placement import Placement
from hpcjobs.model.report import Column, Ready, Table
from hpcjobs.plugin import Admit, Configure, Hook, Observe, Place, Plugin, Report

WHATEVER = "a report is a table whatever usage answers"
SAME = "the same question has the same answer"
ASKS = "its reports ask what can be asked"


def failed(*hooks: Hook) -> dict[str, str]:
    """Which tests fail beside that of the entry point, and why."""
    found = dict(faults_of(Plugin("here", 1, hooks), {}))
    found.pop("an entry point of its name leads to it")
    return {test: fault for test, fault in found.items() if fault}


def test_a_plugin_that_keeps_all_of_it_passes():
    assert not failed(
        Admit(lambda spec, context: Refusal("name", "No names.") if spec.name else spec),
        Place(lambda spec, view: Placement(nodes=("n1",)) if spec.parallel else None),
        Configure(lambda inventory: {"a.conf": ""}),
        Observe(lambda event: None),
    )


def test_a_plugin_may_be_against_placing_a_job():
    assert not failed(Place(lambda spec, view: Refusal("parallel", "Too large.") if spec.parallel else None))


@pytest.mark.parametrize(
    ("hook", "test", "fault"),
    [
        (Admit(lambda spec, context: []), "jobs of every shape are judged", "without a refusal"),
        (Admit(lambda spec, context: 1 / 0), "jobs of every shape are judged", "ZeroDivisionError"),  # type: ignore[arg-type, return-value]
        (Admit(lambda spec, context: Refusal("", "")), "jobs of every shape are judged", "says nothing"),
        (Place(lambda spec, view: 7), "a placement names nodes that are there", "returned 7"),  # type: ignore[arg-type, return-value]
        (Place(lambda spec, view: Placement(nodes=("x",))), "a placement names nodes that are there", "not there"),
        (Place(lambda spec, view: Placement(nodes=())), "a placement names nodes that are there", "on no node"),
        (Place(lambda spec, view: Refusal("", "")), "a placement names nodes that are there", "says nothing"),
        (Observe(lambda event: open("/dev/null").close()), "hooks do no io", "observe does I/O: open"),
        (Configure(lambda inventory: {"../a": ""}), "configuration is text by file name", "../a"),
    ],
)  # fmt: skip
def test_what_a_plugin_must_not_do_is_said(hook: Hook, test: str, fault: str):
    assert fault in failed(hook)[test]


READY = Ready("own", "Own", "What it tells.", ("gpu",), ("gpu_hours", "gpu_busy"))
COLUMN = Column("n", "n", "", "How many.")


def reporting(run: Callable[[str, Table], object], report: Ready = READY) -> Report:
    return Report(run, (report,))  # type: ignore[arg-type]


def told(answer: Table, columns: tuple[Column, ...], *rows: tuple[object, ...]) -> Table:
    return msgspec.structs.replace(answer, columns=columns, rows=rows, total=None)


def test_a_plugin_that_reports_passes():
    assert not failed(reporting(lambda name, answer: answer))
    assert not failed(reporting(lambda name, answer: told(answer, (COLUMN,), (len(answer.rows),))))


@pytest.mark.parametrize(
    ("hook", "test", "fault"),
    [
        (reporting(lambda name, answer: answer.rows), WHATEVER, "report returned"),
        (reporting(lambda name, answer: told(answer, (COLUMN,), (1, 2))), WHATEVER, "not 1 cells"),
        (reporting(lambda name, answer: told(answer, (Column("n", "n"),), (1,))), WHATEVER, "says not what it is"),
        (reporting(lambda name, answer: told(answer, (COLUMN,), (1 / len(answer.rows),))), WHATEVER, "ZeroDivision"),
        (reporting(lambda name, answer: told(answer, (COLUMN,), (random.random(),))), SAME, "two reports own"),
        (reporting(lambda name, answer: open("/dev/null").close() or answer), "hooks do no io", "report does I/O"),
        (reporting(lambda name, answer: answer, msgspec.structs.replace(READY, by=("joy",))), ASKS, "joy"),
    ],
)  # fmt: skip
def test_what_a_report_must_not_be_is_said(hook: Report, test: str, fault: str):
    assert fault in failed(hook)[test]
