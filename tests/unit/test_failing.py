"""Nodes that failed under jobs, as two listings tell it."""

from __future__ import annotations

import pytest

from hpcjobs.model.job import Fate, State
from hpcjobs.model.particulars import Particulars
from hpcjobs.observe.failing import failure_events
from hpcjobs.store.repository import Known
from tests.unit.builders import finished, node, record, view

RUNNING = record(7, state=State.RUNNING, raw_state="RUNNING", node_list="n[1-2]", account="a")
DOWN = {"n2": node("n2", raw_state="DOWN*", usable=False, reason="Not responding")}


def failed(after, nodes=("n1", "n2"), before=RUNNING, **others):
    """Names of the nodes that are told to have failed, and the events."""
    there = tuple((DOWN | others).get(name, node(name)) for name in nodes)
    known = {7: Known("id7", RUNNING, 0.0)}
    told = failure_events(view(before, nodes=there), view(after, nodes=there), known)
    return [event.data["node"] for event in told], told


@pytest.mark.parametrize(
    "after",
    [
        record(7, restarts=1),
        record(7, state=State.COMPLETING, raw_state="PENDING,COMPLETING", node_list="n[1-2]"),
        record(7, state=State.RUNNING, raw_state="RUNNING", node_list="n[3-4]", restarts=1),
        finished(7, fate=Fate.NODE_FAIL, raw_state="NODE_FAIL"),
    ],
)
def test_the_node_that_is_down_after_its_job_has_left_it_has_failed(after):
    names, (event,) = failed(after)
    assert names == ["n2"]
    assert (event.job_id, event.user, event.account) == ("id7", "alice", "a")
    assert event.data == {"node": "n2", "reason": "Not responding", "slurm_job_id": 7}


@pytest.mark.parametrize(
    "after",
    [
        RUNNING,
        record(7, state=State.COMPLETING, raw_state="CANCELLED,COMPLETING"),
        finished(7, raw_state="COMPLETED"),
        finished(7, fate=Fate.FAILED, raw_state="FAILED"),
    ],
)
def test_a_job_that_stays_or_ends_otherwise_has_lost_no_node(after):
    assert failed(after)[0] == []


def test_a_job_that_is_requeued_while_its_nodes_are_up_has_lost_none():
    assert failed(record(7, restarts=1), n2=node("n2", raw_state="IDLE+DRAIN", usable=False))[0] == []


def test_a_failure_is_told_once():
    gone = record(7, restarts=1)
    assert failed(gone, before=gone)[0] == []
    assert failure_events(None, view(gone), {}) == []


def test_the_node_that_slurm_itself_names_has_failed_though_it_is_up_again():
    after = finished(7, fate=Fate.NODE_FAIL, raw_state="NODE_FAIL", particulars=Particulars(failed_node="n1"))
    assert failed(after, nodes=("n1",))[0] == ["n1"]
