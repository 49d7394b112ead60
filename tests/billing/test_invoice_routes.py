"""``/v1/invoices`` and ``hpcjobs invoice``: who sees and issues what, in which form, and what is refused."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import pytest

from hpcjobs.model.account import Account
from hpcjobs.reports.formats import FORMATS
from tests.api.bench import Bench
from tests.api.test_command_line import run, served

__all__ = ["run", "served"]

HOUR = 3600
ACCOUNTS = (
    Account("big", "vision", members=frozenset({"alice", "bob"}), coordinators=frozenset({"bob"})),
    Account("big", "nlp", members=frozenset({"carol"}), coordinators=frozenset({"dave"})),
)
PRICES = ({"resource": "gpu:a100", "amount": "2", "since": "2020-01-01"},
          {"resource": "cpu", "amount": "0.0125", "since": "2020-01-01"})  # fmt: skip


def had(number: int, account: str, devices: int, hours: int = 1, read_until: int = 0) -> Any:
    """Two days ago a project had so many GPUs for so many hours; accounting was read until now, or then."""
    now = int(time.time())

    def rows(connection: Any) -> None:
        connection.execute("DELETE FROM clusters")
        connection.execute("INSERT INTO clusters (cluster, read_until) VALUES ('big', ?)", [read_until or now])
        start = now - 48 * HOUR
        connection.execute(
            "INSERT INTO runs SELECT ?, 'big', ?, ?, ?, ?, ?, 'alice', ?, 'gpu', 'normal', 'COMPLETED', 0, NULL, 1, 16,"
            " 0, 'n1', '', '', NULL, 0, 0, 0, '', NULL, NULL, NULL, NULL, NULL, '', ''",
            [number, number, start - 60, start - 60, start, start + hours * HOUR, account],
        )
        connection.execute("INSERT INTO run_gpus VALUES (?, 'a100', '', ?, ?, ?, 'named')", [number, *[devices] * 3])

    return rows


def asked(project: str = "vision", **more: str) -> dict[str, str]:
    """Of the last ten days until an hour ago."""
    now = int(time.time())
    return {"project": project, "period": f"{now - 240 * HOUR}..{now - HOUR}"} | more


@pytest.fixture
async def billed(bench: Bench) -> Bench:
    bench.slurm.known_accounts = ACCOUNTS
    bench.service.directory.learn("big", ACCOUNTS, time.time())
    for price in PRICES:
        assert (await bench.call("POST", "/v1/prices", "boss", json=price)).status_code == 201
    await bench.service.usage.write(had(1, "vision", 8))
    await bench.service.usage.write(had(2, "nlp", 4))
    return bench


async def issued(bench: Bench, body: dict[str, str]) -> dict[str, Any]:
    answer = await bench.call("POST", "/v1/invoices", "boss", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_admins_issue_and_only_managers_and_operators_see(billed):
    body = asked()
    for user in ("alice", "bob", "ops"):
        assert (await billed.call("POST", "/v1/invoices", user, json=body)).status_code == 403
    made = await issued(billed, body)
    assert [line["amount"] for line in made["lines"]] == ["0.20", "16.00"]
    assert (made["total"], made["currency"], made["issued_by"]) == ("16.20", "EUR", "boss")
    assert await issued(billed, body) == made
    nlp = await issued(billed, asked("nlp"))

    async def seen(user: str) -> tuple[list[str], int, int]:
        there = (await billed.get("/v1/invoices", user)).json()
        one = await billed.get(f"/v1/invoices/{made['number']}", user)
        drafted = await billed.call("POST", "/v1/invoices/draft", user, json=body)
        return [one["number"] for one in there], one.status_code, drafted.status_code

    assert await seen("bob") == ([made["number"]], 200, 200)
    assert await seen("ops") == ([nlp["number"], made["number"]], 200, 200)
    assert await seen("alice") == ([], 404, 404)
    assert await seen("dave") == ([nlp["number"]], 404, 404)
    unseen = await billed.get(f"/v1/invoices/{made['number']}", "dave")
    absent = await billed.get("/v1/invoices/2020-0099", "dave")
    assert unseen.json()["code"] == absent.json()["code"] == "invoice-unknown"
    assert unseen.json()["detail"].replace(made["number"], "") == absent.json()["detail"].replace("2020-0099", "")
    narrowed = await billed.get("/v1/invoices", "ops", project="nlp", cluster="big")
    assert [one["number"] for one in narrowed.json()] == [nlp["number"]]


async def test_what_is_not_over_or_not_known_yet_is_refused_by_its_field(billed):
    now = int(time.time())
    for body in (asked(period="this-year"), asked(period="soon")):
        answer = await billed.call("POST", "/v1/invoices", "boss", json=body)
        assert (answer.status_code, [one["field"] for one in answer.json()["errors"]]) == (422, ["period"])
    assert (await billed.call("POST", "/v1/invoices/draft", "bob", json=asked(period="this-year"))).status_code == 200
    await billed.service.usage.write(had(3, "vision", 1, read_until=now - 10 * HOUR))
    answer = await billed.call("POST", "/v1/invoices", "boss", json=asked())
    assert answer.json()["errors"][0]["code"] == "period-open"
    assert (await billed.call("POST", "/v1/invoices", "boss", json=asked("nobodys"))).status_code == 404
    assert (await billed.get("/v1/invoices", "boss")).json() == []


async def test_what_comes_late_is_charged_once_however_many_ask_at_the_same_time(billed):
    made = await issued(billed, asked())
    path = f"/v1/invoices/{made['number']}/correct"
    assert (await billed.call("POST", path, "boss")).json() == made
    await billed.service.usage.write(had(3, "vision", 2, hours=3))
    answers = await asyncio.gather(*(billed.call("POST", path, "boss") for _ in range(5)))
    (supplement,) = {json.dumps(one.json(), sort_keys=True) for one in answers}
    told = json.loads(supplement)
    assert (told["kind"], told["corrects"], told["total"]) == ("supplement", made["number"], "12.60")
    assert told["number"][5:] == "0002"
    again = await billed.call("POST", f"/v1/invoices/{told['number']}/correct", "boss")
    assert again.json() == told
    assert (await billed.get(f"/v1/invoices/{made['number']}", "bob")).json() == made


async def test_an_invoice_is_corrected_on_the_basis_and_in_the_currency_in_which_it_was_issued(billed):
    made = await issued(billed, asked())
    object.__setattr__(billed.service.prices, "settings", type(billed.service.settings.billing)("CHF", "used"))
    assert (await billed.call("POST", "/v1/invoices/draft", "bob", json=asked())).json()["currency"] == "CHF"
    assert (await billed.call("POST", f"/v1/invoices/{made['number']}/correct", "boss")).json() == made


@pytest.mark.parametrize("form", FORMATS)
async def test_an_invoice_comes_in_every_form(billed, form):
    made = await issued(billed, asked())
    answer = await billed.get(f"/v1/invoices/{made['number']}", "bob", format=form)
    assert answer.status_code == 200
    assert answer.headers["content-type"].partition(";")[0] == FORMATS[form].media_type
    if form != "json":
        named = f'attachment; filename="invoice-{made["number"]}.{form}"'
        assert answer.headers["content-disposition"] == named
    if form == "csv":
        assert answer.text.split() == [
            "resource,quantity_h,unit_price,amount", "cpu,16.0,0.0125,0.2", "gpu:a100,8.0,2.0,16.0",
        ]  # fmt: skip
    if form == "html":
        for said in (f"Invoice {made['number']} for vision on big", "16.20", "0.0125", "Issued on", "by boss"):
            assert said in answer.text
        assert "<svg" not in answer.text


async def test_a_form_that_there_is_not_is_refused(billed):
    made = await issued(billed, asked())
    answer = await billed.get(f"/v1/invoices/{made['number']}", "bob", format="doc")
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "format")


def test_invoices_are_drafted_issued_shown_and_corrected_on_the_command_line(run, served, tmp_path):
    service, _ = served
    service.directory.learn("big", ACCOUNTS, time.time())
    service.target(None).observer.backend.known_accounts = ACCOUNTS
    assert run("price", "add", "gpu:a100", "2", "--since", "2020-01-01", user="boss").exit_code == 0

    def write(rows: Any) -> None:
        with service.usage._database.cursor() as connection:
            rows(connection)

    write(had(1, "vision", 8))
    period = asked()["period"]
    drafted = run("invoice", "draft", "vision", period, user="bob")
    assert "total\t-\t-\t16.00" in drafted.stdout
    assert "Draft of an invoice for vision on big" in drafted.stderr
    assert run("invoice", "issue", "vision", period, user="bob").exit_code == 1
    number = json.loads(run("invoice", "issue", "vision", period, "--json", user="boss").stdout)["number"]
    write(had(2, "vision", 1))
    assert "gpu:a100\t1.00\t2.00\t2.00" in run("invoice", "correct", number, user="boss").stdout
    listed = [line.split("\t") for line in run("invoice", "list", user="bob").stdout.splitlines()[1:]]
    assert [(one[1], one[5], one[7]) for one in listed] == [
        ("supplement", "2.00 EUR", number), ("invoice", "16.00 EUR", "-"),
    ]  # fmt: skip
    assert run("invoice", "list", user="alice").stdout.count("\n") == 1
    paper = tmp_path / "invoice.pdf"
    assert run("invoice", "show", number, "-o", str(paper), user="bob").exit_code == 0
    assert paper.read_bytes().startswith(b"%PDF")
    assert run("invoice", "show", number, "-o", "invoice.doc", user="bob").exit_code == 2
