"""Orders to nodes and reservations: what is refused at once, and what each way makes of the rest."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpcjobs.errors import Conflict, NotAllowed, Refused
from hpcjobs.model.node_order import NodeOrder
from hpcjobs.model.reservation import ReservationFlag, ReservationOrder, ReservationVerb
from hpcjobs.sbatch.hostlists import expand_hostlist
from hpcjobs.slurm import cluster_commands, pyslurm_orders, slurmrestd_cluster, slurmrestd_orders
from hpcjobs.slurm.base import Op
from hpcjobs.slurm.cluster_orders import check_nodes, check_reservation, retold
from hpcjobs.slurm.errnos import error_of

NODES = NodeOrder(("n2", "n1"), weight=7, features=("a100", "island3"), drain="it's hot")
MAKE = ReservationOrder(
    ReservationVerb.MAKE,
    "gang",
    nodes=("n1", "n2"),
    start=2_000_000_000,
    end=2_000_003_600,
    users=("alice", "bob"),
    flags=(ReservationFlag.FLEX, ReservationFlag.NO_HOLD_JOBS),
    purge_s=600,
)
CHANGE = ReservationOrder(ReservationVerb.CHANGE, "gang", start=0, users=("carol",))
DELETE = ReservationOrder(ReservationVerb.DELETE, "gang")


def fields(error: Refused) -> list[str]:
    return [refusal.field for refusal in error.refusals]


@pytest.mark.parametrize(
    ("order", "at_fault"),
    [
        (NodeOrder((), weight=1), ["nodes"]),
        (NodeOrder(("n1",)), [""]),
        (NodeOrder(("n1,n2",), weight=1), ["nodes"]),
        (NodeOrder(("ALL nodes",), weight=1), ["nodes"]),
        (NodeOrder(("n[1-3]",), weight=1), ["nodes"]),
        (NodeOrder(("-n",), weight=1), ["nodes"]),
        (NodeOrder(("n1",), weight=-1), ["weight"]),
        (NodeOrder(("n1",), weight=2**32 - 2), ["weight"]),
        (NodeOrder(("n1",), features=("a,b",)), ["features"]),
        (NodeOrder(("n1",), features=("",)), ["features"]),
        (NodeOrder(("n1",), features=("a b",)), ["features"]),
        (NodeOrder(("n1",), features=("a|b",)), ["features"]),
        (NodeOrder(("n1",), drain=" "), ["drain"]),
        (NodeOrder(("n1",), drain="two\nlines"), ["drain"]),
        (NodeOrder(("n1",), drain="\0"), ["drain"]),
        (NodeOrder(("n1",), drain="x" * 1025), ["drain"]),
        (NodeOrder(("n1",), drain="why", resume=True), ["resume"]),
        (NodeOrder(("n 1",), weight=-1, drain=""), ["nodes", "weight", "drain"]),
    ],
)
def test_an_order_to_nodes_that_cannot_be_meant_is_refused_with_every_field(order, at_fault):
    with pytest.raises(Refused) as refused:
        check_nodes(order)
    assert fields(refused.value) == at_fault


def make(**changes: object) -> ReservationOrder:
    told = {name: getattr(MAKE, name) for name in MAKE.__struct_fields__}
    return ReservationOrder(**(told | changes))


@pytest.mark.parametrize(
    ("order", "at_fault"),
    [
        (make(name=""), ["name"]),
        (make(name="a b"), ["name"]),
        (make(name="a,b"), ["name"]),
        (make(name="../x"), ["name"]),
        (make(name="a=b"), ["name"]),
        (make(nodes=()), ["nodes", "nodes"]),
        (make(nodes=("n[1-2]",)), ["nodes"]),
        (make(nodes=None, start=None, end=None), ["nodes", "start", "end"]),
        (make(users=None), ["users"]),
        (make(users=()), ["users"]),
        (make(users=("-alice",)), ["users"]),
        (make(users=("+alice",)), ["users"]),
        (make(accounts=("a,b",)), ["accounts"]),
        (make(start=-1), ["start"]),
        (make(end=2**33), ["end"]),
        (make(end=1_999_999_999), ["end"]),
        (make(purge_s=59), ["purge_s"]),
        (ReservationOrder(ReservationVerb.CHANGE, "gang"), [""]),
        (ReservationOrder(ReservationVerb.CHANGE, "gang", end=5, flags=(ReservationFlag.FLEX,)), ["flags"]),
        (ReservationOrder(ReservationVerb.DELETE, "gang", end=5), [""]),
    ],
)
def test_an_order_to_a_reservation_that_cannot_be_meant_is_refused_with_every_field(order, at_fault):
    with pytest.raises(Refused) as refused:
        check_reservation(order)
    assert fields(refused.value) == at_fault


def test_an_order_that_can_be_meant_is_let_through():
    for order in (
        NODES,
        NodeOrder(("n1",), features=()),
        NodeOrder(("n1",), weight=0),
        NodeOrder(("n1",), resume=True),
    ):
        check_nodes(order)
    for reservation in (MAKE, CHANGE, DELETE, make(start=0, users=None, accounts=("physics",))):
        check_reservation(reservation)


def test_an_order_to_nodes_is_said_in_scontrols_words():
    assert cluster_commands.node_words(NODES) == [
        "scontrol", "update", "NodeName=n[1-2]", "Weight=7", "AvailableFeatures=a100,island3",
        "ActiveFeatures=a100,island3", "State=DRAIN", "Reason=\"it's hot\"",
    ]  # fmt: skip
    plain = cluster_commands.node_words(NodeOrder(("n1",), weight=0))
    assert plain == ["scontrol", "update", "NodeName=n1", "Weight=0"]
    resumed = cluster_commands.node_words(NodeOrder(("n1",), features=(), resume=True))
    assert resumed[3:] == ["AvailableFeatures=", "ActiveFeatures=", "State=RESUME"]


def test_an_order_to_a_reservation_is_said_in_scontrols_words():
    assert cluster_commands.reservation_words(MAKE, 0.0) == [
        "scontrol", "create", "reservation", "ReservationName=gang", "Nodes=n[1-2]", "StartTime=uts2000000000",
        "EndTime=uts2000003600", "Users=alice,bob", "Flags=FLEX,NO_HOLD_JOBS_AFTER_END,PURGE_COMP=0-00:10:00",
    ]  # fmt: skip
    assert cluster_commands.reservation_words(CHANGE, 1_900_000_000.9) == [
        "scontrol", "update", "ReservationName=gang", "StartTime=uts1900000000", "Users=carol",
    ]  # fmt: skip
    assert cluster_commands.reservation_words(DELETE, 0.0) == ["scontrol", "delete", "ReservationName=gang"]


def test_an_order_is_said_in_slurmrestds_words():
    assert slurmrestd_cluster.node_body(NODES) == {
        "name": ["n2", "n1"],
        "weight": {"set": True, "number": 7},
        "features": ["a100", "island3"],
        "features_act": ["a100", "island3"],
        "state": ["DRAIN"],
        "reason": "it's hot",
    }
    assert slurmrestd_cluster.node_body(NodeOrder(("n1",), resume=True)) == {"name": ["n1"], "state": ["RESUME"]}
    emptied = slurmrestd_cluster.node_body(NodeOrder(("n1",), features=()))
    assert emptied == {"name": ["n1"], "features": [""], "features_act": [""]}
    assert slurmrestd_cluster.reservation_body(MAKE, 0.0) == {
        "name": "gang",
        "node_list": ["n1", "n2"],
        "start_time": {"set": True, "number": 2_000_000_000},
        "end_time": {"set": True, "number": 2_000_003_600},
        "users": ["alice", "bob"],
        "flags": ["FLEX", "NO_HOLD_JOBS_AFTER_END", "PURGE_COMP"],
        "purge_completed": {"time": {"set": True, "number": 600}},
    }
    assert slurmrestd_cluster.reservation_body(CHANGE, 7.9) == {
        "name": "gang",
        "start_time": {"set": True, "number": 7},
        "users": ["carol"],
    }


def test_an_order_is_said_in_pyslurms_words():
    assert pyslurm_orders.node_words(NODES) == {
        "weight": 7,
        "available_features": ["a100", "island3"],
        "active_features": ["a100", "island3"],
        "state": "DRAIN",
        "reason": "it's hot",
    }
    assert pyslurm_orders.reservation_words(CHANGE, 7.9) == {"start_time": 7, "users": ["carol"]}


def test_what_a_way_cannot_do_with_nodes_and_reservations_is_told():
    assert "features away" in pyslurm_orders.lacks(Op.NODES, NodeOrder(("n1",), features=()))
    assert pyslurm_orders.lacks(Op.NODES, NODES) == pyslurm_orders.lacks(Op.NODES, None) == ""
    assert "dies" in pyslurm_orders.lacks(Op.RESERVE, MAKE)
    assert pyslurm_orders.lacks(Op.RESERVE, CHANGE) == pyslurm_orders.lacks(Op.RESERVE, DELETE) == ""
    for order in (None, MAKE, CHANGE, DELETE):
        assert "v0.0.43" in slurmrestd_orders.lacks(Op.RESERVE, order, "v0.0.42")
        assert slurmrestd_orders.lacks(Op.RESERVE, order, "v0.0.43") == ""
    assert slurmrestd_orders.lacks(Op.NODES, NODES, "v0.0.42") == ""


def test_slurms_refusals_name_the_fields_of_the_order_and_who_may_give_it():
    with pytest.raises(Refused) as refused, retold("hpcjobs", MAKE):
        raise error_of(2018, "Invalid node name specified")
    assert fields(refused.value) == ["nodes"]
    with pytest.raises(Refused) as refused, retold("hpcjobs", NODES):
        raise error_of(2053, "Requested reservation is invalid")
    assert fields(refused.value) == [""]
    with pytest.raises(NotAllowed, match="'hpcjobs' needs AdminLevel=Administrator"), retold("hpcjobs", NODES):
        raise error_of(2010, "Invalid user id")
    with pytest.raises(NotAllowed, match="'hpcjobs' needs AdminLevel=Operator"), retold("hpcjobs", DELETE):
        raise error_of(2002, "Access/permission denied")
    with pytest.raises(Conflict), retold("hpcjobs", DELETE):
        raise error_of(2055, "Requested reservation is in use")


TEXT = st.text("ab19-_.", min_size=1, max_size=5) | st.text("a,= \"'[]-+\n\0", max_size=4) | st.text(max_size=9)
NAMES = st.lists(TEXT, max_size=3).map(tuple)


@given(NAMES, st.none() | st.integers(), st.none() | NAMES, st.none() | TEXT, st.booleans())
def test_whatever_an_order_to_nodes_says_it_is_refused_or_arrives_as_it_is(nodes, weight, features, drain, resume):
    order = NodeOrder(nodes, weight, features, drain, resume)
    try:
        check_nodes(order)
    except Refused:
        return
    command, verb, *words = cluster_commands.node_words(order)
    said = dict(word.split("=", 1) for word in words)
    assert (command, verb) == ("scontrol", "update")
    assert set(expand_hostlist(said["NodeName"])) == set(nodes)
    assert said.get("Weight") == (None if weight is None else str(weight))
    assert said.get("Reason") == (None if drain is None else f'"{drain}"')
    assert said.get("AvailableFeatures") == (None if features is None else ",".join(features))
    assert not features or tuple(said["ActiveFeatures"].split(",")) == features


@given(TEXT, NAMES, NAMES, st.none() | NAMES, st.integers(-9, 2**33), st.integers(-9, 2**33))
def test_whatever_an_order_to_a_reservation_says_it_is_refused_or_arrives_as_it_is(
    name, nodes, users, accounts, start, end
):
    order = ReservationOrder(ReservationVerb.MAKE, name, nodes, start, end, users, accounts)
    try:
        check_reservation(order)
    except Refused:
        return
    said = dict(word.split("=", 1) for word in cluster_commands.reservation_words(order, 1.0)[3:])
    assert said["ReservationName"] == name
    assert set(expand_hostlist(said["Nodes"])) == set(nodes)
    assert tuple(said["Users"].split(",")) == users
    assert said.get("Accounts") == (None if accounts is None else ",".join(accounts))
