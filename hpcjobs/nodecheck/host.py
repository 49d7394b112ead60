"""The node: its files below a root, and its programs. Below another root than ``/`` it is a recorded one."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

FOLDERS = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""Where programs are where nobody says: slurmd starts a HealthCheckProgram without PATH."""
ENDED_S = 1.0
"""How long a killed program is waited for."""


class Ran(NamedTuple):
    """What a program made of it.

    Attributes:
        code: With what it ended, None: it did not in time, and was ended.
        text: What it printed, stderr too.
    """

    code: int | None
    text: str


class Host(NamedTuple):
    """A node.

    Attributes:
        root: What its files lie below.
        name: NodeName in Slurm.
    """

    root: Path
    name: str

    @property
    def recorded(self) -> bool:
        """Whether it is not this very machine."""
        return self.root.resolve() != Path("/")

    def at(self, path: str) -> Path:
        """Where a file of it is.

        Args:
            path: From its root on.
        """
        return self.root / path.lstrip("/")

    def text(self, path: str) -> str:
        """A short file of it, without space around; ``""``: it is not there, or says nothing.

        Args:
            path: From its root on.
        """
        try:
            return self.at(path).read_text(errors="replace").strip()
        except OSError:
            return ""

    def number(self, path: str) -> int | None:
        """A number in a file of it, None: there is none.

        Args:
            path: From its root on.
        """
        text = self.text(path)
        return int(text) if text.isdigit() else None

    def program(self, name: str) -> str | None:
        """Where a program of it is, None: nowhere.

        Args:
            name: Its name, or path.
        """
        if "/" in name:
            return shutil.which(str(self.at(name)))
        folders = os.environ.get("PATH", FOLDERS).split(":") if not self.recorded else FOLDERS.split(":")
        return shutil.which(name, path=":".join(str(self.at(folder)) for folder in folders if folder))

    def run(self, argv: Sequence[str], limit_s: float) -> Ran:
        """Run a program of it to its end.

        Args:
            argv: Name and arguments.
            limit_s: How long that may take.

        Raises:
            FileNotFoundError: There is no such program.
        """
        program = self.program(argv[0])
        if program is None:
            raise FileNotFoundError(f"there is no program {argv[0]}")
        environ = {"PATH": FOLDERS, **os.environ, "LC_ALL": "C"}
        process = subprocess.Popen(
            [program, *argv[1:]],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=environ,
        )
        try:
            told, _ = process.communicate(timeout=limit_s)
        except subprocess.TimeoutExpired as late:
            told = late.output or b""
            process.kill()
            with contextlib.suppress(subprocess.TimeoutExpired):  # it waits in the kernel, or somebody has its output
                told, _ = process.communicate(timeout=ENDED_S)
            return Ran(None, told.decode(errors="replace"))
        return Ran(process.returncode, told.decode(errors="replace"))


def shown(root: Path, path: Path) -> str:
    """A path as people on the node know it.

    Args:
        root: The node's.
        path: Below it.
    """
    return f"/{path.relative_to(root)}"
