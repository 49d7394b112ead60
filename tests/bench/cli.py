"""``hpcjobs sbatch`` against ``sbatch``: the wall time of a call, on one machine, as one user, turn by turn."""

from __future__ import annotations

import json
import textwrap

from tests.bench.lab import Lab
from tests.bench.verdict import Verdict

CALLS = 60
SCRIPT = "#!/bin/bash\n#SBATCH --job-name=cli\n#SBATCH -n2 --mem=100M\n#SBATCH --hold\nsrun hostname\n"
WRAPPER_BAR = 4.0
VERSION_BAR_MS = 60.0

PROGRAM = textwrap.dedent("""\
    import json, os, resource, statistics, subprocess, sys, time

    def call(words):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        began = time.perf_counter()
        subprocess.run(words, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        took = time.perf_counter() - began
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        return took * 1000, cpu * 1000

    calls = json.loads(sys.argv[1])
    took = {name: [] for name in calls}
    for turn in range(int(sys.argv[2]) + 1):
        for name, words in calls.items():
            measured = call(words)
            if turn:  # the first of each warms up
                took[name].append(measured)
    print(json.dumps({name: [statistics.median(values) for values in zip(*each)] for name, each in took.items()}))
    """)


def run(lab: Lab) -> list[Verdict]:
    """Both programs in turn, and beside them what a Python that does nothing takes."""
    lab.forget_jobs()
    lab.begin_anew()
    lab.run("bench", f"printf %s '{SCRIPT}' > /scratch/cli.sh")
    options = ["--time=10", "--parsable", "/scratch/cli.sh", "one"]
    calls = {
        "sbatch": ["sbatch", *options],
        "hpcjobs sbatch": ["hpcjobs", "sbatch", *options],
        "hpcjobs --version": ["hpcjobs", "--version"],
        "python": ["python", "-c", "pass"],
    }
    code, (out, err) = lab.service.exec_run(
        ["python", "-c", PROGRAM, json.dumps(calls), str(CALLS)],
        user="alice", demux=True, workdir="/scratch",
        environment={"HOME": "/home/alice", "HPCJOBS_TOKEN": lab.token("alice")},
    )  # fmt: skip
    if code:
        raise RuntimeError((err or b"").decode()[-2000:])
    took = json.loads(out)
    for name, (wall_ms, cpu_ms) in took.items():
        print(f"  {name}: {wall_ms:.1f} ms, of them {cpu_ms:.1f} ms CPU (median of {CALLS})")
    native, ours = took["sbatch"][0], took["hpcjobs sbatch"][0]
    version = took["hpcjobs --version"][1]
    return [
        Verdict("cli, wall time of a submission against sbatch", ours / native, WRAPPER_BAR, most=True),
        Verdict("cli, CPU of --version in ms", version, VERSION_BAR_MS, most=True),
    ]
