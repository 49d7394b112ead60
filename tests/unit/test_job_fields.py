"""squeue's fields, formats, lines, orders and states, and scontrol's words, without a service."""

from __future__ import annotations

import time

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpcjobs.cli.slurm import (
    job_format,
    job_json,
    job_lines,
    job_names,
    job_sort,
    job_states,
    job_words,
    json_document,
    squeue_options,
)
from hpcjobs.cli.slurm.common import Failed
from hpcjobs.cli.slurm.job_columns import BY_LETTER, BY_NAME, FIELDS, Look
from hpcjobs.cli.slurm.job_lines import Filters
from hpcjobs.cli.slurm.job_names import JobName
from hpcjobs.cli.slurm.job_states import time_used
from hpcjobs.cli.slurm.service_read import decoded
from hpcjobs.cli.slurm.times import Moment, full_span, short_span, time_text
from hpcjobs.model.amount import MEGA, amount_text
from hpcjobs.model.job import Job, State
from hpcjobs.model.particulars import Particulars
from hpcjobs.sbatch.getopt import Misspelt
from hpcjobs.sbatch.hostlists import expand_hostlist, joined_hostlist

from .builders import job

NOW = 2_000_000
LOOK = Look(Moment(NOW))


@pytest.fixture(autouse=True)
def in_utc(monkeypatch):
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def pending(number: int = 7, **more) -> Job:
    return job(**({"slurm_job_id": number, "raw_state": "PENDING", "reason": "Priority", "user": "alice"} | more))


def running(number: int = 8, **more) -> Job:
    told = {"slurm_job_id": number, "raw_state": "RUNNING", "start_time": NOW - 100, "node_list": "n1", "wall_s": 600}
    return job(**(told | more))


def group(tasks: str, number: int = 10, **more) -> Job:
    return pending(number, array_job_id=10, array_task=tasks, **more)


def printed(text: str, one: Job) -> str:
    layout = job_format.letters(text)
    return job_format.line(layout, one, LOOK).decode()[:-1]


def test_widths_cut_and_pad_as_in_c():
    one = pending(name="abcdef")
    assert printed("%3j|%.3j|%8j|%.8j|%j", one) == "abc|abc|abcdef  |  abcdef|abcdef"
    assert printed("%3E|%.3E|%8E|%.8E|%E", one) == "   |(nu|(null)  |  (null)|(null)"
    assert printed("x%i", one) == "x7"
    assert printed("%.2N|%2N", running(node_list="n[1-9]")) == "n[1-9]|n["
    assert printed("%.3R|%.3R", one) == "(Pr|(Pr"


def test_widths_count_bytes():
    assert printed("%4j|", pending(name="näme")).encode() == "näm|".encode()
    assert job_format.line(job_format.letters("%3j|"), pending(name="xyä"), LOOK) == b"xy\xc3|\n"


def test_what_is_no_field_is_told_and_stands_as_it_was_written():
    layout = job_format.letters("%i %! %t")
    assert layout.unknown == ["!"]
    assert job_format.line(layout, pending(), LOOK) == b"7 %! PD\n"
    layout = job_format.names("jobid:4,nope,state:3")
    assert layout.unknown == ["nope"]
    assert job_format.line(layout, pending(), LOOK) == b"7   PEN\n"
    assert job_format.header(layout) == b"JOBISTA\n"


@pytest.mark.parametrize(
    ("text", "printed_there"),
    [("jobid:|", "JOBID|"), ("jobid: 3|", "JOB|"), ("jobid:+7|", "JOBID  |"), ("jobid,,state:2", f"{'JOBID':20}ST"),
     ("nope:5|,jobid:2", "|JO"), ("jobid:.x", "JOBIDx"), (",", ""), ("", "")],
)  # fmt: skip
def test_odd_names_of_big_o_read_as_slurms_programs_read_them(text, printed_there):
    assert job_format.header(job_format.names(text)) == f"{printed_there}\n".encode()


def test_where_no_letter_stands_the_first_field_without_one_is_printed():
    assert job_format.header(job_format.letters("x%5")) == b"xACCRU\n"


def test_what_cannot_be_answered_is_refused_with_the_reason():
    with pytest.raises(ValueError, match="LastSchedEval is not known to the service: it changes"):
        job_format.names("jobid,LastSchedEval")


def test_all_is_every_letter():
    layout = job_format.letters("%all")
    letters = sorted(filter(None, BY_LETTER), key=lambda one: (one.isupper(), one))
    assert [part.field for part in layout.parts] == [BY_LETTER[letter] for letter in letters]
    assert job_format.line(layout, pending(), LOOK).count(b"|") >= len(letters) - 1


def test_every_field_prints_something_of_any_job():
    for one in (pending(), running(), job(), group("1-3%2"), pending(het_job_id=7, het_offset=0)):
        for field in FIELDS:
            assert field.cell(one, LOOK) is None or isinstance(field.cell(one, LOOK), str)
    assert len(BY_NAME) == len(FIELDS)


@given(st.text(max_size=60))
def test_no_format_breaks_a_line(text):
    try:
        layouts = [job_format.letters(text), job_format.names(text)]
    except ValueError:
        layouts = [job_format.letters(text)]
    for layout in layouts:
        assert job_format.line(layout, pending(), LOOK).endswith(b"\n")


def test_the_id_of_many_tasks_is_cut_as_squeues():
    one = group(",".join(str(number) for number in range(0, 60, 2)))
    assert len(printed("%i", one)) == 31
    layout = job_format.letters("%i")
    whole = job_format.line(layout, one, LOOK._replace(whole_ids=True)).decode().strip()
    assert whole == job_names.id_text(one)


@pytest.mark.parametrize(
    ("raw", "text", "short", "base"),
    [
        ("RUNNING", "RUNNING", "R", "RUNNING"),
        ("COMPLETED,COMPLETING", "COMPLETING", "CG", "COMPLETED"),
        ("COMPLETING", "COMPLETING", "CG", ""),
        ("CONFIGURING", "CONFIGURING", "CF", "RUNNING"),
        ("PENDING,REQUEUE_HOLD", "REQUEUE_HOLD", "RH", "PENDING"),
        ("OUT_OF_MEMORY", "OUT_OF_MEMORY", "OOM", "OUT_OF_MEMORY"),
        ("", "?", "?", ""),
        ("NEW_WORD", "NEW_WORD", "?", ""),
    ],
)
def test_states_are_named_as_slurm_names_them(raw, text, short, base):
    one = pending(raw_state=raw)
    assert (job_states.state_text(one), job_states.short_state(one), job_states.base_state(one)) == (text, short, base)


def test_a_state_is_found_by_its_name_and_its_letters_in_any_case():
    assert [job_states.find_state(name) for name in ("pd", "Running", "cg", "nope", "")] == [
        "PENDING", "RUNNING", "COMPLETING", None, None,
    ]  # fmt: skip
    assert job_states.is_in(pending(raw_state="COMPLETED,COMPLETING"), "COMPLETING")
    assert not job_states.is_in(pending(raw_state="COMPLETED,COMPLETING"), "COMPLETED")


@pytest.mark.parametrize(
    ("seconds", "short", "full"),
    [(0, "0:00", "00:00:00"), (187, "3:07", "00:03:07"), (3600, "1:00:00", "01:00:00"),
     (2 * 86400 + 5, "2-00:00:05", "2-00:00:05"), (-5, "INVALID", "INVALID")],
)  # fmt: skip
def test_durations_read_as_slurms(seconds, short, full):
    assert (short_span(seconds), full_span(seconds)) == (short, full)


def test_times_have_the_style_that_was_asked_for():
    day = 86400
    assert time_text(NOW, Moment(NOW)) == "1970-01-24T03:33:20"
    assert time_text(0, Moment(NOW), "Unknown") == "Unknown"
    assert time_text(NOW, Moment(NOW, "%H h")) == "03 h"
    assert time_text(NOW, Moment(NOW, "nonsense")) == "1970-01-24T03:33:20"
    relative = Moment(NOW, "relative")
    assert [time_text(NOW + days * day, relative) for days in (-1, 0, 1, 3, 30, 800)] == [
        "Ystday 03:33", "03:33:20", "Tomorr 03:33", "Tue 03:33", "23 Feb 03:33", "3 Apr 1972",
    ]  # fmt: skip


def test_only_sinfo_has_spans_longer_than_a_year():
    assert (short_span(366 * 86400), short_span(366 * 86400, None)) == ("INVALID", "366-00:00:00")


def test_the_time_used_leaves_out_what_was_suspended():
    assert time_used(running(), NOW) == 100
    assert time_used(pending(start_time=NOW + 5), NOW) == 0
    told = Particulars(suspend_time=NOW - 10, pre_suspend_s=40)
    assert time_used(running(particulars=told), NOW) == 50
    assert time_used(running(raw_state="SUSPENDED", particulars=told), NOW) == 40
    assert time_used(running(raw_state="COMPLETED", end_time=NOW - 60), NOW) == 40


@pytest.mark.parametrize(
    ("amount", "unit", "text"),
    [(0, MEGA, "0"), (900, MEGA, "900M"), (1024, MEGA, "1G"), (1536, MEGA, "1.50G"), (64000, MEGA, "62.50G"),
     (1800, MEGA, "1800M"), (3, 0, "3"), (2048, 0, "2K"), (1024 * 1024, MEGA, "1T")],
)  # fmt: skip
def test_amounts_read_as_slurms(amount, unit, text):
    assert amount_text(amount, unit) == text


def test_tasks_that_wait_apart_are_put_back_to_those_that_wait_together():
    jobs = [group("3-5%2", reason="JobArrayTaskLimit"), group("1", 11, reason="JobHeldUser"),
            group("2", 12, raw_state="RUNNING"), group("7", 13, name="other")]  # fmt: skip
    lines = job_lines.combined(jobs)
    assert [job_names.id_text(line) for line in lines] == ["10_[1,3-5]", "10_2", "10_7"]
    assert lines[0].reason == "JobArrayTaskLimit,JobHeldUser"
    assert job_lines.combined([group("1,3,...")]) == [group("1,3,...")]


def test_each_task_may_be_a_line_and_each_partition():
    assert [job_names.id_text(line) for line in job_lines.apart([group("1-2%1"), running()])] == ["10_1", "10_2", "8"]
    assert [line.partition for line in job_lines.by_partition([pending(partition="a,b"), running(partition="a")])] == [
        "a", "b", "a",
    ]  # fmt: skip


def test_a_line_is_narrowed_to_the_tasks_that_were_named():
    names = [JobName(10, frozenset({4, 9}))]
    (line,) = job_lines.chosen([group("3-5%2")], Filters(jobs=names), NOW)
    assert job_names.id_text(line) == "10_4"
    assert job_lines.chosen([group("1", 11)], Filters(jobs=names), NOW) == []
    assert job_lines.chosen([group("1", 11), running()], Filters(jobs=[JobName(10)]), NOW) == [group("1", 11)]
    het = pending(12, het_job_id=11, het_offset=1)
    assert job_lines.chosen([het], Filters(jobs=[JobName(11)]), NOW) == [het]


@pytest.mark.parametrize(
    ("filters", "there"),
    [
        (Filters(), True),
        (Filters(states=["PENDING"]), False),
        (Filters(states=["RUNNING", "FAILED"]), True),
        (Filters(states=[]), True),
        (Filters(users=["alice"]), True),
        (Filters(users=["1001"]), True),
        (Filters(users=["bob"]), False),
        (Filters(users=[]), False),
        (Filters(not_user="alice"), False),
        (Filters(accounts=["VISION"]), True),
        (Filters(accounts=["x"]), False),
        (Filters(qos=["Normal"]), True),
        (Filters(names=["TRAIN"]), True),
        (Filters(partitions=["gpu"]), True),
        (Filters(partitions=["GPU"]), False),
        (Filters(licenses=["matlab"]), True),
        (Filters(licenses=["x"]), False),
        (Filters(reservations=["maint"]), True),
        (Filters(reservations=["x"]), False),
        (Filters(nodes=["n2"]), True),
        (Filters(nodes=["n9"]), False),
        (Filters(over_s=100), True),
        (Filters(over_s=101), False),
        (Filters(under_s=101), True),
        (Filters(under_s=100), False),
    ],
)
def test_a_filter_leaves_what_it_says(filters, there):
    told = Particulars(user_id=1001, licenses="matlab:2,x2:1", reservation="maint,other")
    one = running(user="alice", account="vision", qos="normal", name="train", partition="gpu,debug",
                  node_list="n[1-3]", particulars=told)  # fmt: skip
    assert bool(job_lines.chosen([one], filters, NOW)) is there


def test_squeue_leaves_out_what_has_ended_unless_it_is_asked_for():
    done = running(raw_state="COMPLETED")
    completing = running(raw_state="COMPLETED,COMPLETING")
    assert job_lines.chosen([done, completing, pending()], Filters(), NOW) == [completing, pending()]


def test_the_controllers_order_gives_a_split_task_the_arrays_place():
    jobs = [group("5-9", 10), group("3", 12), group("4", 20), pending(11), pending(15), pending(25)]
    assert [one.slurm_job_id for one in job_lines.in_controllers_order(jobs)] == [12, 11, 20, 15, 10, 25]


def test_components_are_told_of_each_other():
    jobs = job_lines.with_het_ids([pending(30 + offset, het_job_id=30, het_offset=offset) for offset in range(3)])
    assert {one.particulars.het_job_ids for one in jobs} == {"30-32"}
    assert job_lines.with_het_ids([pending()]) == [pending()]


def test_orders_count_the_first_letter_most_and_go_backwards_after_a_minus():
    jobs = [pending(1, priority=5, partition="b"), pending(2, priority=9, partition="a"), running(3, partition="a")]
    ids = lambda spec: [one.slurm_job_id for one in job_sort.in_order(jobs, spec, NOW)]  # noqa: E731
    assert ids("i") == [1, 2, 3]
    assert ids("-i") == [3, 2, 1]
    assert ids("P,-i") == [3, 2, 1]
    assert ids("+p,i") == [3, 1, 2]
    assert ids(None) == [2, 3, 1]
    assert ids("cluster,i") == [1, 2, 3]
    with pytest.raises(ValueError, match="Invalid sort specification: x"):
        ids("x")


@given(
    st.lists(st.tuples(st.integers(0, 5), st.integers(1, 9)), max_size=20), st.sampled_from(["S", "-S", "N", "-N,S"])
)
def test_no_order_loses_a_job(starts, spec):
    jobs = [running(at, start_time=start, node_list=f"n{node}" if start else "")
            for at, (start, node) in enumerate(starts, 1)]  # fmt: skip
    assert sorted(one.slurm_job_id or 0 for one in job_sort.in_order(jobs, spec, NOW)) == list(range(1, len(jobs) + 1))


@pytest.mark.parametrize(
    ("words", "heard"),
    [
        (["--nope"], "unrecognized option '--nope'"),
        (["-Z"], "invalid option -- 'Z'"),
        (["-o", "%i", "-O", "jobid"], "error: -O (--Format) is incompatible with -o (--format)"),
        (["-O", "jobid", "-o", "%i"], "error: -o (--format) is incompatible with -O (--Format)"),
        (["-l", "-o", "%i"], "fatal: Options -o(--format) and -l(--long) are mutually exclusive."),
        (["-t", "nope"], "error: Invalid job state specified: nope"),
        (["-j", "1x"], "error: Invalid job id: 1x"),
        (["-j0"], "error: Invalid job id: 0"),
        (["-j1_[3-1]"], "error: Invalid job id: 1_[3-1]"),
        (["-i", "0"], "error: --iterate=0"),
        (["-i", "x"], "error: --iterate=x"),
        (["--yaml"], "error: --yaml is not possible"),
        (["-s"], "error: --steps is not possible"),
        (["word"], "error: Unrecognized option: word"),
        (["-w", "c[1-"], "error: 'c[1-' invalid entry for --nodelist"),
        (["--running-over=x"], "fatal: Invalid time limit specification"),
        (["--running-over=9", "--running-under=2"], "fatal: --running-over=00:09:00 and --running-under=00:02:00"),
        (["--only-job-state", "-u", "x"], "fatal: Option --only-job-state only works alone"),
    ],
)
def test_a_bad_call_of_squeue_is_told_in_squeues_words(words, heard):
    with pytest.raises((Failed, Misspelt)) as error:
        squeue_options.read(words, {})
    assert error.value.heard[0].startswith(heard)
    assert error.value.exit_code == 1


def test_variables_count_where_the_command_line_says_nothing():
    told = {"SQUEUE_USERS": "alice", "SQUEUE_FORMAT": "%i", "SQUEUE_FORMAT2": "jobid", "SQUEUE_ARRAY": ""}
    asked = squeue_options.read([], told)
    assert (asked.filters.users, asked.letters, asked.names, asked.array) == (["alice"], "%i", None, True)
    asked = squeue_options.read(["-u", "bob", "-l"], told)
    assert (asked.filters.users, asked.letters, asked.long, asked.dated) == (["bob"], None, True, True)
    assert squeue_options.read(["-O", "name"], told).names == "name"
    assert squeue_options.read(["--start"], {"SQUEUE_FORMAT": "%i"}).letters == job_format.START
    assert squeue_options.read(["--start"], {}).filters.states == ["PENDING"]
    assert squeue_options.read(["-t", "ALL"], {}).filters.states == []


def test_jobs_may_be_named_behind_j_or_after_it():
    for words in (["-j1,2_3"], ["-j", "1,2_3"], ["--jobs=1,2_3"], ["--jobs", "1,2_3"]):
        assert squeue_options.read(words, {}).filters.jobs == [JobName(1), JobName(2, frozenset({3}))]
    assert squeue_options.read(["-j"], {}).filters.jobs is None
    assert squeue_options.read(["-j4_[1-2,7]"], {}).filters.jobs == [JobName(4, frozenset({1, 2, 7}))]


@pytest.mark.parametrize(
    ("hostlist", "names"),
    [
        ("c[1-3],d", ["c1", "c2", "c3", "d"]),
        ("c[08-10]", ["c08", "c09", "c10"]),
        ("r[1-2]n[1-2]x", ["r1n1x", "r1n2x", "r2n1x", "r2n2x"]),
        ("a,,b", ["a", "b"]),
        ("", []),
    ],
)
def test_a_hostlist_is_written_out(hostlist, names):
    assert expand_hostlist(hostlist) == names


@pytest.mark.parametrize("text", ["c[1-", "c1]", "c[x]", "c[1-999999999]", "c[1-99999][1-99999]"])
def test_what_is_no_hostlist_is_refused(text):
    with pytest.raises(ValueError, match=r"hostlist|names"):
        expand_hostlist(text)


@given(st.lists(st.tuples(st.sampled_from(["c", "gpu", "n-"]), st.integers(0, 30)), max_size=12))
def test_a_folded_hostlist_is_written_out_to_the_same_names(parts):
    names = [f"{head}{number}" for head, number in parts]
    assert expand_hostlist(joined_hostlist(names)) == names
    assert sorted(expand_hostlist(joined_hostlist(names, sort=True))) == sorted(names)


def test_scontrols_words_of_a_job_have_the_order_of_scontrol():
    text = job_words.text_of(running(name="train", user="alice"), Moment(NOW))
    assert text.startswith("JobId=8 JobName=train\n   UserId=alice(0) GroupId=(0) MCS_label=N/A\n   Priority=0 ")
    assert "\n   RunTime=00:01:40 TimeLimit=00:10:00 TimeMin=N/A\n" in text
    assert text.endswith("\n\n")
    line = job_words.text_of(running(), Moment(NOW), one_line=True)
    assert (line.count("\n"), line.endswith("\n")) == (1, True)
    told = Particulars(sluid="s1", derived_exit_code=3)
    assert "SLUID=s1" in job_words.text_of(running(particulars=told), Moment(NOW), details=True)
    assert "SLUID" not in job_words.text_of(running(particulars=told), Moment(NOW))


def test_no_key_is_both_printed_and_listed_as_not_known():
    everything = Particulars(
        **{name: value for name in Particulars.__struct_fields__
           for value in [_some(Particulars.__annotations__[name])]}
    )  # fmt: skip
    full = running(particulars=everything, array_job_id=8, array_task="1-3%2", reason="x", comment="c", dependency="d")
    keys = {key for line in job_words.lines_of(full, Moment(NOW), details=True) for key, _ in line}
    assert not keys & set(job_words.NOT_KNOWN)
    assert set(job_words.OF_SOME_WAYS) <= keys
    assert not set(job_json.entry(full)) & set(job_json.NOT_KNOWN)


def _some(kind: str) -> object:
    return {"int": 3, "str": "x", "bool": True, "int | None": 3, "tuple[str, ...]": ("A", "B")}[kind]


def test_the_time_zone_is_this_machines(monkeypatch):
    monkeypatch.setenv("TZ", "Asia/Tokyo")  # in_utc takes it back
    time.tzset()
    assert time_text(NOW, Moment(NOW)) == "1970-01-24T12:33:20"


@pytest.mark.parametrize(
    ("amount", "text"), [(0, "0"), (1000, "1000"), (1024, "1K"), (1536, "1536"), (2048, "2K"), (3 * 1024**2, "3M")]
)
def test_sinfo_shortens_a_count_only_where_nothing_is_left_over(amount, text):
    assert amount_text(amount, step=1024) == text


def test_an_unknown_state_of_a_newer_service_is_shown_in_slurms_words_and_an_unknown_field_is_told():
    line = msgspec.json.decode(msgspec.json.encode(running(raw_state="HOVERING", id="x")))
    told = decoded(msgspec.json.encode(line | {"state": "hovering"}), Job)
    assert (told.raw_state, told.state, job_states.state_text(told)) == ("HOVERING", State.UNKNOWN, "HOVERING")
    with pytest.raises(Failed, match=r"does not know: Expected `int`, got `str` - at `\$.cpus`"):
        decoded(msgspec.json.encode(line | {"cpus": "many"}), Job)


@pytest.mark.parametrize(
    ("by", "name"),
    [(9, "KILL"), (10, "USR1"), (11, "11"), (7, "7"), (13, "PIPE"), (24, "XCPU"), (35, "35")],
)
def test_signals_have_names_in_json_only_where_slurm_has_some(by, name):
    assert json_document.exit_code(0, by)["signal"] == {"id": json_document.number(by), "name": name}


def test_json_is_asked_for_in_our_version_or_refused_in_slurms_words():
    assert [json_document.asks_for_list(one) for one in (None, "v0.0.45", "data_parser/v0.0.45")] == [False] * 3
    assert json_document.asks_for_list("list")
    for wrong, heard in (("v0.0.44", "load_plugins: unable to find plugin: data_parser/v0.0.44"),
                         ("", "data_parser_g_new: invalid plugin ")):  # fmt: skip
        with pytest.raises(Failed) as failed:
            json_document.asks_for_list(wrong)
        assert failed.value.heard[0] == f"error: {heard}"
        assert failed.value.heard[-1] == "error: application/json output not supported by data_parser/v0.0.45"
