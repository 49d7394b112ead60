from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpcjobs.sbatch.units import parse_count_range, parse_memory, parse_time


@pytest.mark.parametrize(
    ("text", "wall_s"),
    [
        ("10", 600),
        ("10:30", 630),
        ("1:02:03", 3723),
        ("2-0", 172800),
        ("1-2", 93600),
        ("1-02:03", 93780),
        ("1-02:03:04", 93784),
        ("90:00:00", 324000),
        (" 5 ", 300),
        ("0", 0),
    ],
)
def test_every_form_of_time_that_sbatch_names_is_read(text, wall_s):
    assert parse_time(text) == wall_s


@pytest.mark.parametrize("text", ["", "ten", "-5", "1:2:3:4", "1-2:3:4:5", "1.5", "5m", "-", "1 2"])
def test_what_is_no_time_is_refused_in_sbatchs_words(text):
    with pytest.raises(ValueError, match="Invalid time limit specification"):
        parse_time(text)


def forms_of(seconds: int) -> list[str]:
    """Every form of sbatch(1) that can write this many seconds."""
    days, rest = divmod(seconds, 86400)
    hours, minutes, second = rest // 3600, rest // 60 % 60, rest % 60
    forms = [
        f"{days}-{hours:02}:{minutes:02}:{second:02}",
        f"{seconds // 3600}:{minutes:02}:{second:02}",
        f"{seconds // 60}:{second:02}",
    ]
    if second == 0:
        forms += [f"{seconds // 60}", f"{days}-{hours}:{minutes:02}"]
    if second == minutes == 0:
        forms.append(f"{days}-{hours}")
    return forms


@given(st.one_of(st.integers(0, 10**8), st.integers(0, 10**5).map(lambda n: n * 3600)))
def test_a_time_survives_being_written_in_any_form(seconds):
    assert {parse_time(form) for form in forms_of(seconds)} == {seconds}


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("1", 2**20),
        ("512K", 2**19),
        ("512k", 2**19),
        ("3M", 3 * 2**20),
        ("3MB", 3 * 2**20),
        ("16G", 2**34),
        ("16gb", 2**34),
        ("2T", 2**41),
        ("0", 0),
    ],
)
def test_memory_is_mebibytes_unless_a_letter_says_otherwise(text, amount):
    assert parse_memory(text) == amount


@pytest.mark.parametrize("text", ["", "G", "1.5G", "-1", "16 G", "16GiB", "16X", "10B", "1P"])
def test_what_is_no_memory_is_refused(text):
    with pytest.raises(ValueError, match="Invalid memory specification"):
        parse_memory(text)


@given(st.integers(0, 10**6), st.sampled_from("KMGT"), st.sampled_from(["", "B", "b"]))
def test_memory_survives_being_written(number, unit, byte):
    amount = number * 1024 ** (1 + "KMGT".index(unit))
    assert parse_memory(f"{number}{unit}{byte}") == parse_memory(f"{number}{unit.lower()}{byte}") == amount


@given(st.integers(0, 10**6), st.integers(0, 10**6))
def test_a_range_of_nodes_is_read_low_to_high_only(one, other):
    low, high = sorted((one, other))
    assert parse_count_range(f"{low}-{high}") == (low, high)
    assert parse_count_range(str(low)) == (low, low)
    if low < high:
        with pytest.raises(ValueError, match="upside down"):
            parse_count_range(f"{high}-{low}")


@pytest.mark.parametrize("text", ["", "a", "-4", "4-", "1,3", "1-2-3", "4.0"])
def test_what_is_no_count_is_refused(text):
    with pytest.raises(ValueError, match="not a count"):
        parse_count_range(text)
