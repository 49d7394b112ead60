from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpcjobs.model.job import Fate, State
from hpcjobs.slurm.states import HELD_REASONS, TABLE, UNUSABLE, node_usable, read_state

ENDS = {"COMPLETED", "CANCELLED", "FAILED", "TIMEOUT", "NODE_FAIL", "PREEMPTED", "BOOT_FAIL", "DEADLINE",
    "OUT_OF_MEMORY"}  # fmt: skip


@pytest.mark.parametrize("word", TABLE)
def test_every_word_of_the_table_reads_as_its_line_in_either_case(word):
    assert read_state(word) == read_state(word.lower()) == TABLE[word]


def test_exactly_the_ends_of_slurm_and_revoked_are_final():
    assert {word for word, (state, _) in TABLE.items() if state is State.FINISHED} == ENDS | {"REVOKED"}
    assert all((state is State.FINISHED) == (fate is not None) for state, fate in TABLE.values())
    assert {fate for _, fate in TABLE.values() if fate} == set(Fate) - {Fate.REFUSED}


@pytest.mark.parametrize("end", sorted(ENDS))
def test_a_job_that_is_still_completing_has_not_ended(end):
    assert read_state(f"{end},COMPLETING") == read_state(f"COMPLETING,{end}") == (State.COMPLETING, None)


@pytest.mark.parametrize(
    ("raw_state", "state"),
    [
        ("RUNNING,CONFIGURING", State.RUNNING),
        ("RUNNING,STOPPED", State.SUSPENDED),
        ("PENDING,REQUEUED", State.PENDING),
        ("PENDING,REQUEUE_HOLD", State.HELD),
        ("FAILED,REQUEUE_HOLD,SPECIAL_EXIT", State.HELD),
        ("COMPLETED,STAGE_OUT", State.COMPLETING),
        ("RUNNING,SIGNALING", State.RUNNING),
        ("COMPLETED,REQUEUED", State.PENDING),
    ],
)
def test_a_flag_says_more_about_now_than_the_state_under_it(raw_state, state):
    assert read_state(raw_state) == (state, None)


@given(st.text(st.characters(exclude_characters=",")).filter(lambda word: word.upper() not in TABLE))
def test_a_word_that_is_not_known_is_unknown_and_never_final(word):
    assert read_state(word) == (State.UNKNOWN, None)


@given(st.lists(st.sampled_from(sorted(TABLE)), min_size=1, max_size=3))
def test_the_order_of_the_words_does_not_matter(words):
    assert read_state(",".join(words)) == read_state(",".join(reversed(words)))


@pytest.mark.parametrize("reason", sorted(HELD_REASONS))
def test_a_pending_job_with_a_hold_for_a_reason_is_held(reason):
    assert read_state("PENDING", reason) == (State.HELD, None)
    assert read_state("RUNNING", reason) == (State.RUNNING, None)


@pytest.mark.parametrize("reason", ["Resources", "Priority", "Dependency", "None", ""])
def test_a_pending_job_that_waits_is_not_held(reason):
    assert read_state("PENDING", reason) == (State.PENDING, None)


@pytest.mark.parametrize("raw_state", ["IDLE", "MIXED", "ALLOCATED", "IDLE+CLOUD", "MIXED+PLANNED", "IDLE+RESERVED"])
def test_a_node_that_takes_jobs_is_usable(raw_state):
    assert node_usable(raw_state)


@pytest.mark.parametrize("flag", sorted(UNUSABLE))
def test_a_node_with_a_flag_against_it_is_not_usable(flag):
    assert not node_usable(flag)
    assert not node_usable(f"IDLE+{flag}")
    assert not node_usable(f"idle+cloud+{flag.lower()}")


def test_a_star_means_that_the_node_does_not_respond():
    assert not node_usable("IDLE*")
    assert not node_usable("IDLE*+CLOUD")
