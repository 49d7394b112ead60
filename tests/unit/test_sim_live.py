"""A real cluster as the beginning of a simulation, of what a service says of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpcjobs.errors import Refused
from hpcjobs.model.hints import Hints
from hpcjobs.model.job import Fate, Job, State
from hpcjobs.model.particulars import Particulars
from hpcjobs.model.partition import Partition
from hpcjobs.sim.engine import simulate
from hpcjobs.sim.live.changed import more_nodes, without_nodes
from hpcjobs.sim.live.predicted import Predictor
from hpcjobs.sim.live.resumed import Resumed
from hpcjobs.sim.live.snapshot import LIMITED, UNLIMITED_S, snapshot
from hpcjobs.sim.live.starts import displaced, expected
from hpcjobs.sim.lives import Life
from hpcjobs.sim.nodes import Nodes
from hpcjobs.sim.schedulers import SCHEDULERS, Fcfs
from hpcjobs.sim.schedulers.priority import Multifactor, Weights
from tests.unit.builders import node

NOW = 1_800_000_000
NODES = (node("n1"), node("n2"), node("n3"))
GPU = (Partition(name="gpu"),)


def listed(number: int, **facts) -> Job:
    """A job that waits for one whole node for an hour."""
    told = {
        "state": State.PENDING, "user": "ada", "name": f"j{number}", "partition": "gpu", "nodes": 1, "cpus": 64,
        "gpus": {"a100": 8}, "wall_s": 3600, "submit_time": NOW - 1000 + number, "priority": 1,
    }  # fmt: skip
    return Job(
        id=f"id{number}", cluster="big", slurm_job_id=number, created_at=0.0, changed_at=0.0, **(told | facts)
    )  # fmt: skip


def running(number: int, where: str, until_s: int = 1800, **facts) -> Job:
    times = {"start_time": NOW - 600, "end_time": NOW + until_s}
    return listed(number, **({"state": State.RUNNING, "node_list": where} | times | facts))


def begun(*jobs, nodes=NODES, partitions=GPU, **more):
    return snapshot("big", NOW, nodes, partitions, jobs, **more)


def outcome(*jobs, scheduler="slurm", **more):
    begin = begun(*jobs, **more)
    result = simulate(
        begin.workload,
        Resumed(SCHEDULERS[scheduler](), begin),
        space=Nodes(begin.workload.nodes),
        begin_s=lambda job: begin.begin_s.get(job.number, 0.0),
    )
    return begin, result


def starts(*jobs, **more) -> dict[str, float | None]:
    """Seconds from now until each job starts that waits, by name."""
    told = expected({"c": outcome(*jobs, **more)})
    return {one.name: None if one.starts["c"] is None else one.starts["c"] - NOW for one in told}


@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_what_runs_has_its_own_nodes_until_its_time_is_up(scheduler):
    jobs = [running(1, "n2", 1800), running(2, "n[1,3]", 900, nodes=2, cpus=128, gpus={"a100": 16}), listed(3, nodes=3)]
    begin, result = outcome(*jobs, scheduler=scheduler)
    assert [(run.job, run.start_s, run.end_s, run.indices) for run in result.runs[:2]] == [
        (2, 0.0, 900.0, (0, 2)),
        (1, 0.0, 1800.0, (1,)),
    ]
    assert displaced(begin, result) == 0
    assert result.runs[2].start_s == 1800


def test_the_queue_is_in_the_order_of_tier_priority_and_submission():
    full = running(1, "n[1-3]", 100, nodes=3)
    waiting = [listed(2), listed(3), listed(4, priority=9), listed(5, partition="fast")]
    tiers = (*GPU, Partition(name="fast", priority_tier=2))
    nodes = [node("n1", partitions=("gpu", "fast"))]
    order = starts(full, *waiting, nodes=[*nodes, node("n2"), node("n3")], partitions=tiers, scheduler="fcfs")
    assert list(order) == ["j5", "j4", "j2", "j3"]
    assert order == {"j5": 100, "j4": 100, "j2": 100, "j3": 3700}


def test_a_priority_keeps_what_it_has_beside_size_and_age_under_other_weights():
    old = {"submit_time": NOW - 86_400}
    jobs = [
        listed(1, priority=2250),  # of it 250 for its size
        listed(2, priority=1500, nodes=4, cpus=256),  # 1000
        listed(3, priority=700, **old),
        listed(4, priority=5, partition="fast"),
        running(5, "n1"),
    ]
    fast = (*GPU, Partition(name="fast", priority_tier=2))
    nodes = (node("n1"), node("n2"), node("n3"), node("n4"))
    begin = begun(*jobs, nodes=nodes, partitions=fast, priority=Multifactor.of(Weights(job_size=1000), nodes))

    def queue(**weights):
        lives = [Life.of(job, {}) for job in begin.workload.jobs]
        return [begin.jobs[life.number].name for life in Multifactor.of(Weights(**weights), nodes).sorted(lives, 0.0)]

    assert queue(job_size=1000) == ["j5", "j4", "j1", "j2", "j3"]
    assert queue(job_size=5000) == ["j5", "j4", "j2", "j1", "j3"]
    assert queue(job_size=1000, age=20_000) == ["j5", "j4", "j3", "j1", "j2"]


def test_a_node_that_is_drained_keeps_its_job_and_takes_no_other():
    nodes = [node("n1", usable=False, raw_state="MIXED+DRAIN"), node("n2", usable=False, raw_state="DOWN"), node("n3")]
    jobs = (running(1, "n1", 100), running(2, "n3", 200), listed(3), listed(4), listed(5, nodes=2))
    assert starts(*jobs, nodes=nodes) == {"j3": 200, "j4": 3800, "j5": None}


@pytest.mark.parametrize(
    ("facts", "start_s"),
    [
        ({"partition": "gpu"}, 0),
        ({"partition": "cpu", "gpus": {}}, 500),
        ({"partition": "cpu,gpu"}, 0),
        ({"partition": "shut"}, None),
        ({"partition": "cpu,gpu", "particulars": Particulars(constraint="fast&new")}, 500),
        ({"partition": "cpu,gpu", "particulars": Particulars(constraint="[fast|new]")}, 0),
        ({"partition": "cpu,gpu", "particulars": Particulars(excluded_nodes="n[1-2]")}, 500),
        ({"gpus": {"h100": 8}}, None),
        ({"eligible_time": NOW + 77}, 77),
    ],
)
def test_a_job_starts_only_where_and_when_it_may(facts, start_s):
    nodes = [
        node("n1", partitions=("gpu", "shut")),
        node("n2"),
        node("n3", partitions=("cpu",), features=("fast", "new")),
    ]
    partitions = (*GPU, Partition(name="cpu"), Partition(name="shut", state="INACTIVE"))
    assert starts(running(1, "n3", 500), listed(2, **facts), nodes=nodes, partitions=partitions) == {"j2": start_s}


def test_tasks_that_wait_together_are_as_many_jobs_and_the_first_start_is_told():
    begin, result = outcome(
        running(1, "n1", 50),
        running(2, "n2", 60),
        running(3, "n3", 70),
        listed(4, array_job_id=4, array_task="1-7:2%2"),
    )
    assert [run.start_s for run in result.runs if run.job > 3] == [50, 60, 70, 3650]
    (told,) = expected({"c": (begin, result)})
    assert (told.job, told.starts) == ("4_[1-7:2%2]", {"c": NOW + 50})


def test_limits_are_the_jobs_the_partitions_or_none():
    partitions = (Partition(name="gpu", wall_default_s=60, wall_max_s=90), Partition(name="max", wall_max_s=90),
        Partition(name="free", wall_max_s=90, wall_default_unlimited=True))  # fmt: skip
    jobs = [
        listed(1),
        *(listed(2 + place, wall_s=None, partition=name) for place, name in enumerate(("gpu", "max", "free", "x"))),
    ]
    begin = begun(*jobs, partitions=partitions)
    assert [job.wall_s for job in begin.workload.jobs] == [3600, 60, 90, UNLIMITED_S, UNLIMITED_S]


def test_what_a_job_has_of_a_node_is_its_share_and_those_that_run_have_no_more_than_is_there():
    jobs = (running(1, "n[1-2]", nodes=2, cpus=5, gpus={"a100": 3}), listed(2, nodes=2, cpus=5, gpus={"a100": 3}))
    told = [(job.cpus_per_node, job.gpus_per_node) for job in begun(*jobs).workload.jobs]
    assert told == [(2, 1), (3, 2)]


def test_a_job_that_shares_with_nobody_has_its_node_alone():
    alone = Particulars(oversubscribe="NO")
    small = {"cpus": 1, "gpus": {}}
    nodes = [node("n1")]
    assert starts(running(1, "n1", 100, **small), listed(2, **small), nodes=nodes) == {"j2": 0}
    assert starts(running(1, "n1", 100, particulars=alone, **small), listed(2, **small), nodes=nodes) == {"j2": 100}
    exclusive = (Partition(name="gpu", exclusive="NODE"),)
    assert starts(running(1, "n1", 100, **small), listed(2, **small), nodes=nodes, partitions=exclusive) == {"j2": 100}


def test_what_cannot_be_simulated_is_left_out_and_counted():
    begin = begun(
        listed(1, state=State.HELD), listed(2, dependency="afterok:1"), listed(3, state=State.UNKNOWN),
        running(4, "elsewhere"), listed(5, state=State.FINISHED, fate=Fate.COMPLETED), listed(6),
        listed(7, reason="PartitionTimeLimit"), listed(8, reason="PartitionNodeLimit", nodes=3),
        listed(9, reason="PartitionNodeLimit", nodes=2), partitions=(Partition(name="gpu", nodes_max=2),),
    )  # fmt: skip
    assert [job.name for job in begin.workload.jobs] == ["j6", "j9"]
    assert set(begin.workload.dropped) == {
        "it is held",
        "it waits for other jobs (dependency)",
        "it asks for more than its partition gives",
        "it is not known to be in Slurm",
        "it runs on nodes that the cluster does not list",
    }


def test_jobs_that_wait_for_limits_which_are_not_heeded_are_simulated_and_counted():
    begin = begun(listed(1, reason="QOSMaxJobsPerUserLimit"), listed(2, reason="AssocGrpCpuLimit"), listed(3))
    assert len(begin.workload.jobs) == 3
    assert begin.workload.remarks == {LIMITED: 2}


def test_a_running_job_that_its_node_has_no_room_for_is_told():
    begin, result = outcome(running(1, "n1"), running(2, "n1"), scheduler="fcfs")
    assert displaced(begin, result) == 1


def test_nodes_whose_jobs_nobody_may_see_are_counted():
    nodes = [
        node("n1", cpus_alloc=64, gpus_alloc={"a100": 8}),
        node("n2", cpus_alloc=3),
        node("n3", gpus_alloc={"a100": 1}),
    ]
    assert list(begun(running(1, "n1"), nodes=nodes).workload.remarks.values()) == [2]
    shared = running(2, "n[2-3]", nodes=2, cpus=5, gpus={"a100": 1})
    assert begun(running(1, "n1"), shared, nodes=nodes).workload.remarks == {}


def test_hints_are_those_of_the_job_they_were_asked_of():
    begin = begun(listed(1), listed(2), hints={"id2": Hints(urgent=True)})
    assert [job.hints.urgent for job in begin.workload.jobs] == [False, True]


def ended(run_s: int, name: str = "train", fate: Fate = Fate.COMPLETED) -> Job:
    return listed(9, name=name, state=State.FINISHED, fate=fate, start_time=NOW - 90_000, end_time=NOW - 90_000 + run_s)


def test_run_times_are_the_median_of_like_jobs_that_ran_longer_than_this_one_has():
    guess = Predictor([*map(ended, (100, 200, 300, 1000, 2000)), ended(5, fate=Fate.FAILED), ended(5, "other")])
    assert guess.run_s(listed(1, name="train")) == 300
    assert guess.run_s(listed(1, name="train"), already_s=250) == 1000
    assert guess.run_s(listed(1, name="train"), already_s=300) is None
    assert guess.run_s(listed(1, name="other")) is None
    assert guess.run_s(listed(1, name="train", user="bob")) is None


def test_predicted_jobs_end_before_their_limits_and_the_queue_is_planned_with_limits():
    guess = Predictor(map(ended, (900, 900, 900)))
    jobs = [running(1, "n[1-3]", 5000, nodes=3, name="train"), listed(2, name="train"), listed(3)]
    begin, result = outcome(*jobs, predictor=guess)
    assert [(run.job, run.start_s, run.end_s) for run in result.runs] == [(1, 0, 300), (2, 300, 1200), (3, 300, 3900)]
    assert begin.workload.jobs[1].wall_s == 3600


def test_nodes_more_are_idle_and_like_the_commonest_or_the_one_that_is_named():
    nodes = [
        node("n1"),
        node("n2", cpus=8),
        node("n3", cpus=8, cpus_alloc=8, raw_state="DOWN", usable=False, reason="x"),
    ]
    more = more_nodes(nodes, "2")[3:]
    assert [(one.name, one.cpus, one.cpus_alloc, one.usable) for one in more] == [
        ("added1", 8, 0, True),
        ("added2", 8, 0, True),
    ]
    (named,) = more_nodes([*nodes, node("added1")], "1:n1")[4:]
    assert (named.name, named.cpus) == ("added2", 64)


def test_nodes_fewer_take_no_more_jobs_and_one_that_is_down_stays_down():
    nodes = without_nodes([*NODES, node("n4", usable=False)], "n[1,3]")
    assert [one.usable for one in nodes] == [False, True, False, False]


@given(st.text(max_size=30))
def test_what_is_no_number_of_nodes_is_refused_in_words(text):
    valid = text.isascii() and text.isdecimal() and 0 < int(text) <= 100_000
    if valid:
        assert len(more_nodes(NODES, text)) == 3 + int(text)
        return
    with pytest.raises(Refused, match=r"^--add-nodes: "):
        more_nodes(NODES, text)


@given(st.text(max_size=30))
def test_what_is_no_list_of_nodes_is_refused_in_words(text):
    if text == "n1":
        return
    try:
        nodes = without_nodes(NODES, text)
    except Refused as error:
        assert error.detail.startswith("--without: ")  # noqa: PT017
    else:
        assert {one.name for one in nodes if not one.usable} <= {one.name for one in NODES}


def test_of_several_cases_each_says_when_a_job_starts():
    jobs = [running(1, "n[1-3]", 100, nodes=3), listed(2)]
    told = expected({"a": outcome(*jobs), "b": outcome(*jobs, nodes=[*NODES, node("n4")])})
    assert told[0].starts == {"a": NOW + 100, "b": NOW}
    assert expected({}) == ()


def test_fcfs_is_still_called_fcfs():
    assert Resumed(Fcfs(), begun()).name == "fcfs"
