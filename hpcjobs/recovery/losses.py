"""What failures cost: the time of a job that was tried several times, second by second, and by cause. Pure.

Every second from the submission to the end is in one part. Work counts as productive if the last state descends from
it: the last attempt's own work, what the checkpoint held from which it began, and so on back. What was done between
that checkpoint and the end of its attempt is lost. Lost and stalled time is laid to what ended that attempt, waiting
and restarting to what ended the one before.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Final, NamedTuple

from hpcjobs.errors import Refusal, Refused
from hpcjobs.model.losses import Losses, Parts, Tried

START: Final = "start"
"""What the first wait and the first start are laid to."""
CHECKPOINTS: Final = "checkpoints"
"""What time for saving is laid to."""
_HOUR_S: Final = 3600.0


class Stretch(NamedTuple):
    """A time in which all was of one part.

    Attributes:
        place: Of which attempt, from 0; waiting is of the one that was waited for.
        part: Which of ``Parts``, by name.
        cause: What took it; ``""``: it was productive, or is of what is done or goes on.
        since: Unix seconds.
        until: Unix seconds.
    """

    place: int
    part: str
    cause: str
    since: float
    until: float


def losses(asked_at: float, attempts: Sequence[Tried]) -> Losses:
    """The time of one job.

    Args:
        asked_at: When it was submitted, Unix seconds.
        attempts: All of them, the first first.

    Raises:
        Refused: Times that do not ascend; an attempt after one that is done; a checkpoint that nobody made.
    """
    time_s: defaultdict[str, float] = defaultdict(float)
    gpu_h: defaultdict[str, float] = defaultdict(float)
    by_cause: defaultdict[str, float] = defaultdict(float)
    for one in stretches(asked_at, attempts):
        lasted_s = one.until - one.since
        hours = lasted_s * attempts[one.place].gpus / _HOUR_S
        time_s[one.part] += lasted_s
        gpu_h[one.part] += hours
        if one.part != "productive" and hours:
            by_cause[one.cause] += hours
    return Losses(
        time_s=Parts(**time_s),
        gpu_h=Parts(**gpu_h),
        by_cause=dict(by_cause),
        failures=Counter(attempt.cause for attempt in attempts if attempt.cause),
    )


def stretches(asked_at: float, attempts: Sequence[Tried]) -> Iterator[Stretch]:
    """The same as it went: from the submission to the end of the last attempt, each second in one stretch.

    Args:
        asked_at: When the job was submitted, Unix seconds.
        attempts: All of them, the first first.

    Raises:
        Refused: As ``losses``.
    """
    _check(asked_at, attempts)
    since, before = asked_at, START
    for place, (attempt, kept_at) in enumerate(zip(attempts, _kept(attempts), strict=True)):
        yield Stretch(place, "waiting", before, since, attempt.started_at)
        if attempt.worked_at is None:
            yield Stretch(place, "restarting", before, attempt.started_at, attempt.stopped_at)
        else:
            yield Stretch(place, "restarting", before, attempt.started_at, attempt.worked_at)
            yield from _worked(place, attempt, attempt.worked_at, kept_at)
        yield Stretch(place, "stalled", attempt.cause, attempt.stopped_at, attempt.ended_at)
        since, before = attempt.ended_at, attempt.cause


def _worked(place: int, attempt: Tried, since: float, kept_at: float | None) -> Iterator[Stretch]:
    """Work and saving of an attempt; what it did until ``kept_at`` counts in the end."""

    def work(until: float) -> Stretch:
        if kept_at is not None and until <= kept_at:
            return Stretch(place, "productive", "", since, until)
        return Stretch(place, "lost", attempt.cause, since, until)

    for save in attempt.saves:
        yield work(save.state_at)
        since = save.state_at + save.blocked_s
        yield Stretch(place, "saving", CHECKPOINTS, save.state_at, since)
    yield work(attempt.stopped_at)


def _kept(attempts: Sequence[Tried]) -> list[float | None]:
    """Until when the work of each attempt counts in the end; None: none of it does."""
    kept_at: list[float | None] = [None] * len(attempts)
    place = next((place for place in reversed(range(len(attempts))) if attempts[place].worked_at is not None), None)
    if place is None:
        return kept_at
    last = attempts[place]
    whole = (save.state_at for save in last.saves if save.whole)
    kept_at[place] = max(whole, default=None) if last.cause else last.stopped_at
    while (state_at := attempts[place].resumed_at) is not None:
        place = _maker(attempts, place, state_at)
        kept_at[place] = state_at
    return kept_at


def together(several: Iterable[Losses]) -> Losses:
    """Those of several jobs, as of a cluster."""
    time_s, gpu_h = Parts(), Parts()
    by_cause: defaultdict[str, float] = defaultdict(float)
    failures: Counter[str] = Counter()
    for one in several:
        time_s, gpu_h = time_s + one.time_s, gpu_h + one.gpu_h
        for cause, hours in one.by_cause.items():
            by_cause[cause] += hours
        failures.update(one.failures)
    return Losses(time_s=time_s, gpu_h=gpu_h, by_cause=by_cause, failures=failures)


def _maker(attempts: Sequence[Tried], before: int, state_at: float) -> int:
    """Which of the attempts before one made a checkpoint, the last that did; -1: none."""
    for place in reversed(range(before)):
        if any(save.whole and save.state_at == state_at for save in attempts[place].saves):
            return place
    return -1


def _check(asked_at: float, attempts: Sequence[Tried]) -> None:
    faults = []
    since = asked_at
    for place, attempt in enumerate(attempts):
        where = f"attempts[{place}]"
        marks = [since, attempt.started_at]
        if attempt.worked_at is not None:
            marks.append(attempt.worked_at)
        for save in attempt.saves:
            marks += [save.state_at, save.state_at + save.blocked_s]
        marks += [attempt.stopped_at, attempt.ended_at]
        if not all(earlier <= later for earlier, later in pairwise(marks)):
            faults.append(Refusal(where, f"times of attempt {place + 1} do not ascend"))
        if attempt.worked_at is None and attempt.saves:
            faults.append(Refusal(f"{where}.saves", f"attempt {place + 1} has saved and never worked"))
        if not attempt.cause and place + 1 < len(attempts):
            faults.append(Refusal(f"{where}.cause", f"attempt {place + 1} is done, and another follows"))
        if attempt.resumed_at is not None and _maker(attempts, place, attempt.resumed_at) < 0:
            faults.append(Refusal(f"{where}.resumed_at", f"no attempt before {place + 1} made its checkpoint"))
        since = attempt.ended_at
    if faults:
        raise Refused(faults)
