"""How long a fabric takes to translate, and a real slurmctld to load it: ``python -m tests.bench.topology_engines``.

The first part needs nothing. The second starts trial controllers in the container whose name is given
(``hpcjobs-slurmctld-1``), for growing fabrics, grouped and physical.
"""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable
from typing import TypeVar

from hpcjobs.slurmconf.conf import read_slurm_conf
from hpcjobs.slurmconf.controller import Place
from hpcjobs.slurmconf.runner import CommandRunner
from hpcjobs.slurmconf.trial import trial
from hpcjobs_plugins.topology.apply import tried_against
from hpcjobs_plugins.topology.assemble import assemble
from hpcjobs_plugins.topology.engines.block import By, block
from hpcjobs_plugins.topology.engines.findings import Form
from hpcjobs_plugins.topology.engines.judge import check, judge
from hpcjobs_plugins.topology.engines.model import Plan, Topology
from hpcjobs_plugins.topology.engines.slurm_conf import settings
from hpcjobs_plugins.topology.engines.topology_conf import write_conf
from hpcjobs_plugins.topology.engines.topology_yaml import write_yaml
from hpcjobs_plugins.topology.engines.tree import tree
from hpcjobs_plugins.topology.naming import Naming
from hpcjobs_plugins.topology.providers import ibnetdiscover
from hpcjobs_plugins.topology.twin import Shape, dump_of, fat_tree
from hpcjobs_plugins.topology.twin_texts import as_ibnetdiscover

T = TypeVar("T")


def of_hosts(hosts: int) -> Shape:
    """Three tiers with eight rails: units of 32 hosts, pods of eight units."""
    return Shape(hosts, 32, spines=32, cores=64, pods=max(1, hosts // 256), rails=8, rail_optimised=True)


def timed(what: str, do: Callable[[], T]) -> T:
    begun = time.perf_counter()
    made = do()
    print(f"    {what:42} {time.perf_counter() - begun:8.3f} s")
    return made


def translate(hosts: int) -> None:
    text = as_ibnetdiscover(dump_of(fat_tree(of_hosts(hosts)))).encode()
    print(f"{hosts} hosts x 8 rails, {len(text) / 1e6:.1f} MB of ibnetdiscover")
    begun = time.perf_counter()
    dump = timed("read", lambda: ibnetdiscover.read(text, "twin"))
    site = timed("assemble", lambda: assemble([dump], Naming(), None, {}, 0.0))
    nodes = [host.name for host in site.fabrics[0].compute]
    drawn = timed("tree, grouped", lambda: tree(site, nodes=nodes))
    timed("judge", lambda: judge(Plan((drawn.topology,)), Form.CONF, nodes=nodes))
    conf = timed("topology.conf", lambda: write_conf(drawn.topology))
    print(f"    all of it                                  {time.perf_counter() - begun:8.3f} s")
    print(f"    {len(drawn.topology.switches)} switches, {len(conf)} bytes")
    physical = timed("tree, physical", lambda: tree(site, nodes=nodes, physical=True))
    print(f"    {len(physical.topology.switches)} switches")
    timed("blocks of leaves", lambda: block(site, by=By.LEAVES, nodes=nodes))
    timed("topology.yaml of the physical one", lambda: write_yaml([physical.topology]))
    every = write_conf(physical.topology).encode()
    timed("read and judge the physical topology.conf", lambda: check(every, nodes=nodes))
    print(f"    peak memory of this process {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024} MB")


def load(container: str, topology: Topology, what: str) -> None:
    nodes = len(topology.nodes)
    plan = Plan((topology,))
    said = settings(plan, Form.CONF)
    lines = ["SlurmUser=slurm", "SelectType=select/cons_tres", f"NodeName=n[0001-{nodes:04}]"]
    lines += [f"{key}={value}" for key, value in said.items()]
    conf = read_slurm_conf({"slurm.conf": "\n".join(lines)}.__getitem__)
    runner = CommandRunner(["docker", "exec", "-i", container])
    tried = trial(runner, Place(), conf, {"topology.conf": write_conf(topology)}, ["topology"], load_s=300)
    against = tried_against(tried, plan)
    fault = f"  {against[:2]}" if against else ""
    print(
        f"    {what:10} {nodes:6} nodes {len(topology.switches):6} switches: "
        f"up after {tried.seconds:7.2f} s, of that the topology {tried.load_s:7.2f} s{fault}",
        flush=True,
    )


def main() -> None:
    for hosts in (1024, 2048, 4096):
        translate(hosts)
    for container in sys.argv[1:]:
        print(f"slurmctld in {container}")
        for hosts in (256, 512, 1024, 2048, 4096):
            plain = fat_tree(Shape(hosts, 4, spines=16, cores=32, pods=max(1, hosts // 128)))
            load(container, tree(plain, physical=True).topology, "physical")
            load(container, tree(fat_tree(of_hosts(hosts))).topology, "grouped")


if __name__ == "__main__":
    main()
