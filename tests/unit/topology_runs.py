"""``hpcjobs topology`` at work: in this process, in a process of its own, on a terminal; and files that it reads."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Sequence
from pathlib import Path

from click.testing import CliRunner, Result

from hpcjobs_plugins.topology.commands import topology
from hpcjobs_plugins.topology.twin import Shape, dump_of, fat_tree
from hpcjobs_plugins.topology.twin_tables import as_nvlink
from hpcjobs_plugins.topology.twin_texts import as_ibnetdiscover

ROOT = Path(__file__).parents[2]
PROGRAM = (sys.executable, "-c", "from hpcjobs_plugins.topology.commands import topology; topology(prog_name='t')")

MOST_S = 300.0
"""So long a command may run on a terminal before it is killed."""
INTERRUPT = "\x03"
AGAIN_S = 5.0
"""After so long it is pressed again: Python may miss one that comes just before it waits for a line."""
SMALL = Shape(hosts=16, hosts_per_leaf=4, spines=2, trunks=2, domain_hosts=4)
"""Four leaves, two spines, two cables between each."""


def run(*words: str | Path, stdin: str | bytes = "") -> Result:
    """A command in this process."""
    return CliRunner().invoke(topology, [str(word) for word in words], input=stdin, prog_name="hpcjobs topology")


def fails(done: Result, complaint: str, code: int = 2) -> None:
    """One sentence on stderr, nothing on stdout, no traceback."""
    assert (done.exit_code, done.stdout) == (code, "")
    assert isinstance(done.exception, SystemExit)
    (line,) = done.stderr.splitlines()
    assert line.startswith("hpcjobs: error: ")
    assert complaint in line


def environment(**more: str) -> dict[str, str]:
    """Of a process that finds the house."""
    return {**os.environ, "PYTHONPATH": str(ROOT), **more}


def process(*words: str | Path, **more: str) -> subprocess.Popen[str]:
    """A command in a process and a process group of its own."""
    return subprocess.Popen(
        [*PROGRAM, *map(str, words)], env=environment(**more), start_new_session=True, text=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def _begin_on(terminal: int) -> None:
    """A terminal's shell does so: Ctrl-C counts, also where whoever runs these tests in the background ignores it."""
    os.login_tty(terminal)
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def on_terminal(
    columns: int,
    *words: str | Path,
    typed: str = "",
    program: Sequence[str] = PROGRAM,
    folder: Path | None = None,
    **more: str,
) -> tuple[int, str]:
    """A command on a terminal of so many columns: its exit code, and all that is seen.

    Args:
        columns: Of the terminal.
        words: Of the command.
        typed: What is typed when it asks.
        program: What runs.
        folder: Where; None: here.
        more: Further variables.
    """
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    variables = environment(TERM="xterm-256color", **more)
    variables.pop("COLUMNS", None)
    with subprocess.Popen(
        [*program, *map(str, words)], env=variables, cwd=folder, preexec_fn=lambda: _begin_on(theirs),
        pass_fds=[theirs],
    ) as child:  # fmt: skip
        os.close(theirs)
        seen, again, give_up = b"", "", time.monotonic() + MOST_S
        while part := _read(ours):
            seen += part
            if typed and seen.endswith(b": "):
                os.write(ours, typed.encode())
                typed, again = "", typed if typed == INTERRUPT else ""
            while not select.select([ours], [], [], AGAIN_S)[0]:
                os.write(ours, again.encode())
                if time.monotonic() > give_up:
                    child.kill()
    os.close(ours)
    return child.returncode, seen.decode().replace("\r\n", "\n")


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 1 << 16)
    except OSError:  # nobody holds the other end any more
        return b""


def ibnetdiscover(shape: Shape = SMALL) -> str:
    """What the tool prints of a twin."""
    return as_ibnetdiscover(dump_of(fat_tree(shape)))


def put(folder: Path, shape: Shape = SMALL) -> Path:
    """A file ``fabric.txt``, ``nvlink.txt`` beside it."""
    (folder / "fabric.txt").write_text(ibnetdiscover(shape))
    (folder / "nvlink.txt").write_text(as_nvlink(fat_tree(shape)))
    return folder / "fabric.txt"


def saved(folder: Path, shape: Shape = SMALL) -> Path:
    """A saved site ``site.json``."""
    done = run("discover", f"ibnetdiscover:{put(folder, shape)}", "-o", folder / "site.json")
    assert done.exit_code == 0, done.stderr
    return folder / "site.json"
