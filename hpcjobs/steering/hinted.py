"""What jobs tell the policies, remembered by attempt for as long as somebody asks after it."""

from __future__ import annotations

from collections.abc import Mapping, Set

from hpcjobs.model.hints import NO_HINTS, Hints
from hpcjobs.store import repository
from hpcjobs.store.store import Store


class Hinted:
    """Reads what each attempt tells once.

    Args:
        store: Where it is.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self.known: dict[str, Hints] = {}
        """By the ids of attempts, of those that were asked after last."""

    async def of(self, attempts: Set[str]) -> Mapping[str, Hints]:
        """What each of these tells; the others are forgotten.

        Args:
            attempts: Their ids.
        """
        if unknown := attempts - self.known.keys():
            self.known |= dict.fromkeys(unknown, NO_HINTS) | await self.store.read(repository.hints_of, unknown)
        for attempt in self.known.keys() - attempts:
            del self.known[attempt]
        return self.known
