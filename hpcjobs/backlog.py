"""How much waits to go to Slurm, and who is tried when. Pure but for what it remembers; no second list of the jobs."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import Final

LONGEST_PAUSE_S: Final = 60.0


class Backlog:
    """Counts by cluster and user what waits for its turn.

    The database knows it; it is read once a second. A count is never lower than what the database holds, so that no
    submission overtakes an earlier one of its user; it is too high for a second where one was cancelled.
    """

    def __init__(self) -> None:
        self._counts: dict[str, Counter[str]] = defaultdict(Counter)
        self._joined: dict[str, Counter[str]] = defaultdict(Counter)
        """Since the reading under way began: it may have missed them."""
        self._pauses: dict[tuple[str, str], tuple[float, float]] = {}
        """How long a user's next try is put off, and until when, in Unix seconds."""

    def of(self, cluster: str, user: str | None = None) -> int:
        """How many wait on a cluster, of one user or of all."""
        counts = self._counts[cluster]
        return counts.total() if user is None else counts[user]

    def join(self, cluster: str, user: str) -> None:
        """One more waits."""
        self._counts[cluster][user] += 1
        self._joined[cluster][user] += 1

    def leave(self, cluster: str, user: str) -> None:
        """One has had its turn."""
        self._counts[cluster][user] = max(self._counts[cluster][user] - 1, 0)

    def reading(self, cluster: str) -> None:
        """The database is about to be asked."""
        self._joined[cluster] = Counter()

    def read(self, cluster: str, counts: Mapping[str, int]) -> None:
        """What the database said."""
        self._counts[cluster] = Counter(counts) + self._joined[cluster]

    def paused(self, cluster: str, now: float) -> list[str]:
        """Users who are not tried yet: what kept their last submission may be theirs alone."""
        return [user for (at, user), (_, until) in self._pauses.items() if at == cluster and until > now]

    def failed(self, cluster: str, user: str, now: float) -> None:
        """A submission could not go out: the next try is put off, at first not at all, then twice as long each time."""
        last, _ = self._pauses.get((cluster, user), (None, 0.0))
        pause = 0.0 if last is None else min(max(1.0, last * 2), LONGEST_PAUSE_S)
        self._pauses[cluster, user] = (pause, now + pause)

    def went(self, cluster: str, user: str) -> None:
        """A submission went out."""
        self._pauses.pop((cluster, user), None)
