"""The dockerized clusters as fixtures. They must be up (``make test`` starts them): nothing here is skipped."""

from __future__ import annotations

import base64
import os
import re
import shlex
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import docker
import httpx
import pytest
from docker.models.containers import Container

from .scratch import FOUR, Scratch
from .steered import Use, administrator, in_use

PROJECT = os.environ.get("COMPOSE_PROJECT_NAME", "hpcjobs")
SECOND = os.environ.get("HPCJOBS_TEST_SECOND", PROJECT)
"""Where a second cluster of 26.05 is, on which the modules below are tested beside the others."""
ON_SECOND = re.compile(
    "test_(bad_input|containers|contract|identity|image_store|sacct|same_as_sbatch|sbatch(_every|_reads|_sets|_words)?"
    "|scancel|sinfo|squeue|ssh|topology(_command|_live|_ranks)?|tune)"
)
SERVICE = os.environ.get("HPCJOBS_TEST_SERVICE", "hpcjobs")
"""The service under test beside the cluster: another container with that label may stand in for it."""


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "/slurm/" in str(item.path):
            item.add_marker(pytest.mark.slurm)
            if item.get_closest_marker("xdist_group"):
                continue  # it has a cluster of its own
            # What stops a part of one cluster must not run beside what uses it: one worker for each cluster.
            parameters = item.callspec.params if hasattr(item, "callspec") else {}
            of_way = str(parameters.get("way", "")).rpartition("@")[2]
            group = parameters.get("stack") or of_way or cluster_of(item)
            second = group == "new" and project_of(item.path) != PROJECT
            item.add_marker(pytest.mark.xdist_group("second" if second else group))


def project_of(module: Path) -> str:
    """The compose project of the cluster of 26.05 that a module's tests use."""
    return SECOND if ON_SECOND.fullmatch(module.stem) else PROJECT


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Refuse to run where xdist does not keep the tests of one cluster together: they would stop each other's parts."""
    if hasattr(item.config, "workerinput") and "@" not in item.nodeid:
        pytest.fail("tests of one cluster are not kept on one worker: run them with --dist loadgroup")


def cluster_of(item: pytest.Item) -> str:
    """Which cluster a test that names its fixture uses; no test may use both."""
    (name,) = {"new", "old"} & set(getattr(item, "fixturenames", ())) or {"new"}
    return name


class Spoken:
    """A command in a container, and what it says, kept there until it has come through to the mark at its end.

    On a busy machine the engine loses output, garbles it, or says that a command has ended that still runs.

    Args:
        command: What is run.
        read: What has come through, and can go.

    Attributes:
        at: What its files' names begin with.
        begins: A shell's words: run it, and say what it said.
        again: Say it once more, when it has ended; what went with its container ends with 137.
    """

    MARK = b"#said#"

    def __init__(self, command: str, read: str) -> None:
        self.at = at = f"/var/tmp/said-{uuid.uuid4().hex}"
        told = f"cat {at}.out; cat {at}.err >&2; printf '{self.MARK.decode()}%d' $(cat {at}.code)"
        made = f"(umask 077; rm -f {read or at}.*; echo $$ >{at}.pid; : >{at}.out; : >{at}.err)"
        self.begins = (
            f"{made}\n(\n{command}\n) >>{at}.out 2>>{at}.err\necho $? >{at}.new; mv {at}.new {at}.code; {told}"
        )
        runs = f"[ ! -e {at}.code ] && grep -qs {at} /proc/$(cat {at}.pid)/cmdline"
        self.again = f"while {runs}; do sleep 0.2; done; [ -e {at}.code ] || echo 137 >{at}.code; {told}"


class Stack:
    """One cluster and the service beside it.

    Args:
        cluster: Slurm's ClusterName.
        prefix: Of its compose services.
        backend: What the service must reach it through.
        project: The compose project that both are.
    """

    def __init__(
        self, engine: docker.DockerClient, cluster: str, prefix: str, backend: str, project: str = PROJECT
    ) -> None:
        self.engine = engine
        self.cluster = cluster
        self.prefix = prefix
        self.backend = backend
        self.project = project
        self._tokens: dict[str, str] = {}
        self._read: dict[tuple[str, str], str] = {}
        """What was said last in a container, by a user: it can go."""

    def container(self, service: str) -> Container:
        service = SERVICE if service == "hpcjobs" else service
        found = self.engine.containers.list(
            all=True,
            filters={
                "label": [
                    f"com.docker.compose.project={self.project}",
                    f"com.docker.compose.service={self.prefix}{service}",
                ]
            },
        )
        if not found:
            pytest.fail(f"service {self.prefix}{service} is not there: run the tests with make test")
        return found[0]

    @cached_property
    def service_level(self) -> str:
        """What the service's user is in Slurm's accounting: Operator or Administrator."""
        return self.said("slurmctld", "sacctmgr -nP show user hpcjobs format=AdminLevel").strip()

    def run(self, service: str, command: str, user: str = "root", check: bool = True) -> str:
        code, out, err = self._exec(service, command, user)
        if check and code:
            pytest.fail(f"{service}: {command}: exit {code}: {err.decode()}")
        return out.decode()

    def _exec(
        self, service: str, command: str, user: str, environment: dict[str, str] | None = None
    ) -> tuple[int, bytes, bytes]:
        """A command in a container; one that the engine is starting again is waited for, nothing has run in it then."""
        spoken = Spoken(command, self._read.pop((service, user), ""))
        give_up = time.monotonic() + 600
        words = spoken.begins
        while True:
            try:
                _, (out, err) = self.container(service).exec_run(
                    ["bash", "-c", words], user=user, demux=True, environment=environment
                )
            except docker.errors.APIError as error:
                if words is spoken.again and "is not running" in str(error):
                    return 137, b"", b""  # it has ended its container
                if "is restarting" not in str(error) or time.monotonic() > give_up - 540:
                    raise
            except ValueError:  # garbled
                words = spoken.again
            else:
                said, mark, code = (out or b"").rpartition(Spoken.MARK)
                if mark and code.isdigit():
                    self._read[service, user] = spoken.at
                    return int(code), said, err or b""
                words = spoken.again
            if time.monotonic() > give_up:
                pytest.fail(f"{service}: {command}: what it said does not come through")
            time.sleep(0.3)

    def as_user(self, user: str, command: str, check: bool = True) -> str:
        """A command on the login node, with the user's login environment."""
        return self.run("login", f"su - {user} -c {shlex.quote(command)}", check=check)

    def typed(self, command: str, user: str = "alice", **variables: str) -> tuple[int, str, str]:
        """A command line of a user where both sbatch and ours are installed: exit code, stdout and stderr."""
        environment = {"HOME": f"/home/{user}", "USER": user, "HPCJOBS_TOKEN": self.token(user), **variables}
        code, out, err = self._exec("hpcjobs", f"cd /scratch; {command}", user, environment)
        return code, out.decode(), err.decode()

    def port(self, service: str, inside: int) -> int:
        """Where a port of a container is published on this machine."""
        ports = self.container(service).attrs["NetworkSettings"]["Ports"][f"{inside}/tcp"]
        return int(ports[0]["HostPort"])

    def said(self, service: str, command: str) -> str:
        """What a command says that always says something: on a busy machine an exec's output is lost now and then."""
        for _ in range(5):
            if said := self.run(service, command):
                return said
            time.sleep(0.5)
        pytest.fail(f"{service}: {command} says nothing")

    def secret(self, service: str, path: str) -> bytes:
        """The content of a file that only a container holds."""
        return base64.b64decode(self.said(service, f"base64 -w0 {shlex.quote(path)}"))

    @cached_property
    def url(self) -> str:
        """Where the service is, also while its container starts again and has no port."""
        return f"http://127.0.0.1:{self.port('hpcjobs', 8080)}"

    def token(self, user: str) -> str:
        if user not in self._tokens:
            self._tokens[user] = self.run("hpcjobs", f"hpcjobs token {user}", user="hpcjobs").strip()
        return self._tokens[user]

    def api(self, user: str | None = "alice") -> httpx.Client:
        headers = {"Authorization": f"Bearer {self.token(user)}"} if user else {}
        return httpx.Client(base_url=self.url, headers=headers, timeout=90)

    def submit(self, script: str, user: str = "alice", **request: Any) -> dict[str, Any]:
        with self.api(user) as api:
            response = api.post("/v1/jobs", json={"script": script, **request})
        assert response.status_code == 201, response.text
        return response.json()

    def job(self, job_id: str, user: str = "alice") -> dict[str, Any]:
        with self.api(user) as api:
            response = api.get(f"/v1/jobs/{job_id}")
        assert response.status_code == 200, response.text
        return response.json()

    def wait(
        self, job_id: str, until: Callable[[dict[str, Any]], bool], user: str = "alice", timeout_s: float = 180
    ) -> dict[str, Any]:
        """Ask until it is so; a 503 is asked again."""
        give_up = time.monotonic() + timeout_s
        last: Any = None
        with self.api(user) as api:
            while time.monotonic() < give_up:
                response = api.get(f"/v1/jobs/{job_id}")
                last = response.json()
                if response.status_code == 200 and until(last):
                    return last
                assert response.status_code in (200, 503), response.text
                time.sleep(0.2)
        pytest.fail(f"job {job_id} did not come so far in {timeout_s} s: {last}")

    def finished(self, job_id: str, user: str = "alice", timeout_s: float = 180) -> dict[str, Any]:
        return self.wait(job_id, lambda job: job["state"] == "FINISHED", user, timeout_s)

    def running(self, job_id: str, user: str = "alice") -> dict[str, Any]:
        return self.wait(job_id, lambda job: job["state"] == "RUNNING", user)

    def output(self, job_id: str, user: str = "alice", **query: Any) -> str:
        with self.api(user) as api:
            response = api.get(f"/v1/jobs/{job_id}/output", params=query)
        assert response.status_code == 200, response.text
        return response.text

    def slurm_jobs_named(self, name: str) -> list[str]:
        """Numbers of the jobs of this name that slurmctld knows, whatever became of them."""
        return self.run("slurmctld", f"squeue --states=all --noheader --format=%i --name={shlex.quote(name)}").split()

    def wait_ready(self, timeout_s: float = 180) -> None:
        give_up = time.monotonic() + timeout_s
        last = ""
        while time.monotonic() < give_up:
            try:
                response = httpx.get(f"{self.url}/readyz", timeout=5)
                last = response.text
                if response.status_code == 200:
                    return
            except (httpx.HTTPError, KeyError) as error:
                last = repr(error)
            time.sleep(0.3)
        pytest.fail(f"the service of {self.cluster} is not ready: {last}")

    @contextmanager
    def restarted(self, timeout_s: float = 180) -> Iterator[None]:
        """What is done inside ends the service. After it the service has begun again, and is ready.

        Ready alone does not tell: just after a kill the service may still answer, and only then go.
        """
        before = self.container("hpcjobs").attrs["State"]["StartedAt"]
        yield
        give_up = time.monotonic() + timeout_s
        while self.container("hpcjobs").attrs["State"]["StartedAt"] == before:
            if time.monotonic() > give_up:
                pytest.fail(f"the service of {self.cluster} did not begin again in {timeout_s} s")
            time.sleep(0.2)
        self.wait_ready(timeout_s)


@pytest.fixture(scope="session")
def engine() -> Iterator[docker.DockerClient]:
    client = docker.from_env(timeout=120)
    yield client
    client.close()


def used(stack: Stack) -> Iterator[Stack]:
    """A stack that is ready before, and without jobs of ours after."""
    stack.wait_ready()
    yield stack
    if SERVICE == "hpcjobs":  # else others use the cluster too
        stack.run("slurmctld", "for user in alice bob carol dave; do scancel --user=$user; done")


@pytest.fixture(scope="module")
def new(request: pytest.FixtureRequest, engine: docker.DockerClient) -> Iterator[Stack]:
    """Slurm 26.05 through pyslurm, SQLite."""
    yield from used(Stack(engine, "slurm2605", "", "pyslurm", project_of(request.path)))


@pytest.fixture(scope="session")
def old(engine: docker.DockerClient) -> Iterator[Stack]:
    """Slurm 24.11 through slurmrestd, PostgreSQL."""
    yield from used(Stack(engine, "slurm2411", "old-", "slurmrestd"))


@pytest.fixture(params=["new", "old"])
def stack(request: pytest.FixtureRequest) -> Stack:
    """Both, one after the other."""
    return request.getfixturevalue(request.param)


@pytest.fixture(params=[True, False], ids=["daemon", "foreground"])
def scratch(request: pytest.FixtureRequest, stack: Stack) -> Iterator[Scratch]:
    """A controller of its own beside each cluster's; a module's SCRATCH is the end of its slurm.conf."""
    made = Scratch(stack, daemon=request.param, conf=getattr(request.module, "SCRATCH", FOUR))
    yield made
    made.end()


@pytest.fixture
def use(stack: Stack) -> Iterator[Use]:
    """Puts policies in use; see ``in_use``."""
    with in_use(stack) as put:
        yield put


@pytest.fixture
def administered(stack: Stack) -> Iterator[None]:
    """Slurm lets the service change nodes; ask for it before ``use``, which takes back what was changed."""
    with administrator(stack):
        yield


@pytest.fixture
def writable(stack: Stack) -> Iterator[str]:
    """The live controller's configuration in a folder that can be written; after the test all is as it was."""
    conf = stack.run("slurmctld", "readlink /etc/slurm").strip()
    folder = "/run/topology-test"
    copied = f"rm -rf {folder} && cp -r /etc/slurm-conf {folder} && ln -sfn {folder}/$(basename {conf}) /etc/slurm"
    stack.run("slurmctld", copied)
    yield folder
    for command in (f"ln -sfn {conf} /etc/slurm", "scontrol reconfigure", f"rm -rf {folder}"):
        stack.run("slurmctld", command)
    give_up = time.monotonic() + 180
    while stack.run("slurmctld", "scontrol show topology && scontrol ping", check=False).split("(")[0] != "Slurmctld":
        assert time.monotonic() < give_up, "the live controller is not as it was"
        time.sleep(0.3)
    stack.wait_ready()


@pytest.fixture
def name() -> str:
    """A job name that nothing else has."""
    return f"test-{uuid.uuid4().hex[:12]}"


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """On failure: what Slurm and the service have to say."""
    outcome = yield
    report = outcome.get_result()
    if report.when != "call" or not report.failed or "slurm" not in item.keywords:
        return
    for prefix, project in (("", project_of(item.path)), ("old-", PROJECT)):
        if f"{prefix}login" == "old-login" and "old" not in item.nodeid and "stack" not in item.fixturenames:
            continue
        for service, command in {
            "slurmctld": "squeue -a; sinfo -N; tail -n 30 /var/log/slurm/slurmctld.log 2>/dev/null",
            "slurmdbd": "sacct -a -X --starttime now-10minutes -P 2>/dev/null | tail -n 20",
        }.items():
            done = subprocess.run(
                ["docker", "exec", f"{project}-{prefix}{service}-1", "bash", "-c", command],
                capture_output=True, text=True, timeout=60, check=False,
            )  # fmt: skip
            report.sections.append((f"{prefix}{service}", done.stdout + done.stderr))
        logs = subprocess.run(
            ["docker", "logs", "--tail", "40", f"{project}-{prefix}hpcjobs-1"],
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        report.sections.append((f"{prefix}hpcjobs", logs.stdout + logs.stderr))
