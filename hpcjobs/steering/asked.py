"""A cluster as it was asked for: what policies have changed is undone in what policies see. Pure.

A policy that saw its own points, nodes and holds would answer to itself: a job that it holds is not one that waits, a
job that keeps away from a node cannot use it, and the wish is gone at the next tick, and back at the one after. So
policies judge what people asked for, with what a person has set since (settle.py), and orders are planned from what is.

What stays as it is listed: what acts have done, because they are done once; and the reservation that a job is in,
because by reservations policies tell each other, and themselves, which nodes are kept for whom. Slurm lists no
priority of a job that is held, and none below 1: these are shown as they are listed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Final

import msgspec

from hpcjobs.model.cluster import ClusterView, Node
from hpcjobs.model.job import WAITING, JobRecord, State
from hpcjobs.model.steered import Key, Steered, Value
from hpcjobs.sbatch.hostlists import fold_hostlist
from hpcjobs.steering.fields import HOLD, JOB_FIELDS, NODE_FIELDS, names_in
from hpcjobs.steering.settle import base_of

BEGIN_TIME: Final = "BeginTime"
MOST_PRIORITY: Final = 2**32 - 1


def as_asked(view: ClusterView, ids: Mapping[int, str], rows: Mapping[Key, Steered], now: float) -> ClusterView:
    """What policies are shown.

    Args:
        view: The listing.
        ids: Our ids, by Slurm's number.
        rows: What policies have changed.
        now: Unix seconds.
    """
    changed: dict[tuple[str, str], dict[str, Steered]] = defaultdict(dict)
    for key, row in rows.items():
        changed[key.kind, key.subject][key.field] = row
    jobs = {
        number: _job(view.jobs[number], changed["job", job_id], now)
        for number, job_id in ids.items()
        if number in view.jobs and ("job", job_id) in changed
    }
    nodes = {
        subject: _node(view.nodes[subject], of_it)
        for (kind, subject), of_it in changed.items()
        if kind == "node" and subject in view.nodes
    }
    return msgspec.structs.replace(view, jobs={**view.jobs, **jobs}, nodes={**view.nodes, **nodes})


def _job(record: JobRecord, rows: Mapping[str, Steered], now: float) -> JobRecord:
    base: dict[str, Value] = {}
    for name, row in rows.items():
        if name in JOB_FIELDS:
            is_so = JOB_FIELDS[name].read(record, now)
            if (asked := base_of(JOB_FIELDS[name].row_of(row, now), is_so)) != is_so:
                base[name] = asked
    own: dict[str, Value] = {name: base[name] for name in ("nice", "time_min_s") if name in base}
    if "exclude" in base:
        own["excluded_nodes"] = fold_hostlist(names_in(base["exclude"]))
    facts: dict[str, Value] = {}
    if "nice" in base and record.priority > 1:
        priority = record.priority + record.particulars.nice - int(base["nice"])
        facts["priority"] = max(1, min(MOST_PRIORITY, priority))
    if record.state in WAITING:
        facts |= _waiting(record, base)
    particulars = msgspec.structs.replace(record.particulars, **own)
    return msgspec.structs.replace(record, particulars=particulars, **facts)


def _waiting(record: JobRecord, base: Mapping[str, Value]) -> dict[str, Value]:
    """State, reason and time of one that waits."""
    facts: dict[str, Value] = {}
    held = record.state is State.HELD
    if HOLD in base:
        held = bool(base[HOLD])
        facts |= {"state": State.HELD if held else State.PENDING, "reason": record.reason if held else ""}
    if "begin" in base:
        later = int(base["begin"])
        facts["eligible_time"] = later or record.submit_time
        if not held:
            facts["reason"] = BEGIN_TIME if later else ""
    return facts


def _node(node: Node, rows: Mapping[str, Steered]) -> Node:
    base = {name: base_of(row, NODE_FIELDS[name].read(node)) for name, row in rows.items() if name in NODE_FIELDS}
    particulars = node.particulars
    if "weight" in base:
        particulars = msgspec.structs.replace(particulars, weight=int(base["weight"]))
    if "features" not in base:
        return msgspec.structs.replace(node, particulars=particulars)
    own = names_in(base["features"])
    features = (*(one for one in node.features if one in own), *sorted(own - {*node.features}))
    active = tuple(one for one in particulars.features_active if one in own)
    particulars = msgspec.structs.replace(particulars, features_active=active)
    return msgspec.structs.replace(node, features=features, particulars=particulars)
