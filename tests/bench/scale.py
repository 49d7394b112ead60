"""Lists and submissions while 1,000, 10,000 and 100,000 jobs are known, a tenth of them in Slurm's queue."""

from __future__ import annotations

from tests.bench import load
from tests.bench.lab import SCRIPT, Lab
from tests.bench.verdict import Verdict

SIZES = (1_000, 10_000, 100_000)
LISTS = 400
SUBMISSIONS = 400


def run(lab: Lab) -> list[Verdict]:
    """One connection; medians."""
    lab.forget_jobs()
    body = {"script": SCRIPT, "hold": True}
    lists_s, submissions_s = [], []
    for known in SIZES:
        lab.fill_queue(known // 10)
        lab.begin_anew(known - known // 10)
        for _ in range(2):  # the first warms up
            submissions = load.run(lab.api_port, lambda _: lab.ours("POST", "/v1/jobs", body=body), SUBMISSIONS)
            lists = load.run(lab.api_port, lambda _: lab.ours("GET", "/v1/jobs?state=HELD&limit=100"), LISTS)
        print(f"  {known} known: list {lists}; submit {submissions}", flush=True)
        lists_s.append(lists.p50_s)
        submissions_s.append(submissions.p50_s)
    return [
        Verdict("scale, list", lists_s[-1] / lists_s[0], 1.5, most=True),
        Verdict("scale, submit", submissions_s[-1] / submissions_s[0], 1.5, most=True),
    ]
