"""A running slurmctld, and where it is."""

from __future__ import annotations

import time
from enum import StrEnum
from typing import Final

import msgspec

from hpcjobs.errors import Unavailable
from hpcjobs.slurmconf.conf import SlurmConf, read_slurm_conf
from hpcjobs.slurmconf.lines import Unreadable
from hpcjobs.slurmconf.runner import Runner, must, read_bytes

MOST_LOG: Final = 400_000
"""Bytes of a log that are looked at."""


class State(StrEnum):
    """Whether a controller answers."""

    UP = "up"
    BUSY = "busy"  # somebody listens and does not answer in time: it loads, or hangs
    REFUSES = "refuses"  # nobody listens


class Place(msgspec.Struct, frozen=True):
    """Where a controller's files and programs are.

    Attributes:
        conf_dir: Folder of slurm.conf.
        slurmctld: Program.
        scontrol: Program.
        scratch_dir: Where a trial may make a folder; it is gone after it.
        start: Command that starts the controller again when it has died, as ``("systemctl", "start", "slurmctld")``;
            empty: something else does.
    """

    conf_dir: str = "/etc/slurm"
    slurmctld: str = "slurmctld"
    scontrol: str = "scontrol"
    scratch_dir: str = "/tmp"  # noqa: S108 (mktemp makes the folder, for one user only)
    start: tuple[str, ...] = ()


class Controller:
    """The running slurmctld, asked with scontrol.

    Args:
        runner: Its machine.
        place: Where its files and programs are.
    """

    def __init__(self, runner: Runner, place: Place) -> None:
        self.runner = runner
        self.place = place
        self._scontrol = ("env", f"SLURM_CONF={place.conf_dir}/slurm.conf", place.scontrol)

    def ask(self, *words: str, timeout_s: float = 20) -> tuple[str | None, str]:
        """What scontrol prints, or None and what it complains of."""
        try:
            ran = self.runner.run([*self._scontrol, *words], timeout_s=timeout_s)
        except Unavailable as error:
            return None, str(error)
        complaint = ran.err.decode(errors="replace").strip()
        return (None, complaint or f"exit {ran.code}") if ran.code or "error:" in complaint else (ran.text, "")

    def release(self) -> tuple[int, int]:
        """Year and month of its programs' release, as ``(26, 5)``."""
        text = must(self.runner, [self.place.scontrol, "-V"], "scontrol cannot be run").decode()
        try:
            year, month = text.split()[-1].split(".")[:2]
            return int(year), int(month)
        except (ValueError, IndexError):
            raise Unreadable(f"{text.strip()[:60]!r} names no release of Slurm", "scontrol -V") from None

    def reconfigure(self) -> str:
        """Tell it to read its files: why it did not, or ``""``. A controller in the foreground says yes, then dies."""
        text, complaint = self.ask("reconfigure", timeout_s=120)
        return complaint if text is None else ""

    def logged(self, conf: SlurmConf, since: int = 0) -> bytes:
        """What it has written into its log file; nothing where it has none, or where it cannot be read.

        Args:
            conf: Its slurm.conf, which says where.
            since: Byte to begin at.
        """
        path = conf.settings.get("slurmctldlogfile", "")
        script = f'tail -c +{since + 1} -- "$1" | tail -c {MOST_LOG}'
        try:
            return self.runner.run(["sh", "-c", script, "sh", path]).out if path else b""
        except Unavailable:
            return b""

    def log_bytes(self, conf: SlurmConf) -> int:
        """How long its log file is."""
        path = conf.settings.get("slurmctldlogfile", "")
        size = self.runner.run(["stat", "-L", "-c", "%s", "--", path]).out.strip() if path else b""
        return int(size) if size.isdigit() else 0

    def state(self) -> State:
        """Whether it answers."""
        try:
            ran = self.runner.run([*self._scontrol, "-vvv", "ping"], timeout_s=20)
        except Unavailable:
            return State.REFUSES
        if b"is UP" in ran.out:
            return State.UP
        return State.REFUSES if b"onnection refused" in ran.err or ran.code not in (0, 1, 124) else State.BUSY

    def up(self, within_s: float) -> bool:
        """Whether it answers, or comes to within some time."""
        give_up = time.monotonic() + within_s
        while self.state() is not State.UP:
            if time.monotonic() > give_up:
                return False
            time.sleep(0.5)
        return True

    def path(self, name: str) -> str:
        """Where a file of the configuration is, through whatever links; it need not be there.

        Raises:
            Unavailable: The machine cannot be reached.
        """
        path = name if name.startswith("/") else f"{self.place.conf_dir}/{name}"
        return must(self.runner, ["readlink", "-m", "--", path], f"{path} is nowhere").decode().removesuffix("\n")

    def read(self, name: str) -> str:
        """A file of the configuration.

        Raises:
            Unreadable: It is not there, or no text.
            Unavailable: It cannot be read.
        """
        data = read_bytes(self.runner, self.path(name))
        if data is None:
            raise Unreadable("the file is not there", self.path(name))
        try:
            return data.decode()
        except UnicodeDecodeError:
            raise Unreadable("the file is no text", self.path(name)) from None

    def conf(self) -> SlurmConf:
        """Its slurm.conf with all that it includes. Errors as of ``read`` and ``read_slurm_conf``."""
        return read_slurm_conf(self.read)
