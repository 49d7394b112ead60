"""The contract over every way to both clusters, and what only a Slurm that runs scripts can show."""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from hpcjobs.errors import NotSupported, SlurmUnavailable
from hpcjobs.model.job import Fate
from hpcjobs.model.order import SignalScope, Verb
from hpcjobs.slurm.cluster_commands import reservation_words
from hpcjobs.slurm.pyslurm_client import PyslurmBackend
from hpcjobs.slurm.slurm_commands import quoted
from hpcjobs.slurm.slurmrestd import SlurmrestdBackend
from hpcjobs.slurm.ssh import SshBackend
from hpcjobs.slurm.ssh_transport import SshPool
from tests.contract.subject import LONG, Subject

from ..unit.builders import until
from .conftest import Stack
from .ways import OBSERVER, WAYS, jwt_key, known_hosts, opened, ssh_pool

pytest.register_assert_rewrite("tests.contract.suite")

from tests.contract.suite import *  # noqa: E402, F403


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def cluster(way: str, request: pytest.FixtureRequest) -> Stack:
    stack: Stack = request.getfixturevalue(way.rpartition("@")[2])
    return stack


@pytest.fixture
async def subject(way: str, cluster: Stack, tmp_path: Path) -> AsyncIterator[Subject]:
    async with opened(way, cluster, tmp_path) as backend:
        subject = Subject(
            backend,
            users_suspend=cluster.cluster == "slurm2605",
            administrator=cluster.service_level == "Administrator",
            otherwise=lambda order: cluster.run("slurmctld", quoted(reservation_words(order, time.time())), OBSERVER),
        )
        yield subject
        await subject.clean()


ENVIRONMENT = {
    "PATH": "/usr/bin:/bin",
    "PLAIN": "1",
    "EMPTY": "",
    "LINES": "first\nsecond\n\n  third ",
    "COMMAS": "a,b=c;d",
    "QUOTES": 'it\'s "so" `id` $(touch /tmp/hpcjobs-was-here) ${HOME} \\',
    "UNICODE": "größer ☃ 漢字",
    "LONG": "x" * 100_000,
}


async def printed(subject: Subject, cluster: Stack, script: str, **fields: object) -> bytes:
    """What a job of alice's writes into the file that it is given as OUT."""
    path = f"/scratch/contract-{time.time_ns()}"
    script = script.replace("OUT", path)
    number = await subject.submit(script, **fields)
    job = await subject.ended(number)
    try:
        assert job.fate is Fate.COMPLETED, job
        return cluster.secret("login", path)
    finally:
        cluster.run("login", f"rm -f {path}")


async def test_the_environment_and_the_arguments_reach_the_job_exactly(subject: Subject, cluster: Stack) -> None:
    script = "#!/bin/bash\n{ env -0; printf '\\1'; printf '%s\\0' \"$@\"; } >OUT\n"
    args = ("a b", "it's", "-x", "--hold", "two\nlines", "$(id)", "☃", "\\")
    said = await printed(subject, cluster, script, environment=ENVIRONMENT, args=args)
    variables, _, rest = said.partition(b"\1")
    env = dict(entry.split("=", 1) for entry in variables.decode().split("\0") if entry)
    assert {name: env.get(name) for name in ENVIRONMENT} == ENVIRONMENT
    assert tuple(rest.decode().split("\0")[:-1]) == args
    assert not [name for name in env if name.startswith("SBATCH_")]


async def test_the_login_environment_is_there_where_it_is_asked_for_and_not_otherwise(
    subject: Subject, cluster: Stack
) -> None:
    script = '#!/bin/bash\nprintf "%s" "${LOGNAME-none}" >OUT\n'
    assert await printed(subject, cluster, script, environment={"PATH": "/usr/bin:/bin"}) == b"none"
    with_login = {"PATH": "/usr/bin:/bin", "SLURM_GET_USER_ENV": "1"}
    assert await printed(subject, cluster, script, environment=with_login) == b"alice"


async def test_a_script_of_a_megabyte_arrives_whole(subject: Subject, cluster: Stack) -> None:
    filler = "".join(f'# {index} it\'s "filler" \\ $(id) ☃\n' for index in range(30_000))
    assert len(filler.encode()) > 1_000_000
    script = f'#!/bin/bash\n{filler}sha256sum <"$0" >OUT; wc -l <"$0" >>OUT\nexit 0\n'
    digest, lines = (await printed(subject, cluster, script)).decode().split("\n")[:2]
    assert len(digest.split()[0]) == 64
    assert int(lines) == script.count("\n")


async def test_what_admission_took_out_of_a_script_does_not_come_back(subject: Subject) -> None:
    script = "#!/bin/bash\n#SBATCH --hold --job-name=theirs\n#SBATCH --begin=now+1day\n#PBS -N pbs\nexit 0\n"
    number = await subject.submit(script, name="ours")
    assert (await subject.record(number)).name == "ours"
    assert (await subject.ended(number)).fate is Fate.COMPLETED


@pytest.mark.parametrize(("line", "code", "signal"), [("exit 3", 3, 0), ("exit 255", 255, 0), ("kill -9 $$", 0, 9)])
async def test_an_exit_code_and_a_signal_are_told_as_they_were(
    subject: Subject, line: str, code: int, signal: int
) -> None:
    number = await subject.submit(f"#!/bin/bash\n{line}\n")
    job = await subject.ended(number)
    assert (job.fate, job.exit_code, job.exit_signal) == (Fate.FAILED, code, signal)


async def test_a_signal_to_the_batch_script_is_not_one_to_its_steps(subject: Subject, cluster: Stack) -> None:
    trapped = f"/scratch/contract-{time.time_ns()}"
    script = f"#!/bin/bash\ntrap 'rm {trapped}; exit 7' USR1\ntouch {trapped}\nsleep 60 &\nwait\nexit 1\n"
    number = await subject.submit(script)
    await subject.running(number)
    await asyncio.to_thread(until, lambda: cluster.run("login", f"ls {trapped} 2>/dev/null", check=False))
    assert await subject.order(Verb.SIGNAL, number, signal="USR1", scope=SignalScope.STEPS)
    assert (await subject.record(number)).fate is None
    assert await subject.order(Verb.SIGNAL, number, signal="USR1", scope=SignalScope.BATCH)
    assert (await subject.ended(number)).exit_code == 7


async def test_nothing_in_any_text_was_run_by_a_shell(cluster: Stack) -> None:
    """Of all the tests before: no name, comment, target, signal, variable or argument was."""
    for service in ("login", "slurmctld", "hpcjobs"):
        assert cluster.run(service, "ls /tmp/hpcjobs-was-here 2>/dev/null; true") == ""


async def test_where_nobody_listens_slurm_is_unavailable_and_nothing_is_known_to_have_been_done(
    way: str, cluster: Stack, tmp_path: Path
) -> None:
    kind = way.partition("@")[0]
    async with opened(way, cluster, tmp_path) as backend:
        if isinstance(backend, PyslurmBackend):
            conf = "/tmp/hpcjobs-nobody-listens.conf"
            cluster.run(
                "hpcjobs",
                f"sed 's,^Include ../,Include /etc/slurm-conf/,; $ a SlurmctldPort=1' /etc/slurm/slurm.conf >{conf}; "
                f"echo MessageTimeout=2 >>{conf}",
            )
            backend.slurm_conf = conf
            away: PyslurmBackend | SlurmrestdBackend | SshBackend = backend
        elif isinstance(backend, SlurmrestdBackend):
            key = jwt_key(cluster, tmp_path)
            away = SlurmrestdBackend(cluster.cluster, "http://127.0.0.1:1", key, "hpcjobs", (kind,))
        else:
            assert isinstance(backend, SshBackend)
            pool = ssh_pool(cluster, tmp_path)
            away = SshBackend(cluster.cluster, SshPool("127.0.0.1", 1, pool.known_hosts, pool.keys), "hpcjobs")
        subject = Subject(away)
        try:
            with pytest.raises(SlurmUnavailable):
                await subject.submit()
            with pytest.raises(SlurmUnavailable):
                await subject.order(Verb.CANCEL, 1)
        finally:
            await away.close()


async def test_a_login_node_with_another_host_key_gets_nothing(stack: Stack, tmp_path: Path) -> None:
    pool = ssh_pool(stack, tmp_path)
    path = known_hosts(stack, tmp_path, pool.port)
    kind, key = path.read_text().split()[1:3]
    raw = bytearray(base64.b64decode(key))
    raw[-1] ^= 1
    for text in (f"[127.0.0.1]:{pool.port} {kind} {base64.b64encode(bytes(raw)).decode()}\n", "\n"):
        path.write_text(text)
        backend = SshBackend(stack.cluster, SshPool("127.0.0.1", pool.port, path, pool.keys), "hpcjobs")
        with pytest.raises(SlurmUnavailable):
            await backend.view(0)
        await backend.close()


async def test_a_variable_that_sbatch_would_take_for_itself_is_refused_by_ssh_by_its_name(
    new: Stack, tmp_path: Path
) -> None:
    async with opened("ssh@new", new, tmp_path) as backend:
        launch = Subject(backend).launch(LONG, environment={"SBATCH_PARTITION": "debug"})
        with pytest.raises(NotSupported, match="SBATCH_PARTITION"):
            await backend.submit("alice", launch)
