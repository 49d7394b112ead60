from __future__ import annotations

import gzip
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpcjobs.errors import Refused
from hpcjobs.sim.traces.acme import KALOS, read_acme
from hpcjobs.sim.traces.clos import read_clos, spread
from hpcjobs.sim.traces.fleet import read_fleet
from hpcjobs.sim.traces.formats import FORMATS, joined, load
from hpcjobs.sim.traces.lines import lines_of
from hpcjobs.sim.traces.openb import read_openb_nodes, read_openb_pods
from hpcjobs.sim.traces.philly import read_philly
from hpcjobs.sim.traces.swf import read_swf
from hpcjobs.sim.workload import SimNode
from tests.unit.traces import mutilated, outcome, real_trace

NODES = ["sn,cpu_milli,memory_mib,gpu,model", "n0,32500,1024,0,", "n1,96000,2048,8,G2", "n2,64000,2048,2,P100"]
PODS = [
    "name,cpu_milli,memory_mib,num_gpu,gpu_milli,gpu_spec,qos,pod_phase,creation_time,deletion_time,scheduled_time",
    "p0,12000,1024,1,1000,,LS,Running,100,400,150", "p1,3152,1024,1,460,V100M16|V100M32,LS,Failed,200,300,200",
    "p2,8000,1024,0,0,,BE,Succeeded,300,400,300", "p3,88000,1024,8,1000,G2,BE,Pending,400,460,",
]  # fmt: skip
FLEET = ["gpu_model,gpu_capacity_num,cpu_num,node_name", "A10,1,128,0", "H800,8,192,1", "A10,1,128,2", "H800,8,192,3"]
CLOS = ["ip,DSW,PSW,ASW", "a,G6,P10,S14", "b,G6,P12,S14", "c,G6,P10,S14", "d,G6,P10,S2"]
PHILLY = [
    "timestamp,duration,num_gpus,gpu_time,cluster", "2017-10-09 07:01:55,66.0,1,66.0,vc1",
    "2017-10-09 06:00:00,100.5,12,1206.0,vc2", "2017-10-09 07:00:00,1.0,32,32.0,vc1",
]  # fmt: skip
SWF = ["; MaxNodes: 4", *(f"{n} {n} 0 60 2 -1 -1 2 120 -1 1 1 1 1 -1 -1 -1 -1" for n in range(4))]
SACCT = ["JobID|Submit|Start|End|NNodes", *(f"{n}|1772359200|1772359200|1772359300|2" for n in range(4))]
BY_FORMAT = {"swf": SWF, "sacct": SACCT, "openb-nodes": NODES, "openb-pods": PODS, "philly": PHILLY, "fleet": FLEET,
             "clos": CLOS}  # fmt: skip


def test_nodes_of_openb_have_whole_cpus_or_thousandths():
    whole, milli = read_openb_nodes(NODES), read_openb_nodes(NODES, cpu_milli=True)
    assert [(node.cpus, node.gpus, node.gpu_type) for node in whole.nodes] == [
        (32, 0, ""),
        (96, 8, "G2"),
        (64, 2, "P100"),
    ]
    assert [node.cpus for node in milli.nodes] == [32500, 96000, 64000]
    assert whole.nodes[1].mem_bytes == 2 * 2**30


def test_pods_of_openb_are_jobs_with_whole_gpus_or_a_share_of_one():
    jobs = read_openb_pods(PODS).jobs
    assert [(job.gpus_per_node, job.gpu_milli, job.gpus) for job in jobs] == [
        (1, 0, 1),
        (0, 460, 0.46),
        (0, 0, 0),
        (8, 0, 8),
    ]
    assert [job.cpus_per_node for job in jobs] == [12, 4, 8, 88]
    assert [job.cpus_per_node for job in read_openb_pods(PODS, cpu_milli=True).jobs] == [12000, 3152, 8000, 88000]
    assert [job.gpu_types for job in jobs] == [(), ("V100M16", "V100M32"), (), ("G2",)]
    assert [job.run_s for job in jobs] == [250, 100, 100, 60]
    assert [job.submit_s for job in jobs] == [0, 100, 200, 300]
    assert [job.fate for job in jobs] == ["COMPLETED", "FAILED", "COMPLETED", "COMPLETED"]


def test_a_pod_without_gpus_has_no_share_of_one_whatever_stands_there():
    jobs = read_openb_pods([PODS[0], "p,1000,1,0,500,,LS,Running,1,2,1", "q,1000,1,0,1000,,LS,Running,1,2,1"]).jobs
    assert [job.gpus for job in jobs] == [0, 0]


def test_pods_that_were_never_scheduled_can_be_left_out():
    workload = read_openb_pods(PODS, only_scheduled=True)
    assert len(workload.jobs) == 3
    assert workload.dropped == {"it was never scheduled (first in line 5)": 1}


@pytest.mark.parametrize(
    ("pod", "reason"),
    [
        ("p,1,1,2,500,,LS,Running,1,2,1", "shares of several GPUs"),
        ("p,1,1,1,0,,LS,Running,1,2,1", "gpu_milli is not from 1 to 1000"),
        ("p,1,1,1,1001,,LS,Running,1,2,1", "gpu_milli is not from 1 to 1000"),
        ("p,1,1,1,1000,,LS,Running,1,2,3", "it ends before it begins"),
        ("p,1,1,1,1000,,LS,Running,1,,1", "deletion_time is no number from 0 to 1e15"),
    ],
)
def test_a_pod_that_cannot_be_is_counted(pod, reason):
    assert read_openb_pods([*PODS, pod]).dropped == {f"broken line: {reason} (first in line 6)": 1}


def test_a_node_that_stands_twice_is_counted():
    assert read_fleet([*FLEET, FLEET[1]]).dropped == {"one of that name stands above (first in line 6)": 1}


def test_jobs_of_philly_get_the_fewest_nodes_that_hold_them_and_come_in_order():
    workload = read_philly(PHILLY)
    assert [(job.number, job.submit_s, job.nodes, job.gpus_per_node) for job in workload.jobs] == [
        (1, 0, 2, 6), (2, 3600, 4, 8), (3, 3715, 1, 1)]  # fmt: skip
    assert [job.nodes * job.gpus_per_node for job in read_philly(PHILLY, gpus_per_node=5).jobs] == [12, 35, 1]
    assert workload.started_at == 1507528800
    assert workload.jobs[0].wall_s == 120


def test_an_access_switch_is_of_its_pod():
    nodes = read_clos(CLOS).nodes
    assert nodes[0].switches == nodes[2].switches == ("P10-S14", "P10", "G6")
    assert nodes[1].switches == ("P12-S14", "P12", "G6")


def test_a_fleet_fills_the_leaves_of_a_clos_and_then_those_of_further_pods():
    shape = read_clos(CLOS).nodes
    nodes = [SimNode(name=f"n{n}", gpus=8, gpu_type="H800" if n % 2 else "A10") for n in range(10)]
    laid = spread(nodes, shape)
    assert [node.name for node in laid] == [node.name for node in nodes]
    sizes = Counter(node.switches[0] for node in laid)
    assert sizes == {"P10-S14": 2, "P10-S2": 1, "P12-S14": 1, "P10-S14+1": 2, "P10-S2+1": 1, "P12-S14+1": 1,
                     "P10-S14+2": 2}  # fmt: skip
    assert {node.switches[2] for node in laid} == {"G6"}
    kinds = {}
    for node in laid:
        kinds.setdefault(node.switches[0], set()).add(node.gpu_type)
    assert sum(len(found) > 1 for found in kinds.values()) <= 1  # only where one type ends and the next begins
    assert spread(nodes, shape, by_type=False)[1].switches == laid[2].switches


def test_the_summary_that_jobs_are_calibrated_to_is_that_of_the_file():
    path = real_trace("acme_cluster_summary.csv.gz")
    clusters, dropped = read_acme(lines_of(path), path.name)
    assert clusters["Kalos"] == KALOS
    assert sorted(clusters) == ["Helios", "Kalos", "Philly", "Seren"]
    assert sum(dropped.values()) == 1  # PAI has no rates


def test_every_form_has_a_sample_here():
    assert {known.name for known in FORMATS} == set(BY_FORMAT)


@pytest.mark.parametrize("name", BY_FORMAT)
def test_a_file_is_known_by_its_first_lines_or_by_the_name_of_its_form(name, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(gzip.compress("\n".join(BY_FORMAT[name]).encode()))
    assert load(path) == load(path, name)
    assert load(path).origin.startswith(str(path))


def test_a_file_of_no_known_form_is_refused_by_name_and_line(tmp_path):
    path = tmp_path / "what.txt"
    path.write_text("\n\nhello, world\n")
    with pytest.raises(
        Refused, match=r"what.txt, line 3: it is of no form that is known: 'hello, world'; there are swf"
    ):
        load(path)
    path.write_text("\n\n")
    with pytest.raises(Refused, match=r"what.txt: it is empty"):
        load(path)
    with pytest.raises(Refused, match="No form is called 'pbs'"):
        load(path, "pbs")
    path.write_text("\n".join(CLOS))
    with pytest.raises(Refused, match=r"what.txt, line 1: its header has no column gpu_model"):
        load(path, "fleet")


def test_nodes_and_jobs_of_several_files_are_joined_with_what_each_left_out():
    nodes, jobs = read_fleet([*FLEET, "A10,x,1,9"], "nodes.csv"), read_philly([*PHILLY, "never,1,1,1,vc"], "jobs.csv")
    both = joined([jobs, nodes])
    assert (both.nodes, both.jobs, both.origin) == (nodes.nodes, jobs.jobs, "jobs.csv on nodes.csv")
    assert sorted(reason.partition(":")[0] for reason in both.dropped) == ["jobs.csv", "nodes.csv"]
    machine = read_swf(SWF, "jobs.swf")
    assert joined([nodes, machine]).nodes == nodes.nodes  # the first that has any
    assert joined([machine]) == machine
    with pytest.raises(Refused, match="None of the files has nodes"):
        joined([jobs])
    with pytest.raises(Refused, match=r"more\.csv gives nothing"):
        joined([nodes, jobs, read_philly(PHILLY, "more.csv")])


@pytest.mark.parametrize("name", BY_FORMAT)
@given(data=st.data())
def test_whatever_becomes_of_a_file_each_line_is_used_or_counted(name, data):
    whole = BY_FORMAT[name]
    read = next(known.read for known in FORMATS if known.name == name)
    lines = [whole[0], *data.draw(mutilated(whole[1:]))]
    workload = outcome(lambda: read(lines, "file"), "file")
    if workload is None:
        return
    told = [line for line in lines[1:] if line.strip() and not (name == "swf" and line.strip().startswith(";"))]
    found = len(workload.jobs) or len(workload.nodes)
    assert found + sum(workload.dropped.values()) == len(told) - sum(line == whole[0] for line in lines[1:])


@given(st.binary(max_size=400), st.booleans())
def test_no_bytes_make_anything_but_a_workload_or_a_refusal_that_names_the_file(tmp_path_factory, content, packed):
    path = tmp_path_factory.mktemp("bytes") / "file"
    path.write_bytes(gzip.compress(content) if packed else content)
    for known in ["", *BY_FORMAT]:
        outcome(lambda known=known: load(path, known), str(path))


@pytest.mark.parametrize(
    ("name", "nodes", "gpus", "jobs"),
    [
        ("theta_2023_feb_dec.swf.gz", 4_360, 0, 26_671),
        ("NASA-iPSC-1993-3.1-cln.swf.gz", 128, 0, 18_239),
        ("philly_adaptdl.csv.gz", 0, 0, 82_247),
        ("openb_node_list_all_node.csv.gz", 1_523, 6_212, 0),
        ("openb_node_list_gpu_node.csv.gz", 1_213, 6_212, 0),
        ("openb_pod_list_default.csv.gz", 0, 0, 8_152),
        ("alibaba_v2026_spot_nodes.csv.gz", 4_278, 10_412, 0),
        ("lingjun_topo.csv.gz", 847, 0, 0),
    ],
)
def test_a_real_file_is_known_and_read_whole(name, nodes, gpus, jobs):
    workload = load(real_trace(name))
    assert (len(workload.nodes), workload.gpus, len(workload.jobs)) == (nodes, gpus, jobs)
    assert workload.dropped == {}


def test_what_is_told_of_the_real_files_holds():
    philly = load(real_trace("philly_adaptdl.csv.gz")).jobs
    assert max(job.gpus for job in philly) == 128
    assert sum(job.gpus * job.run_s for job in philly) / philly[-1].submit_s == pytest.approx(374, abs=0.5)
    fleet = load(real_trace("alibaba_v2026_spot_nodes.csv.gz")).nodes
    assert len({(node.gpu_type, node.gpus) for node in fleet}) == 8
    hosts = load(real_trace("lingjun_topo.csv.gz")).nodes
    tiers = [len({host.switches[tier] for host in hosts}) for tier in range(3)]
    assert tiers == [119, 3, 1]
    assert len({host.switches[0].rpartition("-")[2] for host in hosts}) == 48  # names, which begin anew in each pod
