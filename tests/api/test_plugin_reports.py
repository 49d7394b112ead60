"""Reports of plugins' own: through the whole service, by plugins that are loaded as any."""

from __future__ import annotations

import asyncio
import json
import os
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from hpcjobs.conformance import faults_of
from hpcjobs.reports.formats import FORMATS
from hpcjobs.settings import PluginSettings
from hpcjobs_plugins.gpu_accounting.reports import FAMILIES
from tests.api.bench import UnrulySlurm, on_bench, settings_of
from tests.api.test_command_line import run, served, slurm
from tests.api.test_plugins import states, use
from tests.api.test_report_schedules import DAILY
from tests.api.test_reports import fill
from tests.unit.plugged import install

__all__ = ["run", "served", "slurm"]

PAGE = (Path(__file__).parents[2] / "docs" / "PLUGINS.md").read_text()
NAME = "finance.points"
FINANCE = """
    from hpcjobs.model.report import Column, Ready, Table

    def report(name, answer):
        # Ten points for each GPU-hour, the most first.
        rows = sorted(((user, 10 * hours) for user, hours in answer.rows), key=lambda row: -row[1])
        columns = (answer.columns[0], Column("points", "points", "", "Ten for each GPU-hour."))
        return {}

    READY = (Ready("points", "Points", "Ten points for each GPU-hour.", ("user",), ("gpu_hours",)),)
    PLUGIN = Plugin(name="finance", api=1, hooks=[Report(report, READY), *{}])
"""
SAYS = "replace(answer, columns=columns, rows=tuple(rows), total=None)"


def finance(says: str = SAYS, others: str = "[]") -> str:
    return FINANCE.format(says, others)


@pytest.fixture
def site(tmp_path, monkeypatch):
    folder = tmp_path / "site"
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setenv("PYTHONPATH", f"{folder}:{os.environ.get('PYTHONPATH', '')}")
    monkeypatch.setattr("hpcjobs.store.store.Store.upgrade", lambda _store: None)
    return folder


@pytest.fixture
async def bench(place, site):
    async with on_bench(settings_of(place), {"big": UnrulySlurm()}) as bench:
        await fill(bench)
        yield bench


async def asked(bench, user="ops", name=NAME, **params):
    return await bench.call("GET", f"/v1/reports/{name}", user, params={"period": "3d", **params})


async def test_it_is_made_of_what_the_caller_may_see(bench, site):
    install(site, "finance", finance())
    await use(bench, "finance")
    every, mine = [(await asked(bench, user)).json() for user in ("ops", "alice")]
    assert [column["name"] for column in every["columns"]] == ["user", "points"]
    assert (every["title"], every["rows"]) == ("Points", [["alice", 80.0], ["bob", 40.0]])
    assert mine["rows"] == [["alice", 80.0]]
    assert (await asked(bench, project="nlp")).json()["rows"] == [["bob", 40.0]]


def test_the_one_of_the_page_passes_the_tests_for_plugins():
    block = PAGE.partition("## Reports of its own")[2].partition("```python\n")[2].partition("```")[0]
    module: dict[str, Any] = {}
    exec(f"import msgspec\nfrom hpcjobs.model.report import *\nfrom hpcjobs.plugin import *\n{block}", module)
    found = dict(faults_of(module["PLUGIN"], {}))
    found.pop("an entry point of its name leads to it")
    assert not any(found.values()), found


async def test_it_stands_in_the_catalogue_while_its_plugin_is_in_use(bench, site):
    async def names():
        return [one["name"] for one in (await bench.get("/v1/reports", "alice")).json()["reports"]]

    assert NAME not in await names()
    install(site, "finance", finance())
    await use(bench, "finance")
    assert (await names())[-1] == NAME
    await use(bench)
    answer = await asked(bench)
    assert (answer.status_code, answer.json()["code"]) == (404, "report-unknown")
    assert NAME not in await names()


@pytest.mark.parametrize("form", FORMATS)
async def test_it_comes_in_every_form(bench, site, form):
    install(site, "finance", finance())
    await use(bench, "finance")
    answer = await asked(bench, format=form)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].partition(";")[0] == FORMATS[form].media_type
    if form == "csv":
        assert answer.text.splitlines() == ["user,points", "alice,80.0", "bob,40.0"]
        assert answer.headers["content-disposition"] == 'attachment; filename="finance.points-3d.csv"'


async def test_the_period_and_what_the_answer_notes_are_not_the_plugins_to_say(bench, site):
    lie = "replace(answer, period='ever', since=0, until=1, as_of=7, more=9, notes=('Mine.',), rows=(), total=None)"
    body = finance(lie).replace('("gpu_hours",)', '("gpu_busy", "gpu_hours")').replace("user, hours", "user, _, hours")
    install(site, "finance", body)
    await use(bench, "finance")
    table = (await asked(bench)).json()
    assert table["period"] == "3d (UTC)"
    assert table["until"] - table["since"] == 3 * 86_400
    assert abs(table["as_of"] - time.time()) < 600
    assert table["more"] == 0
    assert [note.partition(" ")[0] for note in table["notes"]] == ["Nothing", "Mine."]


@pytest.mark.parametrize("field", ["by", "measures", "order", "limit"])
async def test_what_its_rows_and_columns_are_says_the_plugin_alone(bench, site, field):
    install(site, "finance", finance())
    await use(bench, "finance")
    answer = await asked(bench, **{field: {"limit": 5, "by": "project"}.get(field, "gpu_hours")})
    assert (answer.status_code, [one["field"] for one in answer.json()["errors"]]) == (422, [field]), answer.text


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("says", "words"),
    [
        ("1 / 0", "division by zero"),
        ("rows", "must return a Table"),
        ("replace(answer, columns=columns, rows=((1, 2),), total=None)", "words of at most"),
        ("replace(answer, columns=columns, rows=(('a',),), total=None)", "2 cells"),
        ("replace(answer, columns=columns, rows=(('a', float('nan')),), total=None)", "numbers up to"),
        ("replace(answer, columns=columns, rows=(('a', True),), total=None)", "its answer is none"),
        ("replace(answer, columns=columns * 2, rows=(), total=None)", "two columns of one name"),
        ("replace(answer, columns=columns, rows=(('a', 1),) * 100_001, total=None)", "100001 rows"),
        ("replace(answer, columns=columns, rows=(('x' * 90_000_000, 1),), total=None)", "bytes"),
        ("replace(answer, rows=(('a', object()),))", "object is unsupported"),
        ("time.sleep(60)", "did not answer"),
        ("os._exit(3)", "it died"),
    ],
)
async def test_a_report_that_cannot_be_is_its_plugins_fault_and_switches_nothing_off(bench, site, says, words):
    install(site, "finance", finance(says, "[Admit(lambda spec, context: spec)]"))
    await use(bench, {"name": "finance", "timeout_s": 0.5 if "sleep" in says else 30.0})
    for _ in range(6):
        answer = await asked(bench, "alice")
        assert (answer.status_code, answer.json()["code"]) == (503, "plugin-failed"), answer.text
        assert "finance" in answer.json()["detail"]
    (one,) = (await bench.get("/v1/plugins", "boss")).json()["plugins"]
    assert one["failures"] == 6
    assert words in one["last_failure"]
    assert await states(bench) == {"finance": "ON"}
    assert (await asked(bench, name="usage")).status_code == 200


async def test_no_submission_waits_for_a_report(bench, site):
    install(site, "finance", finance("time.sleep(60)", "[Admit(lambda spec, context: spec)]"))
    await use(bench, {"name": "finance", "timeout_s": 30.0})
    await bench.tick()
    slow = asyncio.create_task(asked(bench))
    try:
        assert (await bench.post()).status_code == 201
        assert not slow.done()
    finally:
        slow.cancel()


@pytest.mark.parametrize(
    ("ready", "words"),
    [
        ("()", "no reports"),
        ("(READY[0], READY[0])", "two reports of one name"),
        ("(7,)", "no Ready"),
        ("(replace(READY[0], name='a.b'),)", "small letters"),
        ("(replace(READY[0], title=''),)", "without a title"),
        ("(replace(READY[0], title=7),)", "cannot be"),
        ("(replace(READY[0], by=('colour',)),)", "colour"),
        ("(replace(READY[0], measures=('joy',)),)", "joy"),
        ("(replace(READY[0], measures=('pool_used',)),)", "nobody's"),
        ("(replace(READY[0], order='joy'),)", "none of its columns"),
    ],
)
async def test_a_report_whose_question_cannot_be_asked_is_told_when_it_is_loaded(bench, site, ready, words):
    install(site, "finance", finance().replace("Report(report, READY)", f"Report(report, {ready})"))
    answer = await use(bench, "finance")
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (422, "plugin-not-loaded"), answer.text
    assert words in answer.json()["errors"][0]["detail"]


async def test_a_plugin_that_could_not_be_loaded_may_have_had_it(place, site):
    install(site, "finance", "1 / 0")
    async with on_bench(settings_of(place, plugins=(PluginSettings("finance"),)), {"big": UnrulySlurm()}) as bench:
        answer = await asked(bench)
        assert (answer.status_code, answer.json()["code"]) == (503, "plugin-failed"), answer.text


async def test_it_is_sent_by_the_clock_as_any_report(bench, site):
    install(site, "finance", finance())
    await use(bench, "finance")
    wanted = DAILY | {"to": ["https://hooks.example.org/x"], "report": NAME, "query": {"period": "7d"}}
    refused = await bench.call("POST", "/v1/report-schedules", "alice", json=wanted | {"report": "finance.none"})
    assert [one["field"] for one in json.loads(refused.content)["errors"]] == ["report"]
    refused = await bench.call("POST", "/v1/report-schedules", "alice", json=wanted | {"query": {"by": ["user"]}})
    assert [one["field"] for one in json.loads(refused.content)["errors"]] == ["query.by"]
    assert (await bench.call("POST", "/v1/report-schedules", "alice", json=wanted)).status_code == 201


@pytest.mark.usefixtures("slurm")
def test_ours_is_shown_and_explained_on_the_command_line(served, run):
    asyncio.run(fill(SimpleNamespace(service=served[0])))
    assert run("plugins", "enable", "gpu_accounting", user="boss").exit_code == 0
    shown = run("report", "gpu_accounting.families", "-p", "3d", user="ops")
    assert shown.exit_code == 0, shown.output
    assert [line.split() for line in shown.stdout.splitlines()[1:]] == [
        ["NVIDIA", "A100", "SXM4", "40GB", "40", "12.00", "12.00", "12.00", "480.00"],
        ["total", "-", "12.00", "12.00", "12.00", "480.00"],
    ]
    explained = run("report", "list", user="ops").stdout.splitlines()
    assert "\t".join(("gpu_accounting.families", FAMILIES.text, "gpu")) in explained
    refused = run("report", "gpu_accounting.families", "--by", "user", user="ops")
    assert refused.exit_code == 1
    assert "it says itself what its rows and columns are" in refused.stderr
