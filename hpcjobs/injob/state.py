"""What a checkpoint folder's register holds: who may write, which checkpoints there are, what is to be removed. Pure.

begin    a new attempt has the folder; older ones can change nothing from then on
resume   it says from which checkpoint it goes on
publish  a checkpoint is there; those that retention gives up are no checkpoints any more
"""

from __future__ import annotations

import json
from typing import NamedTuple

from .errors import Superseded

ATTEMPTS_TOLD = 100
"""Attempts of which the state tells; older ones are forgotten."""


class Run(NamedTuple):
    """One start of a job, as Slurm tells it.

    Attributes:
        job: SLURM_JOB_ID, ``""`` outside Slurm.
        restarts: SLURM_RESTART_COUNT: how often Slurm requeued it.
        step: SLURM_STEP_ID, ``""`` in the batch script.
        host: Where rank 0 runs.
    """

    job: str = ""
    restarts: int = 0
    step: str = ""
    host: str = ""


class Attempt(NamedTuple):
    """One that had the folder.

    Attributes:
        number: Its token; only grows.
        run: Whose it was.
        began: Unix seconds.
        resumed: Path of the checkpoint that it went on from, ``""``: from the beginning, None: it has not said yet.
    """

    number: int
    run: Run
    began: float
    resumed: str | None = None


class Saved(NamedTuple):
    """A checkpoint.

    Attributes:
        serial: How many had been published, with it.
        path: Its folder, below the checkpoint folder.
        step: Of the program.
        attempt: Which one wrote it.
        time: Unix seconds.
        size: Bytes.
        digest: sha256 of its manifest.
    """

    serial: int
    path: str
    step: int
    attempt: int
    time: float
    size: int
    digest: str


class State(NamedTuple):
    """All that the register holds.

    Attributes:
        attempts: Oldest first; the last one has the folder.
        saved: Checkpoints, oldest first.
        dropped: Those that were given up and may still take room.
        serial: How many were ever published.
    """

    attempts: tuple[Attempt, ...] = ()
    saved: tuple[Saved, ...] = ()
    dropped: tuple[Saved, ...] = ()
    serial: int = 0

    @property
    def newest(self) -> int:
        """Number of the attempt that has the folder, 0: none yet."""
        return self.attempts[-1].number if self.attempts else 0


class Keep(NamedTuple):
    """What retention keeps.

    Attributes:
        last: So many of the newest that are whole, 1 or more.
        every: Each so manyth for ever, 0: none.
    """

    last: int = 3
    every: int = 0


def begin(state: State, run: Run, now: float, torn: int = 0) -> State:
    """A new attempt has the folder.

    Args:
        state: As it is.
        run: Whose.
        now: Unix seconds.
        torn: Newer states that cannot be read: each may have been an attempt's begin.

    Raises:
        Superseded: Of the same job a later restart has it already.
    """
    last = state.attempts[-1] if state.attempts else None
    if last and run.job and last.run.job == run.job and last.run.restarts > run.restarts:
        raise Superseded(f"job {run.job} was restarted {last.run.restarts} times, this is its restart {run.restarts}")
    attempts = (*state.attempts, Attempt(state.newest + 1 + torn, run, now))
    return state._replace(attempts=attempts[-ATTEMPTS_TOLD:])


def owned(state: State, attempt: int) -> State:
    """The state, if the attempt may change it.

    Args:
        state: As it is.
        attempt: Whose turn it would be.

    Raises:
        Superseded: It is another's.
    """
    if state.newest > attempt:
        raise Superseded(f"attempt {state.newest} has the checkpoint folder, attempt {attempt} may write no more")
    return state


def resume(state: State, attempt: int, path: str) -> State:
    """An attempt says from which checkpoint it goes on.

    Args:
        state: As it is.
        attempt: Who.
        path: Of the checkpoint, ``""``: it begins at the beginning.

    Raises:
        Superseded: Another attempt has the folder.
    """
    owned(state, attempt)
    told = tuple(one._replace(resumed=path) if one.number == attempt else one for one in state.attempts)
    return state._replace(attempts=told)


def publish(state: State, saved: Saved, give_up: frozenset[str] = frozenset()) -> State:
    """A checkpoint is there, the newest.

    Args:
        state: As it is.
        saved: The checkpoint; its serial is set here.
        give_up: Paths of those that are no checkpoints any more.

    Raises:
        Superseded: Another attempt has the folder.
    """
    owned(state, saved.attempt)
    serial = state.serial + 1
    stay = tuple(one for one in state.saved if one.path not in give_up)
    gone = tuple(one for one in state.saved if one.path in give_up)
    return state._replace(saved=(*stay, saved._replace(serial=serial)), dropped=(*state.dropped, *gone), serial=serial)


def given_up(state: State, keep: Keep, whole: frozenset[str]) -> frozenset[str]:
    """Paths that retention gives up when one more, which is whole, is published.

    Never the one that the attempt which has the folder goes on from, and never one of the last that are whole. Torn
    ones do not count; they stay, for whoever wants to see why, until as many whole ones are newer.

    Args:
        state: Before that.
        keep: What is kept.
        whole: Paths that were looked at and are what their manifests say.
    """
    in_use = state.attempts[-1].resumed if state.attempts else None
    found, good = set(), 1
    for one in reversed(state.saved):
        for_ever = keep.every > 0 and one.serial % keep.every == 0
        if good >= max(keep.last, 1) and not for_ever and one.path != in_use:
            found.add(one.path)
        good += one.path in whole
    return frozenset(found)


def encode(state: State) -> bytes:
    """As it is written.

    Args:
        state: Which.
    """
    attempts = [{**one._asdict(), "run": one.run._asdict()} for one in state.attempts]
    saved, dropped = ([one._asdict() for one in many] for many in (state.saved, state.dropped))
    told = {"format": 1, "attempts": attempts, "saved": saved, "dropped": dropped, "serial": state.serial}
    return json.dumps(told).encode()


def decode(text: bytes) -> State:
    """What was written; nothing: the empty state.

    Args:
        text: What ``encode`` made.
    """
    if not text:
        return State()
    told = json.loads(text)
    return State(
        tuple(Attempt(**{**one, "run": Run(**one["run"])}) for one in told["attempts"]),
        tuple(Saved(**one) for one in told["saved"]),
        tuple(Saved(**one) for one in told["dropped"]),
        told["serial"],
    )


def attempt_of(state: State, run: Run) -> Attempt | None:
    """The newest attempt of a run, None: it has begun none.

    Args:
        state: As it is.
        run: Whose; its host does not count, other ranks have others.
    """
    return next((one for one in reversed(state.attempts) if one.run[:3] == run[:3]), None)
