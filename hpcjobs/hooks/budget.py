"""How often a plugin may fail. Pure."""

from __future__ import annotations

from collections import deque
from typing import Final

MOST_FAILURES: Final = 5
WINDOW_S: Final = 60.0


class Budget:
    """Counts the failures of one plugin.

    Args:
        most: With as many failures in the window it is broken.
        window_s: How long a failure counts, in seconds.
    """

    def __init__(self, most: int = MOST_FAILURES, window_s: float = WINDOW_S) -> None:
        self.most = most
        self.window_s = window_s
        self.failures = 0
        """All of them, however long ago."""
        self._recent: deque[float] = deque(maxlen=most)

    def failed(self, now: float) -> bool:
        """Note a failure.

        Args:
            now: Unix seconds.

        Returns:
            Whether that was one too many.
        """
        self.failures += 1
        self._recent.append(now)
        return len(self._recent) == self.most and now - self._recent[0] <= self.window_s
