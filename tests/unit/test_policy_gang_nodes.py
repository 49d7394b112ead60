"""A gang has nodes that all of its members can use, and starts on no others."""

from __future__ import annotations

import msgspec
import pytest

from hpcjobs.model.cluster import ClusterView, Node
from hpcjobs.model.hints import Hints
from hpcjobs.model.job import JobRecord
from hpcjobs.model.particulars import Particulars
from hpcjobs.model.reservation import Reservation
from hpcjobs.model.steering import Action, Avoid, Hold, Prefer, Reserve, Start
from hpcjobs_plugins.policies import data, gang, suspect
from tests.unit.builders import node
from tests.unit.policy_views import NOW, asking, at_work, running, suspicions

PAIR = Hints(gang="pair", gang_size=2)
NAME = "hpcjobs_gang_1_0"
MIXED = tuple(
    node(f"n{at}", features=("old",) if at < 3 else ("new",), mem_bytes=2**30 if at < 3 else 2**40)
    for at in range(1, 5)
)
NEW = {"n3", "n4"}


def member(number: int, nodes: int = 1, told: dict[str, str] | None = None, **facts: int) -> JobRecord:
    return asking(number, 8 * nodes, nodes, particulars=Particulars(**(told or {})), **facts)


def pair(*jobs: JobRecord, nodes: tuple[Node, ...] = MIXED, there: tuple[str, ...] = ()) -> ClusterView:
    kept = (Reservation(NAME, there, int(NOW) - 5, int(NOW) + 600),) if there else ()
    return at_work(*jobs, nodes=nodes, hints=dict.fromkeys((1, 2), PAIR), reservations=kept)


def wanted(seen: ClusterView, **settings: float) -> list[Action]:
    return list(gang.tick(gang.Settings(**settings), seen, NOW))


@pytest.mark.parametrize(
    ("told", "mem_bytes"),
    [({"constraint": "new"}, 0), ({"excluded_nodes": "n[1-2]"}, 0), ({}, 2**39)],
    ids=["constraint", "exclude", "memory"],
)
def test_what_one_member_asks_of_its_nodes_holds_for_all_that_are_kept(told: dict[str, str], mem_bytes: int) -> None:
    (kept,) = wanted(pair(member(1), member(2, told=told, mem_bytes=mem_bytes)))
    assert isinstance(kept, Reserve)
    assert {*kept.nodes} == NEW


def test_where_too_few_nodes_are_good_for_all_members_nothing_is_kept() -> None:
    assert wanted(pair(member(1, 2), member(2, told={"constraint": "new"}))) == []


def test_kept_nodes_that_a_member_cannot_use_are_changed_before_anybody_starts() -> None:
    told = {"reservation": NAME}
    jobs = member(1, told=told), member(2, told={**told, "constraint": "new"})
    (changed,) = wanted(pair(*jobs, there=("n1", "n2")))
    assert isinstance(changed, Reserve)
    assert {*changed.nodes} == NEW
    assert [type(one) for one in wanted(pair(*jobs, there=("n3", "n4")))] == [Reserve, Start, Start]


@pytest.mark.parametrize("told", [{"required_nodes": "n3"}, {"constraint": "old|new"}, {"licenses": "matlab:1"}])
def test_a_gang_for_which_no_nodes_can_be_kept_holds_nothing_and_is_told_why(told: dict[str, str]) -> None:
    seen = pair(member(1, restarts=1), member(2, told=told, restarts=1), there=("n1", "n2"))
    said = wanted(seen)
    assert [type(one) for one in said] == [Hold, Hold, Prefer, Prefer]
    assert all("no nodes can be kept" in one.why for one in said if isinstance(one, Prefer))


def test_a_gang_keeps_off_nodes_that_failed_lately_as_long_as_it_need_not_wait_long_for_others() -> None:
    nodes = tuple(node(f"n{at:02}") for at in range(1, 18))
    failed = suspicions(n01=1.0)
    seen = msgspec.structs.replace(pair(member(1, 8), member(2, 8), nodes=nodes), suspicions=failed)
    assert "n01" not in wanted(seen)[0].nodes
    assert "n01" in wanted(seen, keep_off=None)[0].nodes
    assert "n01" in wanted(seen, keep_off=1.1)[0].nodes
    for at, off in ((NOW + 500, True), (NOW + 700, False)):
        other = running(9, "n17", 8, end_time=int(at))
        later = msgspec.structs.replace(pair(member(1, 8), member(2, 8), other, nodes=nodes), suspicions=failed)
        assert ("n01" not in wanted(later)[0].nodes) is off
    few = msgspec.structs.replace(pair(member(1, 8), member(2, 8), nodes=nodes[:16]), suspicions=failed)
    assert "n01" in wanted(few)[0].nodes


def test_suspect_leaves_the_members_of_a_gang_to_it() -> None:
    nodes = tuple(node(f"n{at:02}") for at in range(1, 18))
    seen = pair(member(1, 8), member(2, 8), member(3, 8), nodes=nodes)
    seen = msgspec.structs.replace(seen, suspicions=suspicions(n01=2.0))
    assert [one.job for one in suspect.tick(suspect.Settings(), seen, NOW) if isinstance(one, Avoid)] == [3]


def test_members_that_read_data_are_not_kept_off_the_nodes_that_their_gang_has() -> None:
    nodes = (*MIXED, node("n5", features=("data:d",)))
    jobs = [member(number, eligible_time=int(NOW) - 10) for number in (1, 2, 3)]
    reads = dict.fromkeys((1, 2), msgspec.structs.replace(PAIR, datasets=("d",))) | {3: Hints(datasets=("d",))}
    seen = msgspec.structs.replace(pair(*jobs, nodes=nodes), hints=reads)
    assert [one.job for one in data.tick(data.Settings(), seen, NOW)] == [3]
