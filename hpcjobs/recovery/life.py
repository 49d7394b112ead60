"""What is seen of a run while it goes on, and whether it does anything."""

from __future__ import annotations

from collections import deque
from typing import Final

from hpcjobs.model.failure import Activity
from hpcjobs.recovery.hang import Idle, idle
from hpcjobs.recovery.told import Told

KEPT: Final = 64
"""As many times of each kind are kept: enough for the pace."""


class Life:
    """One run of a job.

    Times of its agent are its node's; how long ago that was, the service's clock says, so that the two may differ.

    Args:
        run: How often the job had been requeued before.
        now: Unix seconds.
    """

    def __init__(self, run: int, now: float) -> None:
        self.run = run
        self.looked_at = 0.0
        self._began: float | None = None
        self._alive = self._alive_at = now
        self._read_at = now
        self._size: int | None = None
        self._outputs: deque[float] = deque(maxlen=KEPT)
        self._beats: deque[float] = deque(maxlen=KEPT)
        self._steps: deque[float] = deque(maxlen=KEPT)
        self._checkpoints: deque[float] = deque(maxlen=KEPT)

    def heard(self, told: Told, now: float) -> bool:
        """Its agent told something.

        Args:
            told: What.
            now: Unix seconds when it was read.

        Returns:
            Whether it had not been told before.
        """
        self._read_at = now
        if told.alive <= self._alive and self._began is not None:
            return False
        self._began, self._alive, self._alive_at = told.began, told.alive, now
        _add(self._beats, told.heartbeat)
        for at, _ in told.steps:
            _add(self._steps, at)
        _add(self._checkpoints, told.checkpoint_at)
        return True

    def grew(self, size_bytes: int, now: float) -> None:
        """Its output was looked at, where no agent tells anything.

        Args:
            size_bytes: How long it is.
            now: Unix seconds.
        """
        self._read_at = self._alive = self._alive_at = now
        if self._size is not None and size_bytes != self._size:
            _add(self._outputs, now)
        self._size = size_bytes

    def rested(self) -> None:
        """It was suspended, so that it could do nothing until now."""
        _add(self._steps if self._steps else self._beats if self._beats else self._outputs, self.as_of)

    @property
    def as_of(self) -> float:
        """Until when is known what it did, by the clock of its times: when it could be looked at last."""
        return self._alive + self._read_at - self._alive_at

    @property
    def activity(self) -> Activity:
        """When it was seen to do something."""
        return Activity(
            began=self._began,
            outputs=tuple(self._outputs),
            heartbeats=tuple(self._beats),
            steps=tuple(self._steps),
            checkpoints=tuple(self._checkpoints),
        )

    def idle(self, after_s: float) -> Idle | None:
        """Whether it has hung.

        Args:
            after_s: So long it may do nothing, as it says itself; 0: that is judged by its pace.
        """
        return idle(self.activity, self.as_of, after_s=after_s)


def _add(times: deque[float], at: float | None) -> None:
    if at is not None and (not times or at > times[-1]):
        times.append(at)
