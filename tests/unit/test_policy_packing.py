"""Which nodes are taken first: filled one after the other, or evenly."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any, ClassVar

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpcjobs.conformance import PluginConformance
from hpcjobs_plugins.policies import binpack, spread
from hpcjobs_plugins.policies.fgd_nodes import Left, Shape, fragmented, growth
from tests.unit.builders import finished
from tests.unit.policy_views import NOW, asking, at_work, nodes_named, running


class TestBinpackConforms(PluginConformance):
    plugin = binpack.PLUGIN


class TestSpreadConforms(PluginConformance):
    plugin = spread.PLUGIN
    settings: ClassVar[dict[str, Any]] = {"partitions": ("gpu",)}


BINPACK, SPREAD = binpack.Settings(), spread.Settings(partitions=("gpu",))


def weights(module, settings, seen):
    found = Counter(dict.fromkeys(seen.nodes, 0))
    for one in module.tick(settings, seen, NOW):
        found.update(dict.fromkeys(one.nodes, one.weight))
    return found


def test_whole_nodes_are_taken_last():
    seen = at_work(running(1, "n2", 4), asking(2, 4), nodes=nodes_named("n1", "n2", "n3"))
    assert weights(binpack, BINPACK, seen) == {"n1": 20, "n2": 0, "n3": 20}


def test_a_node_where_the_next_job_would_leave_what_nobody_can_use_comes_later():
    """All jobs want 3 GPUs: 6 free ones give two jobs room, of 5 and 4 the first job leaves too few."""
    seen = at_work(running(1, "n1", 2), running(2, "n2", 4), *(asking(number, 3) for number in range(3, 20)),
        nodes=nodes_named("n1", "n2"))  # fmt: skip
    assert weights(binpack, BINPACK, seen) == {"n1": 0, "n2": 10}


def test_what_is_fragmented_is_what_a_job_of_the_cluster_cannot_use_on_average():
    shapes = [(Shape(1, 8, 0), 0.5), (Shape(4, 32, 0), 0.25), (Shape(8, 64, 0), 0.25)]
    assert fragmented(Left(4, 32, 0), shapes) == pytest.approx(4 * 0.25)
    assert fragmented(Left(4, 31, 0), shapes) == pytest.approx(4 * 0.5)
    assert fragmented(Left(8, 64, 0), shapes) == 0
    assert growth(Left(0, 64, 0), shapes) is None


def test_jobs_that_have_just_ended_count_and_jobs_without_gpus_do_not():
    seen = at_work(asking(1, 2), finished(2, gpus={"a100": 8}, nodes=4, cpus=4), finished(3, cpus=2), nodes=())
    assert binpack.shapes_of(seen) == [(Shape(2, 1, 0), 0.5), (Shape(2, 16, 0), 0.5)]


def test_nodes_without_gpus_of_other_partitions_and_out_of_use_keep_their_weight():
    bare = nodes_named("n1", gpus={})
    others = nodes_named("n2", partitions=("debug",))
    down = nodes_named("n3", usable=False)
    seen = at_work(asking(1, 1), nodes=(*bare, *others, *down))
    assert list(binpack.tick(binpack.Settings(partitions=("gpu", "none")), seen, NOW)) == []


def test_in_named_partitions_the_emptiest_nodes_come_first():
    nodes = (*nodes_named("n1", "n2", "n3", "n4"), *nodes_named("n9", partitions=("train",)))
    seen = at_work(running(1, "n2", 1), running(2, "n3", 8), running(3, "n4", 5), running(4, "n9", 5), nodes=nodes)
    assert weights(spread, SPREAD, seen) == {"n1": 0, "n2": 10, "n3": 30, "n4": 20, "n9": 0}


def test_a_node_is_as_full_as_the_fuller_of_its_cpus_and_gpus():
    seen = at_work(
        running(1, "n1", 1, cpus=60), running(2, "n2", 5, cpus=1), nodes=nodes_named("n1", "n2", gpus={"": 8})
    )
    assert weights(spread, SPREAD, seen) == {"n1": 30, "n2": 20}


def test_spread_must_be_told_where():
    with pytest.raises(msgspec.ValidationError, match="partitions"):
        msgspec.convert({}, spread.Settings)
    with pytest.raises(msgspec.ValidationError, match="partitions"):
        msgspec.convert({"partitions": []}, spread.Settings)


fills = st.lists(st.integers(0, 8), min_size=1, max_size=12)
wanted = st.lists(st.sampled_from([1, 2, 3, 4, 8]), max_size=10)


@given(fills, wanted)
def test_no_partly_used_node_ever_comes_after_a_whole_one_and_classes_are_few(used, gpus):
    nodes = nodes_named(*(f"n{at}" for at in range(len(used))))
    jobs = [running(at + 1, f"n{at}", count) for at, count in enumerate(used) if count]
    seen = at_work(*jobs, *(asking(100 + at, count) for at, count in enumerate(gpus)), nodes=nodes)
    found = weights(binpack, BINPACK, seen)
    whole = {found[f"n{at}"] for at, count in enumerate(used) if not count}
    partly = {found[f"n{at}"] for at, count in enumerate(used) if count}
    assert len(whole) <= 1
    assert len(whole | partly) <= 4
    assert max(partly, default=-1) < min(whole, default=10**6)


@given(fills)
def test_spread_is_one_order_of_the_nodes_and_does_not_look_at_the_queue(used):
    nodes = nodes_named(*(f"n{at}" for at in range(len(used))))
    jobs = [running(at + 1, f"n{at}", count) for at, count in enumerate(used) if count]
    found = weights(spread, SPREAD, at_work(*jobs, nodes=nodes))
    order = sorted(range(len(used)), key=lambda at: used[at])
    assert [found[f"n{at}"] for at in order] == sorted(found.values())
    assert found == weights(spread, SPREAD, at_work(*jobs, asking(99, 8), nodes=nodes))


def whole_nodes(order, seed, steps=150, count=12, load=0.6):
    """Idle nodes on average, as jobs come and go and each starts on the first node of an order that fits."""
    dice = random.Random(seed)
    live: list[tuple[Any, int]] = []
    idle = 0
    for step in range(steps):
        live = [(job, end) for job, end in live if end > step]
        seen = at_work(*(job for job, _ in live), nodes=nodes_named(*(f"n{at:02}" for at in range(count))))
        weight = order(seen)
        free = {name: 8 - node.gpus_alloc["a100"] for name, node in seen.nodes.items()}
        while sum(free.values()) > 8 * count * (1 - load):
            gpus, end = dice.choices([1, 2, 4, 8], [5, 2, 2, 1])[0], step + dice.randint(20, 200)
            fit = [name for name, left in free.items() if left >= gpus]
            if not fit:
                break
            name = min(fit, key=lambda one: (weight[one], one))
            free[name] -= gpus
            live.append((running(len(live) + 1, name, gpus), end))
        idle += sum(left == 8 for left in free.values())
    return idle / steps


def test_filled_in_the_order_of_binpack_more_nodes_stay_whole_than_by_name_and_by_spread_none_do():
    def mean(order):
        return sum(whole_nodes(order, seed) for seed in range(4)) / 4

    packed = mean(lambda seen: weights(binpack, BINPACK, seen))
    by_name = mean(lambda seen: Counter())
    spread_out = mean(lambda seen: weights(spread, SPREAD, seen))
    assert packed > by_name > spread_out
