"""Policies of ours, each by what it wants of a view."""

from __future__ import annotations

from typing import Any, ClassVar

import msgspec
import pytest

from hpcjobs.conformance import PluginConformance
from hpcjobs.model.hints import Hints
from hpcjobs.model.job import State
from hpcjobs.model.particulars import Particulars
from hpcjobs.model.steering import Avoid, Drain, Prefer, Weigh
from hpcjobs_plugins.policies import suspect, urgent
from tests.unit.builders import node, record, view
from tests.unit.policy_views import suspicions

NOW = 1000.0


class TestUrgentConforms(PluginConformance):
    plugin = urgent.PLUGIN


class TestSuspectConforms(PluginConformance):
    plugin = suspect.PLUGIN
    settings: ClassVar[dict[str, Any]] = {"drain": True, "drain_at": 3.0, "most_drained": 0.5}


def hinted(seen, **hints):
    return msgspec.structs.replace(seen, hints={int(number[1:]): hint for number, hint in hints.items()})


URGENT = Hints(urgent=True)


def ready(number, **facts):
    return record(number, **({"eligible_time": int(NOW) - 60} | facts))


def test_urgent_jobs_that_wait_for_room_come_first_but_only_so_many_of_a_user_and_of_an_account():
    jobs = [
        ready(1, user="alice", account="a", state=State.RUNNING),
        ready(2, user="alice", account="a"),
        ready(3, user="bob", account="a"),
        ready(4, user="bob", account="a"),
        ready(5, user="carol", account="a"),
        ready(6, user="dave", account="b"),
        ready(7, user="erin", account="b", state=State.HELD),
        ready(8, user="frank", account="b"),
        ready(9, user="gina", account="c", eligible_time=int(NOW) + 60, reason="BeginTime"),
        ready(10, user="gina", account="c", reason="Dependency"),
        ready(11, user="gina", account="c"),
    ]
    seen = hinted(view(*jobs), j1=URGENT, j2=URGENT, j3=URGENT, j4=URGENT, j5=URGENT, j6=URGENT, j7=URGENT,
                  j9=URGENT, j10=URGENT, j11=URGENT)  # fmt: skip
    settings = urgent.Settings(points=50, per_user=1, per_account=2)
    wanted = list(urgent.tick(settings, seen, NOW))
    assert [(one.job, one.points) for one in wanted if isinstance(one, Prefer)] == [(3, 50), (6, 50), (11, 50)]


def test_only_accounts_that_may_have_urgent_jobs():
    seen = hinted(view(ready(1, account="a"), ready(2, account="b", user="bob")), j1=URGENT, j2=URGENT)
    assert [one.job for one in urgent.tick(urgent.Settings(accounts=("b",)), seen, NOW)] == [2]


NODES = tuple(node(f"n{number}") for number in range(1, 21))


def seen_with(*jobs, nodes=NODES, **points):
    return msgspec.structs.replace(view(*jobs, nodes=nodes), suspicions=suspicions(**points))


def test_a_suspect_node_is_taken_last_and_large_jobs_do_not_start_there():
    seen = seen_with(record(2, nodes=8, partition="gpu"), record(3, nodes=7), n3=1.9, n4=1.0, gone=3.0)
    weigh, avoid = suspect.tick(suspect.Settings(), seen, NOW)
    assert isinstance(weigh, Weigh)
    assert (weigh.nodes, weigh.weight) == (("n3",), 1000)
    assert isinstance(avoid, Avoid)
    assert (avoid.job, avoid.nodes) == (2, ("n3",))


def test_an_admin_can_have_fewer_points_suffice():
    (weigh,) = suspect.tick(suspect.Settings(suspect_at=0.9), seen_with(n3=1.9, n4=1.0, n5=0.8), NOW)
    assert weigh.nodes == ("n3", "n4")


def test_a_large_job_that_could_start_nowhere_else_is_not_kept_from_a_suspect_node():
    every = record(2, nodes=len(NODES), partition="gpu")
    (only,) = suspect.tick(suspect.Settings(), seen_with(every, n3=2.0), NOW)
    assert isinstance(only, Weigh)


def test_a_large_job_that_names_a_suspect_node_keeps_it():
    named = record(2, nodes=8, particulars=Particulars(required_nodes="n[1-8]"))
    (only,) = suspect.tick(suspect.Settings(), seen_with(named, n3=2.0), NOW)
    assert isinstance(only, Weigh)


@pytest.mark.parametrize(("down", "drained"), [(0, ["n3"]), (1, [])])
def test_lemons_are_drained_the_worst_first_as_long_as_few_are_out_of_use(down, drained):
    nodes = tuple(node(one.name, usable=number >= down) for number, one in enumerate(NODES))
    seen = seen_with(nodes=nodes, n1=9.0, n3=3.5, n4=1.0, n5=2.6) if down else seen_with(n3=3.5, n4=1.0, n5=2.6)
    wanted = [one for one in suspect.tick(suspect.Settings(drain=True), seen, NOW) if isinstance(one, Drain)]
    assert [name for one in wanted for name in one.nodes] == drained
    assert all(one.why == "hpcjobs: lemon, 3.5 points where 0.1 are expected" for one in wanted)


def test_what_is_out_of_use_is_not_drained_again_so_that_its_reason_stays():
    nodes = tuple(node(one.name, usable=one.name != "n3", reason="fans") for one in NODES)
    settings = suspect.Settings(drain=True, most_drained=1.0)
    wanted = suspect.tick(settings, seen_with(nodes=nodes, n3=3.5), NOW)
    assert not [one for one in wanted if isinstance(one, Drain)]


def test_nothing_is_drained_unless_the_settings_say_so():
    assert [type(one) for one in suspect.tick(suspect.Settings(drain_at=0.5), seen_with(n3=9.0), NOW)] == [Weigh]


def test_without_suspicion_nothing_is_wanted():
    assert list(suspect.tick(suspect.Settings(drain=True), view(record(1, nodes=100), nodes=NODES), NOW)) == []
