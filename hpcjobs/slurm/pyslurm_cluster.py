"""Nodes, partitions and reservations in the agent's process, read as Slurm's library and scontrol print them.

pyslurm 25.11 does not know a node's GRES in use, its TRES, its reservation and more. The functions called here are
those of slurm.h that take whole messages, which keep their form from version to version. Where the controller says
that nothing is new, nothing is read; of the nodes only those are read of which something else is printed than before.
"""

from __future__ import annotations

import ctypes
import os
import pwd
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache, lru_cache
from typing import Any, Final

from hpcjobs.agents.serve import SlurmFailure
from hpcjobs.model.cluster import Node
from hpcjobs.model.partition import Partition
from hpcjobs.model.reservation import Reservation
from hpcjobs.model.scheduling import Scheduling
from hpcjobs.slurm.configuration import WORDS as CONFIGURATION
from hpcjobs.slurm.configuration import printed_scheduling
from hpcjobs.slurm.delta import Marks
from hpcjobs.slurm.printed_nodes import blocks_of, node_of
from hpcjobs.slurm.printed_partitions import WORDS, partitions_of
from hpcjobs.slurm.printed_reservations import reservations_of
from hpcjobs.slurm.pyslurm_session import slurm_conf

SHOW: Final = 1 << 0 | 1 << 1 | 1 << 3
"""SHOW_ALL, SHOW_DETAIL and SHOW_MIXED of slurm.h."""

NO_CHANGE: Final = 1900
"""SLURM_NO_CHANGE_IN_DATA of slurm_errno.h."""

SCONTROL_S: Final = 10.0

_libc: Final = ctypes.CDLL(None)
_libc.open_memstream.restype = ctypes.c_void_p


@cache
def _library(path: str) -> ctypes.CDLL:
    """Slurm's library, as pyslurm has loaded it: what an extension module needs is looked up with it."""
    library = ctypes.CDLL(path, use_errno=True)
    library.slurm_strerror.restype = ctypes.c_char_p
    return library


@lru_cache(maxsize=1000)
def uid_of(name: str) -> int | None:
    """Number of a user, None where this machine does not know the name."""
    try:
        return pwd.getpwnam(name).pw_uid
    except KeyError:
        return None


class Message:
    """The controller's last answer about nodes, partitions or reservations.

    Args:
        load: Name of the function that asks.
        free: Name of the one that lets go of an answer.
        flags: What the first is given beside the time of the last answer and the place for the new one.
    """

    def __init__(self, load: str, free: str, *flags: ctypes.c_uint16) -> None:
        self._load, self._free, self._flags = load, free, flags
        self.pointer = ctypes.c_void_p()

    @property
    def updated(self) -> int:
        """Unix seconds of the last change, which stand first in the answer; 0 before there is one."""
        return ctypes.c_long.from_address(self.pointer.value).value if self.pointer.value else 0

    def refresh(self, library: ctypes.CDLL) -> bool:
        """Ask, and say whether anything is new.

        Raises:
            SlurmFailure: The controller does not answer.
        """
        fresh = ctypes.c_void_p()
        ask, free = getattr(library, self._load), getattr(library, self._free)
        if ask(ctypes.c_long(self.updated), ctypes.byref(fresh), *self._flags):
            number = ctypes.get_errno()
            if number == NO_CHANGE:
                return False
            raise SlurmFailure(number, (library.slurm_strerror(number) or b"").decode(errors="replace"))
        free(self.pointer)
        self.pointer = fresh
        return True


_node_message: Final = Message("slurm_load_node", "slurm_free_node_info_msg", ctypes.c_uint16(SHOW))
_partition_message: Final = Message("slurm_load_partitions", "slurm_free_partition_info_msg", ctypes.c_uint16(SHOW))
_reservation_message: Final = Message("slurm_load_reservations", "slurm_free_reservation_info_msg")
_marks: Final[Marks[str]] = Marks()
_told = False
"""Whether the partitions of the last answer were read."""
_reservations_told = False


@contextmanager
def _times_in_seconds() -> Iterator[None]:
    """Let Slurm print Unix seconds: no time zone, no hour that comes twice. A job must not inherit the variable."""
    os.environ["SLURM_TIME_FORMAT"] = "%s"
    try:
        yield
    finally:
        del os.environ["SLURM_TIME_FORMAT"]


def _printed(library: ctypes.CDLL, print_all: str, message: Message, *, one_line: bool = False) -> str:
    buffer, size = ctypes.c_void_p(), ctypes.c_size_t()
    file = ctypes.c_void_p(_libc.open_memstream(ctypes.byref(buffer), ctypes.byref(size)))
    with _times_in_seconds():
        getattr(library, print_all)(file, message.pointer, int(one_line))
    _libc.fclose(file)
    try:
        return ctypes.string_at(buffer, size.value).decode(errors="replace")
    finally:
        _libc.free(buffer)


def forget() -> None:
    """Let the next reading tell everything."""
    global _told, _reservations_told
    _marks.clear()
    _told = _reservations_told = False


def changes(pyslurm: Any) -> tuple[list[Node], list[str], list[Partition] | None]:  # noqa: ANN401
    """What has changed since the last time.

    Args:
        pyslurm: The library, started.

    Returns:
        Nodes that are new or have changed, names of those that are gone, and all partitions, None where none of them
        has changed.

    Raises:
        SlurmFailure: The controller does not answer.
    """
    global _told
    library = _library(pyslurm.core.node.__file__)
    partitions_new = _partition_message.refresh(library)
    nodes_new = _node_message.refresh(library)
    changed: list[Node] = []
    gone: list[str] = []
    if nodes_new or partitions_new or _marks.empty:
        library.slurm_populate_node_partitions(_node_message.pointer, _partition_message.pointer)
        blocks = blocks_of(_printed(library, "slurm_print_node_info_msg", _node_message))
        names, gone = _marks.compare({name: hash(block) for name, block in blocks.items()})
        changed = [node_of(blocks[name], uid_of) for name in names]
    partitions = None
    if partitions_new or not _told:
        _told = False
        partitions = _partitions()
        _told = True
    return changed, gone, partitions


def reservations(pyslurm: Any) -> list[Reservation] | None:  # noqa: ANN401
    """Every reservation; None where the controller says that nothing is new.

    Args:
        pyslurm: The library, started.

    Raises:
        SlurmFailure: The controller does not answer.
    """
    global _reservations_told
    library = _library(pyslurm.core.node.__file__)
    if not _reservation_message.refresh(library) and _reservations_told:
        return None
    printed = _printed(library, "slurm_print_reservation_info_msg", _reservation_message, one_line=True)
    _reservations_told = True
    return reservations_of(printed)


def scheduling() -> Scheduling:
    """What the configuration says of scheduling.

    Raises:
        SlurmFailure: The controller does not answer.
    """
    return printed_scheduling(_scontrol(CONFIGURATION))


def _partitions() -> list[Partition]:
    """Every partition, of scontrol: the library prints them one by one only, and they seldom change.

    Raises:
        SlurmFailure: It does not answer.
    """
    return partitions_of(_scontrol(WORDS))


def _scontrol(words: Sequence[str]) -> str:
    """What a command of Slurm's own prints.

    Raises:
        SlurmFailure: It does not answer.
    """
    environment = {"PATH": os.environ.get("PATH", os.defpath), "SLURM_CONF": slurm_conf()}
    try:
        done = subprocess.run(
            words, env=environment, stdin=subprocess.DEVNULL, capture_output=True, timeout=SCONTROL_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SlurmFailure(0, f"scontrol does not answer: {error}") from error
    if done.returncode:
        raise SlurmFailure(0, f"scontrol does not answer: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout.decode(errors="replace")
