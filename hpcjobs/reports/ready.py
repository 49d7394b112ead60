"""Reports that have a name: questions that are asked often."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec

from hpcjobs.model.report import Catalogue, Explained, Ready, ReportQuery
from hpcjobs.reports.asked import BUCKETS, DEFAULT_MEASURES
from hpcjobs.reports.dimensions import DIMENSIONS
from hpcjobs.reports.formats import FORMATS
from hpcjobs.reports.measures import MEASURES

READY: Final = {
    ready.name: ready
    for ready in (
        Ready(
            "usage", "Usage by project", "Who used how much, and how long they waited.", ("project",), DEFAULT_MEASURES
        ),
        Ready(
            "gpus", "GPU time by project and kind", "GPU-hours as allocated, in whole GPUs, and held.",
            ("project", "gpu"),
            ("gpu_hours_equivalent", "gpu_hours", "gpu_hours_held", "gpu_hours_suspended", "gpu_hours_unresolved",
             "runs"),
        ),
        Ready(
            "waits", "Waits by partition and size", "How long jobs waited, by how many GPUs they have.",
            ("partition", "size"),
            ("started", "wait_mean_s", "wait_p50_s", "wait_p90_s", "wait_p99_s", "wait_max_s", "expansion_factor"),
        ),
        Ready(
            "failures", "Ends by state", "How runs ended, and what failed ones had used.", ("state",),
            ("ended", "failed", "gpu_hours_failed", "cpu_hours"),
        ),
        Ready(
            "lost", "GPU time lost by cause", "What failures took, by what they were.", ("cause",),
            ("gpu_hours_lost", "gpu_hours_undone", "gpu_hours_stalled", "gpu_hours_restarting", "gpu_hours_waited"),
        ),
        Ready(
            "ettr", "Productive time by cluster", "How much of the GPU time that jobs took was not lost to failures.",
            ("cluster",), ("ettr", "gpu_hours_held", "gpu_hours_lost", "gpu_hours_waited"), "gpu_hours_held",
        ),
        Ready(
            "idle", "GPU time that nobody used", "GPUs that were allocated and not busy, as far as they were sampled.",
            ("project", "user"), ("gpu_hours_idle", "gpu_busy", "gpu_hours_equivalent"),
        ),
        Ready(
            "efficiency", "Efficiency by user", "How much of what they had people used.", ("user",),
            ("cpu_efficiency", "gpu_busy", "cpu_hours", "gpu_hours_equivalent", "energy_kwh"), "cpu_hours",
        ),
        Ready(
            "months", "Usage by month", "How usage went.", ("month",),
            ("gpu_hours_equivalent", "cpu_hours", "jobs", "wait_p50_s", "failed_share"),
        ),
        Ready(
            "nodes", "Usage by node", "What was used of each node.", ("node",),
            ("gpu_hours_equivalent", "cpu_hours", "runs", "failed"),
        ),
        Ready(
            "costs", "Costs by project and kind of GPU", "What use costs at the prices that held.", ("project", "gpu"),
            ("cost", "gpu_hours_held", "cpu_hours"),
        ),
        Ready(
            "pool", "Use of the pool", "What GPUs there were, and how much of them jobs held or was down.", ("gpu",),
            ("gpu_hours_held", "gpu_hours_there", "gpu_hours_down", "pool_used", "pool_down"),
        ),
    )
}  # fmt: skip
"""By name."""


def catalogue(own: Iterable[Ready] = ()) -> Catalogue:
    """What can be asked.

    Args:
        own: Reports of plugins.
    """
    return Catalogue(
        reports=(*READY.values(), *own),
        by=(
            *(Explained(name, one.title, "", one.definition) for name, one in DIMENSIONS.items()),
            *(Explained(name, name, "", f"The {name} of the time zone's calendar.") for name in BUCKETS),
        ),
        measures=tuple(Explained(name, one.title, one.unit, one.definition) for name, one in MEASURES.items()),
        formats=tuple(FORMATS),
    )


def filled(ready: Ready, query: ReportQuery) -> ReportQuery:
    """A question in which a named report says what the caller left open."""
    own = not query.by and not query.measures
    return msgspec.structs.replace(
        query,
        by=query.by or ready.by,
        measures=query.measures or ready.measures,
        order=query.order or (ready.order if own else ""),
    )
