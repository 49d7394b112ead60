"""Accounts have their quotas, lend what they do not use, and have it back."""

from __future__ import annotations

from collections import Counter
from typing import Any, ClassVar

import msgspec
import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from hpcjobs.conformance import PluginConformance
from hpcjobs.model.hints import Hints
from hpcjobs.model.job import State
from hpcjobs.model.particulars import Particulars
from hpcjobs.model.steering import Prefer, Requeue
from hpcjobs_plugins.policies import fair
from hpcjobs_plugins.policies.moving import age, furthest
from tests.unit.policy_views import NOW, PREEMPTIBLE, asking, at_work, nodes_named, running


class TestFairConforms(PluginConformance):
    plugin = fair.PLUGIN
    settings: ClassVar[dict[str, Any]] = {"quotas": {"vision": 64, "speech": 8}, "wait_s": 0, "ran_s": 0}


SETTINGS = fair.Settings(quotas={"a": 8, "b": 8, "c": 4})
NODES = nodes_named("n1", "n2", "n3")


def wanted(*jobs, hints=None, nodes=NODES, settings=SETTINGS):
    told = {job.slurm_job_id: PREEMPTIBLE for job in jobs if job.node_list} if hints is None else hints
    actions = list(fair.tick(settings, at_work(*jobs, nodes=nodes, hints=told), NOW))
    preferred = [one.job for one in actions if isinstance(one, Prefer)]
    return preferred, [one.job for one in actions if isinstance(one, Requeue)]


def test_jobs_come_first_for_as_many_gpus_as_their_account_has_left_of_its_quota():
    jobs = [running(1, "n1", 4), asking(2, 2), asking(3, 4), asking(4, 2), asking(5, 2), asking(6, 1, account="z")]
    assert wanted(*jobs) == ([2, 4], [])
    first = msgspec.structs.replace(jobs[2], priority=9)
    assert wanted(*jobs[:2], first, *jobs[3:])[0] == [3]


def test_an_account_above_its_quota_has_what_is_idle_and_no_points():
    assert wanted(running(1, "n1", 8), asking(2, 4)) == ([], [])


FULL = (running(1, "n1", 8, account="b", since_s=900), running(2, "n2", 8, account="b", since_s=800),
    running(3, "n3", 8, account="c", since_s=700))  # fmt: skip


def test_when_one_below_its_quota_waits_the_youngest_jobs_of_the_account_furthest_above_make_room():
    assert wanted(*FULL, asking(9, 8)) == ([9], [2])  # b is 8 above, c 4: and stays there, its job is of 8


def test_nobody_comes_below_its_quota_by_it():
    assert wanted(*FULL[1:], running(1, "n1", 8), asking(9, 4, account="c")) == ([], [])
    jobs = [running(1, "n1", 8), running(2, "n2", 8, account="b"), running(3, "n3", 8, account="b")]
    assert wanted(*jobs, asking(9, 4, account="c")) == ([9], [3])
    big = [running(1, "n1", 8, account="b"), running(2, "n[2-3]", 16, account="d")]
    assert wanted(*big, asking(9, 4, account="c")) == ([9], [])  # b is at its quota, d has none


def test_jobs_that_are_not_needed_stay():
    jobs = [running(1, "n1", 2, account="b", since_s=500), running(2, "n1", 6, account="a"),
        running(3, "n2", 4, account="b", since_s=900), running(4, "n2", 4, account="b", since_s=950),
        running(5, "n3", 8, account="b")]  # fmt: skip
    settings = fair.Settings(quotas={"a": 16, "b": 4})
    assert wanted(*jobs, asking(9, 4), settings=settings)[1] == [3]  # job 1 is younger, and its 2 GPUs are no help


def test_room_that_is_there_or_comes_is_not_made_again():
    freed = msgspec.structs.replace(FULL[1], state=State.COMPLETING)
    assert wanted(FULL[0], freed, FULL[2], asking(9, 8)) == ([9], [])
    assert wanted(FULL[0], FULL[2], asking(9, 8)) == ([9], [])


def test_each_of_several_waiting_jobs_has_room_of_its_own():
    settings = fair.Settings(quotas={"a": 16, "b": 8, "c": 0})
    assert wanted(*FULL, asking(9, 8), asking(10, 8), settings=settings) == ([9, 10], [3, 2])
    assert wanted(*FULL, asking(9, 8), asking(10, 8), settings=msgspec.structs.replace(settings, ahead=1))[1] == [3]


def test_after_so_many_requeues_the_others_have_room_made_the_next_time():
    settings = fair.Settings(quotas={"a": 16, "b": 8, "c": 0}, per_tick=1)
    assert wanted(*FULL, asking(9, 8), asking(10, 8), settings=settings) == ([9, 10], [3])
    assert wanted(*FULL, asking(9, 16, 2), settings=settings) == ([9], [3, 2])  # one job has all or nothing


def test_what_one_takes_back_another_does_not_take_again():
    settings = fair.Settings(quotas={"a": 16, "b": 8})
    assert wanted(*FULL, asking(9, 8), asking(10, 8), settings=settings) == ([9, 10], [2])  # b has 8 left, its quota


def test_room_that_one_who_has_just_come_will_have_is_not_anothers():
    settings = fair.Settings(quotas={"a": 16, "b": 8})
    young = asking(9, 8, eligible_time=int(NOW) - 5, priority=5)
    assert wanted(*FULL[:2], young, asking(10, 8), settings=settings) == ([9, 10], [2])


def test_one_that_cannot_have_room_changes_nothing_for_the_next():
    settings = fair.Settings(quotas={"a": 32, "b": 8})
    assert wanted(*FULL, asking(9, 16, 2), asking(10, 8), settings=settings) == ([9, 10], [2])


def test_a_suspended_job_has_its_gpus():
    paused = running(1, "n1", 4, state=State.SUSPENDED)
    assert wanted(paused, asking(2, 5), asking(3, 4)) == ([3], [])


@pytest.mark.parametrize("hints", [{}, dict.fromkeys((1, 2, 3), Hints(preemptible=True, pinned=True))])
def test_jobs_that_are_pinned_or_have_not_said_that_they_may_be_requeued_stay(hints):
    assert wanted(*FULL, asking(9, 8), hints=hints) == ([9], [])


def test_a_job_that_has_just_begun_stays_and_one_that_has_just_come_waits():
    fresh = [running(number, f"n{number}", 8, account="b", since_s=60) for number in (1, 2, 3)]
    assert wanted(*fresh, asking(9, 8)) == ([9], [])
    assert wanted(*FULL, asking(9, 8, eligible_time=int(NOW) - 30)) == ([9], [])
    assert wanted(*FULL, asking(9, 8, reason="Dependency")) == ([], [])


def test_no_job_goes_for_one_that_cannot_start_there_anyway():
    elsewhere = asking(9, 8, particulars=Particulars(excluded_nodes="n[1-3]"))
    assert wanted(*FULL, elsewhere) == ([9], [])
    assert wanted(*FULL, asking(9, 8, partition="debug")) == ([9], [])


def by_definition(lent, over):
    """Jobs as they are offered, found anew for each by looking at all."""
    left, above = list(lent), Counter(over)
    while left := [job for job in left if sum(job.gpus.values()) <= above[job.account]]:
        job = max(left, key=lambda one: (above[one.account], one.start_time, one.slurm_job_id))
        left.remove(job)
        above[job.account] -= sum(job.gpus.values())
        yield job


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 6), st.integers(60, 65))),
    st.dictionaries(st.sampled_from("abc"), st.integers(-2, 25)),
)
def test_jobs_are_offered_in_the_order_of_the_definition(shapes, over):
    lent = [
        running(number, "n1", gpus, since_s, account=account)
        for number, (account, gpus, since_s) in enumerate(shapes, start=1)
    ]
    assert list(furthest(sorted(lent, key=age), Counter(over))) == list(by_definition(lent, over))


FULL_NODES = st.sampled_from([(8,), (4, 4), (4, 2, 2), (2, 2, 2, 2), (1,) * 8, (6, 2), (6,)])
WILLING = st.sampled_from([*[PREEMPTIBLE] * 4, Hints(), Hints(preemptible=True, pinned=True)])


@st.composite
def clusters(draw):
    jobs, hints = [], {}
    for at in range(4):
        for gpus in draw(FULL_NODES):
            number, account = len(jobs) + 1, draw(st.sampled_from("abbbccz"))
            jobs.append(running(number, f"n{at}", gpus, draw(st.integers(60, 1000)), account=account))
            hints[number] = draw(WILLING)
    return at_work(*jobs, nodes=nodes_named("n0", "n1", "n2", "n3"), hints=hints)


def use_of(jobs):
    use = Counter()
    for job in jobs:
        use[job.account] += sum(job.gpus.values())
    return use


@given(clusters(), st.integers(1, 8), st.integers(1, 2))
def test_reclaim_is_just_to_everybody(seen, gpus, nodes):
    waiting = asking(99, gpus * nodes, nodes)
    whole = msgspec.structs.replace(seen, jobs={**seen.jobs, 99: waiting})
    quotas = {"a": 12, "b": 6, "c": 3}
    actions = list(fair.tick(fair.Settings(quotas=quotas), whole, NOW))
    gone = {one.job for one in actions if isinstance(one, Requeue)}
    event(f"{min(len(gone), 3)} are requeued")
    before, after = (
        use_of(seen.jobs.values()),
        use_of(job for job in seen.jobs.values() if job.slurm_job_id not in gone),
    )

    def roomy(without):
        used = Counter()
        for job in seen.jobs.values():
            used[job.node_list] += 0 if job.slurm_job_id in without else sum(job.gpus.values())
        return sum(8 - used[name] >= gpus for name in seen.nodes) >= nodes

    assert bool([one for one in actions if isinstance(one, Prefer)]) == (before["a"] + gpus * nodes <= 12)
    for number in gone:
        job, hints = seen.jobs[number], seen.hints[number]
        assert hints.preemptible
        assert not hints.pinned
        assert NOW - job.start_time >= 120
        assert not roomy(gone - {number})
    assert all(after[account] >= quotas[account] for account in quotas if before[account] != after[account])
    assert before["z"] == after["z"]
    assert not gone or (roomy(gone) and not roomy(set()))
    assert list(fair.tick(fair.Settings(quotas=quotas), whole, NOW)) == actions
