"""docs/ETTR.md: its tables are what ``make bench NAME=ettr`` finds, the smallest of which is simulated here."""

from __future__ import annotations

import re
import statistics

import pytest

from hpcjobs.model.losses import Parts
from tests.bench import ettr
from tests.unit.topology_runs import ROOT

PAGE = (ROOT / "docs" / "ETTR.md").read_text()
GPUS = ettr.SIZES[0]


@pytest.mark.parametrize("row", ettr.ROWS, ids=lambda row: row.name)
def test_a_row_is_what_is_found(row):
    one = ettr.found(row, GPUS)
    whole = one.sum.time_s.whole
    cells = [
        row.name,
        f"{one.mean:.4f} ± {statistics.stdev(one.ettr):.4f}",
        f"{one.formula:.4f}",
        f"{one.exponential:.4f}",
        *(f"{100 * getattr(one.sum.time_s, name) / whole:.2f}" for name in Parts.__struct_fields__),
        f"{sum(one.sum.failures.values()) / len(ettr.SEEDS):.1f}",
    ]
    first = PAGE.split("## 3.")[1].split(f"{ettr.SIZES[1]:,} GPUs")[0]
    assert f"| {' | '.join(cells)} |" in first


@pytest.mark.parametrize("title", ettr.OTHERWISE)
def test_other_assumptions_are_what_is_found(title):
    without, ours = (ettr.found(row, GPUS, ettr.OTHERWISE[title]).mean for row in (ettr.STOCK, ettr.OURS))
    assert re.search(rf"^\| {title} \| {without:.3f} {ours:.3f} \|", PAGE, re.MULTILINE)


def test_the_page_names_what_is_assumed():
    text = re.sub(r"\s+", " ", PAGE)
    for said in (
        f"{ettr.RATE.per_1000_node_days} per 1000 node-days",
        f"{100 * ettr.LEMONS:.1f} % of the nodes",
        f"{100 * ettr.LEMON_FAILURES:.0f} % of the failures",
        f"{', '.join(f'{100 * share:.0f}' for share in ettr.KINDS.values())} %",
        f"stops the work for {ettr.SAVE_S:.0f} s",
        f"starts {' to '.join(f'{wait_s:.0f}' for wait_s in ettr.SLURM.begins_s)} s later",
        f"| {len(ettr.SEEDS)}, the same failures",
    ):
        assert said in text, said
