"""The pure parts of the verbs: names of tasks, times, which tasks failed, what top shows."""

from __future__ import annotations

import io
import time

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from hpcjobs.cli.expand import Moment, as_tasks, each_task
from hpcjobs.cli.output import last_lines
from hpcjobs.cli.retry import failed_tasks
from hpcjobs.cli.submit import settled
from hpcjobs.cli.top.command import chosen
from hpcjobs.cli.top.draw import picture
from hpcjobs.cli.top.picture import SORTS, Choice, Seen, Use, cluster_lines, shown_jobs
from hpcjobs.model.cluster import ClusterSummary
from hpcjobs.model.job import Fate, State
from hpcjobs.model.spans import parse_spans

from .builders import job, node


def test_names_of_tasks_are_told_apart():
    assert each_task("12_[1-3,7]") == ["12_1", "12_2", "12_3", "12_7"]
    assert each_task("12_[0-4:2%2]") == ["12_0", "12_2", "12_4"]
    assert each_task("12_4") == ["12_4"]
    for wrong in ("12_[3-1]", "12_[0-99999]"):
        with pytest.raises(click.UsageError):
            each_task(wrong)


@given(st.sets(st.integers(0, 1000), min_size=1))
def test_task_numbers_are_written_as_slurm_reads_them(numbers):
    assert {number for span in parse_spans(as_tasks(numbers)) for number in span} == numbers


def test_a_time_is_ago_or_a_date():
    assert abs(Moment().convert("2h", None, None) - time.time() + 7200) < 60
    at = Moment().convert(time.strftime("%H:%M", time.localtime(time.time() - 3600)), None, None)
    assert -7300 < at - time.time() < -3500
    with pytest.raises(click.BadParameter):
        Moment().convert("soon", None, None)


def test_times_of_a_script_that_count_from_now_become_moments():
    now = 1_800_000_000.0
    script = "#!/bin/sh\n#SBATCH --begin=now+1hour\n#SBATCH --deadline=2027-06-01T00:00\n"
    assert settled({"script": script}, now)["begin"] == "uts1800003600"
    assert "deadline" not in settled({"script": script}, now)
    assert settled({"script": "#!/bin/sh\n#SBATCH --begin=nonsense\n"}, now) == {
        "script": "#!/bin/sh\n#SBATCH --begin=nonsense\n"
    }


def task(number: int, fate: Fate | None):
    state = State.FINISHED if fate else State.RUNNING
    return job(slurm_job_id=20 + number, parent="a" * 32, task=number, state=state, fate=fate)


def test_the_failed_tasks_of_an_array_are_those_that_did_not_complete():
    array = job(array_size=5, tasks={"COMPLETED": 2, "FAILED": 1, "TIMEOUT": 1, "UNKNOWN": 1})
    tasks = [task(0, Fate.COMPLETED), task(1, Fate.FAILED), task(2, Fate.TIMEOUT), task(3, Fate.COMPLETED)]
    assert failed_tasks(array, tasks, range(5)) == [1, 2]  # 4 ended unseen


def test_tasks_that_were_cancelled_as_they_waited_count_as_failed():
    array = job(array_size=4, tasks={"COMPLETED": 1, "CANCELLED": 3})
    assert failed_tasks(array, [task(0, Fate.COMPLETED), task(1, Fate.CANCELLED)], range(4)) == [1, 2, 3]


class Output:
    """A service with one output, of which it gives the end."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    def request(self, _method: str, _path: str, query: dict[str, int]) -> Output:
        begin = max(0, len(self.data) + query["offset"])
        self.content, self.headers = self.data[begin:], {"Output-Offset": str(begin)}
        return self


@given(st.lists(st.binary(max_size=9).map(lambda line: line.replace(b"\n", b"x")), max_size=20), st.integers(1, 9),
    st.booleans())  # fmt: skip
def test_the_last_lines_are_those_that_tail_prints(lines, count, ended):
    data = b"\n".join(lines) + (b"\n" if ended else b"")
    offset, told = last_lines(Output(data), "1", count, {})
    assert offset == len(data)
    parts = data.split(b"\n")
    kept = [part + b"\n" for part in parts[:-1]] + ([parts[-1]] if parts[-1] else [])
    assert told == b"".join(kept[-count:])


def test_many_lines_are_looked_for_further_back(monkeypatch):
    monkeypatch.setattr("hpcjobs.cli.output.FIRST_BYTES", 4)
    data = b"".join(b"%d\n" % number for number in range(100))
    assert last_lines(Output(data), "1", 30, {})[1] == b"".join(b"%d\n" % number for number in range(70, 100))


def seen(*jobs) -> Seen:
    nodes = [node("n1"), node("n2")]
    clusters = [
        ClusterSummary("big", "simulated", True, 1.0, ""),
        ClusterSummary("far", "ssh", False, None, "no route"),
    ]
    return Seen("alice", "http://x", clusters, {"big": nodes}, jobs, False, 0.0)


JOBS = [
    job(id="1" * 32, slurm_job_id=1, cluster="big", name="b", user="alice", state=State.RUNNING, start_time=900,
        wall_s=3600, gpus={"a100": 2}, node_list="n1"),
    job(id="2" * 32, slurm_job_id=2, cluster="big", name="a", user="alice", state=State.PENDING, reason="Resources"),
    job(id="3" * 32, slurm_job_id=3, cluster="big", name="c", user="bob", state=State.RUNNING, start_time=100),
    job(id="4" * 32, slurm_job_id=4, cluster="big", name="d", user="alice", state=State.RUNNING, start_time=950,
        array_size=6, tasks={"RUNNING": 2, "PENDING": 4}),
]  # fmt: skip


def test_top_counts_tasks_of_arrays_and_everybodys_jobs():
    big, far = cluster_lines(seen(*JOBS))
    assert (big.running, big.waiting, big.nodes) == (4, 5, Use(2, 2))
    assert far.trouble == "no route"


def test_top_orders_as_its_keys_say():
    numbers = {key: [one.slurm_job_id for one in shown_jobs(seen(*JOBS), Choice(sort=key))] for key in SORTS}
    assert numbers == {"s": [1, 4, 2], "j": [1, 2, 4], "n": [2, 1, 4], "t": [1, 4, 2], "g": [1, 2, 4], "u": [1, 2, 4]}
    assert [one.slurm_job_id for one in shown_jobs(seen(*JOBS), Choice("u", everybody=True))][-1] == 3


def test_keys_choose():
    assert chosen(Choice(row=3), "n") == Choice(sort="n")
    assert chosen(Choice(), "up").row == 0
    assert chosen(Choice(), "page down").row == 10
    assert chosen(Choice(), "r").backwards
    assert chosen(Choice(), "m").everybody
    assert chosen(Choice(), "?") == Choice()


@pytest.mark.parametrize(("width", "height"), [(80, 24), (80, 10), (132, 50), (40, 24)])
def test_top_fills_the_screen_and_no_more(width, height):
    wide = {"name": "x" * 50, "node_list": "n[1-2000]", "wall_s": 10**6, "gpus": {"a100": 8, "h100": 8}}
    told = {"cluster": "big", "user": "alice", "state": State.RUNNING, "start_time": 1, **wide}
    many = [job(id=f"{n:032}", slurm_job_id=n, **told) for n in range(1, 100)]
    for jobs in (many, JOBS, []):
        console = Console(width=width, height=height, file=io.StringIO(), color_system=None)
        console.print(picture(seen(*jobs), Choice(row=50), 1000.0, width, height, "a note"))
        lines = console.file.getvalue().splitlines()
        assert len(lines) == height
        assert all(len(line) <= width for line in lines)
        assert "q quit" in lines[-1]


def test_the_chosen_job_is_marked():
    console = Console(width=80, height=24, file=io.StringIO(), force_terminal=True, color_system="standard")
    console.print(picture(seen(*JOBS), Choice(row=1), 1000.0, 80, 24))
    (line,) = [line for line in console.file.getvalue().splitlines() if "\x1b[7" in line]
    assert "4 pending, 2 running" in line


def test_top_shows_where_and_for_how_long():
    console = Console(width=120, file=io.StringIO(), color_system=None)
    console.print(picture(seen(*JOBS), Choice(), 1000.0, 120, None))
    text = console.file.getvalue()
    assert "00:01:40/01:00:00" in text
    assert "(Resources)" in text
    assert "4 pending, 2 running" in text
    assert "no route" in text
