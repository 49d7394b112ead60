"""Sums of reports: against a count of every second by hand, and rows against their total."""

from __future__ import annotations

from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpcjobs.errors import Refused
from hpcjobs.identity.policy import Visibility
from hpcjobs.model.report import ReportQuery, Table
from hpcjobs.reports.answer import NO_FACTOR, NOT_SAMPLED, answer
from hpcjobs.reports.asked import BUCKETS, CAUSE, check, is_of_pool
from hpcjobs.reports.dimensions import DIMENSIONS
from hpcjobs.reports.measures import MEASURES
from hpcjobs.reports.periods import period_of
from hpcjobs.usage.energy import AFTER_ALL, CarbonFactor

from .usage import Usage

NOW = 1_798_000_000
EVERYBODY = Visibility("", everything=True)
DAY = period_of("2026-10-25", ZoneInfo("Europe/Berlin"), NOW).since
"""25 hours long."""
A100, H100 = ("a100", 8, 8.0, 8.0), ("h100", 2, 2.0, 8.0)


def ask(usage: Usage, visible: Visibility = EVERYBODY, **query: Any) -> Table:
    query = {"period": "2026-10-25"} | query
    return answer(usage.connection, check(ReportQuery(**query), "Europe/Berlin", NOW), visible)


def by_name(table: Table) -> dict[Any, dict[str, Any]]:
    words = table.words
    names = [column.name for column in table.columns[words:]]
    return {row[0] if words == 1 else row[:words]: dict(zip(names, row[words:], strict=True)) for row in table.rows}


def test_hours_are_those_inside_the_period():
    usage = Usage()
    usage.run(DAY - 7200, DAY + 3600, A100, cpus=16)
    usage.run(DAY + 24 * 3600, DAY + 30 * 3600, H100, account="nlp", cpus=4, nodes=2)
    found = by_name(ask(usage, by=("project",), measures=("gpu_hours", "gpu_hours_held", "cpu_hours", "node_hours")))
    assert found == {
        "vision": {"gpu_hours": 8.0, "gpu_hours_held": 8.0, "cpu_hours": 16.0, "node_hours": 1.0},
        "nlp": {"gpu_hours": 2.0, "gpu_hours_held": 8.0, "cpu_hours": 4.0, "node_hours": 2.0},
    }


def test_a_slice_is_a_device_and_a_part_of_a_gpu_and_an_unknown_kind_is_shown():
    usage = Usage()
    usage.run(DAY, DAY + 7 * 3600, ("a100_1g.5gb", 1, 1 / 7, 1 / 7))
    usage.run(DAY, DAY + 3600, ("", 3, 3.0, 3.0))
    usage.run(DAY, DAY + 3600)
    table = ask(usage, by=("gpu",), measures=("gpu_hours", "gpu_hours_equivalent", "gpu_hours_unresolved", "runs"))
    assert {kind: [round(value, 9) for value in row.values()] for kind, row in by_name(table).items()} == {
        "a100_1g.5gb": [7, 1, 0, 1], "unresolved": [3, 3, 3, 1], "none": [0, 0, 0, 1],
    }  # fmt: skip
    assert table.total == ("", 10.0, 4.0, 3.0, 3)


def test_suspended_time_is_held_and_not_used():
    usage = Usage()
    usage.run(DAY, DAY + 7200, A100, suspended_s=3600)
    (row,) = ask(usage, measures=("gpu_hours", "gpu_hours_held", "gpu_hours_suspended")).rows
    assert row == (8.0, 16.0, 8.0)


def test_waits_are_of_runs_that_started_in_the_period_from_when_they_could_start():
    usage = Usage()
    usage.run(DAY + 100, DAY + 200, eligible_time=DAY + 40, submit_time=DAY - 5000)
    usage.run(DAY + 100, DAY + 200, eligible_time=DAY + 80)
    usage.run(DAY - 100, DAY + 200, eligible_time=DAY - 9000)
    usage.run(None, DAY + 7, raw_state="CANCELLED", eligible_time=DAY)
    usage.run(None, None, raw_state="PENDING")
    (row,) = ask(usage, measures=("started", "wait_mean_s", "wait_p50_s", "wait_max_s", "runs")).rows
    assert row == (2, 40.0, 40.0, 60.0, 4)


def test_the_expansion_factor_is_of_what_ended_and_weighs_by_time():
    usage = Usage()
    usage.run(DAY + 100, DAY + 200, eligible_time=DAY)
    usage.run(DAY + 1000, DAY + 1300, eligible_time=DAY + 1000)
    (row,) = ask(usage, measures=("expansion_factor",)).rows
    assert row == (1.25,)


def test_failures_and_cpu_efficiency_are_of_what_ended():
    usage = Usage()
    usage.run(DAY, DAY + 100, cpus=2, cpu_used_s=100.0)
    usage.run(DAY, DAY + 100, A100, cpus=2, cpu_used_s=None, raw_state="NODE_FAIL")
    usage.run(DAY, DAY + 30 * 3600, A100, cpus=2, cpu_used_s=9.0, raw_state="FAILED")
    (row,) = ask(usage, measures=("ended", "failed", "failed_share", "cpu_efficiency")).rows
    assert row == (2, 1, 0.5, 0.5)


def test_sizes_are_powers_of_two():
    usage = Usage()
    for devices in (1, 3, 4, 8, 100):
        usage.run(DAY, DAY + 100, ("a100", devices, float(devices), float(devices)))
    usage.run(DAY, DAY + 100)
    found = by_name(ask(usage, by=("size",), measures=("runs",)))
    assert {size: row["runs"] for size, row in found.items()} == {
        "0": 1, "1": 1, "2-3": 1, "4-7": 1, "8-15": 1, "64-127": 1,
    }  # fmt: skip


def test_samples_say_how_busy_gpus_were_and_nothing_is_said_without():
    usage = Usage()
    usage.run(DAY, DAY + 3600, A100)
    table = ask(usage, by=("user",), measures=("gpu_busy", "gpu_hours_idle"))
    assert (table.rows, table.notes) == ((), (NOT_SAMPLED,))
    for place in range(12):
        usage.sample(1, "n1", DAY + 300 * place, "a100", busy_s=30.0)
    table = ask(usage, by=("user",), measures=("gpu_busy", "gpu_hours_idle", "gpu_hours"))
    assert table.rows == (("alice", 0.1, 0.9, 8.0),)
    assert table.notes == ()


def test_what_is_asked_of_a_cluster_is_as_old_as_that_one_is():
    usage = Usage(read_until=DAY + 3600)
    usage.connection.execute("UPDATE clusters SET read_until = ? WHERE cluster = 'south'", [DAY])
    assert ask(usage).as_of == DAY
    assert ask(usage, where={"cluster": ("north",)}).as_of == DAY + 3600
    assert ask(usage, where={"cluster": ("east",)}).as_of is None


def test_whoever_sees_only_their_own_can_ask_for_the_pool_alone():
    usage = Usage(read_until=DAY + 3600)
    usage.node("n1", DAY, "gpu:a100:8")
    assert ask(usage, Visibility("alice"), by=("gpu",), measures=("gpu_hours_there",)).rows == (("a100", 8.0),)


def test_times_without_anything_are_ordered_and_cut_as_all_rows():
    usage = Usage()
    usage.run(DAY + 3 * 3600, DAY + 4 * 3600, A100)
    usage.run(DAY + 5 * 3600, DAY + 6 * 3600, H100)

    def asked(**query: Any) -> tuple[list[tuple[Any, ...]], int]:
        table = ask(usage, by=("hour",), measures=("gpu_hours", "wait_mean_s"), **query)
        assert table.total == ("", 10.0, 10.0)
        return [(row[0][11:16], *row[1:]) for row in table.rows], table.more

    assert asked(limit=2) == ([("00:00", 0, None), ("01:00", 0, None)], 23)
    assert asked(limit=1, order="gpu_hours") == ([("02:00", 8.0, 10.0)], 24)
    assert asked(limit=3, order="gpu_hours")[0][1:] == [("04:00", 2.0, 10.0), ("00:00", 0, None)]
    assert asked(limit=1, order="-gpu_hours") == ([("00:00", 0, None)], 24)
    assert [row[0] for row in asked(order="-wait_mean_s")[0][:3]] == ["02:00", "04:00", "00:00"]


def test_times_without_anything_are_rows_too():
    usage = Usage()
    usage.run(DAY + 3 * 3600, DAY + 4 * 3600, A100)
    table = ask(usage, by=("hour",), measures=("gpu_hours", "wait_mean_s"))
    assert len(table.rows) == 25
    assert [row for row in table.rows if row[1]] == [("2026-10-25 02:00+0100", 8.0, 10.0)]
    assert table.rows[0] == ("2026-10-25 00:00+0200", 0, None)


def test_a_limit_leaves_rows_out_and_not_what_is_in_the_total():
    usage = Usage()
    for number in range(5):
        usage.run(DAY, DAY + 3600 * (number + 1), A100, user=f"u{number}")
    table = ask(usage, by=("user",), measures=("gpu_hours",), limit=2)
    assert (table.rows, table.more, table.total) == ((("u4", 40.0), ("u3", 32.0)), 3, ("", 120.0))
    assert ask(usage, by=("user",), measures=("gpu_hours",), order="-gpu_hours", limit=1).rows == (("u0", 8.0),)
    assert [row[0] for row in ask(usage, by=("user",), measures=("runs",), order="user").rows] == [
        "u0", "u1", "u2", "u3", "u4",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("where", "left"),
    [
        ({"user": ("bob",)}, 1), ({"project": ("vision", "nlp")}, 3), ({"gpu": ("h100",)}, 1), ({"gpu": ("none",)}, 1),
        ({"node": ("n2",)}, 2), ({"cluster": ("south",)}, 1), ({"state": ("FAILED",)}, 0), ({"size": ("8-15",)}, 1),
        ({"user": ("' OR 1=1 --",)}, 0), ({"gpu": ()}, 0),
    ],
)  # fmt: skip
def test_conditions_keep_to_some_runs(where, left):
    usage = Usage()
    usage.run(DAY, DAY + 100, A100, node_list="n[1-2]", nodes=2)
    usage.run(DAY, DAY + 100, H100, user="bob", account="nlp")
    usage.run(DAY, DAY + 100, node_list="n2", cluster="south")
    assert ask(usage, measures=("runs",), where=where).rows == ((left,),)


def test_nobody_sees_more_than_their_own_and_their_projects_not_even_in_totals_and_counts():
    usage = Usage()
    usage.run(DAY, DAY + 3600, A100, user="alice")
    usage.run(DAY, DAY + 3600, A100, user="bob")
    usage.run(DAY, DAY + 3600, A100, user="carol", account="nlp")
    usage.run(DAY, DAY + 3600, A100, user="carol", account="nlp", cluster="south")

    def seen(visible: Visibility) -> Table:
        return ask(usage, visible, by=("user", "node"), measures=("gpu_hours",), limit=1)

    mine = seen(Visibility("alice"))
    assert (mine.rows, mine.total, mine.more) == ((("alice", "n1", 8.0),), ("", "", 8.0), 0)
    managed = seen(Visibility("alice", frozenset({("north", "nlp")})))
    assert (managed.total, managed.more) == (("", "", 16.0), 1)
    assert seen(Visibility("nobody")).rows == ()
    assert seen(EVERYBODY).total == ("", "", 32.0)


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"by": ("colour",)}, "by"), ({"by": ("user", "user")}, "by"), ({"by": ("day", "month")}, "by"),
        ({"measures": ("joy",)}, "measures"), ({"where": {"colour": ("red",)}}, "where"), ({"limit": -1}, "limit"),
        ({"by": ("user", "gpu"), "measures": ("pool_used",)}, "measures"),
        ({"where": {"user": ("alice",)}, "measures": ("gpu_hours_down",)}, "measures"),
        ({"order": "joy"}, "order"), ({"period": "soon"}, "period"), ({"timezone": "Mars"}, "timezone"),
    ],
)  # fmt: skip
def test_a_question_that_cannot_be_answered_is_refused_by_its_field(query, field):
    with pytest.raises(Refused) as refused:
        ask(Usage(), **query)
    assert {one.field for one in refused.value.refusals} == {field}


moments = st.integers(DAY - 4000, DAY + 8000)
kinds = st.sampled_from(["a100", "h100", "a100_1g.5gb", ""])
gpus = st.lists(st.tuples(kinds, st.integers(1, 8)), max_size=2, unique_by=lambda one: one[0])
lines = st.lists(
    st.tuples(
        moments, st.integers(0, 6000), st.integers(0, 500), gpus, st.sampled_from(["alice", "bob"]),
        st.sampled_from(["n1", "n[1-3]", "n2,m7"]), st.integers(1, 64),
    ),
    max_size=6,
)  # fmt: skip
OF_ALL = tuple(name for name in DIMENSIONS if name != CAUSE)
"""What all measures are told apart by; causes are of what was lost (test_lost)."""
SUMS = tuple(name for name, measure in MEASURES.items() if measure.adds_up and not is_of_pool(name))


@given(lines, st.sampled_from([*OF_ALL, *BUCKETS]), st.sampled_from(OF_ALL))
def test_rows_add_up_to_the_total_and_the_total_is_what_each_second_says(runs, first, second):
    usage = Usage()
    devices = cpus = 0
    end_of_day = DAY + 25 * 3600
    for start, lasts, suspended, told, user, nodes, cores in runs:
        had = [(kind, count, float(count), float(count)) for kind, count in told]
        usage.run(start, start + lasts, *had, user=user, node_list=nodes, cpus=cores, suspended_s=min(suspended, lasts))
        works = lasts - min(suspended, lasts)
        inside = [second for second in range(lasts) if DAY <= start + second < end_of_day]
        used = sum((second + 1) * works // lasts - second * works // lasts for second in inside)
        devices += used * sum(count for _, count in told)
        cpus += used * cores
    table = ask(usage, by=tuple(dict.fromkeys((first, second))), measures=SUMS)
    names = [column.name for column in table.columns]
    assert table.total is not None
    assert table.total[names.index("gpu_hours")] == pytest.approx(devices / 3600)
    assert table.total[names.index("cpu_hours")] == pytest.approx(cpus / 3600)
    for place in range(table.words, len(names)):
        together = sum(row[place] or 0 for row in table.rows)
        assert together == pytest.approx(table.total[place] or 0, abs=1e-9), names[place]


WORDS = {
    "user": ("alice",), "gpu": ("a100", "none", "unresolved"), "node": ("n1", "m7"), "size": ("1", "4-7"),
    "nodes": ("1",), "state": ("COMPLETED",),
}  # fmt: skip
samples = st.lists(
    st.tuples(st.integers(1, 3), st.sampled_from(["n1", "n2"]), st.integers(-2, 30), st.sampled_from(["a100", "h100"])),
    max_size=8, unique=True,
)  # fmt: skip


@given(lines, samples, st.sampled_from(sorted(WORDS)), st.sampled_from([*OF_ALL, *BUCKETS]))
def test_a_condition_keeps_the_rows_that_it_names_and_the_total_is_theirs(runs, sampled, name, second):
    usage = Usage()
    for start, lasts, suspended, told, user, nodes, cores in runs:
        had = [(kind, count, float(count), float(count)) for kind, count in told]
        usage.run(
            start, start + lasts, *had, user=user, node_list=nodes, cpus=cores, suspended_s=min(suspended, lasts),
            slurm_job_id=1 + start % 3,
        )  # fmt: skip
    for job, node, place, kind in sampled:
        usage.sample(job, node, DAY + 300 * place, kind)
    by = tuple(dict.fromkeys((name, second)))
    everything = ask(usage, by=by, measures=SUMS)
    kept = ask(usage, by=by, measures=SUMS, where={name: WORDS[name]})
    there, left = ({row[: table.words]: row[table.words :] for row in table.rows} for table in (everything, kept))
    assert left == {words: pytest.approx(row, abs=1e-9) for words, row in there.items() if words[0] in WORDS[name]}
    assert kept.total is not None
    for place in range(kept.words, len(kept.columns)):
        together = sum(row[place] or 0 for row in kept.rows)
        assert together == pytest.approx(kept.total[place] or 0, abs=1e-9), kept.columns[place].name


def test_what_is_asked_of_a_node_is_its_share_of_each_run():
    usage = Usage()
    usage.run(DAY, DAY + 3600, A100, node_list="n[1-4]", nodes=4, cpus=8)
    where, measures = {"node": ("n2", "n3")}, ("gpu_hours", "cpu_hours", "runs")
    assert ask(usage, measures=measures, where=where).rows == ((4.0, 4.0, 1),)


def test_of_a_run_with_several_kinds_what_is_not_of_gpus_is_counted_once():
    usage = Usage()
    usage.run(DAY, DAY + 3600, A100, H100, cpus=4)
    found = {kind: ask(usage, measures=("gpu_hours", "cpu_hours"), where={"gpu": (kind,)}).rows[0] for kind in
             ("a100", "h100")}  # fmt: skip
    assert found == {"a100": (8.0, 4.0), "h100": (2.0, 0)}


def test_five_minutes_in_which_a_job_was_requeued_are_those_of_its_next_run():
    usage = Usage()
    usage.run(DAY, DAY + 400, A100, slurm_job_id=7, user="alice")
    usage.run(DAY + 450, DAY + 900, A100, slurm_job_id=7, user="bob")
    for place in range(4):
        usage.sample(7, "n1", DAY + 300 * place, "a100", busy_s=30.0)
    found = by_name(ask(usage, by=("user",), measures=("gpu_hours_idle",)))
    assert {user: row["gpu_hours_idle"] * 3600 for user, row in found.items()} == {"alice": 270, "bob": 540}


def test_the_pool_is_what_nodes_had_as_long_as_they_had_it():
    usage = Usage(read_until=DAY + 10 * 3600)
    usage.node("n1", DAY - 3600, "gpu:a100:8(S:0-1)")
    usage.node("n2", DAY + 2 * 3600, "gpu:h100:4,gpu:a100_1g.5gb:14")
    usage.node("n1", DAY + 4 * 3600, "gpu:a100:8(S:0-1)", usable=False)
    usage.node("n1", DAY + 5 * 3600, "gpu:h100:8")
    usage.run(DAY, DAY + 2 * 3600, A100)
    usage.run(DAY + 3 * 3600, None, ("h100", 2, 2.0, 4.0), node_list="n2")
    measures = ("gpu_hours_there", "gpu_hours_down", "pool_used", "pool_down")
    table = ask(usage, by=("gpu",), measures=measures)
    assert {row[0]: row[1:] for row in table.rows} == {
        "a100": (40.0, 8.0, 16 / 40, 8 / 40), "h100": (32.0 + 40.0, 0, 28 / 72, 0), "a100_1g.5gb": (16.0, 0, 0, 0),
    }  # fmt: skip
    assert table.total == ("", 128.0, 8.0, 44 / 128, 8 / 128)
    assert ask(usage, by=("node",), measures=measures, where={"gpu": ("h100",)}).rows == (
        ("n1", 40.0, 0, 0, 0), ("n2", 32.0, 0, 28 / 32, 0),
    )  # fmt: skip
    hours = [row[1:] for row in ask(usage, by=("hour",), measures=measures[:3]).rows]
    assert [row[0] for row in hours[:11]] == [8, 8, 14, 14, 14, 14, 14, 14, 14, 14, 0]
    assert (hours[0], hours[4], hours[10]) == ((8.0, 0, 1.0), (14.0, 8.0, 4 / 14), (0, 0, None))


changes = st.lists(
    st.tuples(st.sampled_from(["n1", "n2"]), st.integers(DAY - 4000, DAY + 9000),
              st.sampled_from(["gpu:a100:8", "gpu:a100:4,gpu:h100:2", ""]), st.booleans()),
    max_size=6, unique_by=lambda one: one[:2],
)  # fmt: skip


@given(changes, st.integers(DAY - 5000, DAY + 10_000), st.sampled_from(["gpu", "node", "cluster"]),
       st.sampled_from(["gpu", "node", "cluster", "hour"]))  # fmt: skip
def test_rows_of_the_pool_add_up_to_what_each_second_says(told, read_until, first, second):
    """Nothing is told of the time after which accounting was read, also where nodes were listed since."""
    usage = Usage(read_until)
    for node, since, gres, usable in told:
        usage.node(node, since, gres, usable)
    whole = 0
    for name in ("n1", "n2"):
        known = sorted((since, sum(map(int, gres.replace(",", ":").split(":")[2::3]))) for node, since, gres, _ in told
                       if node == name)  # fmt: skip
        ends = [*(since for since, _ in known), read_until][1:]
        whole += sum(
            count * max(min(end, read_until) - max(since, DAY), 0)
            for (since, count), end in zip(known, ends, strict=True)
        )
    table = ask(usage, by=tuple(dict.fromkeys((first, second))), measures=("gpu_hours_there", "gpu_hours_down"))
    assert table.total is not None
    assert table.total[table.words] == pytest.approx(whole / 3600)
    for place in range(table.words, len(table.columns)):
        assert sum(row[place] or 0 for row in table.rows) == pytest.approx(table.total[place])


def test_energy_is_of_nodes_where_slurm_measured_it_else_of_gpus_and_emits_by_the_factors():
    usage = Usage()
    usage.run(DAY, DAY + 3600, A100, user="alice", energy_j=7_200_000)
    usage.run(DAY, DAY + 3600, A100, user="bob", energy_j=0)
    usage.run(DAY, DAY + 3600, A100, user="carol")
    for job in (1, 2):
        for place in range(12):
            usage.sample(job, "n1", DAY + 300 * place, "a100", energy_j=300_000.0)
    carbon = [CarbonFactor(400, 0, DAY + 1800, "old"), CarbonFactor(200, DAY + 1800, AFTER_ALL, "new")]
    query = ReportQuery(period="2026-10-25", by=("user",), measures=("energy_kwh", "co2_kg", "runs"), order="user")
    asked = check(query, "Europe/Berlin", NOW, carbon=carbon)
    table = answer(usage.connection, asked, EVERYBODY)
    assert table.rows == (("alice", 2.0, 0.6, 1), ("bob", 1.0, pytest.approx(0.3), 1), ("carol", None, None, 1))
    assert table.total == ("", 3.0, pytest.approx(0.9), 3)
    assert table.notes == ("CO2: 400 g/kWh from 1970-01-01 (old), 200 g/kWh from 2026-10-25 (new).",)
    table = ask(usage, measures=("co2_kg",))
    assert (table.rows, table.notes) == (((None,),), (NO_FACTOR,))
