"""``hpcjobs simulate`` on files and made jobs."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from click.testing import CliRunner, Result
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hpcjobs.cli.main import main
from hpcjobs.hooks import loading
from hpcjobs.model.steering import Hold
from hpcjobs.plugin import Admit, Observe, Plugin, Tick
from hpcjobs.sim.cases import PLACEMENTS
from hpcjobs.sim.report.figures import UNITS
from hpcjobs.sim.schedulers import SCHEDULERS
from tests.unit.topology_runs import on_terminal

SMALL = ("--fleet", "6x8", "--generate", 'llm:{"jobs": 60}')
SWF = """; MaxNodes: 4
; UnixStartTime: 1000000
1 0 -1 100 4 -1 -1 4 100 -1 1 1 1 -1 -1 -1 -1 -1
2 10 -1 100 3 -1 -1 3 100 -1 1 1 1 -1 -1 -1 -1 -1
3 20 -1 50 1 -1 -1 1 40 -1 1 2 1 -1 -1 -1 -1 -1
"""


def run(*words: str | Path) -> Result:
    return CliRunner().invoke(main, ["simulate", *map(str, words)])


def report(*words: str | Path) -> dict:
    done = run("--json", *words)
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def figure(told: dict, name: str, case: int = 0) -> float:
    return told["cases"][case]["figures"][name]["mean"]


@pytest.fixture
def swf(tmp_path) -> Path:
    path = tmp_path / "three.swf"
    path.write_text(SWF)
    return path


def test_a_trace_is_simulated_and_every_figure_is_told(swf):
    told = report(swf, "--scheduler", "fcfs")
    assert (told["jobs"], told["nodes"], told["gpus"]) == (3, 4, 0)
    assert set(told["cases"][0]["figures"]) == set(UNITS)
    assert figure(told, "wait_mean_s") == (0 + 90 + 80) / 3
    assert figure(told, "makespan_s") == 200
    assert told["assumptions"]


def test_several_cases_stand_side_by_side(swf):
    done = run(swf, "--case", "first come: scheduler=fcfs", "--case", "counted: scheduler=easy placement=counts")
    assert done.exit_code == 0, done.output
    table, waits = done.stdout.strip().split("\n\n")
    header, *lines = table.splitlines()
    assert header == "FIGURE\tUNIT\tfirst come\tcounted"
    assert {line.count("\t") for line in lines} == {3}
    assert {line.split("\t")[0]: line.split("\t")[2] for line in lines}["makespan_s"] == "200"
    assert waits.splitlines()[0].split("\t")[:3] == ["SIZE", "IN", "JOBS"]


def test_limits_cut_runs_unless_they_are_stretched(swf):
    assert figure(report(swf), "makespan_s") == 200
    ends = {row["job"]: row["end"] for row in jobs_of(swf)}
    assert ends == {"1": "COMPLETED", "2": "COMPLETED", "3": "TIMEOUT"}
    assert {row["end"] for row in jobs_of(swf, "--stretch-limits")} == {"COMPLETED"}


def rows(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text().splitlines()))


def jobs_of(swf: Path, *words: str) -> list[dict[str, str]]:
    out = swf.parent / "out"
    assert run(swf, "--out", out, *words).exit_code == 0
    return rows(out / "jobs.csv")


def test_a_window_is_of_lengths_of_time_or_dates(swf):
    assert report(swf, "--window", "10..")["jobs"] == 2
    assert report(swf, "--window", "..10")["jobs"] == 1
    assert report(swf, "--window", "1970-01-12T13:46:45..1970-01-12T13:46:55")["jobs"] == 1
    assert report(swf, "--until", "15")["jobs"] == 2


def test_demand_is_what_was_said(swf):
    assert figure(report(swf, "--demand", "1.7"), "demand") == pytest.approx(1.7)
    assert figure(report(*SMALL, "--demand", "0.7"), "demand") == pytest.approx(0.7, rel=0.01)


def test_the_fleet_may_be_another_than_the_traces(swf):
    assert report(swf, "--fleet", "9x0")["nodes"] == 9


def test_seeds_make_other_jobs_and_the_same_seed_the_same(tmp_path):
    told = report(*SMALL, "--seeds", "3", "--failures", "100", "--out", tmp_path)
    assert told["seeds"] == [1, 2, 3]
    spread = told["cases"][0]["figures"]["wait_mean_s"]
    values = [trial["figures"]["wait_mean_s"] for trial in told["cases"][0]["trials"]]
    assert (spread["least"], spread["most"], spread["seeds"]) == (min(values), max(values), 3)
    assert len(set(values)) == 3
    again = report(*SMALL, "--seed", "2", "--failures", "100")
    assert again["cases"][0]["trials"][0]["figures"] == told["cases"][0]["trials"][1]["figures"]
    seeds = {row["seed"] for row in rows(tmp_path / "jobs.csv")}
    assert seeds == {"1", "2", "3"}


def test_jobs_that_never_end_do_not_keep_it_for_ever(tmp_path):
    (tmp_path / "long.swf").write_text("; MaxNodes: 4\n1 0 -1 900000 4 -1 -1 4 900000 -1 1 1 1 -1 -1 -1 -1 -1\n")
    done = run(tmp_path / "long.swf", "--failures", "1e5")
    assert done.exit_code == 0
    assert "1 jobs still waited or ran when it stopped" in done.stderr


LONG = """; MaxNodes: 4
1 0 -1 20000 4 -1 -1 4 900000 -1 1 1 1 -1 -1 -1 -1 -1
"""


def test_each_seed_has_its_failures_and_a_job_that_met_one_waits_as_long_as_is_said(tmp_path):
    path = tmp_path / "long.swf"
    path.write_text(LONG)
    words = (path, "--failures", "5000", "--repair", "1s")
    told = report(*words, "--seeds", "3")
    assert len({trial["figures"]["makespan_s"] for trial in told["cases"][0]["trials"]}) == 3
    restarts = figure(report(*words, "--seed", "2"), "restarts")
    soon, late = (figure(report(*words, "--seed", "2", "--requeue", wait), "makespan_s") for wait in ("10s", "30s"))
    assert restarts > 0
    assert late > soon


def test_failures_are_the_same_in_every_case():
    told = report(*SMALL, "--failures", "3000", "--repair", "1h", "--case", "a:", "--case", "b: scheduler=fcfs")
    assert figure(told, "failures") > 0
    assert any("makes no checkpoints" in line for line in told["assumptions"])


@pytest.mark.parametrize("name", [*PLACEMENTS])
def test_every_placement_simulates(name):
    told = report(*SMALL, "--placement", name)
    assert figure(told, "ended") == told["jobs"]


@pytest.mark.parametrize("name", SCHEDULERS)
def test_every_scheduler_simulates(name):
    assert figure(report(*SMALL, "--scheduler", name), "ended") > 50


class Point:
    """An entry point of this test."""

    value = module = "tests.unit.test_simulate_command"
    dist = None

    def __init__(self, plugin: Plugin) -> None:
        self.name, self._plugin = plugin.name, plugin

    def load(self) -> Plugin:
        return self._plugin


@pytest.fixture
def plugin(monkeypatch):
    """Puts a plugin where those are that are installed."""

    def put(*hooks) -> None:
        points = [Point(Plugin(name="mine", api=1, hooks=list(hooks)))]
        monkeypatch.setattr(loading, "entry_points", lambda group, name=None: points if name in (None, "mine") else [])

    return put


def test_policies_are_plugins_and_what_they_did_is_counted(plugin, swf):
    def hold(view, now):
        return [Hold(number, "It shall not.") for number in view.jobs if number == 2 and now < 1_000_000_150]

    plugin(Tick(hold, 5.0))
    told = report(swf, "--case", "alone:", "--case", "held: policy=mine")
    assert (figure(told, "wait_mean_s"), figure(told, "wait_mean_s", 1)) == (
        pytest.approx(170 / 3),
        pytest.approx(220 / 3),
    )
    assert told["cases"][1]["trials"][0]["acted"] == {"mine": {"hold wished": 1, "hold withdrawn": 1}}


def test_a_policy_that_raises_is_told_with_what_it_raised(plugin, swf):
    def fail(view, now):
        raise KeyError("n1")

    plugin(Tick(fail, 50.0))
    done = run(swf, "--policy", "mine")
    assert done.exit_code == 0
    assert "hpcjobs: warning: simulated: mine raised KeyError: 'n1'" in done.stderr
    assert "mine failed in" in done.stderr


def test_a_plugin_that_delays_jobs_at_submission_delays_them_here(plugin, swf):
    import msgspec

    plugin(
        Admit(
            lambda spec, _context: (
                msgspec.structs.replace(spec, begin="now+1hour") if spec.resources.nodes == 4 else spec
            )
        )
    )
    told = report(swf, "--policy", "mine")
    assert figure(told, "wait_mean_s") == pytest.approx(3600 / 3)


def test_what_a_policy_remembers_is_gone_when_the_next_simulation_begins(monkeypatch):
    def hooks(_settings):
        asked: list[float] = []

        def tick(view, now):
            asked.append(now)
            return [Hold(1, "The first time.")] if len(asked) == 1 else []

        return [Tick(tick, 5.0)]

    points = [Point(Plugin(name="mine", api=1, hooks=hooks))]
    monkeypatch.setattr(loading, "entry_points", lambda group, name=None: points)
    told = report(*SMALL, "--policy", "mine", "--seeds", "2")
    first, second = (trial["acted"] for trial in told["cases"][0]["trials"])
    assert first == second == {"mine": {"hold wished": 1, "hold withdrawn": 1}}


def test_a_plugin_that_neither_ticks_nor_admits_is_no_policy(plugin, swf):
    plugin(Observe(lambda _event: None))
    done = run(swf, "--policy", "mine")
    assert (done.exit_code, "mine is no policy; it has observe" in done.stderr) == (1, True)


def test_policies_are_asked_no_more_often_than_is_said(plugin, swf):
    asked: list[float] = []
    plugin(Tick(lambda _view, now: asked.append(now) or [], 1.0))
    told = report(swf, "--policy", "mine", "--period", "1m")
    assert [int(now) % 1000 for now in asked] == [60, 120, 180]
    assert "Policies are asked every 60 s at most." in told["assumptions"]


def test_gangs_of_the_plugin_start_together(tmp_path):
    mix = 'llm:{"jobs": 40, "gangs": 1}'
    out = tmp_path / "out"
    told = report("--fleet", "8x8", "--generate", mix, "--policy", "gang", "--out", out, "--seed", "4")
    assert figure(told, "gang_wait_count") > 0
    starts: dict[str, set[float]] = {}
    for row in rows(out / "jobs.csv"):
        if row["gang"] and row["first_start_s"]:
            starts.setdefault(row["gang"], set()).add(float(row["first_start_s"]))
    assert starts
    assert all(len(times) == 1 for times in starts.values())


def test_files_and_pictures_are_written(tmp_path):
    out = tmp_path / "new" / "out"
    mix = ("--fleet", "6x8", "--generate", 'llm:{"jobs": 200}', "--demand", "2")
    done = run(*mix, "--case", "a/b $x$ \u4e2d:", "--case", "a-b: placement=fgd", "--out", out)
    assert done.exit_code == 0, done.output
    names = {path.name for path in out.iterdir()}
    pictures = {"utilisation", "waits", "fragmentation", "gantt-a-b-x", "gantt-a-b"}
    assert names == {"report.json", "metrics.csv", "jobs.csv", "samples.csv"} | {
        f"{picture}.{kind}" for picture in pictures for kind in ("svg", "png")
    }
    assert all(path.stat().st_size > 5000 for path in out.glob("*.png"))
    drawn = ET.parse(out / "utilisation.svg").getroot()
    assert len(drawn.findall(".//{http://www.w3.org/2000/svg}g[@id='legend_1']")) == 1
    told = json.loads((out / "report.json").read_text())
    assert [case["case"]["name"] for case in told["cases"]] == ["a/b $x$ \u4e2d", "a-b"]


def test_cases_whose_names_become_one_have_pictures_each(tmp_path):
    assert run(*SMALL, "--case", "a b:", "--case", "a/b: scheduler=fcfs", "--out", tmp_path).exit_code == 0
    assert {path.name for path in tmp_path.glob("gantt*.svg")} == {"gantt-a-b-1.svg", "gantt-a-b-2.svg"}


def test_without_matplotlib_the_rest_is_written_and_it_is_said_what_to_install(tmp_path):
    code = (
        "import sys; sys.modules['matplotlib'] = None\n"
        "from hpcjobs.cli.main import main\n"
        f"main(['simulate', '--fleet', '2x8', '--generate', 'llm:{{\"jobs\": 9}}', '--out', {str(tmp_path)!r}])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "pip install matplotlib" in done.stderr
    assert {path.name for path in tmp_path.iterdir()} == {"report.json", "metrics.csv", "jobs.csv", "samples.csv"}


def test_the_command_line_starts_without_what_the_simulator_needs():
    code = (
        "import sys, hpcjobs.cli.main\n"
        "slow = ('numpy', 'matplotlib', 'rich.progress', 'hpcjobs.sim', 'hpcjobs.hooks')\n"
        "sys.exit([name for name in sys.modules if name.startswith(slow)] or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_bar_is_seen_on_a_terminal_and_nowhere_else(swf):
    words = ["-c", "from hpcjobs.cli.main import main; main()", "simulate", str(swf)]
    code, seen = on_terminal(100, program=[sys.executable, *words])
    assert (code, "Simulating" in seen) == (0, True)
    piped = subprocess.run([sys.executable, *words], capture_output=True, text=True, check=True)
    assert "Simulating" not in piped.stdout + piped.stderr
    assert piped.stdout.startswith("FIGURE\tUNIT\tsimulated\n")


WRONG = [
    ((), "FILE: name a trace, or --generate llm, or --from-live"),
    (("nowhere.swf",), "nowhere.swf: it cannot be read: No such file or directory"),
    (("SWF", "--format", "xml"), "No form is called 'xml'; there are swf, sacct"),
    (("SWF", "--format", "philly"), "three.swf"),
    (("SWF", "--fleet", "0x8"), "--fleet: 0 nodes; there may be 1 to 100000"),
    (("SWF", "--fleet", "8x"), "8x: it cannot be read"),
    (("SWF", "--topology", "SWF"), "--topology: "),
    (("SWF", "--window", "5"), "--window: '5' is not of the form FROM..TO"),
    (("SWF", "--window", "x..5"), "--window: 'x' is neither a length of time like 10d nor a date"),
    (("SWF", "--window", "9..5"), "--window: '9..5' ends before it begins"),
    (("SWF", "--window", "9d.."), "has no job from 777600 to inf s"),
    (("SWF", "--seeds", "2"), "--seeds: nothing here depends on chance"),
    (("SWF", "--add-nodes", "2"), "--add-nodes: it goes with --from-live"),
    (("SWF", "--case", "a: without=n1"), "--case: add-nodes and without go with --from-live"),
    (("SWF", "--case", "a:", "--case", "a: "), "--case: two are called 'a'"),
    (("SWF", "--policy", "nobody"), "--policy: simulated: No plugin is called 'nobody'; installed are: "),
    (("SWF", "--policy", "topology"), "--policy: simulated: The settings of topology are wrong"),
    (("SWF", "--policy", 'urgent:{"points": "x"}'), "The settings of urgent are wrong"),
    (("SWF", "--failures", "5", "--placement", "counts"), "nodes cannot fail"),
    (("SWF", "--out", "SWF/x"), "--out: "),
    (("--generate", "llm"), "--fleet: name the nodes"),
    (("--fleet", "2x8", "--generate", "hpc"), "--generate: no mix is called 'hpc'; there is llm"),
    (("--fleet", "2x8", "--generate", 'llm:{"jobs": 0}'), "--generate: Expected `int` >= 1 - at `$.jobs`"),
    (("--fleet", "2x8", "--generate", 'llm:{"demand": 2}'), "--generate: the demand is said with --demand"),
    (("--fleet", "2x8", "--generate", "llm:7"), "--generate: the settings of llm are no JSON object"),
    (("--fleet", "2x0", "--generate", "llm"), "The fleet has no GPU"),
    (("--fleet", "2x8", "--generate", "llm", "--window", "1.."), "--window: it is for traces"),
]


@pytest.mark.parametrize(("words", "complaint"), WRONG, ids=[complaint[:30] for _, complaint in WRONG])
def test_what_is_wrong_is_told_in_words_with_the_option(swf, words, complaint):
    done = run(*(word.replace("SWF", str(swf)) for word in words))
    assert (done.exit_code, done.stdout) == (1, "")
    assert isinstance(done.exception, SystemExit)
    assert complaint in done.stderr
    assert all(line.startswith("hpcjobs: ") for line in done.stderr.splitlines())


def test_a_broken_line_is_named(tmp_path):
    path = tmp_path / "jobs.csv"
    path.write_text("timestamp,duration,num_gpus\n2017-10-03 05:36:29,x,1\n")
    done = run(path, "--fleet", "2x8")
    assert done.exit_code == 1
    assert "(first in line 2)" in done.stderr


TYPED = """--fleet 2x8 --generate llm llm:{} llm:{"jobs":3} --demand 0.5 nan inf -1 --window 1..2 --failures 1e5 1e9
    --repair 0 1d --scheduler easy slurm:{} --policy urgent --placement fgd counts --case a: b:policy=urgent --seeds 2
    --seed --until 5 --period 1e9 --predict --json --stretch-limits --requeue 1e3 --topology --format swf é . -"""
WORDS = st.sampled_from(TYPED.split())


@given(st.lists(WORDS, max_size=7))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_is_typed_is_done_or_refused_in_words(words):
    done = run(*words)
    assert isinstance(done.exception, SystemExit | None), words
    assert done.exit_code in (0, 1, 2)
    assert done.exit_code == 0 or "rror: " in done.stderr
