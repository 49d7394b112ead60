"""The list of 10,000 jobs: a first page of 100 by user and state, and the whole as NDJSON, against GET /jobs."""

from __future__ import annotations

import time

from tests.bench import load
from tests.bench.lab import Lab
from tests.bench.verdict import Verdict

JOBS = 10_000
PAGES = 200
WHOLES = 5
THEIRS = 3


def run(lab: Lab) -> list[Verdict]:
    """Every side alone, one connection."""
    lab.forget_jobs()
    lab.begin_anew()
    lab.fill_queue(JOBS)
    path = "/v1/jobs?user=alice&state=HELD&limit=100"
    give_up = time.monotonic() + 120
    while True:  # until the service has listed them
        whole = load.run(lab.api_port, lambda _: lab.ours("GET", "/v1/jobs", Accept="application/x-ndjson"), 1,
                         keep=True)  # fmt: skip
        listed = whole.bodies[0].count(b"\n")
        if listed >= JOBS:
            break
        if time.monotonic() > give_up:
            raise RuntimeError(f"{listed} of {JOBS} jobs are listed")
        time.sleep(1)
    page = load.run(lab.api_port, lambda _: lab.ours("GET", path), PAGES)
    whole = load.run(lab.api_port, lambda _: lab.ours("GET", "/v1/jobs", Accept="application/x-ndjson"), WHOLES)
    theirs = load.run(lab.port_of_slurmrestd, lambda _: lab.slurmrestd("GET", "/jobs"), THEIRS, keep=True)
    print(f"  first page {page}; whole list {whole.p50_s * 1e3:.0f} ms; slurmrestd GET /jobs {theirs.p50_s:.2f} s, "
          f"{len(theirs.bodies[0]) / 1e6:.0f} MB")  # fmt: skip
    return [
        Verdict("list, first page", theirs.p50_s / page.p50_s, 200),
        Verdict("list, whole as NDJSON", theirs.p50_s / whole.p50_s, 20),
    ]
