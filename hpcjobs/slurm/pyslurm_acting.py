"""Acting on jobs, nodes and reservations through pyslurm, in the user's own process."""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable
from typing import Any, Final

import msgspec

from hpcjobs.agents.serve import SlurmFailure, Unsupported
from hpcjobs.model.node_order import NodeOrder
from hpcjobs.model.order import Changes, Order, SignalScope, Verb
from hpcjobs.model.reservation import ReservationOrder, ReservationVerb
from hpcjobs.sbatch.hostlists import fold_hostlist
from hpcjobs.slurm.pyslurm_orders import ARRAYS, MAKES_NONE, change_words, node_words, reservation_words
from hpcjobs.slurm.pyslurm_session import Tolerant, slurm_errors
from hpcjobs.slurm.targets import signal_number

ALREADY_DONE: Final = 2021
INVALID_JOB: Final = 2017
FIRST_OF_SLURM: Final = 1000
"""Error numbers below are the system's."""

SCOPES: Final = {SignalScope.STEPS: "children", SignalScope.BATCH: "batch", SignalScope.FULL: "all"}


def act(order: dict[str, Any]) -> None:
    """Do something with a job, as whoever this process is."""
    wanted = msgspec.convert(order, Order)
    with slurm_errors() as pyslurm:
        number = int(wanted.target)
        known = Tolerant(pyslurm.Job.load(number))
        if known.array_id == number or known.heterogeneous_id:
            # pyslurm would act on one record of several and say nothing of the others.
            raise Unsupported(ARRAYS)
        job = pyslurm.Job(number)
        if wanted.verb is Verb.CANCEL:
            _kill(pyslurm, job, 9, SignalScope.STEPS)
        elif wanted.verb is Verb.SIGNAL:
            _kill(pyslurm, job, signal_number(wanted.signal), wanted.scope)
        elif wanted.verb is Verb.REQUEUE:
            job.requeue(hold=wanted.hold)
        elif wanted.verb is Verb.UPDATE:
            job.modify(pyslurm.JobSubmitDescription(**change_words(wanted.changes or Changes(), time.time())))
        else:
            plain: dict[Verb, Callable[[], None]] = {
                Verb.HOLD: job.hold,
                Verb.RELEASE: job.release,
                Verb.SUSPEND: job.suspend,
                Verb.RESUME: job.unsuspend,
            }
            plain[wanted.verb]()


def act_nodes(order: dict[str, Any]) -> None:
    """Change nodes, as whoever this process is."""
    wanted = msgspec.convert(order, NodeOrder)
    with slurm_errors() as pyslurm:
        pyslurm.Node(fold_hostlist(wanted.nodes)).modify(pyslurm.Node(**node_words(wanted)))


def reserve(order: dict[str, Any]) -> None:
    """Change or delete a reservation, as whoever this process is."""
    wanted = msgspec.convert(order, ReservationOrder)
    with slurm_errors() as pyslurm:
        if wanted.verb is ReservationVerb.MAKE:
            raise Unsupported(MAKES_NONE)
        named = pyslurm.Reservation(wanted.name)
        if wanted.verb is ReservationVerb.DELETE:
            named.delete()
        else:
            named.modify(pyslurm.Reservation(wanted.name, **reservation_words(wanted, time.time())))


def _kill(pyslurm: Any, job: Any, number: int, scope: SignalScope) -> None:  # noqa: ANN401
    """Send a signal; pyslurm is silent about jobs that have ended, and reads errno whether or not it was set."""
    location = ctypes.CDLL(None)["__errno_location"]
    location.restype = ctypes.POINTER(ctypes.c_int)
    errno = location()
    errno[0] = 0
    try:
        job.send_signal(number, steps=SCOPES[scope])
    except pyslurm.RPCError as error:
        if (error.errno or 0) >= FIRST_OF_SLURM:
            raise
    left = int(errno[0])
    if left in (ALREADY_DONE, INVALID_JOB):
        raise SlurmFailure(left, str(pyslurm.slurm_strerror(left)))
