"""Policies on real clusters: what they wish is done in Slurm, taken back, and gangs start together."""

from __future__ import annotations

import time

from hpcjobs.client import Client
from tests.slurm.conftest import Stack
from tests.slurm.steered import SLEEP, Use, details, nodes_of, number_of, soon, whole


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
