"""One request with little, against a server that answers what it is told to, byte for byte."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator

import pytest

from hpcjobs.cli.quick import exchange
from hpcjobs.profiles import ClientConfig

Ask = Callable[[bytes], tuple[int, bytes]]


@pytest.fixture
def server() -> Iterator[tuple[str, list[bytes], list[bytes]]]:
    """Its address, what it was asked, and the answers that it is to give."""
    asked: list[bytes] = []
    answers: list[bytes] = []
    listening = socket.create_server(("127.0.0.1", 0))
    listening.settimeout(60)

    def serve() -> None:
        connection, _ = listening.accept()
        with connection, contextlib.suppress(OSError):  # who asked may have hung up, and that is told there
            data = b""
            while b"\r\n\r\n" not in data and (more := connection.recv(65536)):
                data += more
            asked.append(data)
            connection.sendall(answers.pop(0))

    thread = threading.Thread(target=serve)
    thread.start()
    yield f"http://127.0.0.1:{listening.getsockname()[1]}/base/", asked, answers
    thread.join(60)
    assert not thread.is_alive()
    listening.close()


@pytest.fixture
def ask(server) -> Ask:
    url, _, answers = server

    def ask(answer: bytes) -> tuple[int, bytes]:
        answers.append(answer)
        return exchange(ClientConfig(url=url, token=" secret\n"), "GET", "/v1/me", {"Accept": "x"}, environment={})

    return ask


def test_a_request_says_who_asks_and_closes_after_the_answer(server, ask: Ask):
    assert ask(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}") == (200, b"{}")
    line, *fields = server[1][0].decode().split("\r\n")
    assert line == "GET /base/v1/me HTTP/1.1"
    assert {"Authorization: Bearer secret", "Connection: close", "Content-Length: 0", "Accept: x"} <= set(fields)


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (b"HTTP/1.1 422 Unprocessable Content\r\ncontent-length: 1\r\n\r\nx", (422, b"x")),
        (b"HTTP/1.0 200 OK\r\n\r\nuntil the end", (200, b"until the end")),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n1;x=y\r\nd\r\n0\r\n\r\n", (200, b"abcd")),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", (200, b"")),
    ],
)
def test_an_answer_is_read_to_its_end(ask: Ask, answer: bytes, told: tuple[int, bytes]):
    assert ask(answer) == told


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1",
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nab",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
    ],
)
def test_an_answer_that_broke_off_is_none(ask: Ask, answer: bytes):
    with pytest.raises((OSError, ValueError)):
        ask(answer)


@pytest.mark.parametrize("url", ["", "nowhere", "ftp://a", "http://", "http://[::1]:80", "http://a:b@c", "http://a:x"])
def test_an_odd_address_is_left_to_the_whole_client(url: str):
    with pytest.raises(ValueError):  # noqa: PT011
        exchange(ClientConfig(url=url), "GET", "/", {}, environment={})


def test_a_proxy_is_left_to_the_whole_client():
    with pytest.raises(ValueError, match="proxy"):
        exchange(ClientConfig(), "GET", "/", {}, environment={"HTTPS_PROXY": "http://a"})


def test_where_nobody_listens_there_is_no_answer():
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))  # held, so that nobody else listens there
        config = ClientConfig(url=f"http://127.0.0.1:{holder.getsockname()[1]}")
        with pytest.raises(OSError, match="refused"):
            exchange(config, "GET", "/", {}, environment={})
