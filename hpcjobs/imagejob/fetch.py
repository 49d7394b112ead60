#!/usr/bin/env python3
"""Bring one image of a registry into a folder on a shared file system, once, whatever else happens.

This one file is the batch script of a job that runs as the user whose image it is: ``fetch.py ORDER``, see ``Order``.
It ends with 0: the image is there; 1: it is not, why is on stderr; 2: the order is none; 143, 130: it was told to end.

``HEX.sif`` is whole where ``HEX.json`` beside it says its size. The image is on disk before it gets its name, and the
label comes after it: killed between the two, the next run reads the image's own header and writes the label again.

Who brings a digest holds ``flock`` on ``.HEX.lock``: the kernel, or the server of the file system, lets it go when its
holder dies, so that nobody has to guess. Where a file system has no flock (Lustre mounted without it, some NFS), a file
``.HEX.held`` that only one can make stands for it. Its holder touches it every 10 s; who waits takes it away when it
was not touched for 120 s by the waiting node's own clock, as clocks of nodes and servers differ. That is a guess, as is
flock that only one node sees (Lustre's localflock). A wrong one costs a second fetch: temporary names are of one host
and process, and names appear by rename, so that no lock is what keeps an image whole.
"""

from __future__ import annotations

import base64
import contextlib
import errno
import fcntl
import json
import os
import pwd
import re
import shutil
import signal
import stat
import subprocess
import sys
import threading
import time
import zlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

TRIES, TAIL = 3, 20
BEAT_S, STALE_S, TOLD_S = 10.0, 120.0, 30.0
FLOOR_BYTES = 64 << 20
"""As much as must be free on the file system before anything is fetched; how large an image will be, nobody knows."""
NO_FLOCK = (errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS)
GUARD = 'exec 3<&0; { read -r _; kill -KILL 0; } <&3 >/dev/null 2>&1 & exec 3<&- </dev/null "$@"'
"""Starts a program in a group of processes that ends with this one, however that ends: its side of a pipe closes."""
IMAGE = re.compile(
    r"(?P<kind>docker|oras)://(?P<host>[a-z0-9.:\[\]-]+)/(?P<name>[a-z0-9._/-]+)"
    r"(?::[A-Za-z0-9_][A-Za-z0-9._-]*)?(?:@(?P<digest>sha256:[0-9a-f]{64}))?"
)
SHAPES = {
    "image": IMAGE.pattern, "digest": "sha256:[0-9a-f]{64}", "format": "sif|sqsh", "folder": r"/[^\0\n]+",
    "authfile": r"(?:/[^\0\n]+)?", "mode": "700|750|755",
}  # fmt: skip
OWN = re.compile(r"[0-9a-f]{64}\.(?:sif|sqsh)")
HUB = re.compile(r"(?:index\.)?docker\.io|registry-1\.docker\.io")
# What would have the runtime do something else, or elsewhere.
DROPPED = re.compile(r"(?:APPTAINER|SINGULARITY)_(?:PULL(?:DIR|FOLDER|_NAME)|SANDBOX|NO_?HTTPS|AUTH_?FILE|DEBUG)")
STATUS = r"(?:code|status|error|http/[\d.]+)\W{{0,3}}(?:code\W{{0,3}})?(?:{0})\b|\b(?:{0}) (?-i:[A-Z][a-z]+)"
LASTING = {
    "no room is left where it is made": "no space left|quota exceeded|ENOSPC",
    "the registry does not let this user have it": "unauthorized|authentication required|denied|"
    + STATUS.format("40[13]"),
    "the registry does not have it": r"(?:manifest|name|blob)[ _]unknown|not found|" + STATUS.format("404|410"),
}
PASSING = {
    "it took too long": r"time[d -]*out|deadline exceeded|curl: \(28\)",
    "the connection broke": r"connection (?:reset|refused|aborted|closed|timed)|broken pipe|unexpected eof|no route to"
    r" host|network is unreachable|checksum mismatch|curl: \((?:7|18|35|52|55|56|92)\)",
    "its name was not resolved": r"name resolution|no such host|could not resolve|server misbehaving|curl: \(6\)",
    "the registry does not serve now": "too ?many ?requests|" + STATUS.format(r"5\d\d|408|429"),
}


class Failed(Exception):
    """The image is not there: a line for people, and the last ones of the runtime."""

    def __init__(self, text: str, tail: Iterable[str] = ()) -> None:
        super().__init__(text)
        self.tail = list(tail)


class Ended(Exception):
    """A signal said so."""


class Order(NamedTuple):
    """What is to be brought where.

    Attributes:
        image: ``docker://host/repository:tag@digest``, or ``oras://...`` for a .sif.
        digest: Of its manifest; it is fetched by this alone.
        format: ``sif``, by Apptainer, or ``sqsh``, by Enroot.
        folder: Where it is to be; made where it is not there.
        max_bytes: As much as all images in the folder may have; what was not used for longest goes first. 0: any.
        insecure: Whether the registry speaks http.
        authfile: Who asks it, in Docker's form; ``""``: whom the runtime knows by itself.
        mode: Of the folder, where it is made.
        wait_s: How long another run may take that brings the same.
        keep_s: Images used in so many seconds do not go.
        pause_s: Before the second try; four times as long before the third.
    """

    image: str
    digest: str
    format: str
    folder: str
    max_bytes: int = 0
    insecure: bool = False
    authfile: str = ""
    mode: str = "700"
    wait_s: int = 3600
    keep_s: int = 3600
    pause_s: int = 5

    @property
    def hex(self) -> str:
        """The digest's digits."""
        return self.digest.partition(":")[2]

    def path(self, name: str) -> Path:
        """A file of this image: ``"HEX.json"``, with its own digits."""
        return Path(self.folder, name.replace("HEX", self.hex))

    @property
    def target(self) -> Path:
        """Where the image will be."""
        return self.path(f"HEX.{self.format}")


def order_of(text: str) -> Order:
    """Read an order.

    Args:
        text: JSON.

    Raises:
        ValueError: It is none; a sentence says why.
    """
    told = json.loads(text)
    if not isinstance(told, dict) or (wrong := told.keys() - set(Order._fields)):
        raise ValueError(f"it has words that are not known: {', '.join(sorted(wrong))}" if told else "it is no object")
    if missing := [name for name in Order._fields[:4] if name not in told]:
        raise ValueError(f"it does not say {', '.join(missing)}")
    for name, value in told.items():
        if name in SHAPES:
            good = isinstance(value, str) and re.fullmatch(SHAPES[name], value)
        else:
            good = type(value) is (bool if name == "insecure" else int) and value >= 0
        if not good:
            raise ValueError(f"{name} cannot be {str(value)[:80]!r}")
    order = Order(**told)
    match = IMAGE.fullmatch(order.image)
    if match is None or (match["digest"] or order.digest) != order.digest:
        raise ValueError("image and digest differ")
    if match["kind"] == "oras" and order.format != "sif":
        raise ValueError("what oras:// names is a .sif")
    return order


def command(order: Order, part: Path) -> list[str]:
    """The runtime's words; Enroot reads a digest behind a colon in every version, ``@`` only since 4.0.

    Args:
        order: What.
        part: The file that it makes.
    """
    match = IMAGE.fullmatch(order.image)
    if match is None:
        raise ValueError(order.image)
    kind, host, name, _ = match.groups()
    if order.format == "sqsh":
        host = "registry-1.docker.io" if HUB.fullmatch(host) else host
        return ["enroot", "import", "--output", str(part), "--", f"docker://{host}#{name}:{order.digest}"]
    options = ["--no-https"] * order.insecure + ["--authfile", order.authfile] * bool(order.authfile)
    return ["apptainer", "pull", "--disable-cache", *options, str(part), f"{kind}://{host}/{name}@{order.digest}"]


def variables(order: Order, environ: Mapping[str, str], own: Path) -> dict[str, str]:
    """The runtime's, with folders of this run alone.

    Args:
        order: What.
        environ: Of this process.
        own: Folder of this run.
    """
    kept = {name: value for name, value in environ.items() if not DROPPED.fullmatch(name)}
    folders = {"TMPDIR": own}
    for prefix in ("APPTAINER", "SINGULARITY"):
        folders.update({f"{prefix}_TMPDIR": own, f"{prefix}_CACHEDIR": own / "cache"})
    folders.update({f"ENROOT_{name}_PATH": own / name.lower() for name in ("CACHE", "DATA", "RUNTIME")})
    folders["ENROOT_TEMP_PATH"] = own
    if order.authfile:
        folders["ENROOT_CONFIG_PATH"] = own / "config"
    return {**kept, **{name: str(path) for name, path in folders.items()}, "ENROOT_ALLOW_HTTP": "ny"[order.insecure]}


def accounts_of(text: str) -> dict[str, tuple[str, str]]:
    """User and password by registry, of a file in Docker's form.

    Args:
        text: What is in it.

    Raises:
        ValueError: It is none; nothing of it is repeated.
    """
    try:
        auths = {key: base64.b64decode(said["auth"]).decode() for key, said in json.loads(text)["auths"].items()}
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ValueError("is not of the form of Docker's config.json") from None
    return {key: (said.partition(":")[0], said.partition(":")[2]) for key, said in auths.items()}


def netrc_of(host: str, user: str, password: str) -> str:
    r"""Enroot's file of credentials. curl asks it by the host that gives out tokens, which need not be the registry's.

    Args:
        host: The registry.
        user: Who asks it.
        password: By what. Enroot has a shell read what begins with ``$``, and spaces end it: curl 7.84 reads quotes.
    """
    if re.search(r"[\s\"\\]|^\$", password):
        password = '"' + re.sub(r"([\"\\])", r"\\\1", password) + '"'
    machine = "registry-1.docker.io" if HUB.fullmatch(host) else re.sub(r":[0-9]+$", "", host)
    return "".join(f"{who} login {user} password {password}\n" for who in (f"machine {machine}", "default"))


def judge(lines: Iterable[str]) -> tuple[bool, str]:
    """Whether another try can help.

    Args:
        lines: What the runtime said last.

    Returns:
        That, and why it failed, in words; ``""``: nothing is known.
    """
    text = "\n".join(lines)
    for again, table in ((False, LASTING), (True, PASSING)):
        for why, pattern in table.items():
            if re.search(pattern, text, re.IGNORECASE):
                return again, why
    return False, ""


def flaw(path: Path, form: str) -> str:
    """What is wrong with an image, as its header tells; ``""``: nothing.

    Args:
        path: Of it.
        form: ``sif`` or ``sqsh``.
    """
    try:
        with path.open("rb") as file:
            head, size = file.read(128).ljust(128, b"\0"), os.fstat(file.fileno()).st_size
    except FileNotFoundError:
        return "there is no file"
    if form == "sif":  # github.com/apptainer/sif, pkg/sif/sif.go: where data begins, and its length
        good, numbers = head[32:41] == b"SIF_MAGIC", (head[112:120], head[120:128])
    else:  # squashfs: bytes used
        good, numbers = head[:4] == b"hsqs", (head[40:48],)
    end = sum(int.from_bytes(number, "little") for number in numbers)
    return f"it is no .{form}" if not good else f"it ends after {size} of {end} bytes" if size < end else ""


class Entry(NamedTuple):
    """An image in the folder.

    Attributes:
        path: Of it.
        bytes: Of the file.
        used_at: Unix seconds: when it was made, or found here.
        removable: Whether it is this user's, and one that a run like this has made.
    """

    path: Path
    bytes: int
    used_at: float
    removable: bool


def going(entries: Iterable[Entry], lack_bytes: int, now: float, keep_s: float) -> list[Entry]:
    """Which images have to go, those first that were not used for longest; none when that would not do.

    Args:
        entries: What is there.
        lack_bytes: How much has to become free.
        now: Unix seconds.
        keep_s: What was used in so many seconds stays.
    """
    chosen: list[Entry] = []
    for entry in sorted(entries, key=lambda entry: (entry.used_at, entry.path)):
        if entry.removable and now - entry.used_at >= keep_s and sum(one.bytes for one in chosen) < lack_bytes:
            chosen.append(entry)
    return chosen if sum(one.bytes for one in chosen) >= lack_bytes else []


class Stop:
    """What a signal does: the runtime's group of processes is killed at once, the rest ends where it is safe."""

    def __init__(self) -> None:
        self.signum = 0
        self.child = 0
        for signum in (signal.SIGTERM, signal.SIGINT):
            signal.signal(signum, self._told)

    def _told(self, signum: int, frame: object) -> None:
        self.signum = self.signum or signum
        self.kill()

    def kill(self) -> None:
        """Kill the runtime, where it runs."""
        if self.signum and self.child:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.child, signal.SIGKILL)

    def sleep(self, seconds: float) -> None:
        """Sleep, unless it is time to end.

        Raises:
            Ended: It is.
        """
        end = time.monotonic() + seconds
        while not self.signum and (left := end - time.monotonic()) > 0:
            time.sleep(min(left, 0.1))
        if self.signum:
            raise Ended


class Lock:
    """Who brings an image; see above.

    Args:
        path: ``.HEX.lock``; what stands for it without flock is ``.HEX.held``.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._held = path.with_suffix(".held")
        self._file = -1
        self._seen: tuple[tuple[int, int], float] = (0, 0), 0.0
        self._beating: threading.Event | None = None

    def take(self) -> bool:
        """Take it; False: somebody has it."""
        self._file = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            taken = os.path.samestat(os.fstat(self._file), os.stat(self.path))  # it may have gone with its image
        except OSError as error:
            if error.errno not in (*NO_FLOCK, errno.EAGAIN, errno.EACCES, errno.ENOENT, errno.ESTALE):
                raise
            taken = error.errno in NO_FLOCK and self._hold()
        if taken:
            os.ftruncate(self._file, 0)
            told = {"host": os.uname().nodename, "pid": os.getpid(), "job": os.environ.get("SLURM_JOB_ID", "")}
            os.pwrite(self._file, json.dumps(told).encode(), 0)
        else:
            os.close(self._file)
        return taken

    def release(self) -> None:
        """Let it go."""
        os.ftruncate(self._file, 0)
        if self._beating:
            self._beating.set()
            if not os.path.samestat(os.fstat(self._file), self._status()):  # .lock itself: nothing of the kind
                with contextlib.suppress(FileNotFoundError):
                    self._held.unlink()
        os.close(self._file)
