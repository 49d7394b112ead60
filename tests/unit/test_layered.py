from __future__ import annotations

import pytest

from hpcjobs.errors import NotSupported, SlurmUnavailable
from hpcjobs.model.history import HistoryQuery
from hpcjobs.model.order import Changes, Order, Verb
from hpcjobs.slurm import pyslurm_orders, slurmrestd_orders
from hpcjobs.slurm.base import Launch, Op
from hpcjobs.slurm.layered import Layered, capabilities
from hpcjobs.slurm.simulated import SimulatedBackend

from .builders import node, spec

CANCEL = Order(Verb.CANCEL, "1")
LAUNCH = Launch(spec(), "a" * 32)


class Partial(SimulatedBackend):
    """A way that lacks some things, and says which calls reached it."""

    def __init__(self, kind: str, lacking: dict[Op, str] | None = None, raises: Exception | None = None) -> None:
        super().__init__("big", [node()])
        self.kind = kind
        self.lacking = lacking or {}
        self.raises = raises
        self.calls: list[str] = []
        self.closed = False

    def lacks(self, op: Op, subject: Launch | Order | None = None) -> str:
        if op is Op.HOLD and isinstance(subject, Order) and "_" in subject.target:
            return f"{self.kind} holds no tasks"
        return self.lacking.get(op, "")

    async def act(self, user: str, order: Order) -> None:
        self.calls.append(f"{user} {order.verb} {order.target}")
        if self.raises:
            raise self.raises

    async def submit(self, user: str, launch: Launch) -> int:
        self.calls.append("submit")
        return 7

    async def close(self) -> None:
        self.closed = True


async def test_each_call_goes_to_the_first_way_that_can():
    first, second = Partial("first", {Op.CANCEL: "no"}), Partial("second")
    both = Layered("big", [first, second])
    await both.act("alice", CANCEL)
    assert await both.submit("alice", LAUNCH) == 7
    assert (first.calls, second.calls) == (["submit"], ["alice cancel 1"])
    assert both.kind == "first"
    assert [await both.find("alice", "x"), await both.history(HistoryQuery()), (await both.view(1.0)).jobs] == [
        None,
        (),
        {},
    ]
    assert (await both.estimate("alice", LAUNCH)).node_list == "n1"


async def test_a_way_that_finds_out_only_then_that_it_cannot_is_followed_by_the_next():
    first, second = Partial("first", raises=NotSupported("not this one.")), Partial("second")
    await Layered("big", [first, second]).act("alice", CANCEL)
    assert (first.calls, second.calls) == (["alice cancel 1"],) * 2


async def test_a_way_that_fails_is_not_replaced_by_the_next():
    first, second = Partial("first", raises=SlurmUnavailable("away")), Partial("second")
    with pytest.raises(SlurmUnavailable):
        await Layered("big", [first, second]).act("alice", CANCEL)
    assert second.calls == []


async def test_where_no_way_can_all_reasons_are_told():
    ways = [Partial("first", {Op.CANCEL: "it is old"}), Partial("second", raises=NotSupported("it is new."))]
    both = Layered("big", ways)
    with pytest.raises(NotSupported) as refused:
        await both.act("alice", CANCEL)
    assert refused.value.detail == "Cluster 'big' has no way to do this: first: it is old; second: it is new."
    assert both.lacks(Op.CANCEL) == ""
    assert Layered("big", ways[:1]).lacks(Op.CANCEL) == "first: it is old"


async def test_closing_closes_every_way():
    ways = [Partial("first"), Partial("second")]
    await Layered("big", ways).close()
    assert [way.closed for way in ways] == [True, True]


def test_the_table_says_which_way_does_what_and_why_another_does_not():
    table = {line.op: line for line in capabilities(Layered("big", [Partial("a", {Op.ESTIMATE: "no"}), Partial("b")]))}
    assert list(table) == list(Op)
    assert (table[Op.ESTIMATE].way, table[Op.ESTIMATE].lacking) == ("b", {"a": "no"})
    assert (table[Op.HOLD].way, table[Op.HOLD].limits) == ("a", {"a": "a holds no tasks", "b": "b holds no tasks"})
    (alone,) = [line for line in capabilities(Partial("a", {Op.SUSPEND: "never"})) if line.op is Op.SUSPEND]
    assert (alone.way, alone.lacking) == ("", {"a": "never"})


@pytest.mark.parametrize("target", ["1_2", "1_[2-3]", "1+1"])
def test_pyslurm_acts_on_plain_numbers_only(target):
    for verb in Verb:
        assert pyslurm_orders.lacks(Op(verb), Order(verb, target)) == pyslurm_orders.ARRAYS
        assert pyslurm_orders.lacks(Op(verb), Order(verb, "1")) == ""


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        (Changes(nodes=2), "number of nodes"),
        (Changes(nice=0), "nice 0"),
        (Changes(dependency="", exclude=""), "dependency, exclude"),
        (Changes(array_max_running=1), "arrays"),
        (Changes(name="x", nice=1, wall_s=60, begin=0), ""),
    ],
)
def test_what_pyslurm_would_drop_of_a_change_is_named(changes, why):
    said = pyslurm_orders.lacks(Op.UPDATE, Order(Verb.UPDATE, "1", changes=changes))
    assert why in said
    assert bool(said) == bool(why)


def test_a_change_is_said_in_pyslurms_and_in_slurmrestds_words():
    changes = Changes(name="x", partition="gpu", wall_s=61, time_min_s=1, begin=0, requeue=False, nice=3)
    assert pyslurm_orders.change_words(changes, 1000.7) == {
        "name": "x",
        "partitions": "gpu",
        "time_limit": "2:00",
        "time_limit_min": "1:00",
        "begin_time": 1000,
        "nice": 3,
        "is_requeueable": False,
    }
    assert slurmrestd_orders.change_body(Changes(nodes=2, array_max_running=0, dependency=""), 1.0) == {
        "nodes": "2-2",
        "array": "0",
        "dependency": "",
    }
    assert slurmrestd_orders.change_body(changes, 1000.7)["begin_time"] == {"set": True, "number": 1000}


@pytest.mark.parametrize(
    ("op", "target", "version", "can"),
    [
        (Op.REQUEUE, "1", "v0.0.44", False),
        (Op.REQUEUE, "1", "v0.0.45", True),
        (Op.REQUEUE, "1", "", True),
        (Op.REQUEUE, "1_[0-2000]", "v0.0.45", False),
        (Op.SUSPEND, "1", "v0.0.45", False),
        (Op.CANCEL, "1_[1-3]", "v0.0.42", True),
        (Op.HOLD, "1_3", "v0.0.45", False),
        (Op.UPDATE, "1+1", "v0.0.45", False),
        (Op.UPDATE, "1", "v0.0.42", True),
    ],
)
def test_what_slurmrestd_can_depends_on_its_version_and_on_what_is_meant(op, target, version, can):
    assert (slurmrestd_orders.lacks(op, Order(Verb(op), target), version) == "") is can


def test_slurmrestd_names_every_task_that_it_requeues_by_itself():
    order = Order(Verb.REQUEUE, "5_[1-2,7%2]", hold=True)
    assert slurmrestd_orders.requeue_body(order) == {"jobs": ["5_1", "5_2", "5_7"], "flags": ["Hold"]}
    assert slurmrestd_orders.requeue_body(Order(Verb.REQUEUE, "5_1")) == {"jobs": ["5_1"]}
