"""What we say of topologies is what a real slurmctld does with them, and a controller can be given a new one."""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping

import msgspec
import pytest

from hpcjobs.errors import Conflict
from hpcjobs.slurmconf.bring import End
from hpcjobs.slurmconf.conf import SlurmConf, read_slurm_conf
from hpcjobs.slurmconf.controller import Place
from hpcjobs.slurmconf.runner import locked, over_ssh, read_bytes, write_beside
from hpcjobs.slurmconf.trial import Tried, trial
from hpcjobs_plugins.topology import apply as applying
from hpcjobs_plugins.topology.apply import Order, apply, tried_against
from hpcjobs_plugins.topology.engines.block import By, block
from hpcjobs_plugins.topology.engines.findings import Fate, Form, fate_of
from hpcjobs_plugins.topology.engines.model import YAML_SINCE, Block, Kind, Plan, SwitchLine, Topology, graph
from hpcjobs_plugins.topology.engines.show import read_shown, words_for
from hpcjobs_plugins.topology.engines.slurm_conf import settings
from hpcjobs_plugins.topology.engines.topology_conf import write_conf
from hpcjobs_plugins.topology.engines.topology_yaml import write_yaml
from hpcjobs_plugins.topology.engines.tree import tree
from hpcjobs_plugins.topology.fabric import Site
from hpcjobs_plugins.topology.twin import Shape, fat_tree

from ..unit.bad_topologies import BAD, NODES, Bad
from ..unit.fabrics import real
from .conftest import Stack
from .scratch import LOOP, ONE, RELEASES, TWO, machine


def conf_of(nodes: str, said: Mapping[str, str], partitions: str = "") -> SlurmConf:
    """A slurm.conf of these nodes."""
    lines = ["SlurmUser=slurm", "SelectType=select/cons_tres", f"NodeName={nodes}", partitions]
    lines += [f"{key}={value}" for key, value in said.items()]
    return read_slurm_conf({"slurm.conf": "\n".join(lines)}.__getitem__)


def tried(stack: Stack, plan: Plan, form: Form, nodes: str) -> Tried:
    """What a real slurmctld makes of a plan."""
    text = write_conf(plan.default) if form is Form.CONF else write_yaml(plan.topologies)
    partitions = "\n".join(f"PartitionName={name} Nodes=ALL Topology={one}" for name, one in plan.partitions.items())
    conf = conf_of(nodes, settings(plan, form), partitions)
    return trial(machine(stack), Place(), conf, {form.value: text}, [words_for(one.name) for one in plan.topologies])


def rails() -> Site:
    """64 hosts with two rails in two pods, and an NVLink domain for each eight of them."""
    site = fat_tree(Shape(64, 8, spines=2, cores=2, pods=2, rails=2, rail_optimised=True))
    names = list(site.fabrics[0].hosts)
    domains = {
        f"{index:08x}-0000-4000-8000-000000000000.7": tuple(names[index * 8 : index * 8 + 8]) for index in range(8)
    }
    return msgspec.structs.replace(site, domains=domains)


NODES_OF_RAILS = "n[0001-0064]"


def taken_as_it_is(stack: Stack, plan: Plan, form: Form, nodes: str = NODES_OF_RAILS) -> None:
    result = tried(stack, plan, form, nodes)
    assert result.complaints == ()
    assert result.up
    for topology in plan.topologies:
        assert read_shown(result.shown[words_for(topology.name)]) == graph(topology)
    assert tried_against(result, plan) == []


@pytest.mark.parametrize("physical", [False, True], ids=["grouped", "physical"])
def test_a_tree_is_taken_and_shown_as_it_was_meant(stack, physical):
    taken_as_it_is(stack, Plan((tree(rails(), physical=physical).topology,)), Form.CONF)


@pytest.mark.parametrize("by", By)
def test_blocks_are_taken_and_shown_as_they_were_meant(stack, by):
    taken_as_it_is(stack, Plan((block(rails(), by=by, release=RELEASES[stack.cluster]).topology,)), Form.CONF)


@pytest.mark.parametrize("count", range(1, 10))
def test_slurm_joins_blocks_as_we_say_whatever_their_number(stack, count):
    topology = block(fat_tree(Shape(2 * count, 2, spines=1 if count > 1 else 0)), by=By.LEAVES).topology
    for sizes in ((2, 4, 8), (2, 8), (2,), ()):
        plan = Plan((msgspec.structs.replace(topology, block_sizes=sizes),))
        taken_as_it_is(stack, plan, Form.CONF, f"n[0001-{2 * count:04}]")


def test_several_topologies_are_taken_and_shown_as_they_were_meant(new):
    site = rails()
    plan = Plan(
        (
            msgspec.structs.replace(tree(site).topology, name="fat", cluster_default=False),
            msgspec.structs.replace(block(site).topology, name="nvl", cluster_default=True),
            msgspec.structs.replace(tree(site, physical=True).topology, name="every-switch", cluster_default=False),
            Topology("none", Kind.FLAT, cluster_default=False),
        ),
        {"train": "nvl", "plain": "none"},
    )
    taken_as_it_is(new, plan, Form.YAML)


def test_blocks_with_gaps_are_taken_where_we_say_so_and_kill_where_we_say_so(stack):
    site = rails()
    short = {name: nodes[:-1] if index == 3 else nodes for index, (name, nodes) in enumerate(site.domains.items())}
    release = RELEASES[stack.cluster]
    topology, notices = block(msgspec.structs.replace(site, domains=short), release=release)
    assert [notice.code for notice in notices] == ["block-with-gaps" if release >= YAML_SINCE else "block-left-out"]
    result = tried(stack, Plan((topology,)), Form.CONF, NODES_OF_RAILS)
    assert tried_against(result, Plan((topology,))) == []
    assert any("lack access to" in complaint for complaint in result.complaints)
    kept = block(msgspec.structs.replace(site, domains=short), release=(25, 5)).topology
    assert tried(stack, Plan((kept,)), Form.CONF, NODES_OF_RAILS).up == (release >= YAML_SINCE)


@pytest.mark.parametrize(
    ("stack", "bad"),
    [(name, bad) for name in ("new", "old") for bad in BAD if name == "new" or bad.name == Form.CONF],
    indirect=["stack"],
    ids=lambda value: f"{value.code}-{value.line}-{value.name[9:]}" if isinstance(value, Bad) else value,
)
def test_what_we_say_becomes_of_a_bad_file_becomes_of_it(stack, bad: Bad):
    form, release = Form(bad.name), RELEASES[stack.cluster]
    kind = Kind.BLOCK if "Block" in bad.text else Kind.TREE
    said = settings(Plan((Topology(kind=kind),)), Form.CONF)
    files = {bad.name: bad.text + "\n", "more.conf": "\n"}
    result = trial(machine(stack), Place(), conf_of(",".join(NODES), said), files, load_s=20)
    seen = Fate.DIES if not result.up else Fate.WARNS if result.complaints else Fate.SILENT
    fate = fate_of(bad.code, form, release)
    assert seen is (Fate.SILENT if fate is Fate.FINE else fate), result


def test_too_deep_an_order_kills_just_where_we_say(stack):
    lines = [SwitchLine("l0", tuple(NODES)), *(SwitchLine(f"l{n}", (), (f"l{n - 1}",)) for n in range(1, 23))]
    for count, up in ((22, True), (23, False)):
        plan = Plan((Topology(switches=tuple(reversed(lines[:count]))),))
        assert tried(stack, plan, Form.CONF, "c[1-4]").up is up


def test_a_partition_that_names_no_topology_kills(new):
    plan = Plan((Topology("a", Kind.FLAT),), {"p": "nope"})
    assert not tried(new, plan, Form.YAML, "c[1-4]").up


def test_an_older_slurm_does_not_look_at_topology_yaml(old):
    plan = Plan((msgspec.structs.replace(tree(rails()).topology, name="fat"),))
    conf = conf_of(NODES_OF_RAILS, {"TopologyPlugin": "topology/default"})
    result = trial(machine(old), Place(), conf, {Form.YAML.value: write_yaml(plan.topologies)}, ["topology"])
    assert (result.up, result.shown) == (True, {"topology": ""})


def test_slurms_own_tree_of_ten_thousand_nodes_is_taken(stack):
    said = settings(Plan((Topology(),)), Form.CONF)
    text = real("slurm-test133_1-peta10000.topology.conf").decode()
    result = trial(machine(stack), Place(), conf_of("peta[10000-19999]", said), {"topology.conf": text}, ["topology"])
    assert result.up
    assert 0 < result.load_s < result.seconds
    assert len(read_shown(result.shown["topology"]).switches) == text.count("SwitchName=")


def test_a_trial_leaves_nothing_behind_and_the_clusters_own_controller_alone(stack):
    look = "ls -A /tmp; pgrep -c slurmctld; cat /var/lib/slurm/slurmctld/clustername /etc/slurm/slurm.conf 2>&1"
    before = stack.run("slurmctld", look, check=False)
    for text in (write_conf(tree(rails()).topology), "SwitchName=s1 Switches=s1\n"):
        conf = conf_of(NODES_OF_RAILS, settings(Plan((Topology(),)), Form.CONF))
        trial(machine(stack), Place(), conf, {"topology.conf": text}, load_s=5)
    assert stack.run("slurmctld", look, check=False) == before


def test_a_slurmctld_that_hangs_is_ended_in_time_with_all_that_it_began(stack):
    begun = time.monotonic()
    hang = "/tmp/hpcjobs-hang"
    stack.run("slurmctld", f"printf '#!/bin/sh\\ntrap \"\" TERM\\nsleep 4711\\n' >{hang}; chmod 755 {hang}")
    result = trial(machine(stack), Place(slurmctld=hang), conf_of("c1", {}), {}, load_s=2)
    assert not result.up
    assert time.monotonic() - begun < 300  # far below its 4711 s
    assert stack.run("slurmctld", f"rm {hang}; pgrep -c -x -f 'sleep 4711'", check=False).strip() == "0"


def test_a_new_tree_comes_to_a_running_controller_and_the_old_one_back(scratch):
    applied = apply(scratch.runner, scratch.place, Order(Plan((TWO,))))
    assert (applied.end, applied.reasons) == (End.APPLIED, ())
    assert applied.trial is not None
    assert read_shown(scratch.scontrol("show topology")) == graph(TWO)
    assert scratch.run(f"stat -c '%a %U' {scratch.dir}/topology.conf") == "640 slurm\n"
    assert apply(scratch.runner, scratch.place, Order(Plan((TWO,)))).end is End.SAME
    assert apply(scratch.runner, scratch.place, Order(Plan((ONE,)))).end is End.APPLIED
    assert read_shown(scratch.scontrol("show topology")) == graph(ONE)


def test_another_kind_comes_with_its_line_of_slurm_conf(scratch):
    blocks = Topology(
        kind=Kind.BLOCK, blocks=(Block("b1", ("c1", "c2")), Block("b2", ("c3", "c4"))), block_sizes=(2, 4)
    )
    assert apply(scratch.runner, scratch.place, Order(Plan((blocks,)))).end is End.APPLIED
    assert read_shown(scratch.scontrol("show topology")) == graph(blocks)
    assert "TopologyPlugin=topology/block # ours\n" in scratch.files()
    flat = Plan((Topology(kind=Kind.FLAT),))
    assert apply(scratch.runner, scratch.place, Order(flat)).end is End.APPLIED
    assert "TopologyPlugin=topology/default # ours\n" in scratch.files()


@pytest.mark.parametrize("stack", ["new"], indirect=True)
def test_several_topologies_come_with_their_partitions_and_go_again(scratch):
    two, flat = msgspec.structs.replace(TWO, name="two"), Topology("flat", Kind.FLAT, cluster_default=False)
    plan = Plan((two, flat), {"p": "flat"})
    assert apply(scratch.runner, scratch.place, Order(plan, Form.YAML)).end is End.APPLIED
    assert read_shown(scratch.scontrol("show topology two")) == graph(two)
    assert "Topology=flat" in scratch.scontrol("show partition p")
    assert apply(scratch.runner, scratch.place, Order(plan, Form.YAML)).end is End.SAME
    assert apply(scratch.runner, scratch.place, Order(Plan((ONE,)))).end is End.APPLIED
    assert read_shown(scratch.scontrol("show topology")) == graph(ONE)
    assert "topology.yaml " not in scratch.files()


def test_what_a_trial_does_not_take_is_not_written(scratch, monkeypatch):
    monkeypatch.setattr(applying, "refusals", lambda *_: [])
    before = scratch.files()
    applied = apply(scratch.runner, scratch.place, Order(Plan((LOOP,))))
    assert applied.end is End.REFUSED
    assert applied.reasons == ("in a trial, fatal: Switch configuration is not a tree",)
    assert scratch.files() == before
    assert read_shown(scratch.scontrol("show topology")) == graph(ONE)


def test_a_controller_that_refuses_or_dies_has_the_old_topology_back(scratch, monkeypatch):
    monkeypatch.setattr(applying, "refusals", lambda *_: [])
    before = scratch.files()
    applied = apply(scratch.runner, scratch.place, Order(Plan((LOOP,)), tried=False, load_s=30))
    assert applied.end is End.ROLLED_BACK, applied
    assert applied.reasons
    assert scratch.files().startswith(before.splitlines()[0])
    assert before.endswith(scratch.texts())
    assert read_shown(scratch.scontrol("show topology")) == graph(ONE)


@pytest.mark.parametrize("stack", ["new"], indirect=True)  # the older shows leaves as the file has them
def test_a_controller_that_shows_another_graph_has_the_old_topology_back(scratch):
    before = scratch.texts()
    more = Topology(switches=(SwitchLine("all", ("c1", "c2", "c3", "c4", "c5")),))
    order = Order(Plan((more,)), tried=False, load_s=10, allowed=frozenset({"node-unknown"}))
    applied = apply(scratch.runner, scratch.place, order)
    assert (applied.end, applied.reasons) == (End.ROLLED_BACK, ("switch all is without c5",))
    assert scratch.texts() == before
    tested = apply(scratch.runner, scratch.place, msgspec.structs.replace(order, tried=True))
    assert (tested.end, tested.reasons) == (End.REFUSED, ("in a trial, switch all is without c5",))


def test_two_at_once_cannot_be_and_a_lock_goes_with_its_holder(scratch):
    with locked(scratch.runner, f"{scratch.dir}/.hpcjobs-conf.lock", "x"), pytest.raises(Conflict):
        apply(scratch.runner, scratch.place, Order(Plan((TWO,))))
    assert apply(scratch.runner, scratch.place, Order(Plan((TWO,)))).end is End.APPLIED


def test_a_machine_is_reached_over_ssh_and_a_lock_there_goes_with_its_holder(stack, tmp_path):
    key = tmp_path / "key"
    key.write_bytes(stack.secret("login", "/home/alice/.ssh/id_ed25519"))
    key.chmod(0o600)
    known = ["-o", "StrictHostKeyChecking=no", "-o", f"UserKnownHostsFile={tmp_path}/known", "-o", "LogLevel=ERROR"]
    there = over_ssh("alice@127.0.0.1", ["-p", str(stack.port("login", 22)), "-i", str(key), *known])
    assert there.run(["printf", "%s|", "a b", "$HOME", "'"]).out == b"a b|$HOME|'|"
    folder = f"/home/alice/{uuid.uuid4().hex}"
    assert there.run(["mkdir", folder]).code == 0
    data = bytes(range(256)) * 100
    assert there.run(["touch", f"{folder}/like"]).code == 0
    write_beside(there, f"{folder}/it's", data, "new", f"{folder}/like")
    assert read_bytes(there, f"{folder}/it's.new") == data
    with locked(there, f"{folder}/lock", "x"), pytest.raises(Conflict), locked(there, f"{folder}/lock", "x"):
        pytest.fail("two have one lock")
    with locked(there, f"{folder}/lock", "x"):
        pass
    assert there.run(["sh", "-c", "sleep 4712 & sleep 4712"], timeout_s=5).code == 124
    assert there.run(["pgrep", "-x", "-f", "sleep 4712"]).code == 1
    assert there.run(["rm", "-r", folder]).code == 0


def test_the_live_cluster_gets_a_tree_runs_jobs_on_it_and_is_as_before(stack, writable):
    nodes = stack.said("slurmctld", "scontrol show hostnames $(sinfo -ho %N -p gpu)").split()
    half = len(nodes) // 2
    lines = (
        SwitchLine("s1", tuple(nodes[:half])),
        SwitchLine("s2", tuple(nodes[half:])),
        SwitchLine("r", (), ("s1", "s2")),
    )
    plan = Plan((Topology(switches=lines),))
    applied = apply(machine(stack), Place(), Order(plan, params=("SwitchAsNodeRank",)))
    assert (applied.end, applied.reasons) == (End.APPLIED, ())
    assert read_shown(stack.said("slurmctld", "scontrol show topology")) == graph(plan.default)
    assert stack.said("slurmctld", "scontrol show config | grep TopologyPlugin").split()[-1] == "topology/tree"
    stack.wait_ready()
    job = stack.submit("#!/bin/bash\nsrun hostname", resources={"nodes": half})
    ended = stack.finished(job["id"])
    assert (ended["fate"], ended["exit_code"]) == ("COMPLETED", 0)
