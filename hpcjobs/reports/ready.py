"""Reports that have a name: questions that are asked often."""

from __future__ import annotations

from typing import Final

import msgspec

from hpcjobs.reports.asked import BUCKETS, DEFAULT_MEASURES, ReportQuery
from hpcjobs.reports.dimensions import DIMENSIONS
from hpcjobs.reports.formats import FORMATS
from hpcjobs.reports.measures import MEASURES


class Ready(msgspec.Struct, frozen=True):
    """One of them.

    Attributes:
        name: As it is asked for.
        title: What its table is called.
        text: What it tells, in a sentence.
        by: What its rows are told apart by, unless another is said.
        measures: Its measures, unless others are said.
        order: How it is ordered.
    """

    name: str
    title: str
    text: str
    by: tuple[str, ...]
    measures: tuple[str, ...]
    order: str = ""


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
    )
}  # fmt: skip
"""By name."""


class Explained(msgspec.Struct, frozen=True):
    """A word of reports.

    Attributes:
        name: The word.
        title: As people read it.
        unit: See the columns of a report.
        definition: What it is.
    """

    name: str
    title: str
    unit: str = ""
    definition: str = ""


class Catalogue(msgspec.Struct, frozen=True):
    """What can be asked.

    Attributes:
        reports: Those that have a name.
        by: What rows can be told apart by; lengths of time among them.
        measures: What can be measured.
        formats: What forms there are.
    """

    reports: tuple[Ready, ...]
    by: tuple[Explained, ...]
    measures: tuple[Explained, ...]
    formats: tuple[str, ...]


CATALOGUE: Final = Catalogue(
    reports=tuple(READY.values()),
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
