"""Which bytes a request means: RFC 9110's examples and its corners."""

from __future__ import annotations

import base64
import hashlib
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpcjobs.api.conditional import disposition, names, sha256_of, wanted
from hpcjobs.errors import PreconditionFailed, RangeUnsatisfiable, Refused


def ask(size: int = 10, **headers: str):
    told = {"if_match": None, "if_none_match": None, "if_range": None, "byte_range": None}
    return wanted("e", size, **(told | headers))


@pytest.mark.parametrize(
    ("text", "part"),
    [("bytes=0-0", (206, 0, 1)), ("bytes=2-4", (206, 2, 5)), ("bytes=2-", (206, 2, 10)), ("bytes=2-99", (206, 2, 10)),
     ("bytes=-3", (206, 7, 10)), ("bytes=-99", (206, 0, 10)), ("Bytes = 9-9", (206, 9, 10)),
     ("bytes=0-9999999999999999999", (206, 0, 10)),
     # what RFC 9110 lets be ignored: several ranges, other units, nonsense
     ("bytes=0-1,3-4", (200, 0, 10)), ("lines=0-1", (200, 0, 10)), ("bytes=4-2", (200, 0, 10)),
     ("bytes=-", (200, 0, 10)), ("bytes=a-b", (200, 0, 10)), ("", (200, 0, 10)), ("bytes=\u0661-\u0662", (200, 0, 10))],
)  # fmt: skip
def test_a_range_is_the_bytes_it_says_or_the_whole_file(text, part):
    assert ask(byte_range=text) == part


@pytest.mark.parametrize(("size", "text"), [(10, "bytes=10-"), (10, "bytes=10-12"), (10, "bytes=-0"), (0, "bytes=0-")])
def test_a_range_that_the_file_has_nothing_of_is_416_with_its_size(size, text):
    with pytest.raises(RangeUnsatisfiable) as failed:
        ask(size, byte_range=text)
    assert failed.value.size_bytes == size


def test_the_last_bytes_of_an_empty_file_are_all_of_it():
    assert ask(0, byte_range="bytes=-5") == (200, 0, 0)
    assert ask(0) == (200, 0, 0)


@given(st.integers(0, 50), st.none() | st.integers(0, 60), st.none() | st.integers(0, 60))
def test_any_range_is_inside_the_file(size, first, last):
    text = f"bytes={'' if first is None else first}-{'' if last is None else last}"
    try:
        status, start, end = ask(size, byte_range=text)
    except RangeUnsatisfiable:
        assert last == 0 if first is None else first >= size
        return
    assert 0 <= start <= end <= size
    if status == 206:
        assert start < end
        stop = None if last is None else last + 1
        assert range(size)[start:end] == (range(size)[-(last or 0) :] if first is None else range(size)[first:stop])


def test_if_range_gives_the_part_of_that_very_file_or_all_of_the_present_one():
    assert ask(byte_range="bytes=2-", if_range='"e"').status == 206
    for other in ('"f"', 'W/"e"', "*", "Mon, 23 Nov 2026 16:00:00 GMT"):
        assert ask(byte_range="bytes=2-", if_range=other) == (200, 0, 10)


def test_preconditions_come_before_ranges():
    assert ask(if_none_match='"a", W/"e"', byte_range="bytes=99-").status == 304
    assert ask(if_none_match="*").status == 304
    assert ask(if_none_match='"a"').status == 200
    assert ask(if_match='"a", "e"').status == 200
    for other in ('W/"e"', '"a"', ""):
        with pytest.raises(PreconditionFailed):
            ask(if_match=other, byte_range="bytes=99-")


def test_names_is_exact():
    assert not names(None, "e")
    assert not names("e", "e")
    assert names("*", "e")


def test_the_digest_header_gives_the_checksum_in_hexadecimal():
    digest = hashlib.sha256(b"text")
    packed = base64.b64encode(digest.digest()).decode()
    assert sha256_of(f"sha-256=:{packed}:") == digest.hexdigest()
    assert sha256_of(f"sha-512=:AAAA:, sha-256=:{packed}:") == digest.hexdigest()
    assert sha256_of("sha-512=:AAAA:") == sha256_of(None) == ""
    for bad in ("sha-256=:AAAA:", "sha-256=:=:", "sha-256=::"):
        with pytest.raises(Refused):
            sha256_of(bad)


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=40))
def test_a_name_of_any_characters_comes_out_of_content_disposition_whole(name):
    header = disposition(name)
    assert header.isascii()
    assert header.isprintable()
    plain, _, exact = header.removeprefix('attachment; filename="').partition("\"; filename*=UTF-8''")
    assert unquote(exact) == name
    assert not set(exact) & set(' ";,')
    assert len(plain) == len(name)
    assert not set(plain) & set('"\\')
