"""Things done with jobs by the stand-ins of scancel and scontrol, and Slurm's words for what went wrong."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from hpcjobs.cli.slurm.common import CLUSTER_UNKNOWN, Call, no_cluster

if TYPE_CHECKING:
    from hpcjobs.model.action import ActionResult
    from hpcjobs.model.order import Changes, SignalScope, Verb
    from hpcjobs.model.problem import Problem

INVALID: Final = "Invalid job id specified"
DENIED: Final = "Access/permission denied"
DONE: Final = "Job/step already completing or completed"
FINISHED: Final = "Job has already finished"

_SLURM_SAYS: Final = re.compile(r"Slurm says: (.*?) \(error -?[0-9]+\)", re.DOTALL)


class Outcome(NamedTuple):
    """What became of one job.

    Attributes:
        name: As it was named.
        words: Slurm's words for what is against it, else our own; ``""``: it is done.
    """

    name: str
    words: str = ""

    @property
    def errno(self) -> int:
        """Slurm's number for it; 1 where it has none, 0 where it is done."""
        if not self.words:
            return 0
        from hpcjobs.slurm.errtexts import number_of

        return number_of(self.words) or 1


def words_of(problem: Problem, verb: Verb) -> str:
    """Slurm's words for a problem of the service."""
    slurms = _SLURM_SAYS.search(problem.detail)
    if slurms:
        return slurms[1]
    if problem.code == "job-unknown":
        return INVALID
    if problem.code == "conflict" and "already ended" in problem.detail:
        return DONE if verb in ("cancel", "signal") else FINISHED
    if problem.code == "not-allowed":
        return DENIED
    return "; ".join(fault.detail for fault in problem.errors) or problem.detail


def act(
    call: Call,
    cluster: str,
    verb: Verb,
    names: Sequence[str],
    *,
    signal: str = "",
    scope: SignalScope | None = None,
    hold: bool = False,
    changes: Changes | None = None,
) -> list[Outcome]:
    """Have something done with jobs.

    Args:
        call: Whose.
        cluster: Where the jobs are; ``""``: the service's default cluster.
        verb: What.
        names: By Slurm's names.
        signal: For SIGNAL.
        scope: For SIGNAL; None: the steps.
        hold: For REQUEUE.
        changes: For UPDATE.

    Returns:
        What became of each.

    Raises:
        Failed: The service refuses the whole, or stays away.
    """
    if not names:
        return []
    more = {} if scope is None else {"scope": scope}
    report = call.ask(
        lambda client: client.act(
            verb, list(names), cluster=cluster or None, signal=signal, hold=hold, changes=changes, **more
        ),
        cluster,
    )
    if any(result.problem and result.problem.code == CLUSTER_UNKNOWN for result in report.results):
        raise no_cluster([cluster], cluster)
    return [_outcome(name, result, verb) for name, result in zip(names, report.results, strict=True)]


def _outcome(name: str, result: ActionResult, verb: Verb) -> Outcome:
    return Outcome(name, "" if result.problem is None else words_of(result.problem, verb))
