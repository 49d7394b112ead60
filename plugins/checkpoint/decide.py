"""What is to become of a job whose run ended badly: a table, budgets, and no storm of restarts. Pure.

Budgets count what was tried since the job last came on: a run that left a later checkpoint than all before begins them
anew. A job that reports no checkpoints never comes on, as far as anybody can tell, and has its budgets once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Final

import msgspec

from hpcjobs.model.failure import FailureClass, Sureness
from hpcjobs.model.job import Fate
from hpcjobs.model.recovery import Decision, Ended, Hold, Retry, Stop, Tried
from hpcjobs_plugins.checkpoint.settings import Remedy, Rule, Storm

WEAK: Final = Rule(do=Remedy.ELSEWHERE, budget=1)
"""What is done where no restart would help, if that is what it was, and nobody is sure of it."""
Rules = Mapping[FailureClass, Rule]


def usual_rules() -> dict[FailureClass, Rule]:
    """The rules of the house (rules.toml)."""
    text = (resources.files("hpcjobs_plugins.checkpoint") / "rules.toml").read_bytes()
    return msgspec.toml.decode(text, type=dict[FailureClass, Rule])


def decide(ended: Ended, tried: Sequence[Tried], rules: Rules, storm: Storm) -> Decision:
    """Decide.

    Args:
        ended: The run that ended last.
        tried: All that ended before it, the oldest first.
        rules: By kind of failure, all of them.
        storm: How many restarts are too many.
    """
    told = ended.diagnosis.sentence
    if ended.fate is Fate.COMPLETED:
        return Stop("It completed.")
    if ended.diagnosis.do_not_requeue:
        return Stop(told)
    # A job that has saved and asks to go on later has had its time, whatever its processes cried when they were ended.
    kind = FailureClass.TIME_LIMIT if ended.diagnosis.requeue else ended.diagnosis.failure
    rule = rules[kind]
    if ended.diagnosis.sure is Sureness.WEAK and rule.do in (Remedy.HOLD, Remedy.STOP):
        rule = WEAK  # it may be something else
    if rule.do in (Remedy.HOLD, Remedy.STOP):
        return _end(rule.do, f"{told} Starting it again would not help.")
    since = _since_progress(ended, tried)
    alike = sum(one.kind is kind and one.again for one in since)
    if rule.budget is not None and alike >= rule.budget:
        times = "once" if rule.budget == 1 else f"{rule.budget} times"
        return _end(rule.then, f"{told} It was started again {times} without coming on.")
    lately = sum(one.again and one.at > ended.at - storm.within_s for one in since)
    if lately >= storm.most:
        return Hold(f"{told} {lately} restarts in {storm.within_s / 3600:g} h without coming on are too many.")
    return _retry(ended, since, rule, alike)


def _since_progress(ended: Ended, tried: Sequence[Tried]) -> list[Tried]:
    """What was tried since the job last came on."""
    since: list[Tried] = []
    furthest = -1
    for one in tried:
        if one.progress is not None and one.progress > furthest:
            furthest = one.progress
            since.clear()
        since.append(one)
    if ended.progress is not None and ended.progress > furthest:
        since.clear()
    return since


def _end(remedy: Remedy, why: str) -> Decision:
    return Hold(why) if remedy is Remedy.HOLD else Stop(why)


def _retry(ended: Ended, since: Sequence[Tried], rule: Rule, alike: int) -> Retry:
    told = ended.diagnosis.sentence
    pause_s = min(rule.pause_s * 2 ** min(alike, 30), rule.most_pause_s)
    avoid: set[str] = set()
    if rule.do in (Remedy.ELSEWHERE, Remedy.SHRINK):
        avoid = {suspect.node for suspect in ended.diagnosis.suspects if suspect.node}
        avoid = avoid.union(*(one.nodes for one in since))
    fewer = None
    if rule.do is Remedy.SHRINK and avoid and ended.nodes_min:
        fewer = max(ended.nodes - len(avoid), ended.nodes_min)
        fewer = fewer if fewer < ended.nodes else None
    how = "on other nodes" if avoid else "again"
    after = f" in {pause_s:g} s" if pause_s else ""
    why = f"{told} It is started {how}{after}."
    return Retry(why=why, at=ended.at + pause_s, avoid=tuple(sorted(avoid)), nodes=fewer)
