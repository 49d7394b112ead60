"""The cluster as a benchmark needs it: a service of its own without rate limits, Slurm's own doors beside it."""

from __future__ import annotations

import io
import json
import subprocess
import tarfile
import tempfile
import textwrap
import time
from pathlib import Path
from typing import Any

import docker
import httpx
from docker.models.containers import Container

from tests.bench.load import Call
from tests.bench.seed import seed
from tests.slurm.conftest import PROJECT, Stack

ROOT = Path(__file__).parents[2]
SCRIPT = "#!/bin/sh\nsleep 60\n"
STATE = "/var/lib/hpcjobs"
VERSION = "v0.0.45"


class Bench(Stack):
    """A 26.05 cluster with service ``bench`` beside it.

    Attributes:
        api_port: Of the service, on loopback.
        port_of_slurmrestd: On loopback.
        service: Its container.
    """

    api_port: int
    port_of_slurmrestd: int
    service: Container

    def __init__(self, project: str) -> None:
        super().__init__(docker.from_env(), "slurm2605", "", "pyslurm", project)

    @property
    def url(self) -> str:
        """Of the bench's own service."""
        return f"http://127.0.0.1:{self.api_port}"

    def token(self, user: str) -> str:
        """A token of the bench's own service."""
        if user not in self._tokens:
            self._tokens[user] = self.run("bench", f"hpcjobs token {user}", user="hpcjobs").strip()
        return self._tokens[user]

    def ours(self, method: str, path: str, user: str = "alice", body: Any = None, **headers: str) -> Call:
        """A call of our API."""
        told = {"Authorization": f"Bearer {self.token(user)}", "Accept": "application/json"} | headers
        if body is not None:
            told["Content-Type"] = "application/json"
        return Call(method, path, told, None if body is None else json.dumps(body))

    def slurmrestd(self, method: str, path: str, user: str = "alice", body: Any = None) -> Call:
        """A call of slurmrestd."""
        name = f"slurm-{user}"
        if name not in self._tokens:
            said = self.run("slurmctld", f"scontrol token username={user} lifespan=7200")
            self._tokens[name] = said.strip().removeprefix("SLURM_JWT=")
        told = {"X-SLURM-USER-NAME": user, "X-SLURM-USER-TOKEN": self._tokens[name]}
        if body is not None:
            told["Content-Type"] = "application/json"
        return Call(method, f"/slurm/{VERSION}{path}", told, None if body is None else json.dumps(body))

    def pyslurm_loop(self, count: int, name: str, user: str = "alice", **request: int) -> float:
        """Submit in a bare loop of pyslurm, as a user.

        Args:
            count: How many.
            name: Of all of them.
            user: Whose.
            request: What else they ask for; with nothing they are held.

        Returns:
            Submissions a second.
        """
        asked = ", ".join(f"{key}={value}" for key, value in (request or {"priority": 0}).items())
        program = textwrap.dedent(f"""\
            import time, os, pyslurm
            pyslurm.slurm_init("/etc/slurm/slurm.conf")
            def one():
                return pyslurm.JobSubmitDescription(
                    name={name!r}, script={SCRIPT!r}, working_directory="/home/{user}", {asked},
                    time_limit="00:10:00", environment={{"PATH": "/usr/bin:/bin"}},
                ).submit()
            began = time.perf_counter()
            for _ in range({count}):
                one()
            print(time.perf_counter() - began)
            """)
        command = ["env", "PYSLURM_DISABLE_AUTO_INIT=1", "python", "-c", program]
        code, (out, err) = self.service.exec_run(command, user=user, demux=True)
        if code:
            raise RuntimeError((err or b"").decode()[-2000:])
        return count / float(out)


class Lab(Bench):
    """The usual cluster; its usual service rests while a benchmark runs, and ``bench`` takes its place."""

    def __init__(self) -> None:
        super().__init__(PROJECT)
        self.usual = self.container("hpcjobs")
        self.usual.stop(timeout=10)
        subprocess.run([ROOT / "scripts/cluster", "up", "bench"], check=True, stdout=subprocess.DEVNULL)
        self.service = self.container("bench")
        self.port_of_slurmrestd = self.port("slurmrestd", 6820)
        self.api_port = self.port("bench", 8080)

    def close(self) -> None:
        """The usual service again, and nothing of ours in Slurm."""
        self.forget_jobs()
        self.service.stop(timeout=10)
        self.usual.start()

    def forget_jobs(self) -> None:
        """Start slurmctld with an empty queue: jobs that were cancelled would be listed for ten minutes more."""
        state = "/var/lib/slurm/slurmctld"
        self.run("slurmctld", f"rm -f {state}/job_state* {state}/assoc_usage*; kill -9 $(pidof slurmctld)", check=False)
        give_up = time.monotonic() + 90
        while "is UP" not in self.run("login", "scontrol ping; sinfo -h", check=False):
            if time.monotonic() > give_up:
                raise RuntimeError("slurmctld does not come up")
            time.sleep(0.5)

    def begin_anew(self, known: int = 0) -> None:
        """The service with a database of its own that knows so many jobs that have ended."""
        self.service.stop(timeout=10)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "hpcjobs.db"
            seed(path, self.cluster, known)
            packed = io.BytesIO()
            with tarfile.open(fileobj=packed, mode="w") as tar:
                tar.add(path, "hpcjobs.db", filter=self._owned)
                for leftover in ("hpcjobs.db-wal", "hpcjobs.db-shm"):
                    tar.addfile(self._owned(tarfile.TarInfo(leftover)))
            self.service.put_archive(STATE, packed.getvalue())
        self.service.start()
        self.service.reload()
        self._tokens.clear()
        give_up = time.monotonic() + 120
        while time.monotonic() < give_up:
            try:
                if httpx.get(f"{self.url}/readyz", timeout=5).status_code == httpx.codes.OK:
                    return
            except httpx.HTTPError:
                pass
            time.sleep(0.3)
        raise RuntimeError("the service does not come up")

    def _owned(self, entry: tarfile.TarInfo) -> tarfile.TarInfo:
        entry.uid = entry.gid = self._service_uid
        entry.mode = 0o600
        return entry

    @property
    def _service_uid(self) -> int:
        if not hasattr(self, "_uid"):
            self.service.start()
            self._uid = int(self.said("bench", "id -u hpcjobs"))
            self.service.stop(timeout=10)
        return self._uid

    def fill_queue(self, count: int, user: str = "alice") -> None:
        """Bring the number of jobs that Slurm lists to ``count``, all of them held."""
        there = int(self.said("slurmctld", "squeue -h -t all | wc -l"))
        if count > there:
            self.pyslurm_loop(count - there, "fill", user)
