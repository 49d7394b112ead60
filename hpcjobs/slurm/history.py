"""A question to accounting in the words of sacct and of slurmrestd. Pure; sacct is run in sacct_agent and in ssh."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

import msgspec

from hpcjobs.model.history import Accounted, HistoryQuery

DAWN: Final = 1_000_000_000
"""No job is older. Slurm reads no ``uts`` of fewer figures."""

DUSK: Final = 4_000_000_000
"""No job is younger; before Slurm's 32 bits of time end."""

NO_DATABASE: Final = 7000
"""Slurm's number of an accounting that does not answer (ESLURM_DB_CONNECTION)."""

SACCT_LISTS: Final = {
    "users": "user",
    "accounts": "accounts",
    "partitions": "partition",
    "names": "name",
    "states": "state",
    "qos": "qos",
    "wckeys": "wckeys",
    "reasons": "reason",
    "groups": "group",
    "constraints": "constraints",
    "associations": "associations",
}
"""Conditions that are lists, and sacct's options for them."""

REST_LISTS: Final = {
    "accounts": "account",
    "partitions": "partition",
    "names": "job_name",
    "states": "state",
    "qos": "qos",
    "wckeys": "wckey",
    "reasons": "reason",
    "constraints": "constraints",
    "associations": "association",
}
"""The same, and slurmrestd's parameters for them. Users and groups it looks up on its own machine, which need not know
them: they are picked out of its answer."""


def can_be_any(query: HistoryQuery) -> bool:
    """Whether a job can be as a question wants it: sacct fails where its end is not after its start."""
    return not query.until or max(query.since, DAWN) < query.until


def history_words(query: HistoryQuery) -> list[str]:
    """What sacct is asked. Without a time it begins at midnight; with numbers it looks all the way back."""
    words = ["sacct", "--json", "--allusers"]
    if not query.steps:
        words.append("--allocations")
    if query.duplicates:
        words.append("--duplicates")
    if query.numbers:
        words.append(f"--jobs={','.join(map(str, query.numbers))}")
    for field, option in SACCT_LISTS.items():
        if values := getattr(query, field):
            words.append(f"--{option}={','.join(values)}")
    for text, option in ((query.nodes, "nodelist"), (query.cpus, "ncpus"), (query.node_count, "nnodes")):
        if text:
            words.append(f"--{option}={text}")
    if query.since or not query.numbers:
        words.append(f"--starttime=uts{max(query.since, DAWN)}")
    if query.since or query.until or query.states:
        # It fails where the end, by itself its own now, is not after the start.
        words.append(f"--endtime=uts{max(query.until, DAWN) if query.until else DUSK}")
    return words


def history_params(query: HistoryQuery) -> Iterator[tuple[str, str]]:
    """What slurmrestd is asked, but for the numbers of jobs, users and groups."""
    if not query.steps:
        yield "skip_steps", "true"
    if query.duplicates:
        yield "show_duplicates", "true"
    for field, name in REST_LISTS.items():
        if values := getattr(query, field):
            yield name, ",".join(values)
    if query.nodes:
        yield "node", query.nodes
    for text, name in ((query.cpus, "cpus"), (query.node_count, "nodes")):
        if text:
            low, _, high = text.partition("-")
            yield f"{name}_min", low
            yield f"{name}_max", high or low
    if query.until or query.states:  # with states the end would be the start
        yield "end_time", str(query.until or DUSK)
    # Without a time slurmdbd begins at midnight; with numbers it looks all the way back.
    if query.since or not query.numbers:
        yield "start_time", str(query.since or 1)


def state_by_state(query: HistoryQuery) -> list[HistoryQuery]:
    """The same in questions of one state each: slurmrestd makes one other state out of several."""
    return [msgspec.structs.replace(query, states=(state,)) for state in query.states] or [query]


def of_whom(query: HistoryQuery, found: Iterable[Accounted]) -> Iterator[Accounted]:
    """Those of an answer that belong to the users and groups of a question."""
    for one in found:
        if query.users and one.record.user not in query.users:
            continue
        if query.groups and one.ledger.group not in query.groups:
            continue
        yield one
