"""Orders are given, and what keeps one from being carried out is an error that says when to try again."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Final

from hpcjobs.errors import Conflict, HpcjobsError, OutcomeUnknown, SlurmUnavailable, Unavailable, WorkerLost
from hpcjobs.model.node_order import NodeOrder
from hpcjobs.model.order import Order
from hpcjobs.model.reservation import ReservationOrder
from hpcjobs.slurm.base import Backend

log = logging.getLogger(__name__)

SOON_S: Final = 5.0
"""After so many seconds what could not be done just now is tried again."""
AGAIN_S: Final = 60.0
"""How long what Slurm refused is left alone, in seconds."""


NOT_GIVEN: Final = SlurmUnavailable("Nobody answered an order before it.")
"""What becomes of an order that was not given therefore."""


class Giver:
    """Gives the orders of one turn, until one of them gets no answer: each takes as long as a timeout then.

    Args:
        backend: Of the cluster.
        user: An operator of Slurm.
    """

    def __init__(self, backend: Backend, user: str) -> None:
        self._backend = backend
        self._user = user
        self._unanswered = False

    async def give(self, orders: Sequence[Order | NodeOrder | ReservationOrder]) -> HpcjobsError | None:
        """Give orders, one after the other; returns why one was not carried out, with which it ends."""
        if self._unanswered and orders:
            return NOT_GIVEN
        try:
            for order in orders:
                if isinstance(order, NodeOrder):
                    await self._backend.act_nodes(order)
                elif isinstance(order, ReservationOrder):
                    await self._backend.reserve(order)
                else:
                    await self._backend.act(self._user, order)
        except HpcjobsError as error:
            self._unanswered = self._unanswered or isinstance(error, Unavailable)
            return error
        except Exception as error:  # one order that goes wrong keeps no other from being given
            log.exception("an order went wrong: %s", orders)
            return HpcjobsError(f"The order went wrong: {type(error).__name__}: {error}.")
        return None


def is_passing(fault: HpcjobsError) -> bool:
    """Whether what was in the way goes by itself: nobody answered, or the job is just changing its state."""
    return fault.transient or isinstance(fault, Conflict)


def may_be_done(fault: HpcjobsError) -> bool:
    """Whether what was ordered may have been done, or be done still."""
    return isinstance(fault, OutcomeUnknown | WorkerLost)


def pause_s(fault: HpcjobsError) -> float:
    """After how many seconds to try again."""
    return max(SOON_S, fault.retry_after_s or 0.0) if is_passing(fault) else AGAIN_S
