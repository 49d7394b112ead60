"""Expected values were taken from ``sbatch -vv --test-only`` of Slurm 26.05."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpcjobs.sbatch import directives
from hpcjobs.sbatch.directives import split_words


def find_directives(script: str) -> list[tuple[int, str]]:
    return [(one.line, one.text) for one in directives.find_directives(script)]


def script(*lines: str) -> str:
    return "\n".join(["#!/bin/bash", *lines, ""])


def test_a_directive_stands_in_column_0_and_keeps_its_line_number():
    assert find_directives(script("#SBATCH -N 1", "", "# words", "#SBATCH\t-n 2")) == [(2, " -N 1"), (5, "\t-n 2")]


@pytest.mark.parametrize("line", [" #SBATCH -N 2", "##SBATCH -N 2", "# SBATCH -N 2", "#sbatch -N 2", "\t#SBATCH -N 2"])
def test_what_only_looks_like_a_directive_is_a_comment(line):
    assert find_directives(script(line, "#SBATCH -n 1")) == [(3, " -n 1")]


@pytest.mark.parametrize("command", ["true", "  srun x", "set -e  # words", ": '"])
def test_the_first_command_ends_the_search(command):
    assert find_directives(script("#SBATCH -N 1", command, "#SBATCH -N 2")) == [(2, " -N 1")]


def test_empty_lines_and_comments_do_not_end_the_search():
    assert find_directives(script("", "   ", "# a", "  # b", "#SBATCH -N 1")) == [(6, " -N 1")]


def test_a_script_without_a_final_newline_or_without_anything_is_read():
    assert find_directives("#!/bin/sh\n#SBATCH -N 1") == [(2, " -N 1")]
    assert find_directives("") == []
    assert find_directives("#SBATCH") == [(1, "")]


def test_an_option_glued_to_the_magic_word_counts_as_it_does_for_sbatch():
    assert find_directives(script("#SBATCH--job-name=glued")) == [(2, "--job-name=glued")]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (" --job-name=a -N 2", ["--job-name=a", "-N", "2"]),
        (' --comment="two words"', ["--comment=two words"]),
        (" --comment='two words'", ["--comment=two words"]),
        (""" --comment="it's" """, ["--comment=it's"]),
        (r" --comment=two\ words", ["--comment=two words"]),
        (r' --comment="a \"quoted\" word"', ['--comment=a "quoted" word']),
        (r" --comment='x\ny'", ["--comment=xny"]),
        (r" --comment=a\#b", ["--comment=a#b"]),
        (' --comment="a # b" # not this', ["--comment=a # b"]),
        (" -N 2 # nodes", ["-N", "2"]),
        (" --job-name=a#b -N 2", ["--job-name=a"]),
        (" # all of it", []),
        (' --job-name="" --comment=after', ["--job-name=", "--comment=after"]),
        ("", []),
        (" -N 2\r", ["-N", "2"]),
    ],
)
def test_words_are_split_as_sbatch_splits_them(text, words):
    assert split_words(text) == words


@pytest.mark.parametrize("text", [' --comment="open', " --comment='open", """ 'a" """, ' "a\\"'])
def test_an_open_quote_is_refused(text):
    with pytest.raises(ValueError, match="is not closed"):
        split_words(text)


@given(st.lists(st.text(st.characters(exclude_characters="\n\r", exclude_categories=("Cs",)), min_size=1), max_size=5))
def test_every_word_survives_when_each_of_its_characters_is_escaped(words):
    line = " ".join("".join("\\" + character for character in word) for word in words)
    assert split_words(line) == words


@given(
    st.lists(st.text(st.characters(exclude_characters="\n\r\"'\\", exclude_categories=("Cs",)), min_size=1), max_size=5)
)
def test_every_word_survives_between_quotes_of_either_kind(words):
    for quote in "\"'":
        assert split_words(" ".join(f"{quote}{word}{quote}" for word in words)) == words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (" --nodes=2 \\", ["--nodes=2"]),
        (" -J a\\", ["-J", "a"]),
        (' --nodes=2 ""', ["--nodes=2"]),
        (' "" --nodes=2', []),
        (""" --comment=a""b --nodes=2 '' -J lost""", ["--comment=ab", "--nodes=2"]),
        (" -J\xa0a -N2", ["-J\xa0a", "-N2"]),
    ],
)
def test_an_empty_argument_ends_the_line_as_it_does_for_sbatch(text, words):
    assert split_words(text) == words


def test_slurms_old_word_is_read_too_as_sbatch_reads_it():
    found = directives.find_directives(script("#SLURM --array=0-9", "#SBATCH -N 1", "#SLURMx"))
    assert found == [(2, "#SLURM", " --array=0-9"), (3, "#SBATCH", " -N 1"), (4, "#SLURM", "x")]


def test_a_no_break_space_is_a_command():
    assert find_directives(script("\xa0", "#SBATCH -N 2")) == []
