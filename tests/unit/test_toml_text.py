from __future__ import annotations

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpcjobs.cli.toml_text import with_settings

FILE = """\
# my settings

url = "https://a"   # the old one
token='x'

[profiles.other]  # far away
url = "https://b"
# a note

[spank.image]
plugin = "shifter"
"""


def test_a_setting_is_changed_in_its_place_and_its_comment_stays():
    changed = with_settings(FILE, [], {"url": "https://new", "token": 'a"b\\c#d'})
    assert changed == FILE.replace('"https://a"', '"https://new"').replace("token='x'", 'token = "a\\"b\\\\c#d"')


def test_a_new_setting_stands_behind_the_others_of_its_table():
    assert with_settings(FILE, ["profiles", "other"], {"token": "t"}) == FILE.replace(
        'url = "https://b"\n', 'url = "https://b"\ntoken = "t"\n'
    )
    top = with_settings(FILE, [], {"profile": "other"})
    assert top.splitlines()[4] == 'profile = "other"'


def test_a_new_table_stands_at_the_end():
    changed = with_settings(FILE, ["profiles", "a b"], {"url": "u", "queue_offline": True})
    assert changed == FILE + '\n[profiles."a b"]\nurl = "u"\nqueue_offline = true\n'
    assert with_settings("", [], {"url": "u"}) == 'url = "u"\n'


def test_a_setting_is_taken_away():
    assert with_settings(FILE, [], {"token": None}) == FILE.replace("token='x'\n", "")
    assert with_settings(FILE, [], {"nothing": None}) == FILE


@pytest.mark.parametrize(
    "text",
    [
        'profiles = { other = { url = "u" } }\n',
        'profiles.other.url = "u"\n',
        '[profiles]\nother = { url = "u" }\n',
        'note = """\n[profiles.other]\ntoken = "no"\n"""\n[profiles]\nother.url = "x"\n',
    ],
)
def test_a_file_in_which_it_cannot_find_its_way_is_left_alone(text):
    with pytest.raises(ValueError, match="please do it by hand"):
        with_settings(text, ["profiles", "other"], {"token": "t"})


def test_only_a_newline_ends_a_line():
    text = with_settings('url = "a\x85b"\r\ntoken = "\u2028"\n', [], {"cluster": "c"})
    assert tomllib.loads(text) == {"url": "a\x85b", "token": "\u2028", "cluster": "c"}


def test_what_only_looks_like_a_setting_is_none():
    text = 'note = """\ntoken = "no"\n"""\n'
    with pytest.raises(ValueError, match="please do it by hand"):
        with_settings(text, [], {"token": "t"})


NAMES = st.sampled_from(["url", "token", "cluster", "odd name"])
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
SETTINGS = st.dictionaries(NAMES, TEXTS | st.booleans(), max_size=4)


@given(
    SETTINGS,
    SETTINGS,
    st.dictionaries(NAMES, TEXTS | st.booleans() | st.none(), min_size=1),
    st.text("ab .\"'", min_size=1),
)
def test_what_was_written_is_read_again(top, other, change, name):
    text = with_settings(with_settings("", [], top), ["profiles", name], other)
    changed = tomllib.loads(with_settings(text, ["profiles", name], change))
    assert changed.pop("profiles")[name] == {key: value for key, value in (other | change).items() if value is not None}
    assert changed == top
