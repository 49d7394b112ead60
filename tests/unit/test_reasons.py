from __future__ import annotations

import csv
import re
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hpcjobs.model.job import Fate, State
from hpcjobs.slurm.reason_words import DESCRIPTIONS, WORDS, limit_of, word_of
from hpcjobs.slurm.reasons import why
from hpcjobs.slurm.states import HELD_REASONS, read_state
from tests.conftest import examples

from .builders import job, node, record, view

NOW = 1_800_000_000.0
SLURM = list(
    csv.DictReader(
        (Path(__file__).parent / "data" / "slurm_reasons.tsv").read_text().splitlines(),
        delimiter="\t",
    )
)
BUSY = (
    node("c1", gpus_alloc={"a100": 8}, cpus_alloc=8),
    node("c2", gpus_alloc={"a100": 4}, cpus_alloc=4),
    node("c3", gpus={"h100": 8}),
    node("c4", gpus={"h100": 8}, raw_state="DOWN+DRAIN", usable=False, reason="bad\nfan"),
)


def waits(reason="", look=None, **fields):
    """What a pending job is told that it waits for."""
    told = {"partition": "gpu", "account": "vision", "qos": "normal", "reason": reason, "priority": 10}
    answer = why(record(**(told | fields)), look, NOW)
    assert answer is not None
    return answer


# Every word of Slurm


@pytest.mark.parametrize("line", SLURM, ids=lambda line: line["word"])
def test_every_word_of_slurm_has_an_answer_of_its_own(line):
    word = line["word"]
    assert word_of(word) == word
    for state in (State.PENDING, State.HELD):
        answer = waits(word, state=state)
        assert answer.waits_for.endswith(".")
        assert "{" not in answer.waits_for + "".join(answer.would_help)
        assert not answer.waits_for.startswith("Slurm gives as its reason")


@pytest.mark.parametrize("line", SLURM, ids=lambda line: line["word"])
def test_a_limits_name_is_read_as_slurms_own_constant_means_it(line):
    limit = limit_of(line["word"])
    read = limit and [limit.scope, limit.bound, limit.resource, limit.measure, *filter(None, [limit.per])]
    meant = line["meaning"].removeprefix("limit: ")
    assert (read and " ".join(read)) == (None if meant == line["meaning"] else meant)


def test_the_table_has_no_word_that_slurm_does_not_say():
    ours = {"", "InvalidReason"} | {word for word in WORDS if " " in word}
    assert set(WORDS) - ours <= {line["word"] for line in SLURM}
    assert {word for word in WORDS if " " in word} <= HELD_REASONS
    assert {word for _, word in DESCRIPTIONS} <= set(WORDS)


def test_every_reason_with_which_slurm_holds_a_job_makes_it_held_and_no_other():
    held = {line["word"] for line in SLURM if "priority set to 0" in line["meaning"] or "held" in line["meaning"]}
    assert held == HELD_REASONS & {line["word"] for line in SLURM}
    for line in SLURM:
        state, _ = read_state("PENDING", line["word"])
        assert (state is State.HELD) == (line["word"] in held)


# Sentences


def test_resources_say_what_is_asked_for_what_is_free_and_what_would_fit():
    answer = waits("Resources", view(nodes=BUSY), gpus={"a100": 16}, nodes=2, cpus=2)
    assert answer.waits_for == (
        "It waits for room in partition gpu: 2 nodes with 8 a100 each are asked for, and 0 of the 2 nodes that could "
        "serve it have that free now (4 of 16 a100 are free, on 1 node)."
    )
    assert answer.would_help[0] == "4 a100 on one node would fit what is free now."


def test_resources_name_the_nodes_that_are_free_and_another_type_that_is():
    nodes = (node("c1"), node("c2", gpus_alloc={"a100": 1}), node("c3", gpus={"h100": 8}), node("c4", gpus={"h100": 8}))
    answer = waits("Resources", view(nodes=nodes), gpus={"a100": 16}, nodes=2, cpus=2)
    assert "1 of the 2 nodes that could serve it has that free now (15 of 16 a100 are free, on 2 nodes)" in (
        answer.waits_for
    )
    assert answer.would_help[:2] == (
        "1 node with 8 a100 would fit what is free now.",
        "The same with h100 in place of a100 would fit what is free now.",
    )


def test_resources_count_no_gpu_of_a_node_that_is_down_or_has_no_cpu_left():
    nodes = (node("c1", cpus_alloc=64), node("c2", usable=False, raw_state="DOWN"))
    answer = waits("Resources", view(nodes=nodes), gpus={"": 4}, nodes=1, cpus=1)
    assert answer.waits_for == (
        "It waits for room in partition gpu: 1 node with 4 GPUs is asked for, and 0 of the 2 nodes that could serve it "
        "have that free now (8 of 16 GPUs are free, on 1 node)."
    )
    assert answer.would_help == WORDS["Resources"][1:]


def test_resources_that_look_free_are_said_to_look_so_and_those_that_no_node_has_are_counted_in_all():
    free = waits("Resources", view(nodes=(node("c1"),)), nodes=1, cpus=4)
    assert "1 of the 1 nodes that could serve it has that free now, and what else it needs" in free.waits_for
    large = waits("Resources", view(nodes=BUSY), gpus={"a100": 16}, nodes=1, cpus=1)
    assert large.waits_for == (
        "It waits for room in partition gpu: 16 a100 in all are asked for; 4 of 16 a100 are free, on 1 node."
    )


def test_gpus_in_use_of_unknown_type_leave_no_more_free_than_there_are():
    nodes = (node("c1", gpus_alloc={"": 6}),)
    assert "(2 of 8 a100 are free, on 1 node)" in waits("Resources", view(nodes=nodes), gpus={"a100": 4}, nodes=1,
        cpus=1).waits_for  # fmt: skip


def test_priority_counts_those_before_it_in_the_same_partition():
    others = (
        record(1, priority=20, partition="gpu"),
        record(2, priority=20, partition="cpu,gpu"),
        record(3, priority=20, partition="cpu"),
        record(4, priority=10, partition="gpu"),
        record(5, priority=20, partition="gpu", reason="Dependency"),
        record(6, priority=20, partition="gpu", state=State.RUNNING),
    )
    answer = waits("Priority", view(*others))
    assert (answer.ahead, answer.waits_for) == (
        2,
        "It waits for its turn: 2 pending jobs of higher priority want partition gpu too.",
    )
    assert "1 pending job of higher priority wants" in waits("Priority", view(others[0])).waits_for
    assert waits("Priority", view()).waits_for == waits("Priority").waits_for
    assert (waits("Priority", view()).ahead, waits("Priority").ahead) == (0, None)
    assert waits("BeginTime", view(*others)).ahead is None


def test_a_named_node_that_is_not_available_is_told_with_its_state_and_reason():
    told = waits("ReqNodeNotAvail, UnavailableNodes:c[3-4]", view(nodes=BUSY))
    assert told.waits_for == "It waits for nodes that are not available: c3 (IDLE), c4 (DOWN+DRAIN: bad fan)."
    assert waits("ReqNodeNotAvail", view(nodes=BUSY)).waits_for == (
        "It waits for nodes that are not available; not usable in partition gpu are c4 (DOWN+DRAIN: bad fan)."
    )
    assert "not available: c[3-4]." in waits("ReqNodeNotAvail, UnavailableNodes:c[3-4]").waits_for
    assert "maintenance" in waits("ReqNodeNotAvail, Reserved for maintenance").waits_for
    assert "reserved, perhaps" in waits("ReqNodeNotAvail, May be reserved for other job").waits_for
    assert "c4 (DOWN" in waits("Nodes required for job are DOWN, DRAINED or reserved for jobs in higher priority "
        "partitions", view(nodes=BUSY)).waits_for  # fmt: skip


def test_a_dependency_names_the_jobs_and_how_they_are():
    look = view(
        record(5, state=State.RUNNING),
        record(6, state=State.FINISHED, fate=Fate.FAILED),
        record(8, array_job_id=7, array_task="3"),
    )
    assert waits("Dependency", look, dependency="afterok:5(unfulfilled),afterany:6(fulfilled)").waits_for == (
        "It waits for job 5 (RUNNING) to end with exit code 0."
    )
    assert waits("Dependency", look, dependency="after:7_3+10(unfulfilled)?singleton(unfulfilled)").waits_for == (
        "It waits for job 7_3 (PENDING) to start or earlier jobs of the same name and user to end."
    )
    assert "job 9 (not in the last listing) to fail" in waits("Dependency", look, dependency="afternotok:9").waits_for
    assert waits("Dependency", dependency="afterok:5:6").waits_for == (
        "It waits for job 5 to end with exit code 0 and job 6 to end with exit code 0."
    )
    assert waits("Dependency", look).waits_for == WORDS["Dependency"][0]


def test_a_dependency_that_cannot_come_true_says_which():
    look = view(record(6, state=State.FINISHED, fate=Fate.FAILED))
    answer = waits("DependencyNeverSatisfied", look, dependency="afterok:6(failed),afterok:7(unfulfilled)")
    assert answer.waits_for == (
        "It can never start: it needs job 6 (FAILED) to end with exit code 0, which can no longer come true."
    )
    assert answer.would_help == ("Change its dependency, or cancel it and submit it anew.",)


def test_a_begin_time_is_told_in_utc_and_is_the_expected_start():
    answer = waits("BeginTime", eligible_time=int(NOW) + 3600, start_time=int(NOW) + 3600)
    assert answer.waits_for == "It waits for its begin time, 2027-01-15 09:00:00 UTC."
    assert answer.start_estimate == NOW + 3600
    assert waits("BeginTime", eligible_time=int(NOW) - 1).waits_for == "It waits for its begin time."
    assert waits("Resources", start_time=int(NOW)).start_estimate is None


@pytest.mark.parametrize(
    ("reason", "who"), [("JobHeldUser", "Its owner or an operator"), ("JobHeldAdmin", "Only an operator")]
)
def test_a_held_job_says_who_releases_it_and_how(reason, who):
    answer = why(
        job(changed_at=1.0, state=State.HELD, reason=reason, id="a" * 32, start_time=int(NOW) + 9), view(), NOW
    )
    assert answer is not None
    assert f"`hpcjobs release {'a' * 32}`" in answer.would_help[-1]
    assert answer.would_help[-1].startswith(who)
    assert (answer.start_estimate, answer.ahead) == (None, None)


@pytest.mark.parametrize(
    ("raw_state", "reason", "words"),
    [
        ("PENDING,SPECIAL_EXIT", "JobHeldUser", "an exit code that is to be looked at"),
        ("SPECIAL_EXIT", "job requeued in held state", "an exit code that is to be looked at"),
        ("PENDING,REQUEUE_HOLD", "JobHeldUser", "put back into the queue and held"),
        ("PENDING", "job requeued in held state", "put back into the queue and held"),
        ("PENDING", "", "held in its owner's name"),
        ("PENDING", "License request 'x:1' is no longer valid, holding job", "(Slurm says: License request 'x:1' is"),
        ("PENDING,RESV_DEL_HOLD", "Reservation r1 was deleted", "deleted (Slurm says: Reservation r1 was deleted)."),
    ],
)
def test_how_a_job_came_to_be_held_is_told_whichever_backend_listed_it(raw_state, reason, words):
    assert words in waits(reason, state=State.HELD, raw_state=raw_state).waits_for


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("AssocGrpGRES", "The jobs of account vision together may have only so much: the limit of GPUs or other "
            "generic resources at one time is reached (they hold 12 GPUs now)."),
        ("QOSGrpNodeLimit", "the limit of nodes at one time is reached (they hold 5 nodes now)."),
        ("QOSMaxJobsPerUserLimit", "The jobs of user alice in QOS normal together may have only so much: the limit of "
            "running jobs at one time is reached (they are 1 jobs now)."),
        ("MaxGRESPerAccount", "The jobs of account vision in QOS normal together"),
        ("AssocMaxJobsLimit", "The jobs of user alice in account vision together"),
        ("AssocGrpCPURunMinutesLimit", "the limit of CPUs x time that running jobs may still use is reached."),
        ("AssocGrpCPUMinutesLimit", "The jobs of account vision have used up their budget of CPUs x time, or this"),
        ("QOSGrpWallLimit", "The jobs of QOS normal have used up their budget of wall time, or this one would."),
        ("QOSMaxGRESPerNode", "It asks for more GPUs or other generic resources than QOS normal allows on one node"),
        ("AssocMaxWallDurationPerJobLimit", "It asks for more wall time than account vision allows for one job; as it"),
        ("QOSMinCpuNotSatisfied", "It asks for less CPUs than QOS normal demands of a job."),
    ],
)  # fmt: skip
def test_a_limit_says_whose_it_is_what_it_counts_and_what_is_held_now(reason, words):
    running = {"state": State.RUNNING, "account": "vision", "qos": "normal"}
    look = view(
        record(1, gpus={"a100": 8}, nodes=2, **running),
        record(2, gpus={"": 4}, nodes=3, **(running | {"user": "bob"})),
        record(3, gpus={"": 4}, **(running | {"account": "x", "qos": "y"})),
    )
    answer = waits(reason, look)
    assert words in answer.waits_for
    assert answer.would_help


def test_names_that_are_not_known_and_those_with_braces_do_no_harm():
    assert waits("PartitionDown", partition="").waits_for == "Its partition is down: it takes jobs but starts none."
    assert waits("PartitionDown", partition="{x}\n").waits_for.startswith("Partition {x} is down")


def test_an_unknown_reason_is_passed_on_in_slurms_own_words():
    assert waits("NewIn27\n\x1b[31m").waits_for == "Slurm gives as its reason: NewIn27 [31m"
    assert waits("NewIn27").reason == "NewIn27"
    assert waits("Resources,Priority").waits_for == waits("Resources").waits_for


# Other states


def test_a_job_that_waits_for_slurm_to_answer_or_stands_still_is_answered():
    kept = why(
        job(changed_at=1.0, state=State.SUBMITTING, slurm_job_id=None, detail="Slurm does not answer since 12:00."),
        None,
        NOW,
    )
    assert kept is not None
    assert kept.waits_for == "It is kept here and waits for Slurm to answer: Slurm does not answer since 12:00."
    assert "stand still" in waits(state=State.SUSPENDED).waits_for
    assert "being booted" in waits(state=State.RUNNING, raw_state="RUNNING,CONFIGURING").waits_for


@pytest.mark.parametrize("state", [State.RUNNING, State.COMPLETING, State.FINISHED, State.UNKNOWN])
def test_a_job_that_neither_waits_nor_is_held_has_no_why(state):
    assert why(record(state=state, raw_state=str(state), reason="NonZeroExitCode"), view(nodes=BUSY), NOW) is None


# For any text whatever

REASONS = st.one_of(st.text(), st.sampled_from([line["word"] for line in SLURM]),
    st.sampled_from(["(null)", "|", "ReqNodeNotAvail, UnavailableNodes:", "Nodes required for job are DOWN"]),
)  # fmt: skip
RECORDS = st.builds(
    record,
    st.integers(1, 9),
    state=st.sampled_from([State.PENDING, State.HELD, State.RUNNING, State.SUBMITTING, State.SUSPENDED]),
    reason=REASONS,
    partition=st.sampled_from(["gpu", "gpu,cpu", "", "none"]),
    dependency=st.one_of(st.text(), st.from_regex(r"after(ok|any):[1-9](_[0-9])?\((failed|unfulfilled)\)")),
    gpus=st.dictionaries(st.sampled_from(["", "a100", "h100"]), st.integers(-1, 40), max_size=2),
    nodes=st.integers(0, 5),
    cpus=st.integers(0, 200),
    priority=st.integers(0, 3),
    start_time=st.sampled_from([0, int(NOW) + 5, 2**62, -(2**40)]),
    eligible_time=st.sampled_from([0, 2**62]),
)
NODES = st.lists(st.builds(
    node,
    st.sampled_from(["x", "y", "z"]),
    gpus=st.dictionaries(st.sampled_from(["", "a100", "h100"]), st.integers(0, 8), max_size=2),
    gpus_alloc=st.dictionaries(st.sampled_from(["", "a100"]), st.integers(0, 9), max_size=2),
    usable=st.booleans(),
    cpus_alloc=st.integers(0, 64),
    partitions=st.sampled_from([("gpu",), ("gpu", "cpu")]),
), max_size=3)  # fmt: skip


def numbers(*texts: str) -> set[int]:
    without_types = " ".join(texts).replace("a100", "").replace("h100", "")
    return {int(number) for number in re.findall(r"\d+", without_types)}


@settings(max_examples=examples(100))
@given(RECORDS, st.lists(RECORDS, max_size=4), NODES)
@example(record(reason="Resources", gpus={"": 1}, nodes=1, partition=""), [], [])
def test_why_never_raises_and_says_no_number_that_the_job_or_the_listing_does_not_hold(asked, others, nodes):
    look = view(*others, nodes=tuple(nodes))
    of_job = numbers(asked.reason, asked.dependency) | {0, asked.nodes, asked.cpus, asked.slurm_job_id}
    alone = why(asked, None, NOW)
    if alone is not None:
        assert numbers(alone.waits_for, *alone.would_help) <= of_job
        assert alone.ahead is None
    told = why(asked, look, NOW)
    assert (told is None) == (alone is None)
    if told is None:
        return
    assert told.reason in (asked.reason, "")
    # Sums over any part of the nodes or jobs are numbers of the listing; shares of the job are the job's.
    spread = max(1, asked.nodes)
    allowed = of_job | {spread, *asked.gpus.values(), *(-(-n // spread) for n in [asked.cpus, *asked.gpus.values()])}
    counts = range(max(len(look.nodes), len(look.jobs)) + 1)
    seen = list(look.nodes.values())
    kinds = [lambda counts: sum(counts.values()), *(lambda counts, k=k: counts.get(k, 0) for k in ("", "a100", "h100"))]
    each = [max(0, kind(n.gpus) - kind(n.gpus_alloc)) for n in seen for kind in kinds]
    for kind in kinds:
        allowed.add(sum(kind(n.gpus) for n in seen))
    running = [j for j in look.jobs.values() if j.state is not State.PENDING]
    held = {sum(sum(j.gpus.values()) for j in running), sum(j.cpus for j in running), sum(j.nodes for j in running)}
    free_total = range(sum(max(0, sum(n.gpus.values()) - sum(n.gpus_alloc.values())) for n in seen if n.usable) + 1)
    at_most = max([*counts, *free_total, *each, *held, 0])
    assert all(number in allowed or number <= at_most for number in numbers(told.waits_for, *told.would_help))
    assert told.ahead is None or told.ahead <= len(others)
    there = [n for n in seen if not asked.partition or set(asked.partition.split(",")) & set(n.partitions)]
    for total, kind in re.findall(r"\d+ of (\d+) (\S+) (?:is|are) free", told.waits_for):
        assert int(total) == sum(n.gpus.get(kind, 0) if kind[0] in "ah" else sum(n.gpus.values()) for n in there)
