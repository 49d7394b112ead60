"""Frames between the API process, the spawner and the agents: four bytes of length, then msgpack."""

from __future__ import annotations

import socket
import struct
from typing import Any, Final

import msgspec

MAX_FRAME: Final = 256 * 1024 * 1024
HEADER: Final = struct.Struct(">I")


class Hello(msgspec.Struct, frozen=True):
    """First frame of a connection: what the caller wants of the spawner.

    Attributes:
        kind: ``pyslurm``, ``files``, or ``kill``.
        user: Whom the agent becomes.
        slurm_conf: Path of the cluster's slurm.conf, for kind ``pyslurm``.
        pid: The agent to end, for kind ``kill``.
        min_uid: No agent becomes a user with a lower number; the spawner has a lower bound of its own.
    """

    kind: str
    user: str = ""
    slurm_conf: str = ""
    pid: int = 0
    min_uid: int = 0


class Request(msgspec.Struct, frozen=True):
    """One call."""

    op: str
    args: dict[str, Any] = {}


class Failure(msgspec.Struct, frozen=True):
    """Why a call failed.

    Attributes:
        kind: ``slurm`` (errno is Slurm's), ``os`` (errno is the system's), ``value`` (bad argument),
            ``unsupported`` (the library cannot do it), ``spawn`` (no such agent can be made), ``full`` (none more can
            be made now), ``passing`` (it could be made before and cannot now) or ``bug`` (anything else).
        message: In words.
        errno: Number, or 0.
    """

    kind: str
    message: str
    errno: int = 0


class Reply(msgspec.Struct, frozen=True):
    """The answer to a call, as it is written: a result or a failure."""

    result: Any = None
    failure: Failure | None = None


class RawReply(msgspec.Struct, frozen=True):
    """The answer to a call, as it is read: the result waits for whoever knows its type."""

    result: msgspec.Raw = msgspec.Raw()
    failure: Failure | None = None


def encode(message: msgspec.Struct) -> bytes:
    """One frame."""
    body = msgspec.msgpack.encode(message)
    return HEADER.pack(len(body)) + body


def _read_exactly(connection: socket.socket, size: int) -> bytes:
    chunks: list[bytes] = []
    while size:
        chunk = connection.recv(min(size, 1 << 20))
        if not chunk:
            raise EOFError("the other side closed the connection")
        chunks.append(chunk)
        size -= len(chunk)
    return b"".join(chunks)


def read_frame(connection: socket.socket) -> bytes:
    """The body of the next frame.

    Raises:
        EOFError: The other side closed the connection.
        ValueError: The frame is larger than MAX_FRAME.
    """
    (size,) = HEADER.unpack(_read_exactly(connection, HEADER.size))
    if size > MAX_FRAME:
        raise ValueError(f"a frame of {size} bytes is over the limit of {MAX_FRAME}")
    return _read_exactly(connection, size)
