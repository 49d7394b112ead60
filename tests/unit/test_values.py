"""Arguments that say several things at once."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpcjobs.sbatch import layout, values
from hpcjobs.sbatch.units import memory_text, parse_memory, parse_time, time_text


@pytest.mark.parametrize(
    ("text", "array"),
    [
        ("0-15", ("0-15", 16, None)),
        ("0-15%4", ("0-15%4", 16, 4)),
        ("1,3,5-7", ("1,3,5-7", 5, None)),
        ("0-8:4", ("0-8:4", 3, None)),
        ("08-010", ("8-10", 3, None)),
        ("1,1,2", ("1,1,2", 2, None)),
        ("[1-3]", ("1-3", 3, None)),
        ("0-3%0", ("0-3", 4, None)),
        ("1-3%", ("1-3", 3, None)),
        (" 1 , 2 ", ("1,2", 2, None)),
        ("5-5:1", ("5", 1, None)),
        ("0-4000000", ("0-4000000", 4_000_001, None)),
        ("0-4000000:7,0-10", ("0-4000000:7,0-10", 571429 + 9, None)),
    ],
)
def test_an_array_is_normalised_and_its_tasks_are_counted_once(text, array):
    assert values.parse_array(text) == array


@pytest.mark.parametrize(
    "text", ["", "a", "1-", "-1", "4-1", "0-4:0", "1:2", "1,,2", "1%x", "1%2%3", "%4", "4000001", "9" * 30, "1 2", "²"]
)
def test_what_is_no_array_is_refused(text):
    with pytest.raises(ValueError, match="Invalid array specification"):
        values.parse_array(text)


RANGES = st.tuples(st.integers(0, 60), st.integers(0, 60), st.integers(1, 9))


@given(st.lists(RANGES.map(lambda three: (min(three[:2]), max(three[:2]), three[2])), min_size=1, max_size=4))
def test_the_count_of_an_array_is_that_of_its_indexes(ranges):
    text = ",".join(f"{first}-{last}:{step}" for first, last, step in ranges)
    array = values.parse_array(text)
    assert array.tasks == len({index for first, last, step in ranges for index in range(first, last + 1, step)})
    assert values.parse_array(array.text) == array


@pytest.mark.parametrize(
    ("text", "signal"),
    [
        ("USR1", ("USR1", 10, 60, False, False)),
        ("B:USR1@120", ("USR1", 10, 120, True, False)),
        ("rb:sigterm@0", ("TERM", 15, 0, True, True)),
        ("R:10@65535", ("10", 10, 65535, False, True)),
        ("64", ("64", 64, 60, False, False)),
    ],
)
def test_a_signal_is_read_with_its_time_and_flags(text, signal):
    assert values.parse_signal(text) == signal


@pytest.mark.parametrize("text", ["", "foo", "0", "65", "USR1@", "USR1@65536", "X:USR1", "USR1@-1", "RTMIN+1", "B:"])
def test_what_is_no_signal_is_refused(text):
    with pytest.raises(ValueError, match="Invalid signal"):
        values.parse_signal(text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("block", ("block", None)),
        ("cyclic:block,Pack", ("cyclic:block,pack", None)),
        ("*:*:fcyclic", ("block:cyclic:fcyclic", None)),
        ("cyclic:*:*,NoPack", ("cyclic:cyclic:cyclic,nopack", None)),
        ("block:block:*", ("block:block:block", None)),
        ("pack", ("pack", None)),
        ("plane=4", ("plane", 4)),
        ("arbitrary", ("arbitrary", None)),
    ],
)
def test_a_layout_is_spelled_as_sbatch_spells_it(text, said):
    assert layout.parse_distribution(text) == said


@pytest.mark.parametrize("text", ["", "fcyclic", "plane", "plane=0", "block:x", "block,", "a:b:c:d", "block,some"])
def test_what_is_no_layout_is_refused(text):
    if text == "block,":
        assert layout.parse_distribution(text).text == "block"
        return
    with pytest.raises(ValueError, match="Invalid distribution"):
        layout.parse_distribution(text)


@pytest.mark.parametrize(
    ("text", "said", "verbose"),
    [("local", "local", False), ("verbose,rank", "verbose,rank", True), ("quiet,local", "local", False),
     ("no", "none", False), ("map_mem:0,1", "map_mem:0,1", False), ("mask_mem:0x1,0x2", "mask_mem:1,2", False),
     ("v,mapmem:3", "verbose,map_mem:3", True)],
)  # fmt: skip
def test_a_memory_binding_is_spelled_as_sbatch_spells_it(text, said, verbose):
    bind = layout.parse_mem_bind(text)
    assert (bind.text, bind.verbose) == (said, verbose)


@pytest.mark.parametrize("text", ["", "sort", "local,far", "map_mem", "map_mem:0x1", "map_mem:0,local", "mask_mem:xyz"])
def test_what_is_no_memory_binding_is_refused(text):
    with pytest.raises(ValueError, match="Invalid memory binding"):
        layout.parse_mem_bind(text)


def test_mail_types_are_slurms_events_in_its_order():
    assert values.parse_mail_type("fail,Begin") == ("BEGIN", "FAIL")
    assert values.parse_mail_type("ALL") == ("BEGIN", "END", "FAIL", "REQUEUE", "STAGE_OUT", "INVALID_DEPEND")
    assert values.parse_mail_type("BEGIN,NONE") == ()
    assert values.parse_mail_type("time_limit_80,ARRAY_TASKS") == ("TIME_LIMIT_80", "ARRAY_TASKS")
    with pytest.raises(ValueError, match="Invalid mail type 'SOON'"):
        values.parse_mail_type("END,soon")


def test_profiles_are_all_none_or_a_choice():
    assert values.parse_profile("all") == ("ENERGY", "LUSTRE", "NETWORK", "TASK")
    assert values.parse_profile("none") == ("NONE",)
    assert values.parse_profile("task,Energy") == ("ENERGY", "TASK")
    for text in ("", "all,task", "foo"):
        with pytest.raises(ValueError, match="Invalid profile"):
            values.parse_profile(text)


def test_frequencies_are_a_choice_a_number_or_a_range_with_its_governor():
    assert layout.parse_cpu_freq("high") == (None, "high", None)
    assert layout.parse_cpu_freq("2400000") == (None, "2400000", None)
    assert layout.parse_cpu_freq("Performance") == (None, None, "performance")
    assert layout.parse_cpu_freq("low-highm1:ondemand") == ("low", "highm1", "ondemand")
    for text in ("low-high", "low:performance", "1-2:foo", ""):
        with pytest.raises(ValueError, match="Invalid CPU frequency"):
            layout.parse_cpu_freq(text)


def test_needs_of_a_task_are_read_in_both_spellings():
    read = layout.parse_tres_per_task
    assert read("cpu=2,gres/gpu:a100=1") == read("cpu:2,gres/gpu:a100:1") == {"cpu": 2, "gres/gpu:a100": 1}
    assert read("gres/gpu:a100") == {"gres/gpu:a100": 1}
    assert read("license/matlab=3") == {"license/matlab": 3}
    for text in ("", "cpu", "cpu=0", "mem=1G", "gpu=1", "cpu=1,cpu=2"):
        with pytest.raises(ValueError, match="Invalid TRES per task"):
            read(text)


def test_the_smaller_arguments_are_read_or_refused():
    assert values.parse_switches("2@1:30") == (2, 90)
    assert values.parse_switches("2") == (2, None)
    assert values.parse_extra_node_info("2:*:1") == (2, None, 1)
    assert values.parse_mem_update("10@5") == (10, 5)
    assert values.parse_propagate("stack,RLIMIT_CORE") == ("STACK", "CORE")
    assert values.parse_export("ALL,A=1=2,B") == {"A": "1=2", "B": None}
    assert values.parse_export("nil") == {}
    assert values.parse_export("") == {}
    assert layout.parse_gres_flags("disable-binding,one-task-per-sharing")[1] == "one-task-per-sharing"
    faulty = [
        (values.parse_switches, ["0", "x", "1@x"]),
        (values.parse_extra_node_info, ["", "0", "1:2:3:4", "2:"]),
        (values.parse_mem_update, ["5", "a@b"]),
        (values.parse_propagate, ["", "FOO"]),
        (values.parse_export, ["1A=2", "A,-", "A='x"]),
        (values.parse_node_counts, ["", "0", "1,", "1:2", "a"]),
        (layout.parse_gres_flags, ["", "disable-binding,enforce-binding", "allow-task-sharing"]),
        (layout.parse_hint, ["none", ""]),
    ]
    for read, texts in faulty:
        for text in texts:
            with pytest.raises(ValueError):  # noqa: PT011
                read(text)


@given(st.integers(0, 2**40))
def test_a_duration_is_written_so_that_it_reads_the_same(seconds):
    assert parse_time(time_text(seconds)) == seconds


@given(st.integers(0, 2**60))
def test_an_amount_of_memory_is_written_so_that_at_least_as_much_is_read(amount):
    assert 0 <= parse_memory(memory_text(amount)) - amount < 1024


@pytest.mark.parametrize(
    ("text", "tasks"),
    [
        (",".join(["0-4000000"] * 5000), 4_000_001),
        (",".join(f"{first}-4000000" for first in range(5000)), 4_000_001),
        ("0-4000000:2,1-4000000:2", 4_000_001),
        ("0-10:5,3-4,0-4000000:4000000", 6),
    ],
    ids=["the same", "each in another", "interleaved", "few"],
)
def test_ranges_that_overlap_are_counted_as_ranges(text, tasks):
    assert values.parse_array(text).tasks == tasks


def test_an_array_whose_steps_overlap_too_often_to_be_counted_is_refused():
    with pytest.raises(ValueError, match="overlap too often"):
        values.parse_array(",".join(f"{first}-4000000:{step}" for step in range(2, 9) for first in range(step)))


@pytest.mark.parametrize("text", ["v,", "v,v,p,local,", "quiet,prefer,rank"])
def test_a_long_memory_binding_is_one_pass_over_its_words(text):
    long = "v," * 30_000 + text
    assert layout.parse_mem_bind(long) == layout.parse_mem_bind(text)._replace(verbose=not text.startswith("q"))


@pytest.mark.parametrize("text", [",", "v,,p", "map_mem:0,", "map_mem:0,,1", "local,,"])
def test_a_memory_binding_with_a_gap_is_refused(text):
    with pytest.raises(ValueError, match="Invalid memory binding"):
        layout.parse_mem_bind(text)
