"""How many answers that do not end a user may have open: streams of events and followed outputs, counted together."""

from __future__ import annotations

import weakref
from typing import Self

from hpcjobs.errors import RateLimited


class Admission:
    """One open stream. It counts until it is closed, or nobody has it any more."""

    def __init__(self, streams: Streams, user: str) -> None:
        self.user = user
        self._streams = streams

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Count no more."""
        self._streams.forget(self)


class Streams:
    """The open streams of this process."""

    def __init__(self) -> None:
        self._open: weakref.WeakSet[Admission] = weakref.WeakSet()

    def admit(self, user: str, most: int) -> Admission:
        """Count one more.

        Args:
            user: Whose.
            most: How many a user may have.

        Raises:
            RateLimited: They have as many already.
        """
        count = sum(admission.user == user for admission in self._open)
        if count >= most:
            raise RateLimited(
                f"{user} has {count} streams of events or output open already, the most that one may.", retry_after_s=5
            )
        admission = Admission(self, user)
        self._open.add(admission)
        return admission

    def forget(self, admission: Admission) -> None:
        """See Admission.close."""
        self._open.discard(admission)
