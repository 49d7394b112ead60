"""Whatever somebody makes of a file, a command ends with an exit code and a sentence."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpcjobs_plugins.topology.saved import write_site
from hpcjobs_plugins.topology.twin import Shape, fat_tree

from .topology_runs import ibnetdiscover, run

SITE = json.loads(
    write_site(fat_tree(Shape(hosts=6, hosts_per_leaf=2, spines=2, rails=2, rail_optimised=True, domain_hosts=2)))
)
TEXT = ibnetdiscover().splitlines()
COMMANDS = [
    ["show"], ["show", "--table"], ["show", "--svg", "-"], ["check", "--nodes", "n[0001-0009]"], ["discover"],
    ["translate"], ["translate", "--shape", "physical"], ["translate", "--shape", "block"],
    ["translate", "--shape", "leaf-block"],
]  # fmt: skip
WORDS = ("", "x", "leaf01", "n0001", "ib0", "a\nb", "\x1b[2J", "n[1-", "é" * 80)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz")


def ways(value: Any, way: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to each part of a document."""
    for key in value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        yield (*way, key)
        yield from ways(value[key], (*way, key))


def other(value: Any) -> st.SearchStrategy[Any]:
    """Something else of the same kind, or of any."""
    if isinstance(value, dict):
        keys = st.sets(st.sampled_from(sorted(value))) if value else st.just(set())
        return keys.map(lambda some: {key: value[key] for key in value if key in some})
    if isinstance(value, list):
        return st.sets(st.integers(0, max(len(value) - 1, 0))).map(lambda some: [value[i] for i in some if value])
    of = {str: st.sampled_from(WORDS), int: st.integers(-(2**62), 2**62), float: st.floats(0, 1e300)}
    return of.get(type(value), st.none())


@st.composite
def changed_sites(draw: st.DrawFn) -> str:
    site = json.loads(json.dumps(SITE))
    for _ in range(draw(st.integers(1, 3))):
        *way, last = draw(st.sampled_from(list(ways(site))))
        inside = site
        for key in way:
            inside = inside[key]
        inside[last] = draw(other(inside[last]))
    return json.dumps(site)


@st.composite
def changed_outputs(draw: st.DrawFn) -> str:
    lines = list(TEXT)
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(lines) - 1))
        match draw(st.sampled_from(["drop", "cut", "repeat", "letter"])):
            case "drop":
                del lines[at]
            case "cut":
                lines[at] = lines[at][: draw(st.integers(0, len(lines[at])))]
            case "repeat":
                lines.insert(at, draw(st.sampled_from(lines)))
            case "letter":
                lines[at] = lines[at].replace(draw(st.sampled_from('0123456789abcdef[]"S')), "f", 1)
    return "\n".join(lines)


def ends_well(words: list[str]) -> None:
    done = run(*words)
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exc_info
    assert done.exit_code in (0, 1, 2)
    assert done.exit_code != 2 or done.stderr or words[0] == "check"


@given(text=changed_sites(), command=st.sampled_from(COMMANDS))
def test_a_saved_site_in_which_anything_was_changed_is_read_or_refused(folder, text, command):
    (folder / "site.json").write_text(text)
    (folder / "good.json").write_text(json.dumps(SITE))
    ends_well([*command, str(folder / "site.json")])
    ends_well(["diff", str(folder / "good.json"), str(folder / "site.json")])


@given(text=changed_outputs(), command=st.sampled_from(COMMANDS))
def test_an_output_in_which_lines_were_changed_is_read_or_refused(folder, text, command):
    (folder / "fabric.txt").write_text(text)
    ends_well([*command, f"ibnetdiscover:{folder / 'fabric.txt'}"])
