from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpcjobs.model.gres import gpus_of_gres, gpus_of_tres, parse_gpus, parse_node_gres, parse_tres

TYPES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_.\-]{0,12}", fullmatch=True)


@pytest.mark.parametrize(
    ("text", "counts"),
    [
        ("8", {"": 8}),
        ("a100:4", {"a100": 4}),
        ("a100:4,h100:2", {"a100": 4, "h100": 2}),
        ("a100.1g.10gb:2", {"a100.1g.10gb": 2}),
        ("1g.10gb:2", {"1g.10gb": 2}),
        (" a100:4 , 2 ", {"a100": 4, "": 2}),
        ("a100", {"a100": 1}),
        ("0", {"": 0}),
    ],
)
def test_a_gpu_request_reads_as_sbatch_reads_it(text, counts):
    assert parse_gpus(text) == counts


@pytest.mark.parametrize("text", ["", ",", "a100:", ":4", "-1", "a100:-1", "4.5", "a100:4:2", "a100:four", "a 100:4"])
def test_a_gpu_request_of_another_form_is_refused(text):
    with pytest.raises(ValueError, match="is not of the form"):
        parse_gpus(text)


@pytest.mark.parametrize(("text", "what"), [("a100:1,a100:2", "a100"), ("1,2", "untyped GPUs")])
def test_a_type_named_twice_is_refused(text, what):
    with pytest.raises(ValueError, match=f"names {what} twice"):
        parse_gpus(text)


@given(st.dictionaries(TYPES, st.integers(0, 10**6), min_size=1))
def test_every_map_of_types_to_counts_can_be_asked_for(counts):
    assert parse_gpus(",".join(f"{kind}:{count}" for kind, count in counts.items())) == counts


@given(st.dictionaries(TYPES, st.integers(1, 100)), st.integers(0, 100))
def test_no_gpu_of_a_tres_map_is_counted_twice_or_lost(typed, untyped):
    total = sum(typed.values()) + untyped
    tres = {"cpu": 4, "gres/gpu": total, "gres/shard": 9} | {f"gres/gpu:{kind}": n for kind, n in typed.items()}
    counts = gpus_of_tres(tres)
    assert sum(counts.values()) == total
    assert counts.get("", 0) == untyped
    assert all(counts[kind] == n for kind, n in typed.items())


def test_types_that_exceed_the_total_do_not_make_a_negative_rest():
    assert gpus_of_tres({"gres/gpu": 1, "gres/gpu:a100": 2}) == {"a100": 2}
    assert gpus_of_tres({}) == {}


@pytest.mark.parametrize(
    ("text", "counts"),
    [
        ("cpu=4,mem=16G,node=1,billing=4,gres/gpu=8,gres/gpu:a100=8",
         {"cpu": 4, "mem": 16 * 2**30, "node": 1, "billing": 4, "gres/gpu": 8, "gres/gpu:a100": 8}),
        ("mem=500M", {"mem": 500 * 2**20}),
        ("mem=500", {"mem": 500 * 2**20}),
        ("mem=1.50T", {"mem": 3 * 2**39}),
        ("mem=1.50P", {"mem": 3 * 2**49}),
        ("cpu=4,mem=N/A,energy=", {"cpu": 4}),
        ("", {}),
        (None, {}),
        ("(null)", {}),
    ],
)  # fmt: skip
def test_a_tres_string_of_slurm_is_read(text, counts):
    assert parse_tres(text) == counts


def test_what_no_counter_of_slurm_can_hold_is_no_count():
    assert parse_tres(f"cpu={'9' * 400},mem=1.{'9' * 400}G,node=2,gres/gpu=٤") == {"node": 2}


@pytest.mark.parametrize(
    ("text", "counts"),
    [
        ("gpu:a100:8(S:0-1)", {"a100": 8}),
        ("gpu:a100:3(IDX:0-2)", {"a100": 3}),
        ("gpu:a100:0(IDX:N/A)", {}),
        ("gpu:a100:2(IDX:0,3),gpu:h100:1(IDX:5)", {"a100": 2, "h100": 1}),
        ("gpu:2", {"": 2}),
        ("gpu", {"": 1}),
        ("gpu:tesla", {"tesla": 1}),
        ("gpu:a100.1g.10gb:2", {"a100.1g.10gb": 2}),
        ("gpu:1g.10gb:2(S:0)", {"1g.10gb": 2}),
        ("gpu:a100:4,gpu:h100:4,shard:16", {"a100": 4, "h100": 4}),
        ("gpu:a100:4(S:0),gpu:a100:4(S:1)", {"a100": 8}),
        ("gpu:(null):4(IDX:0-3)", {"": 4}),
        ("tmpdisk:100G", {}),
        ("", {}),
        (None, {}),
        ("(null)", {}),
    ],
)
def test_the_gres_of_a_node_is_read(text, counts):
    assert parse_node_gres(text) == counts


def test_another_gres_than_gpu_can_be_asked_for_and_its_suffix_counts():
    assert parse_node_gres("gpu:a100:4,tmpdisk:100G,shard:16", "tmpdisk") == {"": 100 * 2**30}
    assert parse_node_gres("gpu:a100:4,shard:a100:16", "shard") == {"a100": 16}


@pytest.mark.parametrize(
    ("text", "counts"), [("1k", {"": 1024}), ("a100:2K", {"a100": 2048}), ("1g.10gb", {"1g.10gb": 1})]
)
def test_a_count_may_have_a_letter_as_sbatch_takes_it(text, counts):
    assert parse_gpus(text) == counts
    assert gpus_of_gres(f"gpu:{text}") == counts


def test_what_only_looks_like_a_digit_is_no_count():
    assert gpus_of_gres("gpu:²") == {"²": 1}
    with pytest.raises(ValueError, match="is not of the form"):
        parse_gpus("²")
    with pytest.raises(ValueError, match="is not of the form"):
        parse_gpus("٣")
