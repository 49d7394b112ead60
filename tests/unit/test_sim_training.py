"""One large training on nodes that fail: by hand where it is small, by the formulas where it is long."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hpcjobs.errors import Refused
from hpcjobs.model.losses import Saved
from hpcjobs.recovery import advice, intervals
from hpcjobs.recovery.losses import losses
from hpcjobs.sim.failures import DAY_S, Failures
from hpcjobs.sim.training import Blow, Handling, Training, train

EXITS = {Blow.EXIT: 1.0, Blow.NODE: 0.0, Blow.HANG: 0.0}
AT_ONCE = Handling(noticed_s=dict.fromkeys(Blow, 0.0), begins_s=(0.0, 0.0), excluded=1.0, found_s=0.0)
SMALL = Training(
    nodes=2, spare_nodes=1, span_s=20_000.0, interval_s=600.0, save_s=60.0, restart_s=100.0, lasting=1.0, kinds=EXITS,
    failures=Failures(per_1000_node_days=2000.0, repair_s=4000.0, seed=4),
)  # fmt: skip


def changed(training: Training, **fields) -> Training:
    failures = {name: fields.pop(name) for name in list(fields) if name in Failures.__struct_fields__}
    return msgspec.structs.replace(
        training, failures=msgspec.structs.replace(training.failures, **failures), **fields
    )  # fmt: skip


def test_a_failure_is_one_attempt_and_the_next_begins_with_its_checkpoint():
    at_s = next(at_s for at_s, node in SMALL.failures.strikes(3) if node < 2)
    first, second, *_ = train(SMALL, AT_ONCE)
    assert (first.started_at, first.worked_at, first.ended_at, first.cause) == (0.0, 100.0, at_s, "exit")
    assert first.saves[:2] == (Saved(700.0, 60.0), Saved(1360.0, 60.0))
    assert second.started_at == at_s
    assert second.resumed_at == max(save.state_at for save in first.saves if save.whole)


def test_a_bad_node_that_nobody_excludes_is_met_again_until_somebody_finds_it():
    """Slurm as it comes: each turn is the wait after a requeue and a start."""
    stock = msgspec.structs.replace(AT_ONCE, begins_s=(121.0, 121.0), excluded=0.0, found_s=1000.0)
    attempts = train(SMALL, stock)
    starts = [attempt.started_at - attempts[0].ended_at for attempt in attempts[1:6]]
    assert starts == pytest.approx([121.0, 342.0, 563.0, 784.0, 1005.0])
    assert [attempt.cause == "bad" for attempt in attempts[1:6]] == [True] * 4 + [False]
    assert all(attempt.worked_at is None for attempt in attempts[1:5])


@pytest.mark.parametrize("found_s", [150.0, 1001.0, 1500.0])
def test_a_bad_node_that_was_found_is_not_met_again(found_s):
    """Also where an attempt is on its way to find out when that happens."""
    stock = msgspec.structs.replace(AT_ONCE, excluded=0.0, found_s=found_s)
    first, *again = train(SMALL, stock)
    bad = [attempt.started_at - first.ended_at for attempt in again if attempt.cause == "bad"]
    assert [start_s for start_s in bad if start_s < 4000.0] == pytest.approx(range(0, int(found_s), 100))


def test_a_bad_node_that_is_excluded_is_not_met_again():
    assert "bad" not in {attempt.cause for attempt in train(changed(SMALL, nodes=1, spare_nodes=2), AT_ONCE)}


def test_it_waits_for_a_repair_where_no_node_is_left():
    attempts = train(changed(SMALL, spare_nodes=0, repair_s=500.0), AT_ONCE)
    assert attempts[1].started_at == attempts[0].ended_at + 500.0


def test_what_nobody_notices_stalls():
    handling = msgspec.structs.replace(AT_ONCE, noticed_s={**AT_ONCE.noticed_s, Blow.HANG: 600.0})
    found = losses(0.0, train(changed(SMALL, kinds={Blow.HANG: 1.0}, per_1000_node_days=2e4), handling))
    assert found.time_s.stalled == pytest.approx(600.0 * found.failures["hang"], abs=600.0)
    assert found.failures["hang"] > 3


def test_a_node_that_fails_again_and_again_is_taken_last():
    lemon = changed(
        SMALL, nodes=10, spare_nodes=10, span_s=40 * DAY_S, per_1000_node_days=30.0, repair_s=60.0,
        lemons=0.05, lemon_failures=0.9,
    )  # fmt: skip
    hit = losses(0.0, train(lemon, AT_ONCE)).failures
    spared = losses(0.0, train(lemon, msgspec.structs.replace(AT_ONCE, avoided_at=2))).failures
    assert spared["exit"] < hit["exit"]


@settings(max_examples=60)
@given(
    st.integers(0, 1000), st.integers(0, 4), st.floats(0.0, 1.0), st.floats(0.0, 1.0), st.floats(0.0, 900.0),
    st.floats(0.0, 200.0), st.integers(0, 3), st.floats(0.0, 5000.0),
)  # fmt: skip
def test_every_second_is_accounted_for(seed, spares, lasting, excluded, noticed_s, begins_s, avoided_at, found_s):
    training = changed(
        SMALL,
        seed=seed,
        per_1000_node_days=2e4,
        spare_nodes=spares,
        lasting=lasting,
        kinds={Blow.EXIT: 0.5, Blow.NODE: 0.3, Blow.HANG: 0.2},
    )
    handling = Handling(
        noticed_s=dict.fromkeys(Blow, noticed_s), begins_s=(0.0, begins_s), excluded=excluded, found_s=found_s,
        avoided_at=avoided_at,
    )  # fmt: skip
    parts = losses(0.0, train(training, handling)).time_s
    assert parts.whole == pytest.approx(training.span_s)
    assert all(getattr(parts, name) >= -1e-6 for name in parts.__struct_fields__)


LONG = Training(
    nodes=256, spare_nodes=8, span_s=600 * DAY_S, interval_s=600.0, save_s=60.0, restart_s=300.0, lasting=0.0,
    kinds=EXITS, failures=Failures(per_1000_node_days=100.0, repair_s=0.0, seed=1),
)  # fmt: skip
MTBF_S = advice.mtbf_s(256, 100.0)
HANDLING = msgspec.structs.replace(AT_ONCE, begins_s=(100.0, 140.0))


@pytest.mark.parametrize("interval_s", [200.0, 600.0, 2000.0])
def test_a_long_training_is_as_productive_as_the_renewal_formula_says(interval_s):
    """Where nothing else is modelled. The closed formula is more than 1 % off here: a failure comes each 56 minutes."""
    training = changed(LONG, interval_s=interval_s)
    found = losses(0.0, train(training, HANDLING)).ettr
    exact = advice.ettr_exponential(interval_s, HANDLING.recovery(training), MTBF_S)
    assert found == pytest.approx(exact, rel=0.01)


def test_the_interval_that_loses_least_is_the_one_advised():
    best_s = intervals.best_s(LONG.save_s, MTBF_S)
    by_factor = {
        factor: losses(0.0, train(changed(LONG, interval_s=factor * best_s), HANDLING)).ettr
        for factor in (0.5, 1.0, 2.0)
    }
    assert max(by_factor, key=by_factor.__getitem__) == 1.0


@pytest.mark.parametrize(
    "fields",
    [
        {"nodes": 0},
        {"spare_nodes": -1},
        {"span_s": float("inf")},
        {"interval_s": 0.0},
        {"restart_s": 0.0},
        {"kinds": {Blow.EXIT: 0.5}},
        {"lasting": 1.5},
        {"repair_s": -1.0},
    ],
)
def test_what_cannot_be_trained_is_refused(fields):
    with pytest.raises(Refused):
        train(changed(SMALL, **fields), AT_ONCE)
