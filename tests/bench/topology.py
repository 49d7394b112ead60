"""A fabric of 4,096 nodes with eight adapters each, on three tiers: read, put together, translated, checked.

Each size in a process of its own, so that its memory is its own; the time is that of the whole process's work, without
what makes the text. Sizes go by turns, and of each the median counts.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path

from tests.bench.verdict import Verdict

HOSTS = (1024, 2048, 4096)
TURNS = 5
MOST_S = 5.0
MOST_MB = 1000.0
MOST_GROWTH = 2 * 1.3
"""Of the time from one size to its double: no more than 1.3 times beyond linear."""

PROGRAM = textwrap.dedent("""\
    import json, resource, sys, time
    from hpcjobs_plugins.topology.assemble import assemble
    from hpcjobs_plugins.topology.checks import check
    from hpcjobs_plugins.topology.engines.topology_yaml import write_yaml
    from hpcjobs_plugins.topology.engines.tree import tree
    from hpcjobs_plugins.topology.naming import Naming
    from hpcjobs_plugins.topology.providers import ibnetdiscover

    with open(sys.argv[1], "rb") as file:
        data = file.read()
    began, began_cpu = time.perf_counter(), time.process_time()
    site = assemble([ibnetdiscover.read(data, sys.argv[1])], Naming(), None, {}, 0.0)
    text = write_yaml([tree(site).topology])
    took, cpu = time.perf_counter() - began, time.process_time() - began_cpu
    hosts = sum(len(fabric.compute) for fabric in site.fabrics)
    memory_mb, began_cpu = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, time.process_time()
    check(site)
    print(json.dumps([took, cpu, memory_mb, hosts, len(text), time.process_time() - began_cpu]))
    """)


TWIN = textwrap.dedent("""\
    import sys
    from hpcjobs_plugins.topology.twin import Shape, dump_of, fat_tree
    from hpcjobs_plugins.topology.twin_texts import as_ibnetdiscover

    hosts = int(sys.argv[1])
    shape = Shape(hosts=hosts, hosts_per_leaf=32, spines=32, cores=256, pods=hosts // 512, rails=8, rail_optimised=True)
    with open(sys.argv[2], "w") as file:
        file.write(as_ibnetdiscover(dump_of(fat_tree(shape))))
    """)
"""In a process of its own too: a child's largest memory begins with that of its parent."""


def _written(hosts: int, folder: Path) -> Path:
    path = folder / f"{hosts}.net"
    subprocess.run([sys.executable, "-c", TWIN, str(hosts), str(path)], check=True)
    return path


def run() -> list[Verdict]:
    """Every size in turn."""
    took: dict[int, list[list[float]]] = {hosts: [] for hosts in HOSTS}
    with tempfile.TemporaryDirectory() as place:
        paths = {hosts: _written(hosts, Path(place)) for hosts in HOSTS}
        for _ in range(TURNS):
            for hosts, path in paths.items():
                done = subprocess.run(
                    [sys.executable, "-c", PROGRAM, str(path)], capture_output=True, text=True, check=True
                )
                took[hosts].append(json.loads(done.stdout))
        sizes = {hosts: path.stat().st_size / 1e6 for hosts, path in paths.items()}
    medians = {hosts: [statistics.median(values) for values in zip(*each, strict=True)] for hosts, each in took.items()}
    for hosts, (wall_s, cpu_s, mem_mb, found, text, check_s) in medians.items():
        if found != hosts:
            raise RuntimeError(f"{found} of {hosts} hosts came out")
        print(
            f"  {hosts} nodes x 8: {sizes[hosts]:.1f} MB in, {text / 1e3:.1f} kB out, {wall_s:.2f} s "
            f"({cpu_s:.2f} s CPU), {mem_mb:.0f} MB; checked in {check_s:.2f} s of CPU"
        )
    wall_s, _, mem_mb, *_ = medians[HOSTS[-1]]
    growths, of_check = ([medians[2 * hosts][at] / medians[hosts][at] for hosts in HOSTS[:-1]] for at in (1, 5))
    return [
        Verdict("topology, seconds for 4,096 nodes x 8", wall_s, MOST_S, most=True),
        Verdict("topology, MB for 4,096 nodes x 8", mem_mb, MOST_MB, most=True),
        Verdict("topology, growth of CPU time per doubling", max(growths), MOST_GROWTH, most=True),
        Verdict("topology, growth of CPU time of the checks per doubling", max(of_check), MOST_GROWTH, most=True),
    ]
