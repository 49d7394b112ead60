"""The loop that every agent runs: read a call, do it as the user, answer."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from hpcjobs.agents.protocol import HEADER, MAX_FRAME, Failure, Reply, Request, encode, read_frame

Operation = Callable[..., Any]


class SlurmFailure(Exception):
    """An error number of Slurm on its way to the caller."""

    def __init__(self, errno: int, message: str) -> None:
        super().__init__(message)
        self.errno = errno


class Unsupported(Exception):
    """The library cannot do this; nothing was done."""


def answer(request: Request, operations: Mapping[str, Operation]) -> Reply:
    """Do one call.

    Args:
        request: The call.
        operations: Functions by name, called with the request's arguments.

    Returns:
        The result, or what went wrong in a form that the caller can tell apart.
    """
    operation = operations.get(request.op)
    if operation is None:
        return Reply(failure=Failure("bug", f"no operation {request.op!r}"))
    try:
        return Reply(result=operation(**request.args))
    except SlurmFailure as error:
        return Reply(failure=Failure("slurm", str(error), error.errno))
    except Unsupported as error:
        return Reply(failure=Failure("unsupported", str(error)))
    except OSError as error:
        return Reply(failure=Failure("os", error.strerror or str(error), error.errno or 0))
    except ValueError as error:
        return Reply(failure=Failure("value", str(error)))
    except Exception as error:  # noqa: BLE001  the agent's border: the caller must hear of anything
        return Reply(failure=Failure("bug", f"{type(error).__name__}: {error}"))


def frame_of(reply: Reply, most_bytes: int) -> bytes:
    """An answer as it is sent; one that cannot be, or is too large, becomes a failure that says so."""
    try:
        frame = encode(reply)
    except Exception as error:  # noqa: BLE001  whatever an operation returned
        return encode(Reply(failure=Failure("bug", f"its answer cannot be sent: {error!a}")))
    if len(frame) - HEADER.size > most_bytes:
        return encode(Reply(failure=Failure("value", f"its answer has {len(frame)} bytes; the limit is {most_bytes}")))
    return frame


def serve(connection: socket.socket, operations: Mapping[str, Operation], most_bytes: int = MAX_FRAME) -> None:
    """Answer calls until the other side closes the connection.

    Args:
        connection: To the caller.
        operations: Functions by name.
        most_bytes: Of one answer.
    """
    process = os.getpid()
    while True:
        try:
            body = read_frame(connection)
        except EOFError:
            return
        reply = answer(msgspec.msgpack.decode(body, type=Request), operations)
        if (
            os.getpid() != process
        ):  # a fork that an operation left running: two would answer, and each to the other's calls
            os._exit(1)
        connection.sendall(frame_of(reply, most_bytes))
