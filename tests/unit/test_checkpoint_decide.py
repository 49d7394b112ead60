"""What becomes of a job whose run ended: by the table, within its budgets, and never for ever."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpcjobs.conformance import PluginConformance, faults_of
from hpcjobs.model.failure import Diagnosis, FailureClass, Sureness, Suspect
from hpcjobs.model.job import Fate
from hpcjobs.model.recovery import Ended, Hold, Retry, Stop, Tried
from hpcjobs.plugin import PLUGIN_API, Plugin, Recover
from hpcjobs_plugins.checkpoint.decide import decide, usual_rules
from hpcjobs_plugins.checkpoint.plugin import PLUGIN
from hpcjobs_plugins.checkpoint.settings import Remedy, Rule, Settings, Storm


class TestCheckpoint(PluginConformance):
    plugin = PLUGIN
    settings: ClassVar[dict[str, Any]] = {"rules": {"storage": {"do": "hold"}}, "storm": {"most": 4}}


RULES = usual_rules()
STORM = Storm()


def ended(kind: FailureClass = FailureClass.NODE, at: float = 1000.0, *nodes: str, **fields: object) -> Ended:
    suspects = tuple(Suspect(node) for node in nodes)
    exit_93 = bool(fields.pop("exit_93", False))
    sure = Sureness.WEAK if fields.pop("weak", False) else Sureness.STRONG
    diagnosis = Diagnosis(failure=kind, sure=sure, suspects=suspects, do_not_requeue=exit_93, sentence="It failed.")
    return Ended(**({"fate": Fate.FAILED, "diagnosis": diagnosis, "at": at} | fields))  # type: ignore[arg-type]


def test_every_kind_has_a_rule_and_every_rule_an_end():
    assert set(RULES) == set(FailureClass)
    for rule in RULES.values():
        assert rule.budget is not None
        assert rule.then in (Remedy.HOLD, Remedy.STOP)
        assert (rule.budget > 0) == (rule.do not in (Remedy.HOLD, Remedy.STOP))


@pytest.mark.parametrize("kind", FailureClass)
def test_what_completed_or_asks_not_to_be_run_again_is_never_started_again(kind):
    assert isinstance(decide(ended(kind, fate=Fate.COMPLETED), (), RULES, STORM), Stop)
    assert isinstance(decide(ended(kind, exit_93=True), (), RULES, STORM), Stop)


def test_who_has_saved_and_asks_to_go_on_does_so_for_as_long_as_it_comes_on():
    asks = Diagnosis(failure=FailureClass.USER, sure=Sureness.STRONG, requeue=True, sentence="It saved.")
    tried: list[Tried] = []
    for number in range(40):
        now = 10_000.0 * number
        one = Ended(fate=Fate.FAILED, diagnosis=asks, at=now, progress=100 * number)
        assert isinstance(decide(one, tried, RULES, STORM), Retry)
        tried.append(Tried(at=now, kind=FailureClass.TIME_LIMIT, progress=100 * number))
    stuck = Ended(fate=Fate.FAILED, diagnosis=asks, at=1e6, progress=3900)
    assert isinstance(decide(stuck, tried, RULES, STORM), Stop)


def test_unknown_is_tried_thrice():
    tried: list[Tried] = []
    for number in range(3):
        found = decide(ended(FailureClass.UNKNOWN, 10_000.0 * number), tried, RULES, STORM)
        assert isinstance(found, Retry)
        tried.append(Tried(at=10_000.0 * number, kind=FailureClass.UNKNOWN))
    found = decide(ended(FailureClass.UNKNOWN, 40_000.0), tried, RULES, STORM)
    assert found == Stop("It failed. It was started again 3 times without coming on.")


def test_a_run_that_left_a_later_checkpoint_begins_the_budgets_anew():
    tried = [Tried(at=1.0, kind=FailureClass.UNKNOWN, progress=5) for _ in range(3)]
    assert isinstance(decide(ended(FailureClass.UNKNOWN, progress=5), tried, RULES, STORM), Stop)
    assert isinstance(decide(ended(FailureClass.UNKNOWN, progress=6), tried, RULES, STORM), Retry)
    assert isinstance(decide(ended(FailureClass.UNKNOWN), tried, RULES, STORM), Stop)


def test_time_that_is_up_goes_on_as_long_as_each_run_comes_on():
    tried: list[Tried] = []
    for number in range(200):
        found = decide(ended(FailureClass.TIME_LIMIT, 100.0 * number, progress=number), tried, RULES, STORM)
        assert isinstance(found, Retry)
        tried.append(Tried(at=100.0 * number, kind=FailureClass.TIME_LIMIT, progress=number))
    assert isinstance(decide(ended(FailureClass.TIME_LIMIT, 1e6, progress=199), tried, RULES, STORM), Stop)


def test_it_starts_on_other_nodes_than_those_that_failed_since_it_came_on():
    tried = [Tried(at=1.0, kind=FailureClass.NODE, nodes=("n1",), progress=3),
             Tried(at=2.0, kind=FailureClass.DEVICE, nodes=("n2",), progress=3)]  # fmt: skip
    found = decide(ended(FailureClass.NODE, 1000.0, "n3", progress=3), tried, RULES, STORM)
    assert found == Retry(why="It failed. It is started on other nodes.", at=1000.0, avoid=("n1", "n2", "n3"))
    found = decide(ended(FailureClass.NODE, 1000.0, "n3", progress=4), tried, RULES, STORM)
    assert isinstance(found, Retry)
    assert found.avoid == ("n3",)


def test_what_may_be_something_else_is_tried_once_before_it_stays():
    found = decide(ended(FailureClass.USER, 1000.0, "n1", weak=True), (), RULES, STORM)
    assert isinstance(found, Retry)
    assert found.avoid == ("n1",)
    tried = [Tried(at=1.0, kind=FailureClass.USER)]
    assert isinstance(decide(ended(FailureClass.USER, 1000.0, weak=True), tried, RULES, STORM), Stop)
    assert isinstance(decide(ended(FailureClass.USER), (), RULES, STORM), Stop)


def test_pauses_double_up_to_the_longest():
    tried: list[Tried] = []
    pauses = []
    for number in range(4):
        found = decide(ended(FailureClass.STORAGE, 1e5 * number), tried, RULES, STORM)
        assert isinstance(found, Retry)
        pauses.append(found.at - 1e5 * number)
        tried.append(Tried(at=1e5 * number, kind=FailureClass.STORAGE))
    assert pauses == [60, 120, 240, 480]
    rules = RULES | {FailureClass.STORAGE: Rule(do=Remedy.RESTART, budget=99, pause_s=60, most_pause_s=100)}
    found = decide(ended(FailureClass.STORAGE, 1e6), tried, rules, STORM)
    assert isinstance(found, Retry)
    assert found.at == 1e6 + 100


@pytest.mark.parametrize(
    ("nodes", "least", "bad", "left"), [(8, 2, 1, 7), (8, 8, 1, None), (8, 7, 3, 7), (8, 0, 1, None), (8, 2, 0, None)]
)
def test_a_job_that_can_shrinks_by_the_nodes_that_failed(nodes, least, bad, left):
    rules = RULES | {FailureClass.NODE: Rule(do=Remedy.SHRINK, budget=9)}
    names = [f"n{number}" for number in range(bad)]
    found = decide(ended(FailureClass.NODE, 5.0, *names, nodes=nodes, nodes_min=least), (), rules, STORM)
    assert isinstance(found, Retry)
    assert found.nodes == left


kinds = st.sampled_from(list(FailureClass))


@given(st.lists(st.tuples(kinds, st.floats(0, 400), st.booleans()), min_size=1, max_size=120))
def test_no_job_is_started_for_ever_without_coming_on(failures):
    tried: list[Tried] = []
    now, step = 0.0, 0
    since: list[tuple[FailureClass, float]] = []
    for kind, lasted, comes_on in failures:
        now += lasted
        if comes_on:
            step += 1
            since.clear()
        found = decide(ended(kind, now, progress=step), tried, RULES, STORM)
        if not isinstance(found, Retry):
            break
        rule = RULES[kind]
        assert rule.budget is not None
        assert sum(one is kind for one, _ in since) < rule.budget
        assert sum(at > now - STORM.within_s for _, at in since) < STORM.most
        assert now <= found.at <= now + rule.most_pause_s
        since.append((kind, now))
        tried.append(Tried(at=now, kind=kind, progress=step))


def test_a_storm_of_different_failures_is_held():
    kinds = [FailureClass.NODE, FailureClass.DEVICE]
    tried = [Tried(at=60.0 * number, kind=kinds[number % 2]) for number in range(STORM.most)]
    found = decide(ended(FailureClass.FABRIC, 700.0), tried, RULES, STORM)
    assert isinstance(found, Hold)
    assert "10 restarts in 1 h" in found.why
    assert isinstance(decide(ended(FailureClass.FABRIC, 100_000.0), tried, RULES, STORM), Retry)


@pytest.mark.parametrize(
    ("run", "test", "fault"),
    [
        (lambda ended, tried: "again", "a run that ended is decided", "recover returned 'again'"),
        (lambda ended, tried: Retry(why="", at=ended.at), "a run that ended is decided", "without a reason"),
        (lambda ended, tried: Retry(why="x", at=5.0), "a run that ended is decided", "before it ended"),
        (lambda ended, tried: Retry(why="x", at=ended.at), "a run that ended is decided", "completed"),
        (lambda ended, tried: None if ended.fate is Fate.COMPLETED else Retry(why="x", at=ended.at),
         "no job is started for ever", "more than a thousand times"),
    ],
)  # fmt: skip
def test_what_a_plugin_that_recovers_must_not_do_is_said(run, test, fault):
    faults = dict(faults_of(Plugin(name="own", api=PLUGIN_API, hooks=[Recover(run)]), {}))
    assert fault in faults[test]


def test_rules_of_a_site_replace_those_of_the_house_one_by_one():
    settings = msgspec.convert({"rules": {"user": {"do": "restart", "budget": 1}}}, Settings)
    (hook,) = PLUGIN.hooks(settings)  # type: ignore[operator]
    assert isinstance(hook.run(ended(FailureClass.USER), ()), Retry)
    assert isinstance(hook.run(ended(FailureClass.CONFIGURATION), ()), Stop)
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"rules": {"joy": {"do": "restart"}}}, Settings)


@pytest.mark.parametrize("kind", FailureClass)
def test_the_page_has_each_rule(kind):
    rule = RULES[kind]
    budget = str(rule.budget) if rule.budget else "-"
    pause = f"{rule.pause_s:g} s, doubled up to {rule.most_pause_s:g} s" if rule.pause_s else "-"
    line = f"| `{kind}` | {rule.do} | {budget} | {pause} | {rule.then if rule.budget else '-'} |"
    assert line in (Path(__file__).parents[2] / "docs" / "RECOVERY.md").read_text().splitlines()
