from __future__ import annotations

import pytest

from hpcjobs.errors import Conflict, JobUnknown, NotAllowed, OutcomeUnknown, Refused, SlurmUnavailable
from hpcjobs.model.spec import JobSpec, Resources
from hpcjobs.slurm.errnos import ANSWER_LOST, BUSY, ENDED, NOT_THEIRS, REFUSALS, STATE, UNKNOWN_JOB, UNSENT, error_of

CLASSES = [set(REFUSALS), UNSENT, ANSWER_LOST, BUSY, UNKNOWN_JOB, NOT_THEIRS, ENDED, STATE]


def test_no_number_is_in_two_classes():
    assert sum(map(len, CLASSES)) == len(set().union(*CLASSES))


@pytest.mark.parametrize("changing", [True, False])
@pytest.mark.parametrize(
    ("numbers", "kind"),
    [
        (UNSENT, SlurmUnavailable),
        (BUSY, SlurmUnavailable),
        (UNKNOWN_JOB, JobUnknown),
        (NOT_THEIRS, NotAllowed),
        (ENDED, Conflict),
        (STATE, Conflict),
        (set(REFUSALS), Refused),
    ],
)
def test_every_number_of_a_class_becomes_its_error_whether_changing_something_or_not(numbers, kind, changing):
    for number in numbers:
        assert type(error_of(number, "words", changing=changing)) is kind, number


@pytest.mark.parametrize("number", sorted(ANSWER_LOST))
def test_a_lost_answer_leaves_the_outcome_open_only_of_what_changes_something(number):
    assert type(error_of(number, "words", changing=True)) is OutcomeUnknown
    assert type(error_of(number, "words")) is SlurmUnavailable


@pytest.mark.parametrize("number", sorted(UNSENT | BUSY | ANSWER_LOST))
def test_what_may_pass_says_when_to_try_again(number):
    error = error_of(number, "words")
    assert error.transient
    assert error.retry_after_s


@pytest.mark.parametrize("number", sorted(REFUSALS))
def test_a_refusal_carries_slurms_name_and_words_and_a_field_that_exists(number):
    error = error_of(number, "No such thing")
    assert isinstance(error, Refused)
    (refusal,) = error.refusals
    assert refusal.code == REFUSALS[number][0]
    assert refusal.detail == f"Slurm says: No such thing (error {number})"
    assert not error.transient
    top, _, inner = refusal.field.partition(".")
    assert not top or top in JobSpec.__struct_fields__
    assert not inner or inner in Resources.__struct_fields__


@pytest.mark.parametrize("number", [-1, 0, 1, 2999, 9999])
def test_a_number_that_is_not_known_is_a_refusal_in_slurms_own_words(number):
    error = error_of(number, "Something new")
    assert isinstance(error, Refused)
    assert error.refusals[0].code == f"slurm-{number}"
    assert "Something new" in error.detail
