"""Runs are kept once, as they were told last, with all that is not known left empty."""

from __future__ import annotations

from collections import Counter

import duckdb
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpcjobs.model.usage import NodeKind, Run
from hpcjobs.usage import intake
from hpcjobs.usage.fleet import Fleet
from hpcjobs.usage.tables import TABLES

FLEET = Fleet([NodeKind("n1", 0, "gpu:a100:8", 64)])


@pytest.fixture
def usage() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    connection.execute(TABLES)
    return connection


def run(number: int = 1, **fields: object) -> Run:
    told = {"submit_time": 100, "user": "alice", "account": "vision", "raw_state": "RUNNING"} | fields
    return msgspec.convert({"slurm_job_id": number} | told, Run)


def kept(usage: duckdb.DuckDBPyConnection, columns: str = "slurm_job_id, raw_state") -> list[tuple]:
    return usage.execute(f"SELECT {columns} FROM runs ORDER BY cluster, slurm_job_id, submit_time").fetchall()


def test_all_that_is_known_of_a_run_is_kept_and_nothing_else(usage):
    full = run(
        eligible_time=101, start_time=102, end_time=203, partition="gpu", qos="q", suspended_s=3, wall_s=60, nodes=1,
        cpus=4, mem_bytes=2**40, node_list="n1", tres_alloc="gres/gpu=2", tres_req="gres/gpu=2", exclusive=False,
        exit_code=1, exit_signal=9, restarts=2, reason="R", cpu_used_s=1.5, mem_max_bytes=7, energy_j=8,
        array_job_id=5, het_job_id=6, reservation="r", wckey="w",
    )  # fmt: skip
    assert intake.write_runs(usage, "big", [full, run(2)], FLEET) == 2
    names = [field for field in Run.__struct_fields__ if field != "submit_line"]
    first, second = kept(usage, ", ".join(f'"{name}"' for name in names))
    assert dict(zip(names, first, strict=True)) == {name: getattr(full, name) for name in names}
    empty = [name for name, value in zip(names, second, strict=True) if value is None]
    assert set(empty) == {
        "eligible_time", "start_time", "end_time", "wall_s", "exclusive", "cpu_used_s", "mem_max_bytes", "energy_j",
        "array_job_id", "het_job_id",
    }  # fmt: skip
    assert usage.execute("SELECT kind, devices, equivalent, held, basis FROM run_gpus").fetchall() == [
        ("a100", 2, 2.0, 2.0, "nodes")
    ]


def test_what_is_told_again_is_in_place_of_what_was_told(usage):
    told = {"start_time": 110, "node_list": "n1", "tres_alloc": "gres/gpu=2", "nodes": 1}
    intake.write_runs(usage, "big", [run(**told), run(2, **told)], FLEET)
    intake.write_runs(usage, "big", [run(**told, end_time=200, raw_state="COMPLETED")], FLEET)
    assert kept(usage) == [(1, "COMPLETED"), (2, "RUNNING")]
    assert usage.execute("SELECT count(*), sum(devices) FROM run_gpus JOIN runs USING (run)").fetchall() == [(2, 4)]


def test_tries_of_a_job_and_jobs_of_other_clusters_are_runs_of_their_own(usage):
    intake.write_runs(usage, "big", [run(), run(submit_time=200)], FLEET)
    intake.write_runs(usage, "small", [run(raw_state="FAILED")], FLEET)
    intake.write_runs(usage, "big", [run(raw_state="NODE_FAIL")], FLEET)
    assert kept(usage, "cluster, submit_time, raw_state") == [
        ("big", 100, "NODE_FAIL"), ("big", 200, "RUNNING"), ("small", 100, "FAILED"),
    ]  # fmt: skip


@given(st.lists(st.lists(st.tuples(st.integers(1, 4), st.integers(1, 3), st.integers(0, 99)), max_size=5), max_size=6))
def test_however_often_it_is_told_each_run_is_kept_once_and_as_told_last(tellings):
    connection = duckdb.connect()
    connection.execute(TABLES)
    last: dict[tuple[int, int], int] = {}
    for telling in tellings:
        runs = [run(number, submit_time=time, exit_code=code) for number, time, code in telling]
        if runs:
            intake.write_runs(connection, "big", runs, FLEET)
        last |= {(number, time): code for number, time, code in telling}
    found = kept(connection, "slurm_job_id, submit_time, exit_code, run")
    assert {(number, time): code for number, time, code, _ in found} == last
    assert len(found) == len(last)
    assert max(Counter(number for *_, number in found).values(), default=1) == 1


def test_nodes_are_remembered_where_they_changed(usage):
    intake.write_nodes(usage, "big", [NodeKind("n1", 5, "gpu:a100:8", 64), NodeKind("n1", 50, "gpu:h100:8", 64)])
    fleet = intake.read_fleet(usage, "big")
    assert [fleet.pool("n1", at).gpus for at in (1, 49, 50)] == [(("a100", 8),), (("a100", 8),), (("h100", 8),)]
    assert fleet.pool("n2", 1) is None
    assert not fleet.learn(NodeKind("n1", 60, "gpu:h100:8", 64))
    assert fleet.learn(NodeKind("n1", 60, "gpu:h100:4", 64))
    assert intake.read_fleet(usage, "other").pool("n1", 1) is None


def test_a_file_from_before_nodes_were_said_to_be_down_is_brought_up_to_date(usage):
    usage.execute("ALTER TABLE node_kinds DROP usable")
    usage.execute("INSERT INTO node_kinds (cluster, node, since, gres, cpus) VALUES ('big', 'n1', 5, 'gpu:a100:8', 64)")
    usage.execute(TABLES)
    assert not intake.read_fleet(usage, "big").learn(NodeKind("n1", 60, "gpu:a100:8", 64))
