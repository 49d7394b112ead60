"""An order whose answer is lost may have been done: no backend says that nothing was sent, none repeats what counts."""

from __future__ import annotations

import asyncio

import pytest

from hpcjobs.agents.pool import AgentFailure
from hpcjobs.agents.protocol import Failure
from hpcjobs.errors import OutcomeUnknown, SlurmUnavailable, WorkerLost
from hpcjobs.model.order import Changes, Order, Verb
from hpcjobs.slurm.outcomes import Part, verdict
from hpcjobs.slurm.pyslurm_client import PyslurmBackend
from hpcjobs.slurm.slurmrestd import SlurmrestdBackend
from hpcjobs.slurm.ssh import SshBackend
from hpcjobs.slurm.ssh_transport import AnswerLost, NotSent, Ran

PONG = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
NO_JOBS = b'HTTP/1.1 200 OK\r\nContent-Length: 24\r\n\r\n{"jobs":[], "errors":[]}'
ORDERS = [
    Order(Verb.CANCEL, "1"),
    Order(Verb.SIGNAL, "1", "USR1"),
    Order(Verb.REQUEUE, "1"),
    Order(Verb.HOLD, "1"),
    Order(Verb.UPDATE, "1", changes=Changes(name="x")),
]


def verb_of(order: Order) -> str:
    return order.verb.value


@pytest.fixture
async def slurmrestd(tmp_path):
    """A backend whose slurmrestd answers what only looks, and hangs up on everything else once it has come."""
    changes = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        if head.startswith("GET"):
            writer.write(PONG if "/ping/" in head else NO_JOBS)
            await writer.drain()
        else:
            changes.append(head.split()[1])
        writer.close()
        await writer.wait_closed()

    key = tmp_path / "jwt.key"
    key.write_bytes(b"k" * 32)
    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        backend = SlurmrestdBackend("big", f"http://127.0.0.1:{port}", key, "hpcjobs")
        try:
            yield backend, changes
        finally:
            await backend.close()


@pytest.mark.parametrize("order", ORDERS, ids=verb_of)
async def test_slurmrestd_hanging_up_on_an_order_leaves_open_whether_it_was_done(slurmrestd, order):
    backend, changes = slurmrestd
    with pytest.raises(OutcomeUnknown):
        await backend.act("alice", order)
    assert len(changes) == 1


async def test_slurmrestd_that_is_not_there_means_that_nothing_was_sent(tmp_path):
    (tmp_path / "jwt.key").write_bytes(b"k" * 32)
    gone = SlurmrestdBackend("big", "http://127.0.0.1:1", tmp_path / "jwt.key", "hpcjobs")
    with pytest.raises(SlurmUnavailable):
        await gone.act("alice", ORDERS[1])
    await gone.close()


class Lines:
    """In place of the connections to a login node: what befalls the next commands."""

    def __init__(self, *answers: Ran | Exception) -> None:
        self.answers = list(answers)
        self.said = 0

    async def run(self, user: str, script: str, timeout_s: float, most_bytes: int = 0) -> Ran:
        self.said += 1
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


LOST, DONE, KILLED = AnswerLost("broke"), Ran(0, b"", ""), Ran(124, b"", "")


@pytest.mark.parametrize("order", ORDERS[1:3], ids=verb_of)
async def test_over_ssh_a_signal_and_a_requeue_are_said_once(order):
    lines = Lines(LOST, DONE)
    with pytest.raises(OutcomeUnknown):
        await SshBackend("big", lines, "hpcjobs").act("alice", order)
    assert lines.said == 1


@pytest.mark.parametrize("order", [ORDERS[0], *ORDERS[3:]], ids=verb_of)
@pytest.mark.parametrize("then", [LOST, NotSent("no way"), KILLED], ids=repr)
async def test_over_ssh_other_orders_are_said_again_and_may_have_been_done_all_the_same(order, then):
    lines = Lines(LOST, DONE)
    await SshBackend("big", lines, "hpcjobs").act("alice", order)
    assert lines.said == 2
    with pytest.raises(OutcomeUnknown):
        await SshBackend("big", Lines(LOST, then), "hpcjobs").act("alice", order)


async def test_over_ssh_an_order_that_was_never_sent_was_not_done():
    with pytest.raises(SlurmUnavailable):
        await SshBackend("big", Lines(NotSent("no way")), "hpcjobs").act("alice", ORDERS[1])


async def test_over_ssh_an_order_whose_parts_cannot_be_looked_up_afterwards_may_have_been_done():
    ended = "scancel: error: Kill job error on job id 1_2: Job/step already completing or completed"
    with pytest.raises(OutcomeUnknown):
        await SshBackend("big", Lines(Ran(0, b"", ended), NotSent("no way")), "hpcjobs").act("alice", ORDERS[0])


@pytest.mark.parametrize(
    "fault", [WorkerLost("died", sent=True), AgentFailure(Failure("slurm", "Socket timed out", 5004))], ids=repr
)
async def test_an_agent_lost_over_an_order_leaves_open_whether_it_was_done(fault):
    class Pool:
        async def call(self, *_: object) -> None:
            raise fault

    with pytest.raises(OutcomeUnknown):
        await PyslurmBackend("big", Pool(), "slurm.conf", "hpcjobs").act("alice", ORDERS[1])


def test_a_part_whose_answer_was_lost_may_have_been_done():
    assert isinstance(verdict([Part("1_2", 5004, "Socket timed out")]), OutcomeUnknown)
