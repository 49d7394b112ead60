from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from hpcjobs.sse import Message, Parser, frame

WORD = st.text(st.characters(blacklist_categories=("Cs",), blacklist_characters="\r\n\0"), max_size=12)
TEXT = st.text(st.characters(blacklist_categories=("Cs",), blacklist_characters="\r"), min_size=1, max_size=30)
MESSAGES = st.lists(st.builds(Message, event=WORD, data=TEXT, id=st.none() | WORD), max_size=5)


@given(messages=MESSAGES, cuts=st.lists(st.integers(0, 400), max_size=6), data=st.data())
def test_what_is_framed_is_parsed_back_wherever_the_bytes_are_cut(messages, cuts, data):
    comment = data.draw(st.none() | WORD)
    whole = b"".join(frame(message, comment=comment, retry_ms=7) for message in messages)
    ends = [0, *sorted(min(cut, len(whole)) for cut in cuts), len(whole)]
    parser = Parser()
    parts = [whole[start:end] for start, end in itertools.pairwise(ends)]
    assert [message for part in parts for message in parser.feed(part)] == messages


def test_line_ends_of_other_systems_and_separators_of_unicode_are_what_they_are():
    parser = Parser()
    assert parser.feed("data: a\u2028b\x85c\r\nid:5\r\n\r\n".encode()) == [Message("", "a\u2028b\x85c", "5")]


def test_a_heartbeat_is_no_message_and_a_new_place_is_one():
    parser = Parser()
    assert parser.feed(frame(Message(), comment="")) == []
    assert parser.feed(frame(Message(id="9"), comment="")) == [Message(id="9")]
