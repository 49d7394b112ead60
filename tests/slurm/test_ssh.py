"""The login node's real sshd: who is let in, what breaks, what is bounded."""

from __future__ import annotations

import asyncio
import base64
import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import paramiko
import pytest

from hpcjobs.errors import NotAllowed, OutcomeUnknown, SlurmUnavailable
from hpcjobs.slurm.errtexts import NUMBERS
from hpcjobs.slurm.ssh import SshBackend
from hpcjobs.slurm.ssh_keys import CertificateKeys
from hpcjobs.slurm.ssh_transport import CHANNELS, AnswerLost, NotSent, SshPool
from tests.contract.subject import Subject

from ..unit.builders import until
from .conftest import Stack
from .ways import ca_key, ssh_pool


@pytest.fixture
async def pool(stack: Stack, tmp_path: Path):
    pool = ssh_pool(stack, tmp_path)
    yield pool
    await pool.close()


@pytest.fixture
def bashrc(stack: Stack) -> Iterator[str]:
    """Alice's, which her login shell reads before every command."""
    path = "/home/alice/.bashrc"
    yield path
    stack.run("login", f"rm -rf {path} /home/alice/bin")


def sessions(stack: Stack, user: str = "alice") -> list[str]:
    """Process ids of the user's sessions."""
    said = stack.run("login", f"ps -u {user} -o pid=,args= | grep 'sshd[^ ]*: {user}' || true")
    return [line.split()[0] for line in said.splitlines()]


def put(stack: Stack, path: str, text: str) -> None:
    """Write a program or a startup file of alice's."""
    content = base64.b64encode(text.encode()).decode()
    there = f"mkdir -p $(dirname {path}) && echo {content} | base64 -d >{path} && chmod 755 {path}"
    stack.run("login", there, user="alice")


def cut(stack: Stack) -> None:
    """Break every connection of alice's."""
    stack.run("login", f"kill -9 {' '.join(sessions(stack))}")


async def test_many_calls_share_one_connection_and_no_more_channels_than_sshd_allows(stack: Stack, pool: SshPool):
    script = "date +%s.%N; sleep 0.3; date +%s.%N\n"
    of_the_service = set(sessions(stack))
    ran = await asyncio.gather(*(pool.run("alice", script, 60) for _ in range(30)))
    assert [one.status for one in ran] == [0] * 30
    spans = [tuple(map(float, one.out.split())) for one in ran]
    most = max(sum(start <= moment < end for start, end in spans) for moment, _ in spans)
    assert 1 < most <= CHANNELS
    assert len(set(sessions(stack)) - of_the_service) == 1


async def test_a_connection_that_has_died_is_made_again(stack: Stack, pool: SshPool):
    await pool.run("alice", "true\n", 30)
    cut(stack)
    assert (await pool.run("alice", "echo again\n", 30)).out == b"again\n"


async def test_a_connection_that_dies_while_a_command_runs_leaves_its_outcome_open(stack: Stack, pool: SshPool):
    call = asyncio.create_task(pool.run("alice", "sleep 123\n", 180))
    await asyncio.to_thread(until, lambda: stack.run("login", "pgrep -u alice -x -f 'sleep 123'", check=False))
    cut(stack)
    with pytest.raises(AnswerLost):
        await call


async def test_a_submission_whose_answer_is_lost_is_not_sent_again_and_is_found_by_its_mark(
    stack: Stack, pool: SshPool, bashrc: str
):
    put(stack, "/home/alice/bin/sbatch", '#!/bin/sh\nsleep 10.25\nexec /usr/bin/sbatch "$@"\n')
    put(stack, bashrc, "PATH=/home/alice/bin:$PATH\n")
    subject = Subject(SshBackend(stack.cluster, pool, "hpcjobs"))
    launch = subject.launch(hold=True)
    call = asyncio.create_task(subject.backend.submit("alice", launch))
    begun = "pgrep -u alice -x -f 'sleep 10.25'"
    await asyncio.to_thread(until, lambda: stack.run("login", begun, check=False))
    cut(stack)
    with pytest.raises(OutcomeUnknown):
        await call
    found = None
    for _ in range(300):
        found = found or await subject.backend.find("alice", launch.attempt)
        await asyncio.sleep(0.2)
    assert found
    subject.numbers.append(found)
    assert [job.attempt for job in (await subject.jobs()).values()].count(launch.attempt) == 1
    await subject.clean()


async def test_what_login_scripts_print_is_not_taken_for_an_answer(stack: Stack, pool: SshPool, bashrc: str):
    put(stack, bashrc, "echo 12345\necho noise >&2\nexport SBATCH_PARTITION=none\n")
    subject = Subject(SshBackend(stack.cluster, pool, "hpcjobs"))
    number = await subject.submit(hold=True)
    assert (await subject.record(number)).raw_state == "PENDING"
    await subject.clean()


async def test_an_answer_that_is_too_long_or_comes_too_late_is_lost(pool: SshPool):
    with pytest.raises(AnswerLost, match="longer than 1000000 bytes"):
        await pool.run("alice", "head -c 3000000 /dev/zero\n", 30, 1_000_000)
    began = time.monotonic()
    with pytest.raises(AnswerLost):
        await pool.run("alice", "sleep 25\n", 1)
    assert time.monotonic() - began < 20


async def test_an_idle_connection_is_closed(stack: Stack, tmp_path: Path):
    told = ssh_pool(stack, tmp_path)
    pool = SshPool("127.0.0.1", told.port, told.known_hosts, told.keys, idle_s=0.2)
    of_the_service = set(sessions(stack))
    await pool.run("alice", "true\n", 30)
    assert set(sessions(stack)) - of_the_service
    for _ in range(300):
        await asyncio.sleep(0.2)
        if not set(sessions(stack)) - of_the_service:
            break
    assert not set(sessions(stack)) - of_the_service
    assert (await pool.run("alice", "echo back\n", 30)).out == b"back\n"
    await pool.close()
    await told.close()


class Late(CertificateKeys):
    """Signs what ended an hour ago."""

    def certificate(self, user, key, now):
        return super().certificate(user, key, now - 3600)


class Other(CertificateKeys):
    """Signs for somebody else than is asked."""

    def certificate(self, user, key, now):
        return super().certificate("bob", key, now)


@pytest.mark.parametrize("kind", [Late, Other])
async def test_a_certificate_that_has_ended_or_names_another_user_lets_nobody_in(stack: Stack, tmp_path: Path, kind):
    told = ssh_pool(stack, tmp_path)
    pool = SshPool("127.0.0.1", told.port, told.known_hosts, kind(ca_key(stack, tmp_path)))
    with pytest.raises(NotSent, match="Authentication failed"):
        await pool.run("alice", "true\n", 30)
    with pytest.raises(SlurmUnavailable):
        await SshBackend(stack.cluster, pool, "hpcjobs").view(0)
    await pool.close()
    await told.close()


async def test_root_is_refused_by_us_and_by_the_login_node(stack: Stack, pool: SshPool):
    with pytest.raises(NotAllowed):
        await pool.run("root", "true\n", 30)

    def knock() -> None:
        keys = pool.keys
        assert isinstance(keys, CertificateKeys)
        key = keys.key_of("alice")
        with socket.create_connection(("127.0.0.1", pool.port), timeout=10) as connection:
            transport = paramiko.Transport(connection)
            try:
                transport.start_client(timeout=10)
                transport.auth_publickey("root", key)
            finally:
                transport.close()

    with pytest.raises(paramiko.AuthenticationException):
        await asyncio.to_thread(knock)


def test_our_error_texts_are_slurms_own(stack: Stack):
    inside = (
        "import ctypes, json\n"
        "library = ctypes.CDLL('/usr/lib/x86_64-linux-gnu/slurm-wlm/libslurmfull.so')\n"
        "library.slurm_strerror.restype = ctypes.c_char_p\n"
        "print(json.dumps({number: library.slurm_strerror(number).decode() for number in range(1, 7100)}))\n"
    )
    texts = json.loads(stack.run("slurmctld", f'python3 -c "{inside}"'))
    since = {1021, 1022, 1023, 2064, 2180, 6010, 6011, 7015} if stack.cluster == "slurm2605" else set()
    for number in set(NUMBERS.values()) - ({1021, 1022, 1023, 2064, 2180, 6010, 6011, 7015} - since):
        assert NUMBERS.get(texts[str(number)]) == number
