"""Durable submissions over REST at 16 connections, against slurmrestd at as many, and against a bare pyslurm loop."""

from __future__ import annotations

import uuid

from tests.bench import load
from tests.bench.lab import SCRIPT, Lab
from tests.bench.load import Call, Load
from tests.bench.verdict import Verdict

COUNT = 1_500
ROUNDS = 3
CONNECTIONS = 16


def _ours(lab: Lab, name: str) -> Load:
    body = {"script": SCRIPT, "name": name, "hold": True, "resources": {"wall_s": 600}}

    def make(_number: int) -> Call:
        return lab.ours("POST", "/v1/jobs", body=body, **{"Idempotency-Key": uuid.uuid4().hex})

    return load.run(lab.api_port, make, COUNT, CONNECTIONS)


def _slurmrestd(lab: Lab, name: str) -> Load:
    job = {
        "name": name,
        "hold": True,
        "current_working_directory": "/home/alice",
        "time_limit": {"set": True, "number": 10},
        "environment": ["PATH=/usr/bin:/bin"],
    }
    body = {"script": SCRIPT, "job": job}
    return load.run(
        lab.port_of_slurmrestd, lambda _: lab.slurmrestd("POST", "/job/submit", body=body), COUNT, CONNECTIONS
    )


def run(lab: Lab) -> list[Verdict]:
    """Three rounds, each with every side; the median round counts."""
    lab.forget_jobs()
    lab.begin_anew()
    against_rest, against_loop, p99_s = [], [], []
    for number in range(ROUNDS):
        name = f"bench-{uuid.uuid4().hex[:8]}"
        ours = _ours(lab, name)
        theirs = _slurmrestd(lab, f"rest-{name}")
        loop = lab.pyslurm_loop(COUNT, f"loop-{name}")
        made = len(lab.slurm_jobs_named(name))
        if made != COUNT:
            raise RuntimeError(f"{COUNT} submissions were answered and {made} jobs are in Slurm")
        print(f"  round {number + 1}: hpcjobs {ours}; slurmrestd {theirs}; pyslurm loop {loop:.0f}/s", flush=True)
        against_rest.append(ours.per_s / theirs.per_s)
        against_loop.append(ours.per_s / loop)
        p99_s.append(ours.p99_s)
    note = f"p99 {sorted(p99_s)[ROUNDS // 2] * 1e3:.0f} ms"
    return [
        Verdict("submit against slurmrestd", sorted(against_rest)[ROUNDS // 2], 1.5, note=note),
        Verdict("submit against a pyslurm loop", sorted(against_loop)[ROUNDS // 2], 0.9, note=note),
    ]
