"""A spawner inside a container, reached from outside it: a Unix socket here, ``docker exec`` for each connection."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

SPAWNER = "/run/hpcjobs/spawner.sock"

# Runs in the container as the service's own user, the only one that the spawner listens to.
INSIDE = f"""
import os, socket, threading
there = socket.socket(socket.AF_UNIX)
there.connect({SPAWNER!r})
def up():
    while data := os.read(0, 65536):
        there.sendall(data)
    there.shutdown(socket.SHUT_WR)
threading.Thread(target=up, daemon=True).start()
while data := there.recv(65536):
    while data:
        data = data[os.write(1, data):]
"""


async def _copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await source.read(65536):
            sink.write(data)
            await sink.drain()
    sink.close()


@contextlib.asynccontextmanager
async def relayed(container: str, folder: Path) -> AsyncIterator[str]:
    """The path of a socket on this machine behind which a container's spawner listens."""
    serving: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inside = await asyncio.create_subprocess_exec(
            *("docker", "exec", "-i", "-u", "hpcjobs", container, "python3", "-c", INSIDE),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        assert inside.stdin
        assert inside.stdout
        up = asyncio.create_task(_copy(reader, inside.stdin))
        await _copy(inside.stdout, writer)
        up.cancel()
        inside.stdin.close()
        await asyncio.wait([up])
        await inside.wait()

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(serve(reader, writer))
        serving.add(task)
        task.add_done_callback(serving.discard)

    path = folder / "relay.sock"
    server = await asyncio.start_unix_server(connected, str(path))
    try:
        yield str(path)
    finally:
        server.close()
        if serving:
            await asyncio.wait(serving, timeout=10)
