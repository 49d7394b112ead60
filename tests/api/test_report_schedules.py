"""Reports by the clock: through the whole service, to a real mail server and a real HTTP server on the loopback."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import sys
import time
from collections import Counter
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import msgspec
import pytest
import sqlalchemy

from hpcjobs.model.account import Account
from hpcjobs.model.letter import SubscriptionKind
from hpcjobs.model.schedule import ReportScheduleShown
from hpcjobs.push import posting
from hpcjobs.sending import courier as sending
from hpcjobs.settings import CarbonSettings, MailSettings, UsageSettings
from hpcjobs.store import letters
from tests.api.bench import UnrulySlurm, on_bench, problem_of, settings_of
from tests.api.mailbox import mailbox
from tests.api.receiver import receiving
from tests.api.test_command_line import run as run_command
from tests.api.test_command_line import served, slurm
from tests.api.test_reports import fill

__all__ = ["run_command", "served", "slurm"]

ACCOUNTS = (
    Account("big", "vision", members=frozenset({"alice", "carol"}), coordinators=frozenset({"carol"})),
    Account("big", "nlp", members=frozenset({"bob"})),
)
DAILY = {"name": "daily", "cron": "0 7 * * *", "to": ["head@example.org"], "report": "usage", "format": "csv",
         "query": {"period": "7d", "by": ["project", "user"]}}  # fmt: skip
FAILS = "451 not now"
NEXT_WEEK_S = 7 * 86_400.0


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr("hpcjobs.store.store.Store.upgrade", lambda _store: None)
    monkeypatch.setattr(posting, "FIRST_RETRY_S", 0.0)
    monkeypatch.setattr(posting, "LONGEST_RETRY_S", 0.0)
    monkeypatch.setattr(sending, "DYING_S", 0.0)


@pytest.fixture
async def box():
    async with mailbox() as box:
        yield box


@pytest.fixture
async def receiver():
    async with receiving() as receiver:
        yield receiver


def told(place, box, **mail):
    return settings_of(
        place, webhook_networks=("127.0.0.0/8",), webhook_http_hosts=("127.0.0.1",),
        mail=MailSettings(**{"host": "127.0.0.1", "port": box.port, "sender": "jobs@hpc.example.org",
                             "security": "none", **mail}),
    )  # fmt: skip


@contextlib.asynccontextmanager
async def opened(settings, accounts=ACCOUNTS):
    """The service, as after any restart: its projects are known, its clock stands still."""
    async with on_bench(settings, {"big": UnrulySlurm()}) as bench:
        bench.slurm.known_accounts = accounts
        await bench.service.learn_accounts("big", time.time())
        yield bench


@pytest.fixture
async def bench(place, box):
    async with opened(told(place, box)) as bench:
        await fill(bench)
        yield bench


async def make(bench, user="alice", **changes):
    answer = await bench.call("POST", "/v1/report-schedules", user, json={**DAILY, **changes})
    assert answer.status_code == 201, answer.text
    assert answer.headers["Location"] == f"/v1/report-schedules/{answer.json()['schedule']['asked']['name']}"
    return answer.json()


async def shown(bench, name="daily", user="alice") -> ReportScheduleShown:
    answer = await bench.get(f"/v1/report-schedules/{name}", user)
    assert answer.status_code == 200, answer.text
    return msgspec.json.decode(answer.content, type=ReportScheduleShown)


async def beat(bench, now: float | None = None) -> None:
    """What the clock does: letters of what is due, then tries."""
    await bench.service.schedules.tick(now or time.time())
    await bench.service.courier.tick(time.time())


async def run(bench, name="daily", user="alice") -> None:
    assert (await bench.call("POST", f"/v1/report-schedules/{name}/run", user)).status_code == 202
    await beat(bench)


async def test_a_report_is_mailed_once_when_its_moment_has_come(bench, box):
    made = await make(bench)
    due = made["schedule"]["next_at"]
    assert datetime.fromtimestamp(due, UTC).strftime("%H:%M") == "07:00"
    await beat(bench, due - 1)
    assert box.mails == []
    for _ in range(3):
        await beat(bench, due + 1)
    (mail,) = box.mails
    assert (mail["To"], mail["From"], mail["Auto-Submitted"]) == (
        "head@example.org", "hpcjobs <jobs@hpc.example.org>", "auto-generated",
    )  # fmt: skip
    assert mail["Subject"] == "daily: Usage by project, 7d (UTC)"
    text, html = (mail.get_body((kind,)).get_content() for kind in ("plain", "html"))
    assert "vision" in text
    assert '<td class="word">vision</td>' in html
    (file,) = mail.iter_attachments()
    assert file.get_filename() == "usage-7d.csv"
    assert file.get_content().startswith("project,user,")
    one = await shown(bench)
    assert [(letter.state.value, letter.due_at, letter.attempts) for letter in one.letters] == [("SENT", due, 1)]
    assert one.schedule.next_at == due + 86_400
    assert one.schedule.sent_at is not None
    assert mail["Message-ID"] == f"<{one.letters[0].id}@hpc.example.org>"


async def test_a_report_is_posted_signed_as_webhooks_are(bench, box, receiver):
    made = await make(bench, to=[receiver.url], format="json")
    await run(bench)
    (request,) = await receiver.after(1)
    assert request.is_signed_with(made["secret"])
    assert request.headers["content-disposition"] == 'attachment; filename="usage-7d.json"'
    assert json.loads(request.body)["rows"][0][:2] == ["vision", "alice"]
    assert box.mails == []


async def test_each_report_tells_what_its_owner_may_see_at_that_moment_and_nobody_elses(bench, box):
    await make(bench)
    await make(bench, "bob", name="bobs", to=["bob@example.org"])
    await make(bench, "carol", name="carols", to=["carol@example.org"])
    await make(bench, "ops", name="all", to=["ops@example.org"])
    for name, user in (("daily", "alice"), ("bobs", "bob"), ("carols", "carol"), ("all", "ops")):
        await run(bench, name, user)
    texts = dict(zip([mail["To"] for mail in box.mails], box.texts(), strict=True))
    for whom, sees in (("head", "alice"), ("bob", "bob"), ("carol", "alice"), ("ops", "alice bob")):
        said = texts[f"{whom}@example.org"]
        for owner, project in (("alice", "vision"), ("bob", "nlp")):
            assert (project in said) == (owner in sees.split()), (whom, owner)
    # Carol is no manager any more: the next one has nothing of alice.
    bench.slurm.known_accounts = (Account("big", "vision", members=frozenset({"alice", "carol"})), ACCOUNTS[1])
    await bench.service.learn_accounts("big", time.time())
    await make(bench, "carol", name="later", to=["carol@example.org"])
    await run(bench, "later", "carol")
    assert box.mails[-1]["To"] == "carol@example.org"
    assert "alice" not in box.texts()[-1]


async def test_co2_is_by_the_factors_of_the_settings_as_in_a_report_that_is_asked_for(place, box):
    factor = CarbonSettings(380, date(2020, 1, 1), "grid average")
    settings = msgspec.structs.replace(told(place, box), usage=UsageSettings(carbon=(factor,)))
    async with opened(settings) as bench:
        await fill(bench)
        await make(bench, query={"period": "7d", "measures": ["co2_kg"]})
        await run(bench)
        asked = (await bench.get("/v1/reports/usage", measures="co2_kg", period="7d")).json()
    assert asked["notes"] == ["CO2: 380 g/kWh from 2020-01-01 (grid average)."]
    assert asked["notes"][0] in box.texts()[0]


async def test_who_belongs_to_nothing_any_more_is_sent_nothing_and_the_list_says_why(bench, box):
    due = (await make(bench))["schedule"]["next_at"]
    await bench.call("POST", "/v1/report-schedules/daily/run")
    bench.slurm.known_accounts = ACCOUNTS[1:]
    await bench.service.learn_accounts("big", time.time())
    await beat(bench, due)
    one = await shown(bench)
    assert (one.schedule.state.value, one.schedule.next_at) == ("STOPPED", None)
    assert one.schedule.detail == "alice belongs to no project any more."
    assert [letter.state.value for letter in one.letters] == ["GIVEN_UP"]
    assert box.mails == []
    (event,) = await events(bench)
    assert event["data"] == {"report": "daily", "state": "STOPPED", "detail": one.schedule.detail}
    assert (await bench.call("POST", "/v1/report-schedules/daily/run")).status_code == 409


async def events(bench, user="alice"):
    answer = await bench.call("GET", "/v1/events", user, params={"after": 0, "kind": "report.state"},
                              headers={"Accept": "application/json"})  # fmt: skip
    return answer.json()["items"]


async def test_of_what_was_missed_only_the_last_comes_and_says_so(bench, box):
    first = (await make(bench))["schedule"]["next_at"]
    await beat(bench, first + 3 * 86_400 + 7200)
    (text,) = box.texts()
    day = datetime.fromtimestamp(first, UTC)
    last = datetime.fromtimestamp(first + 3 * 86_400, UTC)
    assert (
        f"This was due at {last:%Y-%m-%d} 07:00 UTC; those that were due since {day:%Y-%m-%d} 07:00 UTC were missed"
        in text
    )
    one = await shown(bench)
    assert [letter.due_at for letter in one.letters] == [first + 3 * 86_400]
    assert one.schedule.next_at == first + 4 * 86_400


@pytest.mark.parametrize(("first", "local"), [("2026-03-29", "03:30"), ("2026-10-25", "02:30")])
async def test_on_the_days_on_which_clocks_change_it_comes_once(bench, box, first, local):
    await make(bench, cron="30 2 * * *", timezone="Europe/Berlin")
    zone = ZoneInfo("Europe/Berlin")
    midnight = datetime.fromisoformat(first).replace(tzinfo=zone).timestamp()
    (kept,) = await bench.service.store.read(letters.active, SubscriptionKind.REPORT)
    before = int(midnight - 86_400 + 2.5 * 3600)
    await bench.service.store.write(letters.advance, kept, before, [])
    for quarter in range(4 * 25):
        await bench.service.schedules.tick(midnight + 900 * quarter + 1)
    await bench.service.courier.tick(time.time())
    due = [datetime.fromtimestamp(letter.due_at, zone) for letter in (await shown(bench)).letters]
    assert [f"{moment:%Y-%m-%d %H:%M}" for moment in due if f"{moment:%Y-%m-%d}" == first] == [f"{first} {local}"]


async def test_what_is_refused_for_now_is_tried_again_and_the_list_says_why(bench, box):
    box.answers = [FAILS, FAILS]
    await make(bench)
    await run(bench)
    one = await shown(bench)
    assert one.schedule.last_error == f"head@example.org: {FAILS}"
    assert [(letter.state.value, letter.attempts) for letter in one.letters] == [("WAITING", 1)]
    await beat(bench)
    await beat(bench)
    one = await shown(bench)
    assert [(letter.state.value, letter.attempts) for letter in one.letters] == [("SENT", 3)]
    assert one.schedule.last_error == ""
    assert len(box.mails) == 1


async def test_what_nobody_ever_takes_is_given_up_and_told_and_others_get_theirs(bench, box):
    box.unknown = {"left@example.org"}
    await make(bench, to=["left@example.org", "head@example.org"])
    await run(bench)
    one = await shown(bench)
    states = {letter.recipient: letter.state.value for letter in one.letters}
    assert states == {"left@example.org": "GIVEN_UP", "head@example.org": "SENT"}
    assert one.schedule.last_error == "left@example.org: 550 nobody here"
    assert [mail["To"] for mail in box.mails] == ["head@example.org"]
    (event,) = await events(bench)
    assert (event["data"]["recipient"], event["data"]["detail"]) == ("left@example.org", "550 nobody here")
    assert await events(bench, "bob") == []


async def test_after_a_day_of_failures_it_is_given_up(bench, box, monkeypatch):
    monkeypatch.setattr(posting, "GIVE_UP_S", 0.0)
    box.answers = [FAILS]
    await make(bench)
    await run(bench)
    (letter,) = (await shown(bench)).letters
    assert (letter.state.value, letter.detail) == ("GIVEN_UP", FAILS)


class Killed(BaseException):
    """The process is gone."""


@pytest.mark.parametrize("step", range(1, 7))
async def test_killed_at_any_step_nothing_is_lost_and_nothing_comes_twice(place, box, monkeypatch, step):
    """The process dies just before or after each of its writes; what comes twice has the same Message-ID."""
    due = 0
    async with opened(told(place, box)) as bench:
        await fill(bench)
        due = (await make(bench))["schedule"]["next_at"]
        write, steps = bench.service.store.write, iter(range(1, 100))

        async def dying(*what, **more):
            if (at := next(steps)) == step:
                raise Killed
            done = await write(*what, **more)
            if at + 3 == step:
                raise Killed
            return done

        monkeypatch.setattr(bench.service.store, "write", dying)
        with contextlib.suppress(Killed, BaseExceptionGroup):
            await beat(bench, due)
        monkeypatch.setattr(bench.service.store, "write", write)
    async with opened(told(place, box)) as bench:
        for _ in range(3):
            await beat(bench, due + 1)
        one = await shown(bench)
        assert [(letter.due_at, letter.state.value) for letter in one.letters] == [(due, "SENT")]
    ids = {mail["Message-ID"] for mail in box.mails}
    assert len(ids) == 1
    died_unwritten = step == 3  # between the server's answer and our row
    assert len(box.mails) == (2 if died_unwritten else 1)


async def test_before_it_is_known_what_somebody_may_see_nothing_is_sent_and_then_all_of_it(place, box):
    """A manager's report of the first seconds would have only their own jobs in it, and look like all."""
    async with opened(told(place, box)) as bench:
        await fill(bench)
        await make(bench, "carol")
        bench.service.directory.asked_at.clear()
        await run(bench, user="carol")
        assert box.mails == []
        assert "not known before each cluster's accounting" in (await shown(bench, user="carol")).schedule.last_error
        await bench.service.learn_accounts("big", time.time())
        await beat(bench)
        assert "alice" in box.texts()[0]


async def test_what_is_asked_for_twice_in_a_minute_comes_once(bench, box, monkeypatch):
    await make(bench)
    monkeypatch.setattr("hpcjobs.sending.schedules.MINUTE_S", 10**10)  # no minute ends while this runs
    for _ in range(3):
        await run(bench)
    assert len(box.mails) == 1


async def test_costs_are_at_the_prices_of_the_service(bench, box):
    await make(bench, report="costs", query={"period": "7d"})
    await run(bench)
    assert box.mails[0]["Subject"].startswith("daily: Costs")


async def test_who_read_a_moment_that_another_has_dealt_with_changes_nothing(bench):
    due = (await make(bench))["schedule"]["next_at"]
    (read,) = await bench.service.store.read(letters.due, due)
    await bench.service.schedules.tick(due)
    late = letters.Letter("0" * 32, read.id, due - 60, "", "head@example.org")
    assert not await bench.service.store.write(letters.advance, read, due + 1, [late])
    one = await shown(bench)
    assert (one.schedule.next_at, [letter.due_at for letter in one.letters]) == (due + 86_400, [due])


async def test_what_is_late_says_so_and_is_of_the_moment_that_it_was_due(bench, box):
    due = (await make(bench, cron="0 7 * * mon", query={"period": "yesterday"}))["schedule"]["next_at"]
    await beat(bench, due + 2 * 86_400)
    sunday = datetime.fromtimestamp(due - 86_400, UTC)
    assert box.mails[0]["Subject"] == f"daily: Usage by project, {sunday:%Y-%m-%d} (UTC)"
    assert (
        f"This was due at {datetime.fromtimestamp(due, UTC):%Y-%m-%d} 07:00 UTC; the service was away."
        in box.texts()[0]
    )
    await beat(bench, due + 7 * 86_400 + 60)
    assert "This was due" not in box.texts()[1]


async def test_a_letter_of_somebody_who_is_gone_is_not_sent(bench, box):
    await make(bench)
    await bench.call("POST", "/v1/report-schedules/daily/run")
    bench.slurm.known_accounts = ACCOUNTS[1:]
    await bench.service.learn_accounts("big", time.time())
    await bench.service.courier.tick(time.time())
    assert box.mails == []
    assert (await shown(bench)).schedule.state.value == "STOPPED"


async def test_a_receiver_that_is_gone_is_tried_once(bench, receiver):
    receiver.answers = [410]
    await make(bench, to=[receiver.url])
    await run(bench)
    (letter,) = (await shown(bench)).letters
    assert (letter.state.value, letter.attempts, letter.detail) == ("GIVEN_UP", 1, "410 So: why?")


async def test_a_schedule_that_nobody_can_read_any_more_keeps_no_other_back(bench, box):
    due = (await make(bench, name="broken"))["schedule"]["next_at"]
    await make(bench, "bob", name="whole")

    def spoil(connection):
        here = letters.SUBSCRIPTIONS.c.name == "broken"
        connection.execute(sqlalchemy.update(letters.SUBSCRIPTIONS).where(here).values(document="{}"))

    await bench.service.store.write(spoil)
    await beat(bench, due)
    assert [mail["Subject"].partition(":")[0] for mail in box.mails] == ["whole"]


async def test_a_question_that_can_no_longer_be_asked_is_given_up(bench):
    """As after a new version of the service in which a measure has another name."""
    await make(bench)

    def rename(connection):
        document = (letters.SUBSCRIPTIONS.c.document, '"measures":[]', '"measures":["gpu_days"]')
        values = {"document": sqlalchemy.func.replace(*document)}
        connection.execute(sqlalchemy.update(letters.SUBSCRIPTIONS).values(values))

    await bench.service.store.write(rename)
    await run(bench)
    (letter,) = (await shown(bench)).letters
    assert (letter.state.value, letter.attempts) == ("GIVEN_UP", 1)
    assert "'gpu_days' is none of" in letter.detail


async def test_two_processes_on_one_database_send_one_mail(place, box):
    settings = told(place, box)
    async with opened(settings) as one:
        await fill(one)
        due = (await make(one))["schedule"]["next_at"]
        other = sending.Courier(one.service.store, one.service.absent, posting.Poster(settings), settings.mail,
                                one.service.courier._makers)  # fmt: skip
        await asyncio.gather(one.service.schedules.tick(due), one.service.schedules.tick(due))
        await asyncio.gather(one.service.courier.tick(time.time()), other.tick(time.time()))
        assert len(box.mails) == 1


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"cron": "7 o'clock"}, "cron"),
        ({"cron": "0 0 30 2 *"}, "cron"),
        ({"timezone": "Mars/Olympus"}, "timezone"),
        ({"to": []}, "to"),
        ({"to": ["head@example.org", "head@example.org"]}, "to"),
        ({"to": ["head@example.org\r\nBcc: all@example.org"]}, "to[0]"),
        ({"to": ["head@example.org, all@example.org"]}, "to[0]"),
        ({"to": ["nobody"]}, "to[0]"),
        ({"to": ["http://10.0.0.1/hook"]}, "to[0]"),
        ({"format": "doc"}, "format"),
        ({"report": "all"}, "report"),
        ({"query": {"period": "whenever"}}, "query.period"),
        ({"query": {"by": ["colour"]}}, "query.by"),
    ],
)
async def test_what_cannot_be_is_refused_by_its_field(bench, changes, field):
    answer = await bench.call("POST", "/v1/report-schedules", json={**DAILY, **changes})
    assert answer.status_code == 422, answer.text
    assert [fault["field"] for fault in problem_of(answer)["errors"]] == [field]


async def test_a_name_that_could_be_a_path_or_a_header_is_refused(bench):
    for name in ("a/b", "a\r\nBcc: x", "", "A", "ä"):
        answer = await bench.call("POST", "/v1/report-schedules", json={**DAILY, "name": name})
        assert answer.status_code == 400, name


async def test_words_of_a_question_end_no_header_and_are_no_markup(bench, box):
    await make(bench, query={"period": "7d", "where": {"project": ["<script>\r\nBcc: all@example.org"]}})
    await run(bench)
    (mail,) = box.mails
    assert (mail["Bcc"], box.envelopes[0].rcpt_tos) == (None, ["head@example.org"])
    assert "<script>" not in mail.get_body(("html",)).get_content()


async def test_mail_goes_to_the_domains_of_the_settings_only(place, box):
    async with opened(told(place, box, domains=("example.org",))) as bench:
        for address, fine in (("a@example.org", 201), ("a@sub.example.org", 201), ("a@badexample.org", 422)):
            answer = await bench.call("POST", "/v1/report-schedules",
                                      json={**DAILY, "name": address.replace("@", "."), "to": [address]})  # fmt: skip
            assert answer.status_code == fine, address


async def test_without_a_mail_server_addresses_are_refused_by_their_field(place, receiver):
    settings = settings_of(place, webhook_networks=("127.0.0.0/8",), webhook_http_hosts=("127.0.0.1",))
    async with opened(settings) as bench:
        answer = await bench.call("POST", "/v1/report-schedules", json={**DAILY, "to": [receiver.url, "a@example.org"]})
        assert [fault["field"] for fault in problem_of(answer)["errors"]] == ["to[1]"]
        await make(bench, to=[receiver.url])


async def test_a_file_that_is_too_large_is_left_out_and_the_mail_says_so(place, box, monkeypatch):
    monkeypatch.setattr("hpcjobs.sending.report.render",
                        lambda table, form: b"x" * 200_000 if form == "csv" else b"<p>")  # fmt: skip
    async with opened(told(place, box, max_bytes=100_000)) as bench:
        await make(bench)
        await run(bench)
    (mail,) = box.mails
    assert list(mail.iter_attachments()) == []
    assert "The file usage-7d.csv is left out: the mail would have" in box.texts()[0]


async def test_one_sees_and_ends_ones_own_and_operators_everybodys(bench):
    await make(bench)
    assert [one["asked"]["name"] for one in (await bench.get("/v1/report-schedules", "ops")).json()] == ["daily"]
    assert (await bench.get("/v1/report-schedules", "bob")).json() == []
    for caller, params in (("bob", {"user": "alice"}), ("bob", {}), ("ops", {})):
        for method, path in (("GET", ""), ("DELETE", ""), ("POST", "/run")):
            answer = await bench.call(method, f"/v1/report-schedules/daily{path}", caller, params=params)
            assert answer.status_code == 404, (caller, method)
    answer = await bench.call("DELETE", "/v1/report-schedules/daily", "ops", params={"user": "alice"})
    assert answer.status_code == 204
    assert (await bench.get("/v1/report-schedules")).json() == []


async def test_a_name_is_ones_own_once_and_nobody_has_more_than_the_settings_say(place, box):
    settings = msgspec.structs.replace(told(place, box), subscriptions_per_user=2)
    async with opened(settings) as bench:
        await make(bench)
        await make(bench, "bob")
        again = await bench.call("POST", "/v1/report-schedules", json=DAILY)
        assert (again.status_code, problem_of(again)["code"]) == (409, "conflict")
        await make(bench, name="two")
        more = await bench.call("POST", "/v1/report-schedules", json={**DAILY, "name": "three"})
        assert more.status_code == 409


async def test_a_token_that_may_not_read_jobs_has_no_report_sent(bench):
    answer = await bench.call("POST", "/v1/report-schedules", json=DAILY, scopes=["events:write"])
    assert problem_of(answer)["code"] == "scope-missing"


def test_the_command_makes_lists_shows_and_ends_them(cli):
    said = cli("report", "schedule", "add", "monthly", "0 7 1 * *", "-t", "https://example.org/hook", "-r", "gpus",
               "-p", "last-month", "-b", "project,user", "--gpu", "a100", "-f", "csv",
               "-z", "Europe/Berlin")  # fmt: skip
    assert said.exit_code == 0, said.output
    assert "POSTs are signed with whsec_" in said.stderr
    (made,) = json.loads(cli("report", "schedule", "list", "--json").stdout)
    assert made["asked"]["query"] == {"period": "last-month", "timezone": "", "by": ["project", "user"], "measures": [],
                                      "where": {"gpu": ["a100"]}, "order": "", "limit": 0}  # fmt: skip
    assert "monthly\talice\tgpus\t0 7 1 * *\thttps://example.org/hook" in cli("report", "schedule", "list").stdout
    assert cli("report", "schedule", "run", "monthly").exit_code == 0
    shown = cli("report", "schedule", "show", "monthly").stdout
    assert "\nDUE\tTO\tSTATE\tTRIES\tWHY\n" in shown
    assert "https://example.org/hook\tWAITING" in shown
    assert cli("report", "schedule", "remove", "monthly").exit_code == 0
    assert cli("report", "schedule", "list", "--json").stdout == "[]\n"
    refused = cli("report", "schedule", "add", "x", "never", "-t", "a@example.org")
    assert refused.exit_code == 1
    assert "[mail]" in refused.stderr


@pytest.mark.parametrize("words", [[], ["usage"], ["show", "usage"], ["-p", "7d"]])
def test_a_report_needs_no_word_before_its_name(cli, words):
    assert cli("report", *words).exit_code == 0


@pytest.fixture
def cli(run_command):
    return lambda *words: run_command(*words, user="alice")


@pytest.mark.thorough
async def test_killed_at_any_time_each_moment_comes_and_only_the_one_of_the_kill_twice(place, box):
    """A process that is killed (SIGKILL) again and again, while the server takes its mails or turns them away."""
    async with opened(told(place, box)) as bench:
        made = await make(bench, "ops", cron="* * * * *", to=["a@example.org", "b@example.org"])
    first = made["schedule"]["next_at"]
    last, kills = first + 60 * 30, 0
    words = (sys.executable, "-m", "tests.api.sending_killed", str(place), str(box.port), str(first), str(last))
    chance = random.Random(7)
    for kill in (*[True] * 8, False):
        box.answers += chance.choices(["250 taken", FAILS, "421 closing"], k=3)
        begun = len(box.mails)
        process = await asyncio.create_subprocess_exec(*words)
        if kill:
            for _ in range(600):  # until it sends, and a moment more
                if len(box.mails) > begun + chance.randrange(4) or process.returncode is not None:
                    break
                await asyncio.sleep(0.02)
            await asyncio.sleep(chance.random() * 0.1)
            if process.returncode is None:
                process.kill()
                kills += 1
        assert await asyncio.wait_for(process.wait(), 120) == 0 or kill
    async with opened(told(place, box)) as bench:
        one = await shown(bench, user="ops")
    due = {(letter.due_at, letter.recipient): letter for letter in one.letters}
    assert set(due) == {(first + 60 * minute, to) for minute in range(30) for to in ("a@example.org", "b@example.org")}
    assert {letter.state.value for letter in one.letters} == {"SENT"}
    sent = Counter(mail["Message-ID"] for mail in box.mails)
    assert set(sent) == {f"<{letter.id}@example.org>" for letter in one.letters}
    assert kills >= 4
    assert sum(sent.values()) - len(sent) <= 4 * kills  # so many are under way at a time
