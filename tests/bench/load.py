"""Load from loopback: a bounded number of calls over a bounded number of connections, each timed."""

from __future__ import annotations

import http.client
import itertools
import statistics
import threading
import time
from collections.abc import Callable
from typing import NamedTuple


class Call(NamedTuple):
    """One HTTP request."""

    method: str
    path: str
    headers: dict[str, str]
    body: str | None = None


class Load(NamedTuple):
    """What came of it.

    Attributes:
        wall_s: From the first call to the last answer.
        times_s: Of each call, in ascending order.
        bodies: Of the answers, where they were kept.
    """

    wall_s: float
    times_s: list[float]
    bodies: list[bytes]

    @property
    def per_s(self) -> float:
        """Calls a second."""
        return len(self.times_s) / self.wall_s

    @property
    def p50_s(self) -> float:
        """Median."""
        return statistics.median(self.times_s)

    @property
    def p99_s(self) -> float:
        """99th percentile."""
        return self.times_s[min(len(self.times_s) - 1, int(len(self.times_s) * 0.99))]

    def __str__(self) -> str:
        return f"{self.per_s:.0f}/s, p50 {self.p50_s * 1e3:.1f} ms, p99 {self.p99_s * 1e3:.1f} ms"


def run(port: int, make: Callable[[int], Call], count: int, connections: int = 1, *, keep: bool = False) -> Load:
    """Make calls, each connection one after the other.

    Args:
        port: On 127.0.0.1.
        make: The call of a number.
        count: How many calls.
        connections: How many at once.
        keep: Whether to keep the bodies.

    Raises:
        RuntimeError: An answer that is no success: a benchmark of errors says nothing.
    """
    numbers, lock = itertools.count(), threading.Lock()
    times_s: list[float] = []
    bodies: list[bytes] = []
    wrong: list[str] = []

    def work() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=300)
        connection.connect()
        while not wrong:
            with lock:
                number = next(numbers)
            if number >= count:
                break
            call = make(number)
            began = time.perf_counter()
            connection.request(call.method, call.path, call.body, call.headers)
            answer = connection.getresponse()
            body = answer.read()
            times_s.append(time.perf_counter() - began)
            if answer.status >= http.client.MULTIPLE_CHOICES:
                wrong.append(f"{call.method} {call.path}: {answer.status} {body[:500]!r}")
            if keep:
                bodies.append(body)
        connection.close()

    workers = [threading.Thread(target=work) for _ in range(connections)]
    began = time.perf_counter()
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    wall_s = time.perf_counter() - began
    if wrong:
        raise RuntimeError(wrong[0])
    return Load(wall_s, sorted(times_s), bodies)
