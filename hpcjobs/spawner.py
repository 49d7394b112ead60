"""The one process that may change identity: it forks agents and ends them, and does nothing else.

    python -m hpcjobs.spawner --socket /run/hpcjobs/spawner.sock --owner hpcjobs

Only ``--owner`` (and root) may connect. An agent is forked with everything imported, becomes the user with
initgroups, setresgid and setresuid, gives up any way back (no_new_privs), and serves the connection it was forked
for until the other side closes it. pyslurm is imported here but never called: its credentials and configuration
freeze at the first call, which happens in the agent.
"""

from __future__ import annotations

import argparse
import ctypes
import importlib
import os
import pwd
import selectors
import signal
import socket
import struct
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NoReturn

import msgspec

from hpcjobs.agents import files
from hpcjobs.agents.protocol import Failure, Hello, Reply, encode, read_frame
from hpcjobs.agents.serve import Operation, serve
from hpcjobs.slurm import pyslurm_agent

MIN_UID: Final = 1000
MAX_AGENTS: Final = 512
PR_SET_NO_NEW_PRIVS: Final = 38
BUILD_REPORT: Final = Path("/opt/hpcjobs/pyslurm-build.txt")
"""Where the service's image says whether pyslurm could be built, and why not."""


def _log(text: str) -> None:
    sys.stderr.write(f"spawner: {text}\n")
    sys.stderr.flush()


def load_pyslurm() -> str:
    """Import pyslurm without starting it.

    Returns:
        ``""``, or why there is no pyslurm.
    """
    os.environ["PYSLURM_DISABLE_AUTO_INIT"] = "1"
    try:
        importlib.import_module("pyslurm")
    except (ImportError, OSError) as error:
        report = BUILD_REPORT.read_text().splitlines() if BUILD_REPORT.exists() else []
        return f"pyslurm cannot be imported: {error}. {report[0] if report else ''}".rstrip()
    return ""


class NoSuchUser(ValueError):
    """This machine does not know the user, or cannot ask who does."""


class Passing(Exception):
    """An agent cannot be made now; ``kind`` is the Failure's."""

    def __init__(self, kind: str, why: str) -> None:
        super().__init__(why)
        self.kind = kind


def allowed_account(user: str, owner: str, min_uid: int = MIN_UID) -> pwd.struct_passwd:
    """The account an agent may become.

    Args:
        user: Name of the wanted user.
        owner: Name of the service's own user, which is allowed whatever its number.
        min_uid: No other user with a lower number is allowed.

    Returns:
        Its entry in the user database.

    Raises:
        ValueError: There is no such user, or it is root or a system account.
    """
    try:
        account = pwd.getpwnam(user)
    except KeyError:
        raise NoSuchUser(f"there is no user {user!r} on this machine") from None
    if account.pw_uid == 0 or (account.pw_uid < min_uid and user != owner):
        raise ValueError(f"user {user!r} (uid {account.pw_uid}) is not one that jobs may run as")
    return account


def become(account: pwd.struct_passwd) -> None:
    """Turn this process into the user, for good."""
    if os.geteuid() == 0:
        os.initgroups(account.pw_name, account.pw_gid)
        os.setresgid(account.pw_gid, account.pw_gid, account.pw_gid)
        os.setresuid(account.pw_uid, account.pw_uid, account.pw_uid)
    if os.getresuid() != (account.pw_uid,) * 3 or os.getresgid() != (account.pw_gid,) * 3:
        raise PermissionError(f"could not become {account.pw_name}")
    ctypes.CDLL(None).prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    os.environ.clear()
    os.environ.update(HOME=account.pw_dir, USER=account.pw_name, LOGNAME=account.pw_name, PATH="/usr/bin:/bin")
    os.chdir("/")
    os.umask(0o022)


class Spawner:
    """The listening socket and the agents forked from it.

    Args:
        path: Where the Unix socket is made.
        owner: Name of the user that may connect.
        max_agents: Most agents at a time.
    """

    def __init__(self, path: str, owner: str, max_agents: int = MAX_AGENTS) -> None:
        self.max_agents = max_agents
        self.seen: set[str] = set()
        """Users that this machine knew: one that it does not know any more may only be out of reach."""
        self.owner = pwd.getpwnam(owner)
        self.no_pyslurm = load_pyslurm()
        self.agents: set[int] = set()
        new = f"{path}.new"  # whoever finds the socket is answered
        if os.path.exists(new):
            os.unlink(new)
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        old_mask = os.umask(0o177)
        self.listener.bind(new)
        os.umask(old_mask)
        if os.geteuid() == 0:
            os.chown(new, self.owner.pw_uid, self.owner.pw_gid)
        self.listener.listen(128)
        os.replace(new, path)

    def run(self) -> NoReturn:
        """Accept connections and reap agents until a signal ends the process."""
        waker, wakened = socket.socketpair()
        for end in (waker, wakened):
            end.setblocking(False)
        signal.set_wakeup_fd(waker.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        selector = selectors.DefaultSelector()
        selector.register(self.listener, selectors.EVENT_READ)
        selector.register(wakened, selectors.EVENT_READ)
        _log(f"ready for {self.owner.pw_name}; {self.no_pyslurm or 'pyslurm is there'}")
        while True:
            for key, _ in selector.select(timeout=60):
                if key.fileobj is wakened:
                    wakened.recv(4096)
                else:
                    self.accept()
            self.reap()

    def reap(self) -> None:
        """Forget the agents that have ended."""
        for pid in list(self.agents):
            done, status = os.waitpid(pid, os.WNOHANG)
            if done:
                self.agents.discard(pid)
                if status:
                    _log(f"agent {pid} ended with status {status}")

    def accept(self) -> None:
        """Serve one new connection: fork an agent for it, or end one."""
        connection, _ = self.listener.accept()
        try:
            connection.settimeout(5)
            credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
            _, uid, _ = struct.unpack("3i", credentials)
            if uid not in (0, self.owner.pw_uid):
                raise ValueError(f"uid {uid} may not use the spawner")  # noqa: TRY301
            hello = msgspec.msgpack.decode(read_frame(connection), type=Hello)
            connection.settimeout(None)
            self.handle(hello, connection)
        except Passing as error:
            _log(f"not now: {error}")
            self.reply(connection, Reply(failure=Failure(error.kind, str(error))))
        except (OSError, EOFError, ValueError, RecursionError, msgspec.MsgspecError) as error:
            _log(f"refused: {error}")
            self.reply(connection, Reply(failure=Failure("spawn", str(error))))
        finally:
            connection.close()

    @staticmethod
    def reply(connection: socket.socket, reply: Reply) -> None:
        """Answer, if the other side is still there."""
        try:
            connection.sendall(encode(reply))
        except OSError as error:
            _log(f"the caller went away: {error}")

    def handle(self, hello: Hello, connection: socket.socket) -> None:
        """Do what a first frame asks for."""
        if hello.kind == "kill":
            if hello.pid in self.agents:
                os.kill(hello.pid, signal.SIGKILL)
            self.reply(connection, Reply(result=hello.pid))
            return
        try:
            account = allowed_account(hello.user, self.owner.pw_name, max(MIN_UID, hello.min_uid))
        except NoSuchUser as error:
            if hello.user in self.seen:
                raise Passing("passing", str(error)) from None
            raise
        self.seen.add(hello.user)
        if hello.kind == "pyslurm" and self.no_pyslurm:
            raise ValueError(self.no_pyslurm)
        if hello.kind not in ("pyslurm", "files"):
            raise ValueError(f"there is no agent of kind {hello.kind!r}")
        self.reap()
        if len(self.agents) >= self.max_agents:
            raise Passing("full", f"{self.max_agents} agents are running, which is the most")
        try:
            pid = os.fork()
        except OSError as error:
            raise Passing("full", f"no process can be made: {error.strerror}") from None
        if pid:
            self.agents.add(pid)
            return
        self.be_agent(hello, account, connection)

    def be_agent(self, hello: Hello, account: pwd.struct_passwd, connection: socket.socket) -> NoReturn:
        """The life of a forked agent."""
        code = 1
        try:
            signal.set_wakeup_fd(-1)
            for number in (signal.SIGCHLD, signal.SIGTERM):
                signal.signal(number, signal.SIG_DFL)
            self.listener.close()
            become(account)
            operations: Mapping[str, Operation] = files.OPERATIONS
            if hello.kind == "pyslurm":
                os.environ["SLURM_CONF"] = hello.slurm_conf
                operations = pyslurm_agent.OPERATIONS
            self.reply(connection, Reply(result=os.getpid()))
            serve(connection, operations)
            code = 0
        except Exception as error:  # noqa: BLE001  a fork must never fall back into the parent's loop
            _log(f"agent for {hello.user} failed: {type(error).__name__}: {error}")
        finally:
            os._exit(code)


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--socket", required=True)
    parser.add_argument("--owner", required=True)
    parser.add_argument("--max-agents", type=int, default=MAX_AGENTS)
    options = parser.parse_args()
    Spawner(options.socket, options.owner, options.max_agents).run()


if __name__ == "__main__":
    main()
