"""Accounting into usage: runs a second from what sacct prints to tables that are committed, and bytes a run.

The print is made up, in sacct's form, two lines a job (job and batch step), with 900 users, 60 projects, 1,250 nodes
and GPUs typed, untyped and in slices. It is read and written in pieces, as the service does at its first start, then
once more, as after a crash: that must change nothing.
"""

from __future__ import annotations

import asyncio
import os
import random
import tempfile
import time
from pathlib import Path

from hpcjobs.model.usage import NodeKind
from hpcjobs.slurm.sacct_runs import FIELDS, new_delimiter, runs_printed
from hpcjobs.usage import intake
from hpcjobs.usage.fleet import Fleet
from hpcjobs.usage.store import UsageStore
from tests.bench.verdict import Verdict

JOBS = int(os.environ.get("HPCJOBS_BENCH_JOBS", "400000"))
PIECE = 100_000
SEED = 7
FIRST = 1_700_000_000
TYPES = ("gres/gpu:a100={n},gres/gpu={n},", "gres/gpu={n},", "gres/gpu:a100_1g.5gb={n},gres/gpu={n},", "")
FLEET = Fleet(
    NodeKind(f"n{node}", 0, "gpu:a100:8" if node % 5 else "gpu:a100_1g.5gb:56", 64) for node in range(1, 1251)
)


def printed(first: int, chance: random.Random, delimiter: str) -> bytes:
    """A piece of a print."""
    lines = []
    for number in range(first, first + PIECE):
        submit = FIRST + number * 20
        start = submit + int(chance.expovariate(1 / 3600))
        end = start + int(chance.lognormvariate(7, 2))
        nodes, gpus, at = chance.choice((1, 1, 1, 2, 4)), chance.randrange(1, 9), chance.randrange(1, 1240)
        had = chance.choice(TYPES).format(n=nodes * gpus)
        tres = f"billing={nodes},cpu={8 * nodes},{had}mem={64 * nodes}G,node={nodes}"
        job = {
            "JobIDRaw": str(number), "JobID": str(number), "User": f"u{chance.randrange(900)}",
            "Account": f"a{chance.randrange(60)}", "Partition": "gpu", "QOS": "normal", "State": "COMPLETED",
            "Submit": str(submit), "Eligible": str(submit), "Start": str(start), "End": str(end),
            "Suspended": "00:00:00", "TimelimitRaw": "2880", "NNodes": str(nodes), "NCPUS": str(8 * nodes),
            "NodeList": f"n[{at}-{at + nodes - 1}]", "AllocTRES": tres, "ReqTRES": tres, "ExitCode": "0:0",
            "Restarts": "0", "Reason": "None", "TotalCPU": f"{(end - start) // 3600:02d}:12:03",
            "SubmitLine": f"sbatch -N{nodes} --gpus-per-node={gpus} train.sh",
        }  # fmt: skip
        step = {"JobIDRaw": f"{number}.batch", "JobID": f"{number}.batch", "MaxRSS": "204800K", "TotalCPU": "01:12.003"}
        lines += ["".join(f"{told.get(field, '')}{delimiter}" for field in FIELDS) + "\n" for told in (job, step)]
    return "".join(lines).encode()


def run() -> list[Verdict]:
    """Run it."""
    chance, took, again = random.Random(SEED), 0.0, 0.0
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "accounting.duckdb"
        store = UsageStore(str(path))
        store.open()
        for first in range(0, JOBS, PIECE):
            delimiter = new_delimiter()
            text = printed(first, chance, delimiter)
            begun = time.perf_counter()
            runs = runs_printed(text, delimiter)
            asyncio.run(store.write(intake.write_runs, "big", runs, FLEET))
            took += time.perf_counter() - begun
            if first + PIECE >= JOBS:
                begun = time.perf_counter()
                asyncio.run(store.write(intake.write_runs, "big", runs, FLEET))
                again = time.perf_counter() - begun
        (kept,) = asyncio.run(store.read(lambda usage: usage.execute("SELECT count(*) FROM runs").fetchone() or (0,)))
        store.close()
        megabytes = path.stat().st_size / 1e6
    print(f"  {JOBS} jobs in {took:.1f} s; {PIECE} once more in {again:.1f} s; {kept} kept; {megabytes:.0f} MB")
    return [
        Verdict("ingest, runs a second", JOBS / took, 20_000),
        Verdict("ingest, runs that are there after a piece was read twice, to jobs", kept / JOBS, 1),
        Verdict("ingest, MB a million runs", megabytes / JOBS * 1e6, 100, most=True),
    ]
