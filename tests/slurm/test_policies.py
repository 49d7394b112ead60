"""Policies on real clusters: what they wish is done in Slurm, taken back, and gangs start together."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from hpcjobs.client import Client
from tests.slurm.conftest import Stack
from tests.slurm.steered import (
    QUICK,
    SLEEP,
    Use,
    cancel,
    details,
    names_of,
    node,
    nodes_of,
    number_of,
    report,
    soon,
    submitted,
    until,
    whole,
)


def test_an_urgent_job_comes_first_and_is_as_before_when_the_policy_is_gone(stack: Stack, use: Use) -> None:
    blocking = stack.submit(SLEEP.format(600), **whole(nodes_of(stack)))
    stack.running(blocking["id"])
    plain = number_of(stack, stack.submit(SLEEP.format(1), **whole(1), nice=7))
    urgent = number_of(stack, stack.submit(SLEEP.format(1), **whole(1), nice=7, hints={"urgent": True}))
    use(urgent={"points": 1000})
    soon(stack, urgent, lambda job: job["Nice"] == "-993")
    assert details(stack, plain)["Nice"] == "7"
    with Client(stack.url, stack.token("alice")) as client:
        told = [event.data for event in client.past_events(kind=["policy.action"]) if event.data["policy"] == "urgent"]
    assert (told[-1]["action"], told[-1]["state"], told[-1]["points"]) == ("prefer", "wished", 1000)
    use()
    soon(stack, urgent, lambda job: job["Nice"] == "7")
    stack.run("slurmctld", f"scancel {plain} {urgent} {number_of(stack, blocking)}")


def test_what_a_policy_wishes_survives_the_service_and_is_taken_back_after_it(stack: Stack, use: Use) -> None:
    blocking = stack.submit(SLEEP.format(600), **whole(nodes_of(stack)))
    stack.running(blocking["id"])
    urgent = number_of(stack, stack.submit(SLEEP.format(1), **whole(1), hints={"urgent": True}))
    use(urgent={"points": 500})
    soon(stack, urgent, lambda job: job["Nice"] == "-500")
    with stack.restarted():
        stack.container("hpcjobs").kill()
        stack.container("hpcjobs").start()
    time.sleep(3)
    assert details(stack, urgent)["Nice"] == "-500"
    use()
    soon(stack, urgent, lambda job: job["Nice"] == "0")
    stack.run("slurmctld", f"scancel {urgent} {number_of(stack, blocking)}")


def test_members_of_a_gang_start_together_and_none_before(stack: Stack, use: Use, name: str) -> None:
    use(gang={})
    nodes = nodes_of(stack)
    first_size, second_size = nodes // 2, nodes - nodes // 2
    blocking = stack.submit(SLEEP.format(15), **whole(1))
    stack.running(blocking["id"])
    gang = {"hints": {"gang": name, "gang_size": 2}}
    first = number_of(stack, stack.submit(SLEEP.format(20), **whole(first_size), **gang))
    waiting = details(stack, first)
    assert (waiting["JobState"], waiting["Reason"]) == ("PENDING", "BeginTime")
    second = number_of(stack, stack.submit(SLEEP.format(20), **whole(second_size), **gang))
    running = [soon(stack, number, lambda job: job["JobState"] == "RUNNING", 120) for number in (first, second)]
    starts = [time.mktime(time.strptime(job["StartTime"], "%Y-%m-%dT%H:%M:%S")) for job in running]
    assert abs(starts[0] - starts[1]) <= 15
    ended = stack.finished(blocking["id"])
    assert min(starts) >= ended["end_time"] - 1, "the nodes of the whole gang were not free before"
    for number in (first, second):
        soon(stack, number, lambda job: job["JobState"] == "COMPLETED")


def test_a_gang_that_is_not_complete_does_not_start(stack: Stack, use: Use, name: str) -> None:
    use(gang={})
    lone = stack.submit(SLEEP.format(1), hints={"gang": name, "gang_size": 3})
    number = number_of(stack, lone)
    time.sleep(6)
    assert details(stack, number)["JobState"] == "PENDING"
    refused = {"script": SLEEP.format(1), "begin": "now+1hour", "hints": {"gang": name, "gang_size": 3}}
    with stack.api() as api:
        assert api.post("/v1/jobs", json=refused).status_code == 422
    stack.run("slurmctld", f"scancel {number}")


def runs(job: dict[str, str]) -> bool:
    return job["JobState"] == "RUNNING"


@contextmanager
def down(stack: Stack, name: str) -> Iterator[None]:
    """A node that failed, and is whole again after."""
    stack.run("slurmctld", f"scontrol update nodename={name} state=down reason=test")
    try:
        yield
    finally:
        stack.run("slurmctld", f"scontrol update nodename={name} state=resume")
        until(stack, lambda: node(stack, name)["State"], lambda state: state in ("IDLE", "MIXED", "ALLOCATED"))


def test_a_gang_that_lost_a_node_is_whole_again_and_its_other_members_run_on(stack: Stack, use: Use, name: str) -> None:
    use(gang=QUICK)
    gang = {"hints": {"gang": name, "gang_size": 2}}
    members = [submitted(stack, **whole(1), **gang) for _ in range(2)]
    lost, other = (soon(stack, number, runs)["NodeList"] for number in members)
    others = nodes_of(stack) > len(members)
    with down(stack, lost):
        again = soon(stack, members[0], lambda job: job["Restarts"] == "1" and (runs(job) or not others))
        assert again["NodeList"] not in (lost, other)
    soon(stack, members[0], runs)
    beside = details(stack, members[1])
    assert (beside["JobState"], beside["Restarts"], beside["NodeList"]) == ("RUNNING", "0", other)
    cancel(stack, *members)


def test_a_member_with_a_constraint_does_not_start_without_its_gang_and_starts_with_it_where_it_may(
    stack: Stack, use: Use, name: str
) -> None:
    names = names_of(stack)
    (feature,) = node(stack, names[-1])["AvailableFeatures"].split(",")
    size = 1 + sum(feature == node(stack, one)["AvailableFeatures"] for one in names)
    use(gang=QUICK | {"deadline_s": 10.0})
    gang = {"hints": {"gang": name, "gang_size": size}}
    bound = whole(1)
    bound["resources"] |= {"constraint": feature}
    members = [submitted(stack, **whole(1), **gang) for _ in range(size - 1)]
    members.append(submitted(stack, **bound, **gang))
    for number in members:
        told = soon(stack, number, lambda job: job["Nice"] == "1")
        assert (told["JobState"], told["Restarts"]) == ("PENDING", "0"), "nodes that all can use are too few"
    assert not report(stack).reservations
    banned = names[: len(names) - size]
    stack.run("slurmctld", f"scontrol update jobid={members[-1]} Features= ExcNodeList={','.join(banned)}")
    running = [soon(stack, number, runs) for number in members]
    assert {job["NodeList"] for job in running} == {*names} - {*banned}
    starts = [time.mktime(time.strptime(job["StartTime"], "%Y-%m-%dT%H:%M:%S")) for job in running]
    assert max(starts) - min(starts) <= 1.0, "Slurm may look at the queue while they are released"
    cancel(stack, *members)
