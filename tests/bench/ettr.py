"""How much of a large training's time is productive, with Slurm as it comes and with hpcjobs: docs/ETTR.md.

One training of 1,024, 4,096 and 16,384 GPUs over 14 days (hpcjobs/sim/training.py), with the failures of RSC-1. Each
row adds something to the one before it and meets the same failures; beside them stands the closed formula.
"""

from __future__ import annotations

import resource
import statistics
from pathlib import Path
from typing import Final, NamedTuple

import matplotlib as mpl
import msgspec
from matplotlib.figure import Figure

from hpcjobs.model.losses import Losses, Parts
from hpcjobs.recovery import advice, intervals
from hpcjobs.recovery.losses import losses, together
from hpcjobs.sim.failures import DAY_S, Failures
from hpcjobs.sim.report.plots import COLOURS
from hpcjobs.sim.training import Blow, Handling, Training, train
from tests.bench.verdict import Verdict

SIZES: Final = (1_024, 4_096, 16_384)
GPUS_PER_NODE: Final = 8
SEEDS: Final = tuple(range(101, 121))
SPAN_S: Final = 14 * DAY_S
RATE: Final = advice.stated_rate(6.5)
"""RSC-1 of Kokolis et al. (arXiv 2410.21680), nodes of 8 GPUs."""
LEMONS: Final = 0.012
"""Share of the nodes of RSC-1 that were lemons, the same paper."""
LEMON_FAILURES: Final = 0.3
"""Assumed: their share of the failures. In the paper 14 % of the large jobs failed with them, 4 % without."""
REPAIR_S: Final = 4 * 3600.0
"""Assumed, as in docs/UTILISATION.md."""
KINDS: Final = {Blow.EXIT: 324 / 419, Blow.NODE: 53 / 419, Blow.HANG: 42 / 419}
"""Interruptions of Llama 3 405B (arXiv 2407.21783, table 5): GPUs and software; hosts; network and NCCL timeouts."""
LASTING: Final = 0.5
"""Assumed: so many failures that leave the node up leave it bad."""
SAVE_S: Final = 60.0
"""Assumed: a checkpoint stops the work so long."""
RESTART_S: Final = 300.0
"""What the paper takes for a restart: 5 min."""
HOURLY_S: Final = 3600.0
"""How often the paper takes jobs to save."""
SLURM: Final = Handling(
    noticed_s={Blow.EXIT: 0.0, Blow.NODE: 300.0, Blow.HANG: 600.0},
    begins_s=(121.0, 135.0), excluded=0.0, found_s=1800.0,
)  # fmt: skip
"""SlurmdTimeout and NCCL's timeout as PyTorch has them; a requeue as measured on 26.05; people find a bad node in half
an hour (Minder, NSDI 2025: more than that on average). Jobs that fail requeue themselves: Slurm would not do it."""
PROMPT: Final = msgspec.structs.replace(SLURM, begins_s=(0.0, 4.0))
"""Decided within 2 s, started within 2 s: the bars of benchmark ``recovery``."""
WARY: Final = msgspec.structs.replace(PROMPT, excluded=0.9, avoided_at=2)
"""Assumed: nine of ten bad nodes are named; who failed twice is taken last."""
WATCHED: Final = msgspec.structs.replace(WARY, noticed_s={Blow.EXIT: 0.0, Blow.NODE: 30.0, Blow.HANG: 60.0})
"""Assumed: heartbeats of the agent in the job are missed after so long."""


PICTURE: Final = Path(__file__).parents[2] / "docs" / "ettr.svg"


class Row(NamedTuple):
    """One way to live with failures.

    Attributes:
        name: What it is called.
        handling: What is done about them.
        hourly: Whether it saves each hour, else as often as is best.
    """

    name: str
    handling: Handling
    hourly: bool = False


HOURLY = Row("Slurm as it comes, saved hourly", SLURM, hourly=True)
STOCK = Row("Slurm as it comes, best interval", SLURM)
OURS = Row("+ heartbeats: hpcjobs", WATCHED)
ROWS: Final = (HOURLY, STOCK, Row("+ started at once", PROMPT), Row("+ bad nodes kept out", WARY), OURS)
"""Each adds to the one before it."""


class Found(NamedTuple):
    """What came of a row.

    Attributes:
        ettr: Of each seed.
        formula: By the closed formula, in which no restart meets a bad node.
        exponential: By the renewal formula, in the same way.
        sum: Where the time of all seeds went.
    """

    ettr: list[float]
    formula: float
    exponential: float
    sum: Losses

    @property
    def mean(self) -> float:
        """Of the seeds."""
        return statistics.fmean(self.ettr)


class Assumed(NamedTuple):
    """What is assumed, and might be otherwise.

    Attributes:
        save_s: For so long a checkpoint stops the work.
        lasting: So many failures that leave the node up leave it bad.
        lemons: Share of the nodes.
        lemon_failures: Their share of the failures.
        found_s: After so long somebody else finds a bad node.
        excluded: So many bad nodes are known, where anybody looks.
    """

    save_s: float = SAVE_S
    lasting: float = LASTING
    lemons: float = LEMONS
    lemon_failures: float = LEMON_FAILURES
    found_s: float = SLURM.found_s
    excluded: float = WARY.excluded


OTHERWISE: Final = {
    "as above": Assumed(),
    "a checkpoint takes 10 s": Assumed(save_s=10.0),
    "a checkpoint takes 300 s": Assumed(save_s=300.0),
    "no failure leaves the node bad": Assumed(lasting=0.0),
    "each that leaves it up leaves it bad": Assumed(lasting=1.0),
    "bad nodes are found in 5 min": Assumed(found_s=300.0),
    "bad nodes are found in 2 h": Assumed(found_s=7200.0),
    "half of the bad nodes are known": Assumed(excluded=0.5),
    "no lemons": Assumed(lemons=0.0, lemon_failures=0.0),
    "lemons have 70 % of the failures": Assumed(lemon_failures=0.7),
}


def training(gpus: int, seed: int, assumed: Assumed, *, hourly: bool) -> Training:
    """What is trained; with spare nodes for 99 % of the time, whoever handles its failures."""
    nodes = gpus // GPUS_PER_NODE
    mean_s = advice.mtbf_s(nodes, RATE.per_1000_node_days)
    return Training(
        nodes=nodes, spare_nodes=advice.spare_nodes(nodes, RATE, REPAIR_S), gpus_per_node=GPUS_PER_NODE, span_s=SPAN_S,
        interval_s=HOURLY_S if hourly else intervals.best_s(assumed.save_s, mean_s), save_s=assumed.save_s,
        restart_s=RESTART_S, kinds=KINDS, lasting=assumed.lasting,
        failures=Failures(
            per_1000_node_days=RATE.per_1000_node_days, repair_s=REPAIR_S, seed=seed, lemons=assumed.lemons,
            lemon_failures=assumed.lemon_failures,
        ),
    )  # fmt: skip


def found(row: Row, gpus: int, assumed: Assumed = OTHERWISE["as above"]) -> Found:
    """A row at a size."""
    excluded = assumed.excluded if row.handling.excluded else 0.0
    handling = msgspec.structs.replace(row.handling, found_s=assumed.found_s, excluded=excluded)
    each = []
    for seed in SEEDS:
        asked = training(gpus, seed, assumed, hourly=row.hourly)
        each.append(losses(0.0, train(asked, handling)))
    mean_s, recovery = advice.mtbf_s(asked.nodes, RATE.per_1000_node_days), handling.recovery(asked)
    return Found(
        [one.ettr or 0.0 for one in each],
        advice.ettr(asked.interval_s, recovery, mean_s),
        advice.ettr_exponential(asked.interval_s, recovery, mean_s),
        together(each),
    )


def run() -> list[Verdict]:
    """All sizes and rows."""
    tables = {gpus: _table(gpus) for gpus in SIZES}
    _otherwise()
    _draw(tables, PICTURE)
    print(f"  drawn in {PICTURE}; CPU {resource.getrusage(resource.RUSAGE_SELF).ru_utime:.0f} s")
    verdicts = []
    for gpus, by_row in tables.items():
        ours, stock = by_row[OURS.name], by_row[STOCK.name]
        verdicts.append(Verdict(f"ettr_{gpus}_by_formula", ours.mean / ours.formula, 0.95, note="the paper's 5 %"))
        verdicts.append(Verdict(f"ettr_{gpus}_time_lost", (1 - stock.mean) / (1 - ours.mean), 1.0,
                                note=f"ETTR {stock.mean:.3f} without, {ours.mean:.3f} with"))  # fmt: skip
    return verdicts


def _table(gpus: int) -> dict[str, Found]:
    asked = training(gpus, 0, Assumed(), hourly=False)
    mean_s = advice.mtbf_s(asked.nodes, RATE.per_1000_node_days)
    several = intervals.intervals(SLURM.recovery(asked), mean_s)
    print(
        f"  {gpus:,} GPUs, {asked.nodes:,} nodes and {asked.spare_nodes} spare, a failure each {mean_s / 3600:.1f} h;"
    )
    print(f"  intervals: Young {several.young_s:.0f} s, Daly {several.daly_s:.0f} s, best {several.best_s:.0f} s")
    names = Parts.__struct_fields__
    print(f"    {'':34}{'ETTR':>15}{'formula':>9}{'renewal':>9}  {''.join(f'{name:>11}' for name in names)}  failures")
    by_row = {}
    for row in ROWS:
        by_row[row.name] = one = found(row, gpus)
        whole = one.sum.time_s.whole
        shares = "".join(f"{100 * getattr(one.sum.time_s, name) / whole:10.2f}%" for name in names)
        counts = sum(one.sum.failures.values()) / len(SEEDS)
        spread = f"{one.mean:.4f} ± {statistics.stdev(one.ettr):.4f}"
        print(
            f"    {row.name:34}{spread:>15}{one.formula:9.4f}{one.exponential:9.4f}  {shares}{counts:10.1f}", flush=True
        )
    for row in (STOCK, OURS):
        hours = sorted(by_row[row.name].sum.by_cause.items(), key=lambda pair: -pair[1])
        told = ", ".join(f"{cause} {count / len(SEEDS):,.0f}" for cause, count in hours)
        print(f"    {row.name}: GPU-hours by cause: {told}")
    return by_row


def _otherwise() -> None:
    """Without and with, under other assumptions."""
    print(f"  {'without, with':38}{''.join(f'{gpus:>12,} GPUs' for gpus in SIZES)}")
    for title, assumed in OTHERWISE.items():
        pairs = [[found(row, gpus, assumed).mean for row in (STOCK, OURS)] for gpus in SIZES]
        print(f"    {title:36}{''.join(f'{without:10.3f} {ours:.3f} ' for without, ours in pairs)}", flush=True)


def _draw(tables: dict[int, dict[str, Found]], path: Path) -> None:
    """Bars by size and row, the formula as a mark on each."""
    with mpl.rc_context({"font.size": 10, "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True,
                         "grid.alpha": 0.3, "axes.axisbelow": True, "legend.frameon": False,
                         "svg.hashsalt": "hpcjobs", "savefig.dpi": 144}):  # fmt: skip
        figure = Figure(figsize=(9.0, 4.2), layout="constrained")
        axes = figure.add_subplot()
        width = 0.8 / len(ROWS)
        for place, row in enumerate(ROWS):
            at = [size + (place - (len(ROWS) - 1) / 2) * width for size in range(len(SIZES))]
            ours = [tables[gpus][row.name] for gpus in SIZES]
            axes.bar(at, [100 * one.mean for one in ours], width * 0.92, color=COLOURS[place], label=row.name,
                     yerr=[100 * statistics.stdev(one.ettr) for one in ours], ecolor="#555555")  # fmt: skip
            axes.plot(
                at, [100 * one.formula for one in ours], "k_", markersize=12, label="" if place else "closed formula"
            )
        axes.set_xticks(range(len(SIZES)), [f"{gpus:,} GPUs" for gpus in SIZES])
        axes.set(ylabel="effective training time (%)", ylim=(0, 105))
        figure.legend(loc="outside upper center", ncols=3, fontsize=8)
        figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)
