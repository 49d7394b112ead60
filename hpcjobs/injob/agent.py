"""The agent: starts the command, hears what it reports, and ends it in time when Slurm says that the end is near.

    first SIGUSR1 or SIGTERM   save: the hook, or the signal handed on; until a checkpoint is there or the grace is over
    second                     end at once
    others                     handed on

It ends with the command's code, but for these (docs/CHECKPOINTS.md): 75, it can go on later, requeue me; 93, do not
requeue me, a newer attempt has the checkpoint folder; 74, the checkpoint folder cannot be used.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import NamedTuple

from . import lines, naming, status
from .checkpoints import Checkpoints
from .errors import CheckpointError, Superseded
from .listening import Listener
from .register import point_at, replace_synced
from .report import ENDING, FAILED, OK, REFUSED
from .state import Keep
from .status import Status
from .taking import Taken, run_of, take

REQUEUE = 75
"""EX_TEMPFAIL of sysexits.h: try again."""
NEVER = 93
UNUSABLE = 74
"""EX_IOERR of sysexits.h."""
NOT_FOUND, NOT_RUN = 127, 126

TICK_S = 0.5
STATUS_S = 5.0
FENCE_S = 10.0
TOGETHER_S = 1.0
"""Signals that come together are one: Slurm may send to a process what srun hands on to it, too."""

STATUS_FILE = "HPCJOBS_STATUS_FILE"
HEARD = (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2, signal.SIGTERM)


class Options(NamedTuple):
    """How the agent behaves.

    Attributes:
        checkpoints: The checkpoint folder, None: without checkpoints.
        keep: What retention keeps.
        save_on: Signals that mean that the end is near.
        hand_on: What the command gets for them, 0: the same, None: nothing; there is a file in any case (report.py).
        hook: A command for the shell that saves, in place of that; ``""``: none.
        grace_s: How long saving may take.
        kill_s: How long the command may take to end on SIGTERM after that.
        status: Where the status file is, None: in the checkpoint folder, of rank 0.
    """

    checkpoints: Path | None = None
    keep: Keep = Keep()
    save_on: tuple[int, ...] = (signal.SIGUSR1, signal.SIGTERM)
    hand_on: int | None = 0
    hook: str = ""
    grace_s: float = 100.0
    kill_s: float = 10.0
    status: Path | None = None


def run(command: Sequence[str], options: Options, environ: Mapping[str, str]) -> int:
    """Run a command to its end.

    Args:
        command: Program and arguments.
        options: See Options.
        environ: Variables, of Slurm and for the command.

    Returns:
        The exit code.
    """
    try:
        taken = take(Checkpoints(options.checkpoints, options.keep), environ) if options.checkpoints else None
    except Superseded as error:
        return say(NEVER, str(error))
    except (CheckpointError, OSError) as error:
        return say(UNUSABLE, f"the checkpoint folder cannot be used: {error}")
    return Agent(command, options, environ, taken).run()


class Agent:
    """One command and what is around it.

    Args:
        command: Program and arguments.
        options: See Options.
        environ: Variables, of Slurm and for the command.
        taken: The attempt, None: without a checkpoint folder.
    """

    def __init__(
        self, command: Sequence[str], options: Options, environ: Mapping[str, str], taken: Taken | None = None
    ) -> None:
        self._command = list(command)
        self._options = options
        self._environ = dict(environ)
        self._writer = taken.writer if taken else None
        of, self._rank = run_of(environ)
        number = self._writer.number if self._writer else 0
        fault = taken.faults[0].detail if taken and taken.faults else ""
        start = str(taken.start or "") if taken else ""
        now = time.time()
        self._status = Status(number, self._rank, of.job, of.restarts, of.host, 0, now, now, resumed=start, fault=fault)
        self._status_path = options.status
        if self._writer and self._rank == 0 and not options.status:
            self._status_path = self._writer.checkpoints.root / "status" / f"{self._writer.folder.name}.json"
        self._environ.update(taken.variables() if taken else {})
        if self._status_path:
            self._environ[STATUS_FILE] = str(self._status_path)
        self._lock = threading.Lock()
        self._publishing = threading.Lock()
        self._lost = threading.Event()
        self._came: list[int] = []
        self._count = 0
        self._written_at = self._fenced_at = time.monotonic()
        self._hook: subprocess.Popen[bytes] | None = None
        self._near = self._cut = self._before = 0
        self._near_at = 0.0
        self._kill_at: float | None = None

    def run(self) -> int:
        """Run the command to its end.

        Returns:
            The exit code.
        """
        listener = Listener(self._heard)
        near = self._status_path.with_suffix(".ending") if self._status_path else listener.folder / "ending"
        near.unlink(missing_ok=True)
        self._environ.update({**listener.variables(), ENDING: str(near)})
        try:
            with _signals(self._came) as awake:
                process = subprocess.Popen(self._command, env=self._environ, start_new_session=True)
                self._change(lambda old: old._replace(pid=process.pid, began=time.time()))
                self._write()
                self._be_found()
                code = self._ended(process, listener, awake)
        except FileNotFoundError:
            return say(NOT_FOUND, f"{self._command[0]}: there is no such program")
        except PermissionError as error:
            return say(NOT_RUN, f"{self._command[0]}: {error.strerror}")
        finally:
            listener.close()
        self._change(lambda old: old._replace(exit_code=code, phase=status.ENDED))
        self._write()
        return code

    def _ended(self, process: subprocess.Popen[bytes], listener: Listener, awake: socket.socket) -> int:
        """Wait for the command's end, and say what ours is."""
        while process.poll() is None:
            select.select([awake], [], [], TICK_S)
            with contextlib.suppress(BlockingIOError):
                awake.recv(4096)
            while self._came:
                self._signalled(process, self._came.pop(0))
            if self._saved_or_over() or self._is_lost():
                self._stop(process)
            if time.monotonic() - self._written_at >= STATUS_S:
                self._write()
        if self._cut:
            return say(128 + self._cut, "a second signal: ended at once")
        listener.look()
        with self._publishing:  # what was asked for before the end is still published
            code = process.returncode
        self._change(lambda old: old._replace(command_code=code))
        if code:
            self._fenced_at = float("-inf")  # it may have failed because its folder was moved aside
            self._is_lost()
        if self._lost.is_set():
            return say(NEVER, self._status.fault)
        saved = self._saved()
        if not self._near or code == NEVER or (code == 0 and not saved):
            return code if code >= 0 else 128 - code
        return say(
            REQUEUE, "saved, and can go on later" if saved else "not saved in time; an older checkpoint is there"
        )

    def _signalled(self, process: subprocess.Popen[bytes], came: int) -> None:
        now = time.monotonic()
        if came not in self._options.save_on:
            _send(process, came)
        elif not self._near:
            self._near, self._near_at, self._before = came, now, self._published()
            self._change(lambda old: old._replace(phase=status.SAVING, signal=came))
            self._write()
            with contextlib.suppress(OSError):
                Path(self._environ[ENDING]).touch()
            if self._options.hook:
                self._hook = subprocess.Popen(["/bin/sh", "-c", self._options.hook], env=self._environ)
            elif self._options.hand_on is not None:
                _send(process, self._options.hand_on or came)
        elif now - self._near_at >= TOGETHER_S:
            self._cut = came
            _send(process, signal.SIGKILL, everything=True)
            process.wait()

    def _saved(self) -> bool:
        """Whether there is a checkpoint since the end came near."""
        hooked = self._hook is not None and self._hook.poll() == 0
        return self._near > 0 and (hooked or self._published() > self._before)

    def _saved_or_over(self) -> bool:
        if not self._near:
            return False
        over = time.monotonic() - self._near_at >= self._options.grace_s
        return over or self._saved() or (self._hook is not None and self._hook.poll() is not None)

    def _stop(self, process: subprocess.Popen[bytes]) -> None:
        """End the command: SIGTERM, and after a while SIGKILL, to everything that it started."""
        now = time.monotonic()
        if self._kill_at is None:
            self._kill_at = now + self._options.kill_s
            self._change(lambda old: old._replace(phase=status.STOPPING))
            _send(process, signal.SIGTERM, everything=True)
        elif now >= self._kill_at:
            _send(process, signal.SIGKILL, everything=True)

    def _heard(self, line: str) -> str:
        """A line came; in a thread of the listener."""
        said, now = lines.read(line), time.time()
        if said is None:
            self._fault(f"not understood: {line.strip()}")
            return f"{FAILED} not understood"
        self._change(lambda old: status.told(old, said, now))
        return self._publish(said) if said.path else OK

    def _publish(self, said: lines.Told) -> str:
        if self._rank:
            return f"{OK} {said.path}"  # rank 0 publishes
        began, step, path = time.monotonic(), said.step or 0, said.path
        try:
            with self._publishing:
                if self._writer:
                    writer = self._writer
                    path = str(writer.checkpoints.root / writer.publish(Path(path), step).path)
                save_s = (said.save_s or 0.0) + time.monotonic() - began
                self._change(lambda old: status.published(old, path, step, save_s, time.time()))
                self._count += 1
        except Superseded as error:
            self._fault(str(error))
            self._lost.set()
            return f"{REFUSED} {error}"
        except (CheckpointError, OSError) as error:
            self._fault(str(error))
            return f"{FAILED} {error}"
        return f"{OK} {path}"

    def _published(self) -> int:
        """How many checkpoints this attempt has published, as far as this rank sees."""
        if self._rank == 0 or not self._writer:
            return self._count
        with contextlib.suppress(OSError):
            self._count = sum(one.attempt == self._writer.number for one in self._writer.checkpoints.state().saved)
        return self._count

    def _is_lost(self) -> bool:
        """Whether a newer attempt has the folder; looked at now and then."""
        if self._writer and not self._lost.is_set() and time.monotonic() - self._fenced_at >= FENCE_S:
            self._fenced_at = time.monotonic()
            with contextlib.suppress(OSError):  # a file system that does not answer is no newer attempt
                if self._writer.superseded():
                    self._fault(f"a newer attempt has the checkpoint folder, this is {self._writer.number}")
                    self._lost.set()
        return self._lost.is_set()

    def _change(self, make: Callable[[Status], Status]) -> None:
        with self._lock:
            self._status = make(self._status)

    def _fault(self, text: str) -> None:
        self._change(lambda old: old._replace(fault=text))

    def _write(self) -> None:
        self._written_at = time.monotonic()
        self._change(lambda old: old._replace(alive=time.time()))
        if self._status_path:
            with contextlib.suppress(OSError):  # as when the disk is full: the next one is tried again
                self._status_path.parent.mkdir(parents=True, exist_ok=True)
                replace_synced(self._status_path, status.encode(self._status))

    def _be_found(self) -> None:
        """Have the status file found by who knows the job's number alone."""
        if self._writer and self._status_path and self._status.job and not self._options.status and self._rank == 0:
            with contextlib.suppress(OSError):  # as where a file system has no links
                point_at(self._writer.checkpoints.root / naming.told_of(self._status.job), self._status_path.name)


def say(code: int, text: str) -> int:
    """Say something on stderr.

    Args:
        code: Handed through.
        text: What.
    """
    sys.stderr.write(f"hpcjobs: {text}\n")
    return code


def _send(process: subprocess.Popen[bytes], number: int, *, everything: bool = False) -> None:
    with contextlib.suppress(ProcessLookupError):
        if everything:
            os.killpg(process.pid, number)
        elif process.poll() is None:
            process.send_signal(number)


@contextlib.contextmanager
def _signals(came: list[int]) -> Iterator[socket.socket]:
    """Signals are put into a list while this lasts, and wake up who waits for the socket; so does a child's end."""

    def note(number: int, _: FrameType | None) -> None:
        if number != signal.SIGCHLD:
            came.append(number)

    awake, wake = socket.socketpair()
    awake.setblocking(False)
    wake.setblocking(False)
    before = signal.set_wakeup_fd(wake.fileno(), warn_on_full_buffer=False)
    handlers = {number: signal.signal(number, note) for number in (*HEARD, signal.SIGCHLD)}
    try:
        yield awake
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(before)
        awake.close()
        wake.close()
