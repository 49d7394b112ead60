"""What one device of a type is in whole accelerators."""

from __future__ import annotations

from fractions import Fraction

import pytest

from hpcjobs.devices.worth import is_slice, whole_of, worth


@pytest.mark.parametrize(
    ("kind", "whole"),
    [
        ("1g.5gb", Fraction(1, 7)),
        ("a100_1g.5gb", Fraction(1, 7)),
        ("1g.10gb+me", Fraction(1, 7)),
        ("h100_3g.40gb", Fraction(3, 7)),
        ("1g.6gb", Fraction(1, 4)),
        ("a30_2g.12gb", Fraction(1, 2)),
        ("mi300x_cpx", Fraction(1, 8)),
        ("mi300x-dpx", Fraction(1, 2)),
    ],
)
def test_a_slice_is_worth_its_part_of_the_compute_units(kind: str, whole: Fraction) -> None:
    assert worth(kind) == whole
    assert is_slice(kind)


@pytest.mark.parametrize("kind", ["", "a100", "h100", "mi300x", "rtx4090"])
def test_what_is_not_known_to_be_a_slice_is_whole(kind: str) -> None:
    assert worth(kind) == 1
    assert not is_slice(kind)


def test_a_slice_that_has_all_of_a_gpu_is_whole_and_still_a_slice() -> None:
    assert worth("a100_7g.40gb") == 1
    assert is_slice("a100_7g.40gb")


@pytest.mark.parametrize(
    ("kind", "whole"),
    [("a100_1g.5gb", "a100"), ("nvidia_h100_80gb_hbm3_3g.40gb", "nvidia_h100_80gb_hbm3"), ("1g.5gb", ""),
     ("mi300x_cpx", "mi300x"), ("a100-2g.10gb+me", "a100"), ("a100", ""), ("", "")],
)  # fmt: skip
def test_a_slice_says_of_what_it_is_one(kind, whole):
    assert whole_of(kind) == whole
