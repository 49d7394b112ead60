#!/usr/bin/env python3
"""Bring one image of a registry into a folder on a shared file system, once, whatever else happens.

This one file is the batch script of a job that runs as the user whose image it is: ``fetch.py ORDER``, see ``Order``.
It ends with 0: the image is there; 1: it is not, why is on stderr; 2: the order is none; 143, 130: it was told to end.

``HEX.sif`` is whole where ``HEX.json`` beside it says its size. The image is on disk before it gets its name, and the
label comes after it: killed between the two, the next run reads the image's own header and writes the label again.

Who brings a digest holds ``flock`` on ``.HEX.lock``: the kernel, or the server of the file system, lets it go when its
holder dies, so that nobody has to guess. Where a file system has no flock (Lustre mounted without it, some NFS), a file
``.HEX.held`` that only one can make stands for it. Its holder touches it every 10 s; who waits takes it away when it
was not touched for 120 s by the waiting node's own clock, since clocks of nodes and servers differ. That is a guess, as
is a flock that one node alone sees (Lustre's localflock). A wrong one costs a second fetch and no image: temporary
names are of one host and process, and names appear by rename.
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
import subprocess
import sys
import threading
import time
import zlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple

TRIES, TAIL = 3, 20
BEAT_S, STALE_S, TOLD_S = 10.0, 120.0, 30.0
FLOOR_BYTES = 64 << 20  # to be free before anything is fetched: how large an image will be, nobody knows
NO_FLOCK = (errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS)
TAKEN = (errno.EAGAIN, errno.EACCES, errno.ENOENT, errno.ESTALE)
ENDING = (signal.SIGTERM, signal.SIGINT)
NODE = os.uname().nodename
RUN = f"{NODE}.{os.getpid()}"
# Starts a program in a group of processes that ends when this one does, however it does: its side of a pipe closes.
GUARD = 'exec 3<&0; { read -r _; kill -KILL 0; } <&3 >/dev/null 2>&1 & exec 3<&- </dev/null "$@"'
IMAGE = re.compile(
    r"(docker|oras)://([a-z0-9.:\[\]-]+)/([a-z0-9._/-]+)(?::[A-Za-z0-9_][A-Za-z0-9._-]*)?(?:@(sha256:[0-9a-f]{64}))?"
)
SHAPES = {
    "image": IMAGE.pattern, "digest": "sha256:[0-9a-f]{64}", "format": "sif|sqsh", "folder": r"/[^\0\n]+",
    "authfile": r"(?:/[^\0\n]+)?", "mode": "700|750|755",
}  # fmt: skip
HUB = re.compile(r"^(?:index\.|registry-1\.)?docker\.io$")
# By these a runtime would do something else, or elsewhere.
DROPPED = re.compile("(?:APPTAINER|SINGULARITY)_(?:PULL(?:DIR|FOLDER|_NAME)|SANDBOX|NO_?HTTPS|AUTH_?FILE|DEBUG)")
STATUS = r"(?:code|status|error|http/[\d.]+)\W{{0,3}}(?:code\W{{0,3}})?(?:{0})\b|\b(?:{0}) (?-i:[A-Z][a-z]+)"
# Whether another try can help, why it failed, and how a runtime says so. The first counts.
FAULTS = (
    (False, "there is no room where it is made", "no space left|quota exceeded"),
    (False, "this user may not have it", "unauthorized|authentication required|denied|" + STATUS.format("40[13]")),
    (False, "it is not there", r"(?:manifest|name|blob)[ _]unknown|not found|" + STATUS.format("404|410")),
    (True, "it took too long", r"time[d -]*out|deadline exceeded|curl: \(28\)"),
    (True, "the connection broke", r"connection (?:reset|refused|aborted|closed)|broken pipe|unexpected eof|no route to"
     r" host|network is unreachable|checksum mismatch|curl: \((?:7|18|35|52|55|56|92)\)"),
    (True, "nobody knows its registry", r"name resolution|no such host|resolve host|server misbehaving|curl: \(6\)"),
    (True, "the registry does not serve now", "too ?many ?requests|" + STATUS.format(r"5\d\d|408|429")),
)  # fmt: skip


class Failed(Exception):
    """The image is not there: a line for people, and the last ones of the runtime."""

    def __init__(self, text: str, tail: Iterable[str] = ()) -> None:
        super().__init__(text)
        self.tail = tail


class Order(NamedTuple):
    """What is to be brought where.

    Attributes:
        image: ``docker://host/repository:tag@digest``; for a .sif ``oras://...``, too.
        digest: Of its manifest; it is fetched by this alone.
        format: ``sif``, by Apptainer, or ``sqsh``, by Enroot.
        folder: Where it is to be; made where it is not there.
        max_bytes: As much as all images there may have; what was not used for longest goes first. 0: any.
        insecure: Whether the registry speaks http.
        authfile: Who asks it, in Docker's form; ``""``: whom the runtime knows by itself.
        mode: Of the folder, where it is made.
        wait_s: How long another run may take that brings the same.
        keep_s: Images that were used in so many seconds do not go.
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

    def path(self, name: str) -> Path:
        """A file in the folder; HEX stands for the digest's digits."""
        return Path(self.folder, name.replace("HEX", self.digest[7:]))

    @property
    def target(self) -> Path:
        """The image."""
        return self.path(f"HEX.{self.format}")

    @property
    def parts(self) -> list[str]:
        """Kind, host, repository and digest of the image."""
        match = IMAGE.fullmatch(self.image)
        return ["" if part is None else part for part in match.groups()] if match else [""] * 4


def order_of(text: str) -> Order:
    """Read an order, JSON; ValueError says what is wrong with it."""
    told = json.loads(text)
    if not isinstance(told, dict) or not told.keys() >= set(Order._fields[:4]):
        raise ValueError(f"it is an object with {', '.join(Order._fields[:4])}")
    for name, value in told.items():
        if name not in Order._fields:
            raise ValueError(f"{name!r} is not known")
        is_text = isinstance(value, str) and name in SHAPES and re.fullmatch(SHAPES[name], value)
        is_number = name not in SHAPES and type(value) is (bool if name == "insecure" else int) and value >= 0
        if not (is_text or is_number):
            raise ValueError(f"{name} cannot be {str(value)[:80]!r}")
    order = Order(**told)
    kind, _, _, digest = order.parts
    if digest not in ("", order.digest) or (kind == "oras" and order.format != "sif"):
        raise ValueError(f"{order.image} is no .{order.format} of {order.digest}")
    return order


def command(order: Order, part: Path) -> list[str]:
    """The runtime's words. Enroot reads a digest behind a colon in every version, ``@`` only since 4.0."""
    kind, host, name, _ = order.parts
    if order.format == "sqsh":
        host = HUB.sub("registry-1.docker.io", host)
        return ["enroot", "import", "--output", str(part), "--", f"docker://{host}#{name}:{order.digest}"]
    options = ["--no-https"] * order.insecure + ["--authfile", order.authfile] * bool(order.authfile)
    return ["apptainer", "pull", "--disable-cache", *options, str(part), f"{kind}://{host}/{name}@{order.digest}"]


def variables(order: Order, own: Path) -> dict[str, str]:
    """The runtime's variables: what it puts somewhere, it puts into the folder of this run."""
    told = {name: value for name, value in os.environ.items() if not DROPPED.fullmatch(name)}
    for prefix in ("APPTAINER", "SINGULARITY"):
        told.update({f"{prefix}_TMPDIR": f"{own}", f"{prefix}_CACHEDIR": f"{own}/cache"})
    told.update({f"ENROOT_{name}_PATH": f"{own}/{name.lower()}" for name in ("CACHE", "DATA", "RUNTIME")})
    told.update(ENROOT_TEMP_PATH=f"{own}", TMPDIR=f"{own}", ENROOT_ALLOW_HTTP="ny"[order.insecure])
    return {**told, "ENROOT_CONFIG_PATH": f"{own}/config"} if order.authfile else told


def accounts_of(path: str) -> dict[str, tuple[str, str]]:
    """User and password by registry, of a file in Docker's form; of one that is none, nothing is repeated."""
    try:
        auths = {host: base64.b64decode(one["auth"]).decode() for host, one in said_in(Path(path))["auths"].items()}
    except (ValueError, KeyError, TypeError, AttributeError):
        raise Failed(f"{path} cannot be read, or has not the form of Docker's config.json") from None
    return {host: (one.partition(":")[0], one.partition(":")[2]) for host, one in auths.items()}


def netrc_of(host: str, user: str, password: str) -> str:
    """Enroot's credentials. ``default``: curl looks for who gives out tokens, which need not be the registry."""
    if re.search(r"[\s\"\\]|^\$", password):  # Enroot has a shell read what begins with $; quotes need curl 7.84
        password = '"' + re.sub(r"([\"\\])", r"\\\1", password) + '"'
    machine = HUB.sub("registry-1.docker.io", re.sub(":[0-9]+$", "", host))
    return "".join(f"{who} login {user} password {password}\n" for who in (f"machine {machine}", "default"))


def judge(lines: Iterable[str]) -> tuple[bool, str]:
    """Whether another try can help a runtime that said this last, and why it failed."""
    text = "\n".join(lines)
    found = (fault[:2] for fault in FAULTS if re.search(fault[2], text, re.IGNORECASE))
    return next(found, (False, "what it says is not known here"))


def flaw(path: Path, form: str) -> str:
    """What is wrong with an image, as its header tells; ``""``: nothing."""
    try:
        with path.open("rb") as file:
            head, size = file.read(128).ljust(128, b"\0"), os.fstat(file.fileno()).st_size
    except FileNotFoundError:
        return "there is no file"
    if form == "sif":  # github.com/apptainer/sif, pkg/sif/sif.go: where data begins, and its length
        good, numbers = head[32:41] == b"SIF_MAGIC", [head[112:120], head[120:128]]
    else:  # squashfs: bytes used
        good, numbers = head[:4] == b"hsqs", [head[40:48]]
    end = sum(int.from_bytes(number, "little") for number in numbers)
    return f"it is no .{form}" if not good else f"it ends after {size} of {end} bytes" if size < end else ""


class Entry(NamedTuple):
    """An image in the folder: its size, when it was used (Unix seconds), and whether a run of this user made it."""

    path: Path
    bytes: int
    used_at: float
    own: bool


def going(entries: Iterable[Entry], lack_bytes: int, before: float) -> list[Entry]:
    """Images that go, of those not used since: the longest unused first, and none if all of them would not do."""
    chosen: list[Entry] = []
    for entry in sorted(entries, key=lambda entry: (entry.used_at, entry.path)):
        if entry.own and entry.used_at <= before and sum(one.bytes for one in chosen) < lack_bytes:
            chosen.append(entry)
    return chosen if sum(one.bytes for one in chosen) >= lack_bytes else []


class Lock:
    """``.HEX.lock``, or ``.HEX.held`` where there is no flock; see above."""

    def __init__(self, path: Path) -> None:
        self.path, self.held = path, path.with_suffix(".held")
        self._file, self._free = -1, threading.Event()
        self._seen: tuple[object, float] = None, 0.0

    def take(self) -> bool:
        """Take it; False: somebody has it."""
        file = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.samestat(os.fstat(file), os.stat(self.path)):  # else it went with an image
                return self._mine(file)
        except OSError as error:
            if error.errno in NO_FLOCK:
                os.close(file)
                return self._hold()
            if error.errno not in TAKEN:
                raise
        os.close(file)
        return False

    def release(self) -> None:
        """Let it go."""
        self._free.set()
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(self._file), os.stat(self.held)):
                self.held.unlink()
        os.ftruncate(self._file, 0)
        os.close(self._file)

    def owner(self) -> str:
        """Who has it, in words."""
        said = said_in(self.held) or said_in(self.path)
        return f"job {said.get('job') or '?'} on {said.get('host', '?')} (process {said.get('pid', '?')})"

    def _mine(self, file: int) -> bool:
        self._file = file
        os.ftruncate(file, 0)
        said = {"host": NODE, "pid": os.getpid(), "job": os.environ.get("SLURM_JOB_ID", "")}
        return os.pwrite(file, json.dumps(said).encode(), 0) > 0

    def _hold(self) -> bool:
        try:
            file = os.open(self.held, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
        except FileExistsError:
            with contextlib.suppress(OSError):
                self._look()
            return False
        threading.Thread(target=self._beat, args=[file], daemon=True).start()
        return self._mine(file)

    def _beat(self, file: int) -> None:
        while not self._free.wait(BEAT_S):
            with contextlib.suppress(OSError):
                os.utime(file)

    def _look(self) -> None:
        """Take it away from who does not touch it any more."""
        found = os.stat(self.held)
        if self._seen[0] != (state := (found.st_ino, found.st_mtime_ns)):
            self._seen = state, time.monotonic()
        elif time.monotonic() - self._seen[1] > STALE_S:
            aside = self.held.with_suffix(f".{RUN}.held.part")
            self.held.rename(aside)
            if not os.path.samestat(os.stat(aside), found):  # somebody else took it away, and holds this one
                os.link(aside, self.held)
            aside.unlink()


def took(lock: Lock, wait_s: float, done: Callable[[], object]) -> bool:
    """Wait for a lock; False: what it is for is done."""
    began, tell_s, pause_s = time.monotonic(), min(1.0, TOLD_S), 0.05
    while not done():
        if lock.take():
            return True
        waited_s = time.monotonic() - began
        if waited_s > wait_s:
            raise Failed(f"{lock.owner()} is at it, and not ready after {wait_s} s")
        if waited_s >= tell_s:
            say(f"hpcjobs: waiting for {lock.owner()}, which is at it")
            tell_s += TOLD_S
        time.sleep(pause_s)
        pause_s = min(1.0, pause_s * 1.5)
    return False


def shelf(folder: str) -> Iterator[Entry]:
    """All images in a folder."""
    for path in Path(folder).iterdir():
        if path.suffix in (".sif", ".sqsh") and path.name[0] != ".":
            with contextlib.suppress(FileNotFoundError):
                found = path.stat()
                own = found.st_uid == os.getuid() and re.fullmatch("[0-9a-f]{64}", path.stem) is not None
                yield Entry(path, found.st_size, found.st_mtime, own)


def make_room(order: Order, need_bytes: int, floor_bytes: int) -> None:
    """Remove what was not used for longest until an image fits; Failed says why it does not."""
    disk, freed, busy = os.statvfs(order.folder), 0, set()
    while True:
        entries = [entry for entry in shelf(order.folder) if entry.path != order.target]
        taken, free = sum(entry.bytes for entry in entries), disk.f_bavail * disk.f_frsize + freed
        lack = max(taken + max(need_bytes, 1) - order.max_bytes if order.max_bytes else 0, floor_bytes - free)
        if lack <= 0:
            return
        now = time.time()
        chosen = going([entry for entry in entries if entry.path not in busy], lack, now - order.keep_s)
        if not chosen:
            kept = [f"{one.path.name} ({one.bytes} bytes, used {now - one.used_at:.0f} s ago)" for one in entries]
            raise Failed(
                f"no room for {order.image} in {order.folder}: it needs {need_bytes or 'any number of'} bytes; images"
                f" have {taken} of {order.max_bytes or 'any number of'} bytes, the file system has {free} left. Kept:"
                f" {', '.join(kept[:5]) or 'none'}{f' and {len(kept) - 5} more' if len(kept) > 5 else ''}"
            )
        for entry in chosen:
            if removed(entry):
                freed += entry.bytes
                say(f"hpcjobs: removed {entry.path} ({entry.bytes} bytes), not used for {now - entry.used_at:.0f} s")
            else:
                busy.add(entry.path)


def removed(entry: Entry) -> bool:
    """Remove an image, unless somebody brings it, holds flock on it, or used it in this moment."""
    lock, label = Lock(entry.path.with_name(f".{entry.path.stem}.lock")), entry.path.with_suffix(".json")
    if not lock.take():
        return False
    try:
        free = not in_use(entry)
        if free:
            labels = [label] * (said_in(label).get("format") == entry.path.suffix[1:])  # or it is the other form's
            for path in (*labels, entry.path, lock.path):
                path.unlink(missing_ok=True)
        return free
    finally:
        lock.release()


def in_use(entry: Entry) -> bool:
    """Whether somebody holds flock on an image, or used it in this moment."""
    try:
        with entry.path.open("r+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in NO_FLOCK:
            return error.errno != errno.ENOENT
    return entry.path.stat().st_mtime != entry.used_at


def ready(order: Order) -> int:
    """Bytes of the image, which counts as used; 0: it is not there, or not whole."""
    with contextlib.suppress(OSError):
        os.utime(order.target)
    said = said_in(order.path("HEX.json"))
    try:
        size = order.target.stat().st_size
    except OSError:
        return 0
    return size if (said.get("digest"), said.get("format"), said.get("bytes")) == (*order[1:3], size) else 0


def sweep(order: Order, own: Path) -> None:
    """Remove what this run made, and others that were killed: who holds the lock knows that none is alive."""
    for folder, start in ((Path(order.folder), order.path(".HEX.").name), (own.parent, own.name.partition(RUN)[0])):
        for path in [Path(folder, name) for name in os.listdir(folder) if name.startswith(start)]:
            with contextlib.suppress(OSError):
                if path.suffix == ".part":
                    path.unlink()
                elif path.suffix == ".tmp":
                    for inner, names, _ in os.walk(path):  # an image has folders that nobody may write to
                        for one in [Path(inner, name) for name in names if not Path(inner, name).is_symlink()]:
                            one.chmod(0o700)
                    for _ in range(20):  # what its runtime still writes while it is being killed
                        shutil.rmtree(path, ignore_errors=True)
                        if not path.exists():
                            break
                        time.sleep(0.05)


def finish(part: Path, path: Path, mode: int) -> None:
    """Have a file on disk, and then under its name."""
    part.chmod(mode & path.parent.stat().st_mode)
    with part.open("rb") as file:
        os.fsync(file.fileno())
    part.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    with contextlib.suppress(OSError):  # not every file system can
        os.fsync(folder)
    os.close(folder)


def write_label(order: Order, runtime: str, began: float) -> None:
    """Say that the image is whole."""
    try:
        user = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        user = str(os.getuid())
    now, part = time.time(), order.path(f".HEX.{RUN}.json.part")
    said = {
        "image": order.image, "digest": order.digest, "format": order.format, "bytes": order.target.stat().st_size,
        "made_at": now, "by": user, "node": NODE, "seconds": round(now - began, 3), "runtime": runtime,
    }  # fmt: skip
    part.write_text(json.dumps(said, indent=1) + "\n")
    finish(part, order.path("HEX.json"), 0o644)


def run(words: list[str], environ: dict[str, str], hide: Iterable[str], tail: deque[str]) -> int:
    """Run a program to its end, which is also that of this one, and say what it says."""
    pipe, kept = os.pipe()
    process = subprocess.Popen(
        ["/bin/sh", "-c", GUARD, "sh", *words], stdin=pipe, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        env=environ, start_new_session=True, text=True, errors="replace",
    )  # fmt: skip
    os.close(pipe)

    def listen(lines: IO[str]) -> None:
        with lines:
            for line in lines:
                for secret in hide:
                    line = line.replace(secret, "***")
                tail.append(line.rstrip())
                say(tail[-1])

    listening = threading.Thread(target=listen, args=[process.stdout], daemon=True)
    listening.start()
    try:
        return process.wait()
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # the guard is in it: the number is nobody else's yet
        os.close(kept)
        process.wait()
        listening.join(5)


def prepare(order: Order, own: Path) -> list[str]:
    """Make the folder of this run, with what Enroot has to know of who asks; what no output may have."""
    own.mkdir(0o700)
    if not order.authfile:
        return []
    accounts, host = accounts_of(order.authfile), order.parts[1]
    account = accounts.get("https://index.docker.io/v1/" if HUB.fullmatch(host) else host)
    if account:
        (own / "config").mkdir()
        (own / "config/.credentials").write_text(netrc_of(host, *account))
    words = [(word, base64.b64encode(f"{user}:{word}".encode()).decode()) for user, word in accounts.values()]
    return [word for pair in words for word in pair if len(word) > 3]


def fetch(order: Order, part: Path, own: Path, secrets: list[str]) -> None:
    """Have the runtime make the image as a file of this run."""
    words = command(order, part)
    for attempt in range(1, TRIES + 1):
        part.unlink(missing_ok=True)
        tail: deque[str] = deque(maxlen=TAIL)
        code = run(words, variables(order, own), secrets, tail)
        again, why = judge(tail) if code else (False, flaw(part, order.format))
        if not why:
            return
        if not again or attempt == TRIES:
            ended = f"{words[0]} ended with {code}, try {attempt} of {TRIES}"
            raise Failed(f"{order.image} is not fetched: {why} ({ended})", tail)
        say(f"hpcjobs: try {attempt} of {TRIES}: {why}; the next in {order.pause_s * 4 ** (attempt - 1)} s")
        time.sleep(order.pause_s * 4 ** (attempt - 1))


def bring(order: Order) -> None:
    """Have the image there; the lock is held."""
    began, said = time.time(), said_in(order.path("HEX.json"))
    places = [os.environ.get(name, "") for name in ("SLURM_TMPDIR", "TMPDIR")]
    place = next((one for one in places if one.startswith("/") and os.access(one, os.W_OK | os.X_OK)), order.folder)
    own = Path(place, order.path(f".HEX.{zlib.crc32(os.fsencode(order.folder)):x}.{RUN}.tmp").name)
    part, room = order.path(f".HEX.{RUN}.part"), Lock(order.path(".room.lock"))
    sweep(order, own)
    try:
        torn = (said.get("digest"), said.get("format"), type(said.get("bytes"))) != (*order[1:3], int)
        if torn and not flaw(order.target, order.format):
            return write_label(order, "", began)
        make_room(order, 0, FLOOR_BYTES)
        program = command(order, part)[0]
        if not shutil.which(program):
            raise Failed(f"node {NODE} has no {program}, which makes a .{order.format}")
        secrets = prepare(order, own)
        asked = subprocess.run([program, "version"], capture_output=True, text=True, errors="replace", check=False)
        runtime = f"{program} {asked.stdout.strip()[:80]}"
        say(f"hpcjobs: fetching {order.image} by {runtime}")
        fetch(order, part, own, secrets)
        took(room, order.wait_s, lambda: False)
        try:
            make_room(order, part.stat().st_size, 0)
            finish(part, order.target, 0o755)
            write_label(order, runtime, began)
        finally:
            room.release()
    finally:
        signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
        sweep(order, own)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)


def have(order: Order) -> None:
    """Have the image there."""
    began, folder, lock = time.monotonic(), Path(order.folder), Lock(order.path(".HEX.lock"))
    if not folder.is_dir():
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(int(order.mode, 8))
    os.umask(0o777 & ~folder.stat().st_mode)  # who may write there may take the lock
    if took(lock, order.wait_s, lambda: ready(order)):
        try:
            if not ready(order):
                bring(order)
        finally:
            lock.release()
    say(f"hpcjobs: image ready: {order.target} ({ready(order)} bytes, {time.monotonic() - began:.1f} s)")


def said_in(path: Path) -> dict[str, Any]:
    """The object of JSON in a file; empty where there is none."""
    try:
        said = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return said if isinstance(said, dict) else {}


def say(text: str, to: int = 1) -> None:
    """Say a line, if anybody can hear it: a full disk below the output ends nothing."""
    with contextlib.suppress(OSError):
        os.write(to, f"{text}\n".encode(errors="replace"))


def told_to_end(signum: int, frame: object) -> None:
    """Go out through what removes and kills. Once."""
    for one in ENDING:
        signal.signal(one, signal.SIG_IGN)
    say(f"hpcjobs: told to end ({signal.Signals(signum).name})")
    sys.exit(128 + signum)


def main(argv: list[str]) -> int:
    """From the words to the exit code."""
    for signum in ENDING:
        signal.signal(signum, told_to_end)
    try:
        order = order_of(*argv)
    except (TypeError, ValueError) as error:
        say(f"hpcjobs: container: this is no order: {error}", 2)
        return 2
    try:
        have(order)
    except Failed as error:
        say("\n  | ".join([f"hpcjobs: container: {error}", *error.tail]), 2)
        return 1
    except OSError as error:
        say(f"hpcjobs: container: {order.image} is not fetched: {error.filename or 'a file'}: {error.strerror}", 2)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
