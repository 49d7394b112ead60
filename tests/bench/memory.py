"""Resident memory of all processes of the service that knows 100,000 jobs, a tenth of which are in Slurm's queue."""

from __future__ import annotations

import time
from pathlib import Path

from tests.bench import load
from tests.bench.lab import Lab
from tests.bench.verdict import Verdict

KNOWN = 100_000
QUEUED = KNOWN // 10
BAR_MB = 500


def _resident(lab: Lab) -> tuple[float, float]:
    """Megabytes of the service's Python processes: shared pages once, and shared pages with each that has them."""
    pss = rss = 0
    for process in lab.service.top()["Processes"]:
        pid, command = process[1], process[-1]
        if "python" in command or "hpcjobs" in command:
            told = Path(f"/proc/{pid}/smaps_rollup").read_text()
            fields = dict(line.split(":", 1) for line in told.splitlines()[1:])
            pss += int(fields["Pss"].split()[0])
            rss += int(fields["Rss"].split()[0])
    return pss / 1000, rss / 1000


def run(lab: Lab) -> list[Verdict]:
    """After lists, pages and submissions of four users."""
    lab.forget_jobs()
    body = {"script": "#!/bin/sh\nsleep 1\n", "hold": True}
    lab.fill_queue(QUEUED)
    lab.begin_anew(KNOWN - QUEUED)
    for user in ("alice", "bob", "carol", "dave"):
        load.run(lab.api_port, lambda _, u=user: lab.ours("POST", "/v1/jobs", u, body=body), 50, 4)
        load.run(lab.api_port, lambda _, u=user: lab.ours("GET", "/v1/jobs?limit=1000", u), 50, 4)
    give_up = time.monotonic() + 120
    while True:
        whole = load.run(
            lab.api_port, lambda _: lab.ours("GET", "/v1/jobs", "operator", Accept="application/x-ndjson"), 1, keep=True
        )
        listed = whole.bodies[0].count(b"\n")
        if listed >= KNOWN:
            break
        if time.monotonic() > give_up:
            raise RuntimeError(f"{listed} of {KNOWN} jobs are known")
        time.sleep(1)
    time.sleep(5)
    pss_mb, rss_mb = _resident(lab)
    print(f"  {listed} jobs known: {pss_mb:.0f} MB resident, {rss_mb:.0f} MB where shared pages count for each process")
    return [Verdict("memory, MB of the bar", pss_mb / BAR_MB, 1.0, most=True, note=f"{pss_mb:.0f} MB")]
