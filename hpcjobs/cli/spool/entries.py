"""What is kept, file by file: waiting/ID.json until its fate is known, and then done/ID.json.

The order of steps makes a process that dies between two of them lose nothing and double nothing:

1. the entry is whole and on disk in ``waiting``, with its idempotency key, before the service is called with that key;
2. the answer is on disk in ``done`` before the entry leaves ``waiting``;
3. whatever is in both has been answered: it only leaves ``waiting``.

Between 1 and 2 the same key is said again, and the service makes one job of a key.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import time
import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from hpcjobs.cli import private
from hpcjobs.cli.claims import speaks_for
from hpcjobs.cli.spool import MARK
from hpcjobs.profiles import ClientConfig, addresses, same_address

KEEP_SENT_S: Final = 30 * 86_400
"""How long what was sent can still be looked up."""

DRAFT_S: Final = 3600.0
"""After how long what was begun to be written, and is not whole, is nobody's any more; in seconds."""

ADD_WAIT_S: Final = 10.0

_NAME: Final = re.compile(rf"{MARK}\d{{13}}-[0-9a-f]{{4}}")
"""Ids, as add() makes them. Files with other names are somebody else's."""

Request = dict[str, Any]


class Entry(NamedTuple):
    """One submission.

    Attributes:
        id: Sorts by when it was kept.
        key: Idempotency key: the service makes one job of it.
        url: Address of the service that it is for.
        profile: The profile that it was made with; ``""``: none.
        who: Whom the token spoke for, as it says itself. The token is not kept: it is read anew for sending.
        host: The machine that it was called on.
        kept_at: Unix seconds.
        request: Body of ``POST /v1/jobs``; empty once it is sent.
        name: Name of the job, or of its script.
        state: ``waiting``, ``sent`` or ``refused``.
        settled_at: Unix seconds; 0 while it waits.
        job_id: Our id of the job that it became.
        slurm_job_id: Slurm's number of it; None: not known when it was sent.
        cluster: Where that job is; before: where it is to go, ``""`` for the default cluster.
        said: The service's words: why it was refused, or why it is still here.
        doubtful: Whether a job may be there under its key: a try of it ended without an answer, or the service knows
            the key. It gets no other key, and only who drops it says it once more.
    """

    id: str
    key: str
    url: str
    profile: str
    who: str
    host: str
    kept_at: float
    request: Request
    name: str = ""
    state: str = "waiting"
    settled_at: float = 0.0
    job_id: str = ""
    slurm_job_id: int | None = None
    cluster: str = ""
    said: Sequence[str] = ()
    doubtful: bool = False

    def of(self, config: ClientConfig) -> bool:
        """Whether this configuration sends it: to its service, and of its profile where a token says no user.

        That the tokens speak for two users keeps it waiting, and is told by who sends.
        """
        if not same_address(self.url, config.url):
            return False
        return bool(self.who and speaks_for(config.token)) or self.profile == config.profile

    def as_sent(self, job_id: str, slurm_job_id: int | None, cluster: str) -> Entry:
        """The same as a job. What it asked for is the service's to keep from now on."""
        return self._replace(state="sent", request={}, said=(), job_id=job_id, slurm_job_id=slurm_job_id,
            cluster=cluster, doubtful=False)  # fmt: skip


class Spool:
    """What is kept below one folder.

    Args:
        folder: See ``folder_of``. It is made when it is needed.
    """

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.waiting_folder = f"{folder}/waiting"
        self.done_folder = f"{folder}/done"

    def _make(self) -> None:
        for path in (os.path.dirname(self.folder), self.folder, self.waiting_folder, self.done_folder):
            private.make_folder(path)

    def _ids(self, folder: str) -> list[str]:
        try:
            names = os.listdir(folder)
        except FileNotFoundError:
            return []
        ids = (name.removesuffix(".json") for name in names if name.endswith(".json"))
        return sorted(one for one in ids if _NAME.fullmatch(one))

    def _read(self, folder: str, entry_id: str) -> Entry | None:
        """One of them; None: it is not there, or unreadable() tells of it."""
        try:
            return _entry_of(f"{folder}/{entry_id}.json", entry_id)
        except (OSError, ValueError):
            return None

    def unreadable(self) -> list[str]:
        """What lies in the folders and is no submission, in words: it is left alone, and keeps no other from going."""
        found = []
        for folder in (self.waiting_folder, self.done_folder):
            try:
                names = sorted(os.listdir(folder))
            except OSError as error:
                found += [] if isinstance(error, FileNotFoundError) else [str(error)]
                continue
            for path in (f"{folder}/{name}" for name in names if not name.startswith(".")):
                try:
                    _entry_of(path, os.path.basename(path).removesuffix(".json"))
                except FileNotFoundError:
                    continue  # it has just been sent, or dropped
                except (OSError, ValueError) as error:
                    found.append(f"{path} cannot be read, and is left alone: {error}")
        return found

    def _write(self, folder: str, entry: Entry) -> None:
        private.write(f"{folder}/{entry.id}.json", json.dumps(entry._asdict()).encode())

    def add(self, config: ClientConfig, request: Request) -> Entry:
        """Keep a submission. When this returns, it is on disk.

        Raises:
            OSError: It cannot be written, and is not there.
        """
        self._make()
        with private.lock(f"{self.folder}/adding", ADD_WAIT_S):
            last = max(self._ids(self.waiting_folder) + self._ids(self.done_folder), default="")
            before_ms = int(last.split("-")[1]) if last else 0
            stamp_ms = max(int(time.time() * 1000), before_ms + 1)
            entry = Entry(
                id=f"{MARK}{stamp_ms:013}-{uuid.uuid4().hex[:4]}",
                key=uuid.uuid4().hex,
                url=config.url,
                profile=config.profile,
                who=speaks_for(config.token),
                host=os.uname().nodename,
                kept_at=time.time(),
                request=request,
                name=str(request.get("name") or request.get("script_name") or ""),
                cluster=str(request.get("cluster") or ""),
            )
            try:
                self._write(self.waiting_folder, entry)
            except OSError:
                # With its name it is kept, and may be being sent: only without may its caller do something instead.
                if not os.path.exists(f"{self.waiting_folder}/{entry.id}.json"):
                    raise
        return entry

    def sending(self, wait_s: float) -> contextlib.AbstractContextManager[bool]:
        """Be the one process that sends; see private.lock()."""
        self._make()
        return private.lock(f"{self.folder}/sending", wait_s)

    def waiting(self) -> list[Entry]:
        """What waits, in the order in which it was kept. What has been answered leaves.

        Where the answer cannot be read, the same key is said again.
        """
        done = set(self._ids(self.done_folder))
        found = []
        for entry_id in self._ids(self.waiting_folder):
            if entry_id in done and self._read(self.done_folder, entry_id):
                self._leave(entry_id)
            elif entry := self._read(self.waiting_folder, entry_id):
                found.append(entry)
        return found

    def done(self) -> list[Entry]:
        """What was answered."""
        return [entry for one in self._ids(self.done_folder) if (entry := self._read(self.done_folder, one))]

    def find(self, entry_id: str) -> Entry | None:
        """One of them all: an answer goes before what it answers."""
        if not _NAME.fullmatch(entry_id):
            return None
        return self._read(self.done_folder, entry_id) or self._read(self.waiting_folder, entry_id)

    def _leave(self, entry_id: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(f"{self.waiting_folder}/{entry_id}.json")

    def refused(self, entry: Entry, said: Sequence[str]) -> Entry:
        """Note that the service refuses an entry. It is kept whole until it is dropped."""
        return self.settle(entry._replace(state="refused", said=said))

    def settle(self, entry: Entry) -> Entry:
        """Note what became of an entry.

        Raises:
            OSError: It cannot be written down: it waits on.
        """
        settled = entry._replace(settled_at=time.time())
        self._write(self.done_folder, settled)
        self._leave(entry.id)
        return settled

    def again(self, entry: Entry) -> Entry:
        """Let a refused entry wait once more, under another key: the service keeps its refusal under the old one.

        One that is doubtful keeps its key.
        """
        key = entry.key if entry.doubtful else uuid.uuid4().hex
        once_more = entry._replace(state="waiting", settled_at=0.0, said=(), key=key)
        self._write(self.waiting_folder, once_more)
        os.unlink(f"{self.done_folder}/{entry.id}.json")
        return once_more

    def begin(self, entry: Entry) -> Entry:
        """Note that an entry is about to be sent: who is killed from now on leaves it doubtful.

        Raises:
            OSError: It cannot be written down, and must not be sent.
        """
        begun = entry._replace(doubtful=True)
        if not entry.doubtful:
            self._write(self.waiting_folder, begun)
        return begun

    def note(self, entry: Entry, said: Sequence[str]) -> Entry:
        """Note why an entry is still here, and whether it is doubtful."""
        noted = entry._replace(said=list(said))
        self._write(self.waiting_folder, noted)
        return noted

    def drop(self, entry: Entry) -> None:
        """Forget an entry."""
        for folder in (self.waiting_folder, self.done_folder):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(f"{folder}/{entry.id}.json")

    def forget_old(self) -> None:
        """Forget what was sent long ago, and what processes began to write and died.

        Other processes do the same meanwhile, and finish what they write; whatever goes wrong here can wait.
        """
        old = time.time() - KEEP_SENT_S
        for entry in self.done():
            if entry.state == "sent" and entry.settled_at < old:
                with contextlib.suppress(OSError):
                    self.drop(entry)
        for folder in (self.waiting_folder, self.done_folder):
            with contextlib.suppress(OSError), os.scandir(folder) as files:
                for file in files:
                    with contextlib.suppress(OSError):
                        if file.name.startswith(f".{MARK}") and file.stat().st_mtime < time.time() - DRAFT_S:
                            os.unlink(file.path)


def _entry_of(path: str, entry_id: str) -> Entry:
    """A file as what it is.

    Raises:
        OSError: It cannot be read.
        ValueError: It is no submission of this id.
    """
    with open(path, "rb") as file:
        try:
            entry = Entry(**json.load(file))
        except TypeError as error:
            raise ValueError(str(error)) from error
    texts = (entry.key, entry.url, entry.profile, entry.who, entry.host, entry.name, entry.state, entry.job_id,
        entry.cluster)  # fmt: skip
    times = (entry.kept_at, entry.settled_at)
    whole = all(isinstance(one, str) for one in texts) and all(isinstance(one, int | float) for one in times)
    if entry.id != entry_id or not whole or not isinstance(entry.request, dict) or not isinstance(entry.said, list):
        raise ValueError(f"this is not {entry_id}")
    return entry


def left_behind(entries: Iterable[Entry], environment: Mapping[str, str]) -> str:
    """What is to be said of entries that no command sends as things are; ``""``: there are none.

    Args:
        entries: What waits.
        environment: The caller's variables.

    Raises:
        ValueError: The configuration cannot be read.
    """
    known = addresses(environment)
    left = [entry.url for entry in entries if not any(same_address(entry.url, url) for url in known)]
    if not left:
        return ""
    return (
        f"{len(left)} kept for {', '.join(sorted(set(left)))}, which neither HPCJOBS_URL nor a profile names, "
        "will not be sent: hpcjobs spool list"
    )
