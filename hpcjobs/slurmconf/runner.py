"""Commands and files on the machine of the controller: here, over ssh, or through anything else that takes a command.

Whatever is done there is done with a shell and coreutils: nothing of ours has to be installed on that machine.
"""

from __future__ import annotations

import os
import select
import shlex
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Final, NamedTuple, Protocol

from hpcjobs.errors import Conflict, Unavailable

GRACE_S: Final = 15.0
"""How much longer than a command may take its way there and back may."""

NOT_THERE: Final = 44
"""Exit code of our scripts for a file that is not there."""


class Ran(NamedTuple):
    """What became of a command.

    Attributes:
        code: Exit code; 124: it took too long.
        out: What it printed.
        err: What it complained of.
    """

    code: int
    out: bytes
    err: bytes

    @property
    def text(self) -> str:
        """What it printed, as text."""
        return self.out.decode(errors="replace")

    @property
    def complaint(self) -> str:
        """The last it complained of, for people."""
        return (self.err or self.out).decode(errors="replace").strip()[-500:]


class Runner(Protocol):
    """A machine that commands can be run on."""

    def run(self, argv: Sequence[str], stdin: bytes = b"", timeout_s: float = 60) -> Ran:
        """Run a command to its end.

        Args:
            argv: The command.
            stdin: What it reads.
            timeout_s: After which it is ended there, with everything that it began.

        Raises:
            Unavailable: The machine cannot be reached.
        """
        ...

    def hold(self, argv: Sequence[str], timeout_s: float = 30) -> AbstractContextManager[bool]:
        """A command that says ``held`` and then reads its stdin: it runs as long as the block, or as we live.

        Args:
            argv: The command.
            timeout_s: How long it may take to say so.

        Returns:
            Whether it said so; else it has ended.
        """
        ...


class CommandRunner:
    """Runs commands behind a prefix, which may be none.

    Args:
        prefix: Words before each command, as ``("docker", "exec", "-i", "slurmctld")``.
        quoted: Whether what comes behind is read by a shell once more.
    """

    def __init__(self, prefix: Sequence[str] = (), *, quoted: bool = False) -> None:
        self._prefix = tuple(prefix)
        self._quoted = quoted

    def _words(self, argv: Sequence[str]) -> list[str]:
        return [*self._prefix, *([shlex.join(argv)] if self._quoted else argv)]

    def run(self, argv: Sequence[str], stdin: bytes = b"", timeout_s: float = 60) -> Ran:
        """As of Runner."""
        words = self._words(["timeout", "-k", "5", f"{timeout_s:.3f}", *argv])
        try:
            done = subprocess.run(words, input=stdin, capture_output=True, timeout=timeout_s + GRACE_S, check=False)
        except subprocess.TimeoutExpired:
            raise Unavailable(f"{words[0]} has not come back after {timeout_s + GRACE_S:.0f} s") from None
        except OSError as error:
            raise Unavailable(f"{words[0]} cannot be run: {error}") from None
        return Ran(done.returncode, done.stdout, done.stderr)

    @contextmanager
    def hold(self, argv: Sequence[str], timeout_s: float = 30) -> Iterator[bool]:
        """As of Runner."""
        try:
            process = subprocess.Popen(
                self._words(argv), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
            )
        except OSError as error:
            raise Unavailable(f"{argv[0]} cannot be run: {error}") from None
        with process:
            try:
                out = process.stdout.fileno() if process.stdout else -1
                ready, _, _ = select.select([out], [], [], timeout_s)
                yield bool(ready) and os.read(out, 16).startswith(b"held")
            finally:
                if process.stdin:
                    process.stdin.close()
                try:
                    process.wait(5)
                except subprocess.TimeoutExpired:
                    process.kill()


def local() -> CommandRunner:
    """This machine."""
    return CommandRunner()


def over_ssh(host: str, options: Sequence[str] = ()) -> CommandRunner:
    """Another machine, without ever asking for a password.

    Args:
        host: As ssh knows it, ``root@ctl1``.
        options: Of ssh, before the host.
    """
    ssh = ["ssh", "-T", "-o", "BatchMode=yes", "-o", "ConnectTimeout=10", *options, "--", host]
    return CommandRunner(ssh, quoted=True)


def read_bytes(runner: Runner, path: str) -> bytes | None:
    """What is in a file; None: it is not there.

    Raises:
        Unavailable: It cannot be read.
    """
    ran = runner.run(["sh", "-c", f'[ -e "$1" ] || exit {NOT_THERE}; exec cat -- "$1"', "sh", path])
    if ran.code == NOT_THERE:
        return None
    if ran.code:
        raise Unavailable(f"{path} cannot be read: {ran.complaint}")
    return ran.out


_BESIDE: Final = """set -eu
umask 077
cat >"$1.$2"
[ ! -e "$1" ] && like=$3 || like=$1
chown --reference="$like" "$1.$2"
chmod --reference="$like" "$1.$2"
sync "$1.$2"
"""


def write_beside(runner: Runner, path: str, data: bytes, suffix: str, like: str) -> None:
    """Write ``path.suffix`` with owner and mode of ``path``, and wait until it is on disk.

    Args:
        runner: The machine.
        path: Of the file that it is for.
        data: What is written.
        suffix: Behind a dot.
        like: File whose owner and mode it gets where ``path`` is not there.

    Raises:
        Unavailable: It cannot be written.
    """
    ran = runner.run(["sh", "-c", _BESIDE, "sh", path, suffix, like], data)
    if ran.code:
        raise Unavailable(f"{path}.{suffix} cannot be written: {ran.complaint}")


def must(runner: Runner, argv: Sequence[str], what: str) -> bytes:
    """What a command prints that has to go well.

    Raises:
        Unavailable: It does not, with what it was to do.
    """
    ran = runner.run(argv)
    if ran.code:
        raise Unavailable(f"{what}: {ran.complaint or f'exit {ran.code}'}")
    return ran.out


@contextmanager
def locked(runner: Runner, path: str, what: str) -> Iterator[None]:
    """Hold a lock on the machine while the block runs; it goes with us, however we end.

    Args:
        runner: The machine.
        path: Of the lock's file.
        what: What cannot be done twice at once.

    Raises:
        Conflict: Somebody else holds it.
    """
    with runner.hold(["flock", "-w", "2", path, "sh", "-c", "echo held; exec cat >/dev/null"]) as held:
        if not held:
            raise Conflict(f"{what}: it is being done already, or {path} cannot be written")
        yield
