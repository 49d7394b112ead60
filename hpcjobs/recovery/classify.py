"""Why an attempt of a job failed: one diagnosis of all that is known of it (docs/RECOVERY.md). Pure.

What Slurm did on purpose stands; then a node that Slurm knows to have failed; then what else Slurm is sure of; then
what logs say, roots before symptoms and the earliest root first; then what exit codes can say.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import inf
from typing import Final

from msgspec.structs import replace

from hpcjobs.model.failure import (
    DO_NOT_REQUEUE,
    REQUEUE,
    Diagnosis,
    Evidence,
    FailureClass,
    Finding,
    Sureness,
    Suspect,
)
from hpcjobs.model.job import Fate
from hpcjobs.recovery import collectives, words
from hpcjobs.recovery.hang import idle
from hpcjobs.recovery.pattern import Pattern, knowledge
from hpcjobs.recovery.reading import Read, read

MOST_FINDINGS: Final = 12
"""As many findings a diagnosis shows."""
OLDEST_S: Final = 3600.0
"""What was said so long before a job's last word, in seconds, the job has survived."""

_ON_PURPOSE: Final = (FailureClass.CANCELLED, FailureClass.PREEMPTED)
_STANDING: Final = (
    FailureClass.NODE,
    FailureClass.DEVICE,
    FailureClass.HOST_OOM,
    FailureClass.STORAGE,
    FailureClass.CONTAINER,
    FailureClass.LAUNCH,
    FailureClass.CONFIGURATION,
    FailureClass.DEVICE_OOM,
    FailureClass.NUMERIC,
    FailureClass.USER,
)
"""Of roots that no time puts in order, the cause of more is the likelier one."""
OF_HARDWARE: Final = (FailureClass.NODE, FailureClass.DEVICE, FailureClass.FABRIC, FailureClass.LAUNCH)
"""Classes of failures that nodes are to blame for, and what lies between them."""


def diagnose(evidence: Evidence) -> Diagnosis | None:
    """Why an attempt failed.

    Args:
        evidence: What is known of it.

    Returns:
        None: nothing is wrong, as far as can be seen: it completed, or it runs and does something.
    """
    states = words.states(evidence)
    if Fate.COMPLETED in states:
        return None
    said = list(words.said(evidence))
    lost = list(words.failed_nodes(evidence))
    exits = list(words.exits(evidence))
    idled = _hang(evidence)
    if not (said or lost or exits or idled or Fate.FAILED in states):
        return None
    logs = read(evidence.logs, evidence.now)
    texts = [finding for log in logs.found for _, finding in log]
    symptom = _best(logs, symptoms=True)
    telling = [symptom] if symptom is not None and symptom.failure is not FailureClass.UNKNOWN else []
    codes = (evidence.exit_code, evidence.derived_exit_code)
    root = (
        _settled(said, lost, idled, exits if REQUEUE in codes else ())
        or _best(logs, symptoms=False)
        or _first(idled, said, telling, exits)
        or symptom
        or _NOTHING
    )
    borne_out = any(one.failure is root.failure and not one.weak for one in exits)
    doubtful = root.weak or root.symptom or _contradicted(root, logs)
    found = _in_order(root, [*said, *lost, *idled, *texts, *exits])
    return Diagnosis(
        failure=root.failure,
        sure=Sureness.WEAK if doubtful and not borne_out else Sureness.STRONG,
        findings=found,
        suspects=_suspects(evidence, root, [*lost, *texts]),
        do_not_requeue=DO_NOT_REQUEUE in codes,
        requeue=REQUEUE in codes and DO_NOT_REQUEUE not in codes,
        sentence=_sentence(root, found),
    )


_NOTHING: Final = Finding(failure=FailureClass.UNKNOWN, pattern="", source="", weak=True)


_MAY_HANG: Final = frozenset({"RUNNING", "TIMEOUT", "DEADLINE"})
"""States of what runs, or ran until its time was up."""


def _hang(evidence: Evidence) -> list[Finding]:
    states = words.states(evidence)
    if evidence.now is None or (states and _MAY_HANG.isdisjoint(states)):
        return []
    found = idle(evidence.activity, evidence.now, after_s=evidence.hang_s)
    if found is None:
        return []
    usual = f"usually does something every {found.usual_s:.0f} s"
    if evidence.hang_s:
        usual = f"said that more than {evidence.hang_s:g} s would be too long"
    text = f"it has done nothing for {found.idle_s:.0f} s, and {usual}"
    return [Finding(failure=FailureClass.HANG, pattern="idle", source="activity", text=text, symptom=True)]


def _settled(
    said: Sequence[Finding], lost: Sequence[Finding], idled: Sequence[Finding], asked: Sequence[Finding]
) -> Finding | None:
    """What needs no look at logs; None: they have to be read."""
    sure = [finding for finding in said if not finding.weak]
    purpose = [finding for finding in sure if finding.failure in _ON_PURPOSE]
    rest = [finding for finding in sure if not (idled and finding.failure is FailureClass.TIME_LIMIT)]
    return _first(purpose, lost, rest, asked)


def _best(logs: Read, *, symptoms: bool) -> Finding | None:
    """The root, or the symptom, that logs tell of: of each log the first, of these the earliest; None: of none."""
    last = max((found.time for log in logs.found for _, found in log if found.time is not None), default=0.0)
    of_each: list[tuple[Pattern, Finding]] = []
    for log in logs.found:
        fitting = [hit for hit in log if hit[1].symptom is symptoms and (hit[1].time or last) >= last - OLDEST_S]
        if fitting:
            of_each.append(min(fitting, key=lambda hit: (_behind(hit, logs), hit[1].line)))
    best = min(of_each, key=lambda hit: (_behind(hit, logs), _time(hit[1]), _standing(hit[1])), default=None)
    return best[1] if best else None


def _behind(hit: tuple[Pattern, Finding], logs: Read) -> tuple[bool, bool, bool, bool]:
    """What makes a finding less likely the root: another rank was first, it has no class, is no verdict, is weak."""
    pattern, found = hit
    other = logs.first is not None and found.rank is not None and found.rank != logs.first.rank
    return (other, found.failure is FailureClass.UNKNOWN, not pattern.after, found.weak)


def _time(finding: Finding) -> float:
    return inf if finding.time is None else finding.time


def _standing(finding: Finding) -> int:
    return _STANDING.index(finding.failure) if finding.failure in _STANDING else len(_STANDING)


def _contradicted(root: Finding, logs: Read) -> bool:
    """Whether another log tells of another root, and nothing says which was first."""
    if root.time is not None or root.symptom or root.line == 0:
        return False
    others = [found for log in logs.found for _, found in log if not found.symptom and not found.weak]
    return any(one.source != root.source and one.failure is not root.failure for one in others)


def _first(*ranked: Iterable[Finding]) -> Finding | None:
    return next((finding for findings in ranked for finding in findings), None)


def _in_order(root: Finding, found: Sequence[Finding]) -> tuple[Finding, ...]:
    """The root, then all else: what is no symptom first, by time; symptoms with what they follow from.

    What a rank, or a log, says over and over is said once.
    """
    others = sorted((one for one in found if one != root), key=lambda one: (one.symptom, _time(one)))
    once: dict[tuple[str, str, int | None, str], Finding] = {}
    for one in others:
        once.setdefault((one.pattern, one.source, one.rank, one.node), one)
    of = None if root.symptom or root is _NOTHING else root.failure
    traced = [replace(one, symptom_of=of) if one.symptom else one for one in once.values()]
    return tuple(([] if root is _NOTHING else [root]) + traced)[:MOST_FINDINGS]


def _suspects(evidence: Evidence, root: Finding, found: Sequence[Finding]) -> tuple[Suspect, ...]:
    """Nodes and devices that failed, whatever ended the job; of those that only suffer, whom all waited for."""
    suspects: set[Suspect] = set()
    for one in found:
        if one.failure in OF_HARDWARE and (not one.symptom or one.pattern == root.pattern == collectives.PATTERN):
            node = _node(one.node, evidence.nodes)
            if node or one.device:
                suspects.add(Suspect(node, one.device))
    return tuple(sorted(suspects))


def _node(name: str, nodes: Sequence[str]) -> str:
    """Slurm's name of a node that calls itself so; ``""``: none of the job's, or not known which."""
    if not nodes:
        return name
    short = name.partition(".")[0]
    for node in nodes:
        if node in (name, short) or (short and node.partition(".")[0] == short):
            return node
    return nodes[0] if len(nodes) == 1 and not name else ""


def _sentence(root: Finding, found: Sequence[Finding]) -> str:
    about = knowledge().classes[root.failure]
    if root is _NOTHING:
        return f"{about.says} {about.hint}".strip()
    # Others than its owner read it, too: of a line of a log it says what the line is, and quotes nothing.
    told = f"{root.source}, line {root.line}: {root.pattern}" if root.line else f"{root.source}: {root.text}"
    said = f"{about.says} {told}"
    if root.symptom and root.failure is not FailureClass.HANG:
        return f"{said} (a symptom; nothing says of what)"
    followed = sorted({one.failure.value for one in found if one.symptom_of is not None} - {root.failure, "unknown"})
    return f"{said} ({', '.join(followed)} followed from it)" if followed else said
