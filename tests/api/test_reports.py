"""``/v1/reports`` and ``hpcjobs report``: who sees what, in which form, and what is refused."""

from __future__ import annotations

import random
import time

import pytest

from hpcjobs.reports.asked import BUCKETS
from hpcjobs.reports.dimensions import DIMENSIONS
from hpcjobs.reports.formats import FORMATS
from hpcjobs.reports.measures import MEASURES
from hpcjobs.reports.ready import READY

from .bench import Bench

HOUR = 3600


async def fill(bench: Bench) -> None:
    """Yesterday alice had 8 GPUs for an hour in vision, and bob 4 in nlp."""
    now = int(time.time())

    def rows(connection):
        connection.execute("INSERT INTO clusters (cluster, read_until) VALUES ('big', ?)", [now])
        for run, (user, account, devices) in enumerate([("alice", "vision", 8), ("bob", "nlp", 4)]):
            start = now - 26 * HOUR
            connection.execute(
                "INSERT INTO runs SELECT ?, 'big', ?, ?, ?, ?, ?, ?, ?, 'gpu', 'normal', 'COMPLETED', 0, NULL, 1, 16,"
                " 0, 'n1', '', '', NULL, 0, 0, 0, '', NULL, NULL, NULL, NULL, NULL, '', ''",
                [run, run, start - 60, start - 60, start, start + HOUR, user, account],
            )
            connection.execute("INSERT INTO run_gpus VALUES (?, 'a100', '', ?, ?, ?, 'named')", [run, *[devices] * 3])

    await bench.service.usage.write(rows)


async def test_users_see_their_own_and_operators_everybodys(bench):
    await fill(bench)
    query = {"period": "3d", "by": "project,user", "measures": "gpu_hours,wait_mean_s"}
    mine = (await bench.call("GET", "/v1/reports/usage", "alice", params=query)).json()
    assert (mine["rows"], mine["total"]) == ([["vision", "alice", 8.0, 60.0]], ["", "", 8.0, 60.0])
    every = (await bench.call("GET", "/v1/reports/usage", "ops", params=query)).json()
    assert every["rows"] == [["vision", "alice", 8.0, 60.0], ["nlp", "bob", 4.0, 60.0]]
    assert [column["name"] for column in every["columns"]] == ["project", "user", "gpu_hours", "wait_mean_s"]
    others = (await bench.call("GET", "/v1/reports/usage", "alice", params=query | {"user": "bob"})).json()
    assert (others["rows"], others["total"][2]) == ([], 0)


@pytest.mark.parametrize("form", FORMATS)
async def test_a_report_comes_in_every_form(bench, form):
    await fill(bench)
    answer = await bench.call("GET", "/v1/reports/gpus", "ops", params={"period": "3d", "format": form})
    assert answer.status_code == 200
    assert answer.headers["content-type"].partition(";")[0] == FORMATS[form].media_type
    begins = {"csv": b"project,gpu", "parquet": b"PAR1", "xlsx": b"PK", "html": b"<!doctype", "pdf": b"%PDF"}
    assert answer.content.startswith(begins.get(form, b"{"))
    if form != "json":
        assert answer.headers["content-disposition"] == f'attachment; filename="gpus-3d.{form}"'


@pytest.mark.parametrize("name", READY)
async def test_every_named_report_can_be_had(bench, name):
    await fill(bench)
    answer = await bench.call("GET", f"/v1/reports/{name}", "ops", params={"period": "3d"})
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert told["title"] == READY[name].title
    assert all(column["definition"] for column in told["columns"])


async def test_all_that_can_be_asked_is_explained(bench):
    told = (await bench.call("GET", "/v1/reports", "alice")).json()
    assert {one["name"] for one in told["measures"]} == {*MEASURES}
    assert {one["name"] for one in told["by"]} == {*DIMENSIONS, *BUCKETS}
    assert all(one["definition"] for one in told["measures"] + told["by"])


@pytest.mark.parametrize(
    ("params", "field"),
    [({"period": "soon"}, "period"), ({"by": "colour"}, "by"), ({"measures": "joy"}, "measures"),
     ({"format": "doc"}, "format"), ({"timezone": "Mars"}, "timezone"), ({"limit": "-1"}, "limit")],
)  # fmt: skip
async def test_a_question_that_is_none_is_refused_by_its_field(bench, params, field):
    answer = await bench.call("GET", "/v1/reports/usage", "alice", params=params)
    assert answer.status_code in (400, 422)
    assert [one["field"] for one in answer.json()["errors"]] == [field]


async def test_a_report_that_nobody_knows_is_not_there(bench):
    answer = await bench.call("GET", "/v1/reports/gossip", "alice")
    assert (answer.status_code, answer.json()["code"]) == (404, "report-unknown")
    assert "usage, gpus" in answer.json()["detail"]


async def test_no_question_breaks_it(bench):
    await fill(bench)
    chance = random.Random(7)
    words = [*DIMENSIONS, *BUCKETS, *MEASURES, "", "'", '"; DROP TABLE runs; --', "\x00", "%", "é" * 300, "-1", "1e999"]
    periods = ["3d", "this-year", "2026-W53", "2000..2099", "2026-02-29", "0d", "1..2", "2024-02-29", "1999"]
    for _ in range(300):
        params = {
            "period": chance.choice(periods + words), "by": ",".join(chance.sample(words, chance.randrange(4))),
            "measures": ",".join(chance.sample(words, chance.randrange(4))),
            chance.choice(["user", "gpu", "node", "state", "order", "timezone", "limit"]): chance.choice(words),
        }  # fmt: skip
        answer = await bench.call("GET", f"/v1/reports/{chance.choice([*READY])}", "ops", params=params)
        assert answer.status_code in (200, 400, 422), (params, answer.text)
    assert (await bench.call("GET", "/v1/reports/usage", "ops", params={"period": "3d"})).json()["total"][3] == 2
