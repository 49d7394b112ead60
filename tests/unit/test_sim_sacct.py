from __future__ import annotations

from datetime import timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpcjobs.cli.slurm import sacct_columns
from hpcjobs.cli.slurm.sacct_fields import Row, Way
from hpcjobs.cli.slurm.times import Moment
from hpcjobs.errors import Refused
from hpcjobs.model.history import Accounted, Ledger, Step
from hpcjobs.model.job import Fate, JobRecord
from hpcjobs.sim.traces.sacct import read_sacct
from tests.unit.traces import mutilated, outcome

COLUMNS = ["JobID", "JobIDRaw", "JobName", "User", "Account", "Partition", "Submit", "Eligible", "Start", "End",
    "ElapsedRaw", "Timelimit", "State", "NNodes", "NCPUS", "ReqTRES", "AllocTRES", "NodeList", "Comment"]  # fmt: skip
WHOLE = {
    "JobID": "7", "JobIDRaw": "7", "JobName": "train", "User": "ada", "Account": "lab", "Partition": "gpu",
    "Submit": "2026-03-01T10:00:00", "Eligible": "2026-03-01T10:00:00", "Start": "2026-03-01T10:05:00",
    "End": "2026-03-01T11:05:00", "ElapsedRaw": "3600", "Timelimit": "1-02:00:00", "State": "COMPLETED", "NNodes": "2",
    "NCPUS": "128", "ReqTRES": "billing=2,cpu=2,gres/gpu:a100=16,gres/gpu=16,mem=1000G,node=2",
    "AllocTRES": "billing=128,cpu=128,gres/gpu:a100=16,gres/gpu=16,mem=1000G,node=2", "NodeList": "g[1-2]",
    "Comment": "unheeded",
}  # fmt: skip
HEADER = "|".join(COLUMNS)


def line(**changed):
    return "|".join(str({**WHOLE, **changed}[column]) for column in COLUMNS)


def read(*lines, header=HEADER, **options):
    return read_sacct([header, *lines], "dump", **options)


def reasons(counts):
    return {reason.partition(" (first in line")[0]: count for reason, count in counts.items()}


def test_a_line_becomes_the_job_that_it_was():
    workload = read(line())
    (job,) = workload.jobs
    assert (job.run_s, job.wall_s, job.nodes) == (3600, 93600, 2)
    assert (job.cpus_per_node, job.gpus_per_node, job.mem_per_node_bytes) == (64, 8, 500 * 2**30)
    assert (job.gpu_types, job.user, job.account, job.partition, job.name) == (("a100",), "ada", "lab", "gpu", "train")
    assert workload.started_at == 1772359200
    assert workload.dropped == {}


def test_times_are_of_the_zone_that_is_told_or_unix_seconds():
    assert read(line(), zone=timezone(timedelta(hours=2))).started_at == 1772359200 - 7200
    seconds = line(Submit=1772359200, Eligible=1772359200, Start=1772359500, End=1772363100)
    assert read(seconds).jobs == read(line()).jobs


def test_the_nodes_have_as_much_as_jobs_held_of_them_at_one_time():
    small = {"NNodes": 1, "NodeList": "g1", "NCPUS": 8, "AllocTRES": "cpu=8,mem=4G,node=1", "ReqTRES": ""}
    workload = read(
        line(),
        line(**small),
        line(**small, Start="2026-03-01T11:05:00", End="2026-03-01T11:06:00"),  # after the others
        line(**small | {"NodeList": "g10"}),
    )
    assert [(node.name, node.cpus, node.gpus, node.gpu_type) for node in workload.nodes] == [
        ("g1", 72, 8, "a100"), ("g2", 64, 8, "a100"), ("g10", 8, 0, "")]  # fmt: skip
    assert [node.mem_bytes // 2**30 for node in workload.nodes] == [504, 500, 4]


def test_a_mig_type_with_a_point_is_a_type_and_nodes_of_several_types_have_none():
    def mig(kind):
        tres = f"cpu=4,gres/gpu:{kind}=2,gres/gpu=2,node=1"
        return line(NNodes=1, NodeList="m1", ReqTRES=tres, AllocTRES=tres)

    (job,) = (alone := read(mig("a100_1g.5gb"))).jobs
    assert (job.gpu_types, job.gpus_per_node, alone.nodes[0].gpu_type) == (("a100_1g.5gb",), 2, "a100_1g.5gb")
    both = read(mig("a100_1g.5gb"), mig("a100_2g.10gb"))
    assert (both.nodes[0].gpu_type, both.nodes[0].gpus) == ("", 4)
    assert [job.gpu_types for job in both.jobs] == [(), ()]
    assert reasons(both.remarks)["its type of GPU is not heeded: nodes have that and others"] == 2


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"JobID": "7.batch"}, "a step"),
        ({"JobID": "7+0.extern"}, "a step"),
        ({"JobID": "9_[3-8]", "Start": "Unknown", "End": "Unknown"}, "it never started"),
        ({"Start": "None"}, "it never started"),
        ({"NodeList": "None assigned"}, "it never started"),
        ({"End": "Unknown", "State": "RUNNING"}, "it had not ended"),
        ({"NNodes": 0, "AllocTRES": "", "ReqTRES": ""}, "broken line: nobody knows its number of nodes"),
        ({"Timelimit": "soon"}, "broken line: Invalid time limit specification 'soon': write minutes, hh:mm:ss or "
                                "days-hh:mm:ss"),
        ({"Submit": "yesterday"}, "broken line: Submit is no time since 1970 of the form 2017-10-09T07:01:55"),
        ({"ElapsedRaw": "", "End": "2026-03-01T10:04:00"}, "broken line: it ends before it begins"),
        ({"JobName": "a|b"}, "broken line: not 19 cells, as the header"),
    ],
)  # fmt: skip
def test_what_is_no_job_that_ran_is_counted_by_reason_with_its_line(changed, reason):
    workload = read(line(), "", line(**changed), line())
    assert len(workload.jobs) == 2
    assert workload.dropped == {f"{reason} (first in line 4)": 1}


def test_tasks_of_an_array_are_jobs_and_parts_of_a_heterogeneous_job_a_gang():
    workload = read(line(JobID="9_1", JobIDRaw=10), line(JobID="9_2", JobIDRaw=11), line(JobID="12+0", JobIDRaw=12),
                    line(JobID="12+1", JobIDRaw=13), line(JobID="14+0", JobIDRaw=14))  # fmt: skip
    assert [(job.hints.gang, job.hints.gang_size) for job in workload.jobs] == [
        ("", 0), ("", 0), ("het12", 2), ("het12", 2), ("", 0)]  # fmt: skip


def test_a_job_counts_from_when_it_could_begin():
    workload = read(line(Eligible="2026-03-01T10:03:00"), line(Eligible="2026-03-01T12:00:00"))
    assert [job.submit_s for job in workload.jobs] == [0, 180]  # one after its start is no matter
    assert sum(workload.remarks.values()) - 2 == 1  # and the two nodes


@pytest.mark.parametrize("limit", ["", "Partition_Limit", "UNLIMITED"])
def test_a_limit_that_is_none_is_the_run_time_in_minutes(limit):
    workload = read(line(Timelimit=limit, ElapsedRaw=3601))
    assert workload.jobs[0].wall_s == 3660
    assert reasons(workload.remarks)["no limit is known: its run time was taken"] == 1


def test_how_a_job_ended_is_kept():
    workload = read(line(State="CANCELLED by 1000"), line(State="OUT_OF_MEMORY"), line(State="NODE_FAIL"))
    assert [job.fate for job in workload.jobs] == ["CANCELLED", "OUT_OF_MEMORY", "NODE_FAIL"]


def test_fewer_columns_in_another_order_and_case_will_do():
    workload = read("3|2026-03-01T10:00:00|2026-03-01T10:00:00|2026-03-01T10:30:00|5|",
                    header="nnodes|SUBMIT|start|End|jobidraw|")  # fmt: skip
    (job,) = workload.jobs
    assert (job.nodes, job.run_s, job.cpus_per_node, workload.nodes) == (3, 1800, 1, ())


def test_columns_that_are_missing_are_named():
    with pytest.raises(Refused, match="dump, line 1: its header has no column Start, no NNodes or AllocNodes or"):
        read(header="JobID|Submit|End")


def test_a_header_in_the_middle_of_joined_dumps_is_passed_over():
    assert read(line(), HEADER, line()).dropped == {}


@given(
    nodes=st.integers(1, 40),
    per_node=st.tuples(st.integers(1, 256), st.integers(0, 2**21), st.integers(0, 16)),
    times=st.tuples(st.integers(1, 10**6), st.integers(0, 10**6), st.integers(0, 10**6)),
    wall_s=st.integers(1, 10**5).map(lambda minutes: 60 * minutes),
    fate=st.sampled_from([fate for fate in Fate if fate != Fate.REFUSED]),
)
def test_what_our_own_sacct_prints_of_a_job_and_its_step_is_read_back(nodes, per_node, times, wall_s, fate):
    (cpus, mem_mib, gpus), (submit, waits, runs) = per_node, times
    tres = f"cpu={nodes * cpus},mem={nodes * mem_mib}M,node={nodes}" + (f",gres/gpu={nodes * gpus}" if gpus else "")
    record = JobRecord(
        slurm_job_id=7, user="ada", account="lab", partition="gpu", name="train", raw_state=fate.value, nodes=nodes,
        node_list=f"g[1-{nodes}]", cpus=nodes * cpus, wall_s=wall_s, submit_time=submit, eligible_time=submit,
        start_time=submit + waits, end_time=submit + waits + runs,
    )  # fmt: skip
    ledger = Ledger(elapsed_s=runs, tres_req=tres, tres_alloc=tres, nodes_alloc=nodes, nodes_req=nodes)
    way = Way(Moment(0, "%s"), convert=False)
    printed = [Row(Accounted(record, ledger=ledger), step, way) for step in (None, Step(id="batch"))]
    lines = sacct_columns.lines(sacct_columns.read_columns("all"), printed, sacct_columns.Shape("|"))
    workload = read_sacct(lines, "ours")
    (job,) = workload.jobs
    assert (job.nodes, job.cpus_per_node, job.gpus_per_node) == (nodes, cpus, gpus)
    assert (job.run_s, job.wall_s, job.mem_per_node_bytes, job.fate) == (runs, wall_s, mem_mib * 2**20, fate)
    assert [(node.cpus, node.gpus) for node in workload.nodes] == [(cpus, gpus)] * nodes
    assert (workload.started_at, reasons(workload.dropped)) == (submit, {"a step": 1})


@given(st.data())
def test_whatever_becomes_of_a_dump_every_line_is_a_job_or_is_counted(data):
    whole = [HEADER, *(line(JobID=number, NodeList=f"g[1-{number}]", NNodes=number) for number in range(1, 7)),
             line(JobID="8+0"), line(JobID="8+1"), line(JobID="3.batch")]  # fmt: skip
    lines = data.draw(mutilated(whole))
    told = ("dump: it has no job", "dump, line ", "dump: it is empty")
    workload = outcome(lambda: read_sacct(lines, "dump"), *told)
    if workload is None:
        return
    rows = [text for text in lines if text.strip() and text != HEADER]
    if lines[0] == HEADER:
        assert len(workload.jobs) + sum(workload.dropped.values()) == len(rows)
    for job in workload.jobs:
        assert job.nodes > 0
        assert job.wall_s > 0
        assert job.run_s >= 0
        assert job.submit_s >= 0
