"""Which nodes are under suspicion: by what speaks against them, against what chance lets any of them have."""

from __future__ import annotations

import math
import random
import re
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpcjobs.errors import SettingsError
from hpcjobs.model.event import Event, EventKind
from hpcjobs.model.failure import Diagnosis, FailureClass, Sureness, Suspect
from hpcjobs.model.job import Fate
from hpcjobs.model.particulars import Particulars
from hpcjobs.model.recovery import Recovery, Stop
from hpcjobs.model.suspicion import Pardon, Signal, SignalKind, Standing
from hpcjobs.recovery import lemons, poisson, signals
from tests.unit.builders import finished, node, record, view

RULES = lemons.usual_rules()
DAY = lemons.DAY_S
NOW = 1_800_000_000.0
LONG_AGO = NOW - 100 * DAY
FLEET = tuple(f"n{number}" for number in range(1, 101))
KINDS = st.sampled_from(SignalKind)


def failed(name: str, age_days: float, **fields: object) -> Signal:
    told = {"node": name, "kind": SignalKind.NODE_FAILED, "at": NOW - age_days * DAY, "slurm_job_id": 7}
    return Signal(**(told | fields))  # type: ignore[arg-type]


def judged(*told: Signal, ran=None, nodes=FLEET, since=LONG_AGO, rules=RULES, pardons=None):
    return lemons.judge(nodes, told, ran, since, rules, NOW, pardons)


def standing(*told: Signal, **how: object) -> Standing:
    return judged(*told, **how)["n1"].standing


SIGNALS = st.lists(
    st.builds(
        Signal,
        node=st.sampled_from(["n1", "n2", "n3"]),
        kind=KINDS,
        at=st.floats(NOW - 40 * DAY, NOW),
        among=st.integers(1, 16),
        slurm_job_id=st.integers(1, 9),
    ),
    max_size=12,
)


def test_one_failure_is_chance_two_are_suspect_and_three_make_a_lemon():
    found = [standing(*(failed("n1", 0.5 + number) for number in range(count))) for count in (1, 2, 3)]
    assert found == [Standing.GOOD, Standing.SUSPECT, Standing.LEMON]


def test_where_all_nodes_fail_as_often_none_of_them_is_a_lemon():
    every = [failed(name, 0.5 + number) for name in FLEET for number in range(3)]
    assert {one.standing for one in judged(*every).values()} == {Standing.GOOD}


def test_what_was_told_of_one_failure_in_several_ways_counts_once():
    once = failed("n1", 1.0)
    again = [msgspec.structs.replace(once, kind=kind, at=once.at + 600) for kind in SignalKind]
    assert judged(once, *again)["n1"].points == judged(once)["n1"].points


def test_several_weak_signals_of_an_hour_come_close_to_one_and_never_above():
    def weak(count: int) -> float:
        told = [failed("n1", 0.0, kind=SignalKind.SEVERAL_USERS, slurm_job_id=number) for number in range(count)]
        return judged(*told)["n1"].points

    assert weak(1) == pytest.approx(0.3)
    assert weak(3) == pytest.approx(1 - 0.7**3)
    assert weak(100) <= 1


def test_a_node_that_ran_jobs_all_the_time_is_excused_sooner_than_one_that_ran_none():
    told = [failed("n1", 1.0), failed("n1", 12.0)]
    busy, idle = (judged(*told, ran=dict.fromkeys(FLEET, days) | {"n1": own})["n1"] for days, own in ((5, 99), (5, 0)))
    assert busy.points == idle.points
    assert busy.expected > 5 * idle.expected
    assert busy.chance > idle.chance


def test_a_cluster_of_two_nodes_is_not_judged_by_its_first_failure():
    assert judged(failed("n1", 0.1), nodes=("n1", "n2"), since=NOW - DAY)["n1"].standing is Standing.GOOD


def test_a_pardon_forgets_what_was_before_it_and_nothing_after():
    told = [failed("n1", 5), failed("n1", 4), failed("n1", 3), failed("n1", 1)]
    pardon = Pardon(node="n1", at=NOW - 2 * DAY, by="root", why="new GPU")
    found = judged(*told, pardons={"n1": pardon})["n1"]
    assert found.points == judged(told[-1])["n1"].points
    assert found.evidence[0].count == 1
    assert found.node_days < judged(*told)["n1"].node_days, "days before it excuse nothing either"
    assert found.pardon == pardon
    assert judged(pardons={"n1": pardon})["n1"].standing is Standing.GOOD, "it is shown as long as it is there"


def test_nodes_that_are_not_there_and_times_that_are_over_or_to_come_count_for_nothing():
    assert judged(failed("gone", 1), failed("n1", 28.1), failed("n1", -0.1)) == {}


def test_evidence_says_how_often_how_much_and_what_was_last():
    told = [failed("n1", 14, slurm_job_id=1, said="old"), failed("n1", 0, slurm_job_id=2, said="new"),
            failed("n1", 3, kind=SignalKind.HEALTH_CHECK, slurm_job_id=0)]  # fmt: skip
    first, second = judged(*told)["n1"].evidence
    assert (first.kind, first.count, first.points) == (SignalKind.NODE_FAILED, 2, pytest.approx(1.5))
    assert (first.last_at, first.slurm_job_id, first.said) == (NOW, 2, "new")
    assert (second.kind, second.count) == (SignalKind.HEALTH_CHECK, 1)


@given(told=SIGNALS, seed=st.integers(0, 99))
def test_the_order_in_which_things_are_told_does_not_matter(told, seed):
    mixed = [*told]
    random.Random(seed).shuffle(mixed)
    one, other = judged(*told), judged(*mixed)
    assert one.keys() == other.keys()
    for name, found in one.items():
        assert found.points == pytest.approx(other[name].points)
        assert found.chance == pytest.approx(other[name].chance)


@given(told=SIGNALS)
def test_what_comes_out_is_a_judgement(told):
    for one in judged(*told).values():
        assert 0 <= one.chance <= 1
        assert 0 <= one.points <= len(told)
        assert one.ratio > 0
        assert one.points <= sum(evidence.points for evidence in one.evidence) + 1e-9
        bound = {Standing.LEMON: RULES.lemon, Standing.SUSPECT: RULES.suspect}.get(one.standing)
        assert bound is None or (one.points >= bound.points and one.chance <= bound.chance)


@given(told=SIGNALS, age=st.floats(0, 27), kind=KINDS)
def test_more_against_a_node_never_makes_it_better_and_never_makes_others_worse(told, age, kind):
    before = judged(*told)
    more = failed("n1", age, kind=kind)
    after = judged(*told, more)
    zeroed = [kind for kind, weight in RULES.weights.items() if not weight]
    assert not zeroed
    if "n1" in before:
        assert after["n1"].ratio >= before["n1"].ratio - RULES.incident_s / DAY  # an incident may begin earlier by it
    for name in before.keys() - {"n1"}:
        assert after[name].chance >= before[name].chance - 1e-3


def test_of_a_good_fleet_few_are_called_lemons_and_real_ones_are_found():
    """2000 nodes at 6.5 failures in 1000 node-days for 28 days, and 20 that fail thirty times as often."""
    chance = random.Random(1)
    names = [f"n{number}" for number in range(2000)]
    bad = {*names[:20]}
    told = []
    for name in names:
        rate = 0.0065 * (30 if name in bad else 1)
        age = chance.expovariate(rate)
        while age < 28:
            told.append(failed(name, age))
            age += chance.expovariate(rate)
    found = judged(*told, nodes=names)
    lemon = {name for name, one in found.items() if one.standing is Standing.LEMON}
    suspect = {name for name, one in found.items() if one.standing is not Standing.GOOD}
    assert len(lemon & bad) >= 10  # of 2.9 points that each has on the average 2.5 are asked for
    assert len(suspect & bad) >= 16
    assert len(lemon - bad) <= 4
    assert len(suspect - bad) <= 40


def test_days_fade_as_signals_do():
    whole = lemons.faded_days(RULES, NOW - 14 * DAY, NOW, NOW)
    assert whole == pytest.approx(14 / math.log(2) * 0.5)
    halves = [lemons.faded_days(RULES, NOW - 14 * DAY, NOW - 5 * DAY, NOW),
              lemons.faded_days(RULES, NOW - 5 * DAY, NOW, NOW)]  # fmt: skip
    assert sum(halves) == pytest.approx(whole)
    assert lemons.faded_days(RULES, NOW - 90 * DAY, NOW - 29 * DAY, NOW) == 0


def test_a_sites_own_words_replace_those_of_the_house_one_by_one():
    own = lemons.rules_with({"weights": {"node_failed": 0.5}, "suspect": {"points": 1.0}})
    assert own.weights == RULES.weights | {SignalKind.NODE_FAILED: 0.5}
    assert (own.suspect.points, own.suspect.chance) == (1.0, RULES.suspect.chance)
    for wrong in ({"weights": {"node_failed": 1.5}}, {"halflife_days": 3}, {"lemon": {"chance": 0}}):
        with pytest.raises(SettingsError, match="lemons"):
            lemons.rules_with(wrong)


# Poisson between whole numbers.


@given(count=st.integers(1, 60), mean=st.floats(0.001, 200))
def test_at_least_is_what_at_most_leaves(count, mean):
    assert poisson.at_least(count, mean) == pytest.approx(1 - poisson.at_most(count - 1, mean), abs=1e-9)


@given(count=st.floats(0.01, 30), mean=st.floats(0.01, 30), more=st.floats(0.01, 3))
def test_more_is_less_likely_and_more_likely_where_more_is_expected(count, mean, more):
    assert poisson.at_least(count + more, mean) <= poisson.at_least(count, mean) + 1e-12
    assert poisson.at_least(count, mean + more) >= poisson.at_least(count, mean) - 1e-12


def test_half_a_failure_has_the_probability_of_the_error_function():
    assert poisson.at_least(0.5, 0.7) == pytest.approx(math.erf(math.sqrt(0.7)))  # DLMF 7.11.1
    assert (poisson.at_least(0, 3), poisson.at_least(2, 0)) == (1, 0)
    assert poisson.at_least(1, 1000) == pytest.approx(1)


# What is taken for a signal.


def state(reason: str, raw_state: str = "DOWN+DRAIN", *, usable: bool = False) -> Event:
    data = {"node": "n1", "usable": usable, "raw_state": raw_state, "reason": reason}
    return Event(1, NOW, EventKind.NODE_STATE, "big", data=data)


@pytest.mark.parametrize(
    ("event", "kind"),
    [
        (state("NHC: check_fs_mount: /scratch"), SignalKind.HEALTH_CHECK),
        (state("hpcjobs: health: gpu 3 has Xid 79"), SignalKind.HEALTH_CHECK),
        (state("hpcjobs: gres: /dev/nvidia3 is not there"), SignalKind.HEALTH_CHECK),
        (state("Prolog error"), SignalKind.HEALTH_CHECK), (state("Kill task failed"), SignalKind.HEALTH_CHECK),
        (state("Not responding", "DOWN*"), SignalKind.NOT_RESPONDING), (state("", "IDLE*"), SignalKind.NOT_RESPONDING),
        (state("Node unexpectedly rebooted", "DOWN"), SignalKind.NOT_RESPONDING),
        (state("new fans on Monday", "IDLE+DRAIN"), None), (state("hpcjobs: lemon, 3.1 points", "IDLE+DRAIN"), None),
        (state("Not responding", "DOWN*+REBOOT_ISSUED"), None), (state("", "IDLE+POWERED_DOWN"), None),
        (state("NHC: late", "IDLE", usable=True), None), (Event(1, NOW, EventKind.CLUSTER_STATE, "big"), None),
    ],
)  # fmt: skip
def test_what_takes_a_node_out_of_use_speaks_against_it_unless_somebody_meant_it(event, kind):
    found = signals.of_event(event, RULES)
    assert (found.kind if found else None) is kind


def test_a_node_that_failed_under_a_job_is_told_with_the_job():
    event = Event(1, NOW, EventKind.NODE_FAILED, "big", "a", data={"node": "n1", "reason": "hot", "slurm_job_id": 9})
    (told,) = [signals.of_event(event, RULES)]
    assert told == Signal(node="n1", kind=SignalKind.NODE_FAILED, at=NOW, slurm_job_id=9, said="hot")


@pytest.mark.parametrize(
    ("failure", "sure", "kind"),
    [
        (FailureClass.DEVICE, Sureness.STRONG, SignalKind.DIAGNOSED),
        (FailureClass.DEVICE, Sureness.WEAK, SignalKind.DIAGNOSED_WEAKLY),
        (FailureClass.FABRIC, Sureness.STRONG, SignalKind.DIAGNOSED_WEAKLY),
        (FailureClass.USER, Sureness.STRONG, None), (FailureClass.HOST_OOM, Sureness.STRONG, None),
    ],
)  # fmt: skip
def test_a_diagnosis_speaks_against_the_nodes_that_it_names_a_part_against_each(failure, sure, kind):
    suspects = (Suspect("n1"), Suspect("n1", "0000:3b:00.0"), Suspect("n2"), Suspect(""))
    diagnosis = Diagnosis(failure=failure, sure=sure, suspects=suspects, sentence="Xid 79.")
    one = Recovery(cluster="big", job_id="a", slurm_job_id=7, run=0, at=NOW, progress=None, diagnosis=diagnosis,
                   decision=Stop("x"), plugin="p", decided_at=NOW)  # fmt: skip
    found = signals.of_recovery(one)
    assert [(told.node, told.kind, told.among, told.said) for told in found] == (
        [] if kind is None else [(name, kind, 2, "Xid 79.") for name in ("n1", "n2")]
    )


def test_a_listing_tells_what_events_have_not_told_and_one_users_failures_tell_nothing():
    lost = record(1, particulars=Particulars(failed_node="n3"), submit_time=int(NOW) - 50)
    known = record(2, particulars=Particulars(failed_node="n3"))

    def bad(number, user):
        return finished(number, fate=Fate.FAILED, nodes=1, node_list="n4", user=user, end_time=int(NOW) - 9)

    mine = [bad(number, "alice") for number in (4, 5, 6)]
    seen = view(lost, known, *mine, nodes=(node("n3"), node("n4")))
    (only,) = signals.of_view(seen, {("n3", 2)}, NOW)
    assert (only.node, only.kind, only.at, only.slurm_job_id) == ("n3", SignalKind.NODE_FAILED, NOW - 50, 1)
    seen = view(*mine, bad(7, "bob"), bad(8, "carol"))
    assert [one.kind for one in signals.of_view(seen, (), NOW)] == [SignalKind.SEVERAL_USERS] * 2


def test_the_page_says_what_the_rules_are():
    page = (Path(__file__).parents[2] / "docs" / "LEMONS.md").read_text()
    rows = re.findall(r"^\| `(\w+)` \| ([\d.]+) \| ", page, re.MULTILINE)
    assert {SignalKind(kind): float(weight) for kind, weight in rows} == RULES.weights
    for name, bound in (("suspect", RULES.suspect), ("lemon", RULES.lemon)):
        assert f"| `{name}` | at least {bound.points:g} | at most {bound.chance:g} |" in page
