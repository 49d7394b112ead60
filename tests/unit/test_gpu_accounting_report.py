"""Report ``families`` of plugin gpu_accounting: against a sum by other code, and of types that nobody knows."""

from __future__ import annotations

from collections import defaultdict

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpcjobs.devices.family import families
from hpcjobs.model.report import Table, misshapen
from hpcjobs.reports.tried import answers
from hpcjobs_plugins.gpu_accounting.reports import FAMILIES, by_family, devices_of

DEVICES = devices_of(families().values())
NOTHING, SOME = answers(FAMILIES)
KINDS = ["a100", "A100", "a100_1g.5gb", "h100", "mi300x", "mi300x_cpx", "s4000", "unresolved", "home-made", "1g.5gb"]


def of(*rows: tuple[object, ...]) -> Table:
    total = ("", *(sum(row[place] for row in rows) for place in (1, 2, 3)))
    return msgspec.structs.replace(SOME, rows=rows, total=total, notes=())


def test_slices_are_with_their_model_and_memory_is_that_of_whole_devices():
    made = by_family(of(("a100", 8, 8, 8), ("a100_1g.5gb", 7, 1, 1), ("mi300x", 1, 1, 2)), DEVICES)
    assert made.rows == (
        ("NVIDIA", "A100 SXM4 40GB", 40, 15, 9, 9, 360),
        ("AMD Instinct", "Instinct MI300X", 192, 1, 1, 2, 192),
    )
    assert made.total == ("", "", None, 16, 10, 11, 552)
    assert made.notes == ()


def test_what_no_family_has_is_told_by_its_type_and_has_no_memory():
    made = by_family(of(("home-made", 3, 3, 3), ("unresolved", 2, 2, 2), ("s4000", 1, 1, 1)), DEVICES)
    assert [row[:3] for row in made.rows] == [
        ("not known", "home-made", None), ("not known", "unresolved", None), ("Moore Threads", "MTT S4000", None),
    ]  # fmt: skip
    assert made.total == ("", "", None, 6, 6, 6, None)
    assert made.notes == ("Of what memory these have nothing is known: MTT S4000, home-made, unresolved.",)


@given(st.lists(st.tuples(st.sampled_from(KINDS), *[st.integers(0, 1000)] * 3)))
def test_no_hour_is_lost_and_memory_is_counted_by_device(rows):
    made = by_family(of(*rows), DEVICES)
    assert not misshapen(made)
    for place in (3, 4, 5):
        assert sum(row[place] for row in made.rows) == sum(row[place - 2] for row in rows) == made.total[place]
    memory = defaultdict(float)
    for kind, _, whole, _ in rows:
        memory[kind.lower()] += {"a100": 40, "h100": 80, "mi30": 192}.get(kind.lower()[:4], 0) * whole
    assert (made.total[6] or 0) == pytest.approx(sum(memory.values()))


def test_of_real_usage_it_has_every_kind_once():
    made = by_family(SOME, DEVICES)
    assert {row[1] for row in made.rows} >= {"A100 SXM4 40GB", "no_such_model", "unresolved"}
    assert len({row[:2] for row in made.rows}) == len(made.rows)
    assert by_family(NOTHING, DEVICES).rows == ()
