"""Counts, saves now and then, and goes on where it was: hpcjobs run --checkpoints DIR -- python plain.py --steps 1000.

As a job (docs/CHECKPOINTS.md): sbatch --requeue --signal=B:USR1@120 --wrap "exec hpcjobs run ..."
"""

from __future__ import annotations

import argparse
import signal
import sys
import time

from hpcjobs.injob import report  # from injob import report, where only that folder is mounted


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--every", type=int, default=100, help="steps between checkpoints")
    parser.add_argument("--pause", type=float, default=0.01, help="seconds that a step takes")
    asked = parser.parse_args()

    for number in (signal.SIGUSR1, signal.SIGTERM):  # report.ending() tells; the signals would end the program
        signal.signal(number, signal.SIG_IGN)

    step, total = 0, 0
    start = report.resume_from()
    if start:
        step, total = map(int, (start / "count").read_text().split())
    sys.stdout.write(f"attempt {report.attempt()} begins at step {step}\n")

    while step < asked.steps:
        time.sleep(asked.pause)  # the work
        step, total = step + 1, total + step
        report.step(step)
        near = report.ending()
        if step % asked.every == 0 or near:
            with report.saving(step) as folder:
                (folder / "count").write_text(f"{step} {total}")
        if near:
            sys.exit(0)  # saved: the agent makes "requeue me" of it
    sys.stdout.write(f"{step} steps, total {total}\n")


if __name__ == "__main__":
    main()
