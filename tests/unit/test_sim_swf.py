from __future__ import annotations

import gzip

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpcjobs.errors import Refused
from hpcjobs.sim.traces.lines import lines_of
from hpcjobs.sim.traces.swf import read_swf
from tests.unit.traces import mutilated, outcome, real_trace

HEADER = ["; Version: 2.2", "; UnixStartTime: 1000000", "; MaxNodes: 8", "; MaxProcs: 32"]


def line(submit=0, run=60, allocated=4, asked=4, limit=120, status=1, user=7, wait=0):
    return f"1 {submit} {wait} {run} {allocated} -1 -1 {asked} {limit} -1 {status} {user} 3 9 -1 -1 -1 -1"


def read(*lines, **options):
    return read_swf([*HEADER, *lines], "made.swf", **options)


def test_a_line_becomes_a_job_of_whole_nodes():
    workload = read(line(submit=5, run=60, asked=10, limit=120))
    (job,) = workload.jobs
    assert (job.number, job.submit_s, job.run_s, job.wall_s) == (1, 0, 60, 120)
    assert (job.nodes, job.cpus_per_node, job.exclusive) == (3, 4, True)  # 10 processors on nodes of 32 / 8
    assert (job.user, job.account, job.name) == ("u7", "g3", "app9")
    assert [node.cpus for node in workload.nodes] == [4] * 8
    assert workload.started_at == 1000005
    assert workload.dropped == workload.remarks == {}


def test_processors_can_be_what_is_handed_out():
    workload = read(line(asked=10), unit="processors")
    assert len(workload.nodes) == 32
    assert workload.jobs[0].nodes == 10


def test_times_that_count_from_1970_against_the_format_give_the_same_jobs():
    relative, absolute = read(line(0), line(50)), read(line(1000000), line(1000050))
    assert relative.jobs == absolute.jobs
    assert relative.started_at == absolute.started_at == 1000000


def test_what_was_asked_for_goes_before_what_was_given_which_stands_in_for_it():
    asked, given = read(line(asked=8, allocated=4)), read(line(asked=-1, allocated=4))
    assert (asked.jobs[0].nodes, given.jobs[0].nodes) == (2, 1)


def test_jobs_are_numbered_in_the_order_of_their_submission_whatever_the_file_does():
    workload = read(line(30, user=1), line(10, user=2), line(30, user=3))
    assert [(job.number, job.submit_s, job.user) for job in workload.jobs] == [
        (1, 0, "u2"),
        (2, 20, "u1"),
        (3, 20, "u3"),
    ]


def test_without_a_limit_the_run_time_in_minutes_is_it_and_that_is_said():
    workload = read(line(run=61, limit=-1), line(run=0, limit=-1))
    assert [job.wall_s for job in workload.jobs] == [120, 60]
    assert workload.remarks == {"no limit is known: its run time was taken (first in line 5)": 2}


@pytest.mark.parametrize(("stretch", "wall_s"), [(False, 120), (True, 125)])
def test_a_run_beyond_its_limit_is_kept_as_it_was_and_said(stretch, wall_s):
    workload = read(line(run=125, limit=120), stretch_limits=stretch)
    assert (workload.jobs[0].run_s, workload.jobs[0].wall_s) == (125, wall_s)
    assert sum(workload.remarks.values()) == 1


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (line(run=-1), "it never ran"),
        (line(asked=-1, allocated=-1), "nobody knows its processors"),
        (line(status=2), "part of a job that is listed whole"),
        (line(asked=33), "it asks for more than 8 nodes"),
        (line(submit="soon"), "broken line: the submission is no number from 0 to 1e15"),
        (line(submit=-5), "broken line: the submission is no number from 0 to 1e15"),
        (line(run="nan"), "broken line: the run time is no number from 0 to 1e15"),
        (line(asked=1.5), "broken line: the number of processors is no whole number"),
        ("1 2 3", "broken line: fewer than 18 columns"),
    ],
)
def test_what_is_left_out_is_counted_by_reason_with_its_line(bad, reason):
    workload = read(line(), "", bad, line())
    assert len(workload.jobs) == 2
    assert sum(workload.dropped.values()) == 1
    (told,) = workload.dropped
    assert told.removesuffix(" (first in line 7)") == reason


def test_how_a_job_ended_is_kept():
    workload = read(line(status=0), line(status=1), line(status=5, asked=9), line(status=-1))
    assert [job.fate for job in workload.jobs] == ["FAILED", "COMPLETED", "CANCELLED", "COMPLETED"]


def test_columns_after_the_last_are_not_read_and_that_is_said():
    assert read(line() + " 0.975").remarks == {"columns after the 18th were not read (first in line 5)": 1}


def test_a_file_without_jobs_is_refused_by_its_name_with_what_was_wrong():
    with pytest.raises(Refused, match=r"made.swf: it has no job that can be used \(it never ran"):
        read(line(run=-1))


def test_a_header_that_does_not_say_how_large_the_machine_is_needs_somebody_who_does():
    with pytest.raises(Refused, match="names no MaxProcs"):
        read_swf([line()])
    assert len(read_swf([line()], size=16).nodes) == 16


@given(st.data())
def test_whatever_becomes_of_a_file_every_line_is_a_job_or_is_counted(data):
    whole = [*HEADER, *(line(submit, asked=1 + submit % 32) for submit in range(8))]
    lines = data.draw(mutilated(whole))
    workload = outcome(lambda: read_swf(lines, "made.swf", size=8), "made.swf: it has no job")
    if workload is None:
        return
    told = [text for text in lines if text.strip() and not text.strip().startswith(";")]
    assert len(workload.jobs) + sum(workload.dropped.values()) == len(told)
    assert [job.number for job in workload.jobs] == list(range(1, len(workload.jobs) + 1))
    assert all(1 <= job.nodes <= 8 and job.wall_s > 0 and job.run_s >= 0 for job in workload.jobs)


def test_a_file_is_the_same_packed_and_plain_whatever_it_is_called(tmp_path):
    text = "\ufeff; MaxProcs: 4\r\n" + line(asked=2) + "\n\xff"
    plain, packed = tmp_path / "a.gz", tmp_path / "b.swf"
    plain.write_bytes(text.encode())
    packed.write_bytes(gzip.compress(text.encode()))
    assert list(lines_of(plain)) == list(lines_of(packed)) == ["; MaxProcs: 4", line(asked=2), "\xff"]


def test_a_file_that_is_cut_short_missing_or_too_long_is_refused_with_its_name(tmp_path):
    path = tmp_path / "jobs.swf.gz"
    with pytest.raises(Refused, match=r"jobs.swf.gz: it cannot be read: No such file"):
        list(lines_of(path))
    packed = gzip.compress(b"\n".join(b"%d" % (number * 7919) for number in range(5000)))
    path.write_bytes(packed[: len(packed) // 2])
    with pytest.raises(Refused, match=r"jobs.swf.gz, line \d+: after this line it is cut short or broken"):
        list(lines_of(path))
    path.write_bytes(packed[:10] + b"\x07" + packed[11:])  # a block of a kind that there is none of (RFC 1951, 3.2.3)
    with pytest.raises(Refused, match="cut short or broken"):
        list(lines_of(path))
    path.write_bytes(packed[:100] + bytes([packed[100] ^ 255]) + packed[101:])
    with pytest.raises(Refused, match=r"cut short or broken|cannot be read"):
        list(lines_of(path))
    path.write_bytes(packed)
    with pytest.raises(Refused, match="more than 1000 bytes, unpacked"):
        list(lines_of(path, most_bytes=1000))
    path.write_bytes(gzip.compress(b"1" * (2 << 20)))
    with pytest.raises(Refused, match="line 1: the line has more than 1048576 bytes"):
        list(lines_of(path))


@pytest.mark.parametrize(
    ("name", "jobs", "nodes", "remarks"),
    [
        ("theta_2023_feb_dec.swf.gz", 26_671, 4_360, {5_816, 26_671}),  # beyond their limit; a 19th column
        ("NASA-iPSC-1993-3.1-cln.swf.gz", 18_239, 128, {18_239}),  # no limits
    ],
)
def test_a_real_trace_is_read_whole(name, jobs, nodes, remarks):
    path = real_trace(name)
    workload = read_swf(lines_of(path), path.name)
    assert (len(workload.jobs), len(workload.nodes), workload.dropped) == (jobs, nodes, {})
    assert set(workload.remarks.values()) == remarks
