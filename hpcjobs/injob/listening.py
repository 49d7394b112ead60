"""Where the agent hears programs: a Unix socket that answers, and a file that anything can write a line to."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

from .lines import LONGEST_BYTES

SOCKET, LINES = "HPCJOBS_AGENT_SOCKET", "HPCJOBS_REPORT_FILE"
CONNECTIONS = 128
LOOK_S = 0.5
MOST_BYTES = 1 << 20
LONGEST_PATH = 100
"""Of a Unix socket: sun_path has 108 bytes (unix(7))."""


class Listener:
    """A folder of the agent's own with both; ``close`` removes it.

    Args:
        answer: Called with each line, in several threads; what it gives goes back where it was asked for: behind
            lines that begin with "checkpoint".
    """

    def __init__(self, answer: Callable[[str], str]) -> None:
        self._answer = answer
        where = tempfile.gettempdir()
        self.folder = Path(tempfile.mkdtemp(prefix="hpcjobs-", dir=where if len(where) < LONGEST_PATH // 2 else "/tmp"))  # noqa: S108
        self.path = self.folder / "agent.sock"
        self.lines = self.folder / "lines"
        self.lines.touch(mode=0o600)
        self._read = 0
        self._rest = b""
        self._free = threading.Semaphore(CONNECTIONS)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.bind(os.fspath(self.path))
        self._socket.listen(CONNECTIONS)
        self._looking = threading.Lock()
        self._closed = threading.Event()
        threading.Thread(target=self._accept, daemon=True).start()
        threading.Thread(target=self._look_often, daemon=True).start()

    def variables(self) -> dict[str, str]:
        """What programs find it by."""
        return {SOCKET: os.fspath(self.path), LINES: os.fspath(self.lines)}

    def look(self) -> None:
        """Read what was written to the file since the last look; it is done often, and last at the end."""
        with self._looking, contextlib.suppress(OSError), self.lines.open("rb") as file:
            file.seek(self._read)
            new = file.read(MOST_BYTES)
            self._read += len(new)
            *whole, self._rest = (self._rest + new).split(b"\n")
            self._rest = self._rest[:LONGEST_BYTES]
            for line in whole:
                self._answer(line[:LONGEST_BYTES].decode(errors="replace"))

    def close(self) -> None:
        """Hear nothing more."""
        self._closed.set()
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _look_often(self) -> None:
        while not self._closed.wait(LOOK_S):
            self.look()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            if not self._free.acquire(blocking=False):
                connection.close()
                continue
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            with connection, connection.makefile("rb") as heard, contextlib.suppress(OSError):
                while True:
                    line = heard.readline(LONGEST_BYTES)
                    if not line.endswith(b"\n"):
                        return
                    reply = self._answer(line.decode(errors="replace"))
                    if line.startswith(b"checkpoint"):
                        connection.sendall(reply.replace("\n", " ").encode() + b"\n")
        finally:
            self._free.release()
