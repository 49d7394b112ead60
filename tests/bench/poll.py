"""Two hundred clients that poll, against one: how often does Slurm's controller have to list its jobs?"""

from __future__ import annotations

import http.client
import re
import threading
import time

from tests.bench.lab import Lab
from tests.bench.verdict import Verdict

CLIENTS = 200
PER_S = 5.0
FOR_S = 30.0
LISTS_JOBS = re.compile(r"REQUEST_JOB_INFO\w*\s+\(\s*\d+\)\s+count:(\d+)")


def _listings(lab: Lab) -> int:
    """How many requests to list jobs slurmctld has had."""
    return sum(int(count) for count in LISTS_JOBS.findall(lab.said("slurmctld", "sdiag")))


def _poll(lab: Lab, clients: int, job_id: str) -> tuple[int, int]:
    """Poll for a while; how many answers came, and how many listings it took."""
    answers = [0] * clients
    calls = [lab.ours("GET", "/v1/jobs?limit=100"), lab.ours("GET", f"/v1/jobs/{job_id}")]
    end = time.monotonic() + FOR_S

    def client(number: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", lab.api_port, timeout=60)
        due = time.monotonic() + number / clients / PER_S
        while (now := time.monotonic()) < end:
            if due > now:
                time.sleep(due - now)
            due += 1 / PER_S
            call = calls[number % 2]
            connection.request(call.method, call.path, headers=call.headers)
            answer = connection.getresponse()
            answer.read()
            answers[number] += answer.status == http.client.OK
        connection.close()

    before = _listings(lab)
    threads = [threading.Thread(target=client, args=(number,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(answers), _listings(lab) - before


def run(lab: Lab) -> list[Verdict]:
    """One client first, then all."""
    lab.forget_jobs()
    lab.begin_anew()
    with lab.api() as api:
        job = api.post("/v1/jobs", json={"script": "#!/bin/sh\nsleep 1\n", "hold": True}).json()
    answers_one, listings_one = _poll(lab, 1, job["id"])
    answers_all, listings_all = _poll(lab, CLIENTS, job["id"])
    print(f"  one client: {answers_one} answers, {listings_one} listings; {CLIENTS} clients: {answers_all} answers, "
          f"{listings_all} listings")  # fmt: skip
    if not listings_one or answers_all < 10 * answers_one:
        raise RuntimeError("nobody polled")
    return [Verdict("poll, listings of slurmctld", listings_all / listings_one, 1.2, most=True)]
