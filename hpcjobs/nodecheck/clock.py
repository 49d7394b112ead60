"""The clock: what the kernel knows of it, and what time servers say."""

from __future__ import annotations

import ctypes
import os
import socket
import struct
import time
from collections.abc import Iterator
from typing import NamedTuple

from .call import Call
from .host import Host

UNSYNCHRONISED, NANOSECONDS = 0x0040, 0x2000
"""STA_UNSYNC and STA_NANO of adjtimex(2)."""
ANSWER_S = 2.0
SINCE_1900 = 2208988800
PORT = 123


class Options(NamedTuple):
    """What may be set.

    Attributes:
        synchronised: Whether the kernel must say that something disciplines its clock.
        offset_s: How far off it may be, in seconds.
        error_s: How sure the kernel must be of it, in seconds; only of a clock that is disciplined.
        servers: Names or addresses of time servers that are asked (SNTP, RFC 4330); with ``:port``, else 123.
    """

    synchronised: bool
    offset_s: float
    error_s: float
    servers: list[str]


class Clock(NamedTuple):
    """What the kernel knows.

    Attributes:
        synchronised: Whether something disciplines it.
        offset_s: How far off it is, seconds.
        error_s: At most that much more, seconds.
    """

    synchronised: bool
    offset_s: float
    error_s: float


class _Timex(ctypes.Structure):
    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("frequency", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_char * 256),
    )


def check(options: Options, host: Host, call: Call) -> list[str]:
    """See how far it is off. A node that is recorded has no clock.

    Args:
        options: See Options.
        host: The node.
        call: The time.
    """
    return [*([] if host.recorded else faults(options, clock())), *_servers(options)]


def clock() -> Clock:
    """What the kernel knows.

    Raises:
        OSError: It does not say.
    """
    told = _Timex()
    if ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.byref(told)) < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    unit = 1e-9 if told.status & NANOSECONDS else 1e-6
    return Clock(not told.status & UNSYNCHRONISED, told.offset * unit, told.maxerror * 1e-6)


def faults(options: Options, told: Clock) -> list[str]:
    """What is wrong with it.

    Args:
        options: See Options.
        told: What the kernel knows.
    """
    if not told.synchronised:
        return ["the kernel's clock is not synchronised"] if options.synchronised else []
    if abs(told.offset_s) > options.offset_s:
        return [f"the kernel's clock is {told.offset_s:+.3f} s off"]
    if told.error_s > options.error_s:
        return [f"the kernel's clock may be {told.error_s:.1f} s off"]
    return []


def _servers(options: Options) -> Iterator[str]:
    """What they say; one that does not answer is no fault of the node, unless none does."""
    told = [offset for server in options.servers if (offset := _asked(server)) is not None]
    if options.servers and not told:
        yield f"no time server answers: {', '.join(options.servers)}"
    elif told and abs(middle := sorted(told)[len(told) // 2]) > options.offset_s:
        yield f"the clock is {middle:+.3f} s off, {len(told)} time servers say"


def _asked(server: str) -> float | None:
    """How many seconds this clock is ahead of a server's, None: it does not answer."""
    name, _, port = server.partition(":")
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
            asking.settimeout(ANSWER_S)
            asking.connect((name, int(port or PORT)))
            sent = time.time()
            asking.send(b"\x23" + 47 * b"\0")
            answer = asking.recv(512)
            back = time.time()
    except OSError:
        return None
    if len(answer) < 48:
        return None
    received, sent_back = (_seconds(answer, place) for place in (32, 40))
    return ((sent - received) + (back - sent_back)) / 2


def _seconds(answer: bytes, place: int) -> float:
    whole, part = struct.unpack_from("!II", answer, place)
    return float(whole - SINCE_1900 + part / 2**32)
