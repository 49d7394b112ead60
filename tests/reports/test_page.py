"""docs/REPORTS.md against what can be asked: no word is missing there, and none means something else."""

from __future__ import annotations

from pathlib import Path

import pytest

from hpcjobs.reports.dimensions import DIMENSIONS
from hpcjobs.reports.measures import MEASURES
from hpcjobs.reports.ready import READY

PAGE = (Path(__file__).parents[2] / "docs" / "REPORTS.md").read_text()
LINES = [
    *(f"| `{one.name}` | {one.text} | `{','.join(one.by)}` |" for one in READY.values()),
    *(f"| `{name}` | {one.definition} |" for name, one in DIMENSIONS.items()),
    *(f"| `{name}` | {one.unit or '-'} | {one.definition} |" for name, one in MEASURES.items()),
]


@pytest.mark.parametrize("line", LINES)
def test_the_page_has_each_word_with_its_meaning(line):
    assert line in PAGE.splitlines()
