"""Policies of ours, each by what it wants of a view."""

from __future__ import annotations

from typing import Any, ClassVar

import msgspec
import pytest

from hpcjobs.conformance import PluginConformance
from hpcjobs.model.cluster import Failure
from hpcjobs.model.hints import Hints
from hpcjobs.model.job import Fate, State
from hpcjobs.model.particulars import Particulars
from hpcjobs.model.steering import Avoid, Drain, Prefer, Weigh
from hpcjobs_plugins.policies import suspect, urgent
from tests.unit.builders import finished, node, record, view

NOW = 1000.0


class TestUrgentConforms(PluginConformance):
    plugin = urgent.PLUGIN


class TestSuspectConforms(PluginConformance):
    plugin = suspect.PLUGIN
    settings: ClassVar[dict[str, Any]] = {"drain_at": 3.0, "most_drained": 0.5}


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


def failed(number, where, user):
    return finished(number, fate=Fate.FAILED, nodes=1, node_list=where, user=user)


NODES = tuple(node(f"n{number}") for number in range(1, 21))


def test_a_node_that_slurm_took_jobs_from_is_suspect_and_large_jobs_do_not_start_there():
    bad = record(1, nodes=1, particulars=Particulars(failed_node="n3"))
    seen = view(bad, record(2, nodes=8, partition="gpu"), record(3, nodes=7), nodes=NODES)
    weigh, avoid = suspect.tick(suspect.Settings(suspect_at=2.0), seen, NOW)
    assert isinstance(weigh, Weigh)
    assert (weigh.nodes, weigh.weight) == (("n3",), 1000)
    assert isinstance(avoid, Avoid)
    assert (avoid.job, avoid.nodes) == (2, ("n3",))


def test_one_users_failures_are_no_fault_of_a_node():
    mine = [failed(number, "n4", "alice") for number in range(1, 9)]
    assert list(suspect.tick(suspect.Settings(suspect_at=2.0), view(*mine, nodes=NODES), NOW)) == []
    others = [failed(11, "n4", "bob"), failed(12, "n4", "carol")]
    assert suspect.suspicion(suspect.Settings(suspect_at=2.0), view(*mine, *others, nodes=NODES), NOW) == {"n4": 2.0}


def test_a_failure_counts_once_for_as_long_as_it_is_remembered():
    listed = record(1, particulars=Particulars(failed_node="n3"))
    past = (Failure("n3", NOW - 60, 1), Failure("n4", NOW - 60, 2), Failure("gone", NOW, 3))
    seen = msgspec.structs.replace(view(listed, nodes=NODES), failures=past)
    assert suspect.suspicion(suspect.Settings(suspect_at=2.0), seen, NOW) == {"n3": 2.0, "n4": 2.0}
    assert suspect.suspicion(suspect.Settings(memory_s=59), seen, NOW) == {}


def test_a_large_job_that_could_start_nowhere_else_is_not_kept_from_a_suspect_node():
    bad = record(1, particulars=Particulars(failed_node="n3"))
    every = record(2, nodes=len(NODES), partition="gpu")
    (only,) = suspect.tick(suspect.Settings(suspect_at=2.0), view(bad, every, nodes=NODES), NOW)
    assert isinstance(only, Weigh)


def test_a_large_job_that_names_a_suspect_node_keeps_it():
    bad = record(1, particulars=Particulars(failed_node="n3"))
    named = record(2, nodes=8, particulars=Particulars(required_nodes="n[1-8]"))
    (only,) = suspect.tick(suspect.Settings(suspect_at=2.0), view(bad, named, nodes=NODES), NOW)
    assert isinstance(only, Weigh)


@pytest.mark.parametrize(("down", "drained"), [(0, ["n3"]), (1, [])])
def test_the_worst_nodes_are_drained_as_long_as_few_are_out_of_use(down, drained):
    nodes = tuple(node(one.name, usable=number >= down) for number, one in enumerate(NODES))
    jobs = [record(number, particulars=Particulars(failed_node=name)) for number, name in
            enumerate(["n3", "n3", "n4", "n5", "n5"], 1)]  # fmt: skip
    jobs.append(failed(9, "n3", "bob"))
    jobs.append(failed(10, "n3", "carol"))
    settings = suspect.Settings(drain_at=4.0, most_drained=0.05)
    wanted = [one for one in suspect.tick(settings, view(*jobs, nodes=nodes), NOW) if isinstance(one, Drain)]
    assert [name for one in wanted for name in one.nodes] == drained


def test_without_suspicion_nothing_is_wanted():
    assert list(suspect.tick(suspect.Settings(drain_at=0.5), view(record(1, nodes=100), nodes=NODES), NOW)) == []
