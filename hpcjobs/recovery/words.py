"""What Slurm itself says of how a job ended: its state, its reason, exit codes and signals."""

from __future__ import annotations

from collections.abc import Iterator

from hpcjobs.model.failure import Evidence, FailureClass, Finding
from hpcjobs.recovery.lines import MOST_SHOWN
from hpcjobs.recovery.pattern import Word, knowledge

SOURCE = "Slurm"
"""Where its words are from, in findings."""


def states(evidence: Evidence) -> frozenset[str]:
    """The words of its state, its fate among them."""
    words = {word.strip() for word in evidence.raw_state.split(",")} - {""}
    return frozenset(words | ({evidence.fate.value} if evidence.fate else set()))


def said(evidence: Evidence) -> Iterator[Finding]:
    """What state and reason say, the state first."""
    known = knowledge()
    for word in sorted(states(evidence)):
        if meant := known.states.get(word):
            yield _finding("state", meant, word)
    for meant in known.reasons.values():
        if evidence.reason == meant.word or evidence.reason.startswith((f"{meant.word} ", f"{meant.word}:")):
            yield _finding("reason", meant, evidence.reason)


def exits(evidence: Evidence) -> Iterator[Finding]:
    """What exit codes and signals say: those of the batch script first, then those of its steps."""
    known = knowledge()
    for name, table, number in (
        ("signal", known.signals, evidence.exit_signal),
        ("exit", known.exits, evidence.exit_code),
        ("signal", known.signals, evidence.derived_exit_signal),
        ("exit", known.exits, evidence.derived_exit_code),
    ):
        if number and (meant := table.get(number)):
            yield _finding(name, meant, f"{'exit code' if name == 'exit' else 'signal'} {number}")


def failed_nodes(evidence: Evidence) -> Iterator[Finding]:
    """Nodes of the job that Slurm knows to have failed, the earliest first."""
    for node, time in sorted(evidence.failed_nodes.items(), key=lambda item: (item[1], item[0])):
        if not evidence.nodes or node in evidence.nodes:
            yield Finding(
                failure=FailureClass.NODE,
                pattern="failed-node",
                source=SOURCE,
                text=f"{node} failed",
                time=time,
                node=node,
            )


def _finding(kind: str, meant: Word, text: str) -> Finding:
    return Finding(
        failure=meant.failure,
        pattern=f"{kind}-{meant.word}",
        source=SOURCE,
        text=f"{text}: {meant.means}"[:MOST_SHOWN],
        weak=meant.weak,
    )
