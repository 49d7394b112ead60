"""Policy backfill on a real cluster: the largest job gets nodes, comes first, and starts on them."""

from __future__ import annotations

from tests.slurm.conftest import Stack
from tests.slurm.steered import Use, asking, begun, details, names_of, report, soon, submitted, until


def test_the_largest_job_that_waits_too_long_has_nodes_kept_for_it_and_starts_on_them(stack: Stack, use: Use) -> None:
    nodes = len(names_of(stack))
    use(backfill={"period_s": 1.0, "largest_s": 60.0, "mode": "conservative"})
    running = [begun(stack, **asking(1, 8, 180)) for _ in range(nodes)]
    large = submitted(stack, **asking(nodes, 8, 180))
    name = f"hpcjobs_bf_{large}_0"
    until(stack, lambda: report(stack), lambda told: name in told.reservations, 120)
    soon(stack, large, lambda job: job.get("Reservation") == name)
    assert details(stack, large)["Nice"] == "-1000000"
    behind = [submitted(stack, "bob", **asking(1, 8, 180)) for _ in range(nodes)]
    stack.run("slurmctld", f"scancel {' '.join(map(str, running))}")
    started = soon(stack, large, lambda job: job["JobState"] == "RUNNING", 240)
    assert started["NumNodes"] == str(nodes)
    assert not [job for job in behind if details(stack, job)["JobState"] == "RUNNING"]
