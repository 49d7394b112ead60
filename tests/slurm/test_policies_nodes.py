"""Policies that steer nodes, on real clusters: what they wish is so in Slurm, has effect, and is taken back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from hpcjobs.sbatch.hostlists import expand_hostlist, fold_hostlist
from tests.slurm.conftest import Stack
from tests.slurm.steered import (
    QUICK,
    Use,
    asking,
    begun,
    cancel,
    details,
    in_use,
    names_of,
    node,
    report,
    soon,
    submitted,
    until,
    weights,
    whole,
)


def test_binpack_has_jobs_fill_the_node_that_is_partly_used(stack: Stack, administered: None, use: Use) -> None:
    *others, last = names_of(stack)
    own = weights(stack)
    begun(stack, **asking(1, 1, nodelist=last))
    use(binpack={**QUICK, "step": 5})
    until(stack, lambda: weights(stack), lambda now: now == own | {name: own[name] + 10 for name in others})
    beside = begun(stack, **asking(1, 1))
    assert details(stack, beside)["NodeList"] == last
    use()
    until(stack, lambda: weights(stack), lambda now: now == own)


def test_spread_has_jobs_start_on_the_emptiest_node(stack: Stack, administered: None, use: Use) -> None:
    own = weights(stack)
    place = details(stack, begun(stack, **asking(1, 2)))["NodeList"]
    beside = begun(stack, **asking(1, 1))
    assert details(stack, beside)["NodeList"] == place, "Slurm itself fills the first node"
    cancel(stack, beside)
    use(spread={**QUICK, "partitions": ["debug"], "step": 7})
    until(stack, lambda: weights(stack), lambda now: now == own | {place: own[place] + 7})
    alone = begun(stack, **asking(1, 1))
    assert details(stack, alone)["NodeList"] != place
    use()
    until(stack, lambda: weights(stack), lambda now: now == own)


def test_what_a_policy_in_dry_run_wishes_is_told_and_not_done(stack: Stack, administered: None, use: Use) -> None:
    own = weights(stack)
    place = details(stack, begun(stack, **asking(1, 2)))["NodeList"]
    use(dry_run=True, spread={**QUICK, "partitions": ["gpu"]}, urgent=QUICK)
    until(stack, lambda: report(stack).policies, lambda told: bool(told and told[0].actions))
    urgent = submitted(stack, hints={"urgent": True}, **whole(len(own)))
    told = until(stack, lambda: report(stack), lambda now: all(one.actions for one in now.policies))
    wished = {one.name: one.actions[0] for one in told.policies}
    assert (wished["spread"].nodes, wished["urgent"].job) == ((place,), urgent)
    assert (told.steered_nodes, told.steered_jobs, told.troubles) == (0, 0, ())
    assert (weights(stack), details(stack, urgent)["Nice"]) == (own, "0")


def test_an_operator_is_told_that_nodes_are_an_administrators_to_change(stack: Stack, use: Use) -> None:
    own = weights(stack)
    begun(stack, **asking(1, 2))
    use(spread={**QUICK, "partitions": ["gpu"]})
    (trouble,) = until(stack, lambda: report(stack).troubles, bool)
    assert (trouble.of, "Administrator" in trouble.detail) == ("weight of nodes", True), trouble
    assert weights(stack) == own


def test_islands_keep_small_jobs_off_a_whole_island(stack: Stack, administered: None, use: Use) -> None:
    *others, last = names_of(stack)
    features = {name: node(stack, name)["AvailableFeatures"] for name in (*others, last)}
    begun(stack, **asking(1, 4, nodelist=last))
    large = submitted(stack, **asking(len(features), 8))  # it waits for all nodes
    small = submitted(stack, nice=5000, **asking(1, 4, 3600))  # it would delay the large one
    use(islands={**QUICK, "islands": {"a": fold_hostlist(others), "b": last}})
    soon(stack, small, lambda job: job["ExcNodeList"] == fold_hostlist(others))
    labelled = {**{name: f"{features[name]},island_a" for name in others}, last: f"{features[last]},island_b"}
    until(stack, lambda: {name: node(stack, name)["AvailableFeatures"] for name in features}, labelled.__eq__)
    asked_for = submitted(stack, nice=9000, **asking(1, 1, constraint="island_a"))
    cancel(stack, large)
    assert soon(stack, small, lambda job: job["JobState"] == "RUNNING")["NodeList"] == last
    assert soon(stack, asked_for, lambda job: job["JobState"] == "RUNNING")["NodeList"] in others
    use()
    until(stack, lambda: {name: node(stack, name)["AvailableFeatures"] for name in features}, features.__eq__)


def test_cpus_are_bound_to_gpus_where_islands_says_so(stack: Stack, use: Use) -> None:
    use(islands={**QUICK, "bind": True})
    bound, not_bound = submitted(stack, **asking(1, 1)), submitted(stack, **asking(1, 1, gres_flags="disable-binding"))
    assert details(stack, bound)["GresEnforceBind"] == "Yes"
    assert details(stack, not_bound).get("GresEnforceBind", "No") == "No"


@pytest.fixture
def cached(stack: Stack) -> Iterator[str]:
    """A node that holds the data set ``corpus``, and is not the first that Slurm would take."""
    name = names_of(stack)[-1]
    text = '{"data": {"corpus": 154618822656}}'
    stack.run("slurmctld", f"scontrol update NodeName={name} Extra='{text}'")
    yield name
    stack.run("slurmctld", f"scontrol update NodeName={name} Extra=")


def test_jobs_start_where_their_data_is_cached(stack: Stack, cached: str, use: Use) -> None:
    others = {*names_of(stack)} - {cached}
    use(data={**QUICK, "look_s": 5})
    reading = {"hints": {"datasets": ["corpus"]}}
    job = submitted(stack, **asking(1, 1), **reading)
    later = submitted(stack, begin="now+1hour", **asking(1, 1), **reading)
    for number in (job, later):
        soon(stack, number, lambda job: {*expand_hostlist(job["ExcNodeList"])} == others)
    assert soon(stack, job, lambda job: job["JobState"] == "RUNNING")["NodeList"] == cached
    use()
    soon(stack, later, lambda job: job["ExcNodeList"] == "(null)")


def test_a_job_that_two_policies_keep_from_all_nodes_together_heeds_the_first_and_starts(
    stack: Stack, cached: str, use: Use
) -> None:
    first, *others = names_of(stack)
    begun(stack, **asking(1, 4, nodelist=first))
    large = submitted(stack, **asking(len(others) + 1, 8))  # it waits for all nodes
    reading = {"hints": {"datasets": ["corpus"]}}
    small = submitted(stack, nice=5000, **asking(1, 4, 3600), **reading)  # it would delay the large one
    islands = {**QUICK, "islands": {"a": fold_hostlist(others), "b": first}, "label": False}
    use(islands=islands)
    soon(stack, small, lambda job: {*expand_hostlist(job["ExcNodeList"])} == {*others})
    use(data=QUICK, islands=islands)
    away = {first, *others} - {cached}
    soon(stack, small, lambda job: {*expand_hostlist(job["ExcNodeList"])} == away)
    said = until(stack, lambda: report(stack).policies, lambda told: all(one.actions for one in told))
    assert {name for one in said for wish in one.actions for name in wish.nodes} == {first, *others}
    cancel(stack, large)
    assert soon(stack, small, lambda job: job["JobState"] == "RUNNING")["NodeList"] == cached


@contextmanager
def silent(stack: Stack, name: str) -> Iterator[None]:
    """A node that does not answer: all that is of Slurm there stands still, as on one whose kernel does."""
    every = "for one in /proc/[0-9]*; do case $(cat $one/comm) in slurm*) kill -{} ${{one##*/}};; esac; done; true"
    container = f"c{name[1:]}"
    stack.run(container, every.format("STOP"))
    try:
        yield
    finally:
        stack.run(container, every.format("CONT"))
        until(stack, lambda: node(stack, name)["State"], lambda state: "*" not in state and "DOWN" not in state)


def pardon_all(stack: Stack) -> None:
    """What tests before did to nodes counts no more."""
    with stack.api("admin") as api:
        cluster = api.get("/v1/clusters").json()[0]["name"]
        for name in names_of(stack):
            answer = api.post(f"/v1/clusters/{cluster}/lemons/{name}/pardon", json={"why": "a test begins"})
            assert answer.status_code == 200, answer.text


def test_a_node_that_failed_is_taken_last_kept_from_large_jobs_and_drained(
    stack: Stack, administered: None, use: Use
) -> None:
    names = names_of(stack)
    own, bad = weights(stack), names[-1]
    pardon_all(stack)
    victim = begun(stack, requeue=True, **asking(1, 1, nodelist=bad))
    use(suspect={**QUICK, "suspect_at": 0.9, "large_nodes": 2})
    large = max(2, len(names) - 1)  # nodes: of two, none can be avoided
    with silent(stack, bad):
        soon(stack, victim, lambda job: job["JobState"] == "PENDING" and job["Restarts"] == "1", 120)
        until(stack, lambda: weights(stack), lambda now: now == own | {bad: own[bad] + 1000})
        begun(stack, **asking(1, 8, nodelist=names[0]))
        waiting = [submitted(stack, **whole(nodes)) for nodes in (large, len(names))]
        avoided = [bad if nodes < len(names) else "(null)" for nodes in (large, len(names))]
        for number, nodes in zip(waiting, avoided, strict=True):
            soon(stack, number, lambda job, nodes=nodes: job["ExcNodeList"] == nodes)  # type: ignore[misc]
    try:
        use(suspect={**QUICK, "drain": True, "drain_at": 0.9, "most_drained": 1.0})
        drained = until(stack, lambda: node(stack, bad), lambda one: "DRAIN" in one["State"])
        assert drained["Reason"] == "hpcjobs:"
        use()
        until(stack, lambda: weights(stack), lambda now: now == own)
        assert "DRAIN" in node(stack, bad)["State"], "an admin resumes it"
    finally:
        stack.run("slurmctld", f"scontrol update NodeName={bad} State=RESUME")


def test_a_large_job_that_lost_a_node_has_a_spare_one_which_nobody_else_was_given(new: Stack) -> None:
    settings = {**QUICK, "large_nodes": 2, "per_1000_node_days": 10**6, "repair_s": 3600, "most": 0.25}
    with in_use(new) as use:
        use(spares=settings, checkpoint={})
        large = begun(new, requeue=True, **whole(2))
        held = until(new, lambda: new.run("slurmctld", "scontrol show reservation -o"), lambda told: "spares" in told)
        (named,) = [words.removeprefix("Nodes=") for words in held.split() if words.startswith("Nodes=")]
        had, kept = {*expand_hostlist(details(new, large)["NodeList"])}, {*expand_hostlist(named)}
        assert had < kept
        assert len(kept) == 3
        others = [submitted(new, "bob", **asking(1, 8)) for _ in range(2)]
        soon(new, others[0], lambda job: job["JobState"] == "RUNNING")
        lost = max(had)
        new.run("slurmctld", f"scontrol update nodename={lost} state=down reason=test")
        try:
            again = soon(new, large, lambda job: (job["JobState"], job["Restarts"]) == ("RUNNING", "1"))
            assert {*expand_hostlist(again["NodeList"])} == kept - {lost}
            assert details(new, others[1])["JobState"] == "PENDING"
        finally:
            new.run("slurmctld", f"scontrol update nodename={lost} state=resume")
