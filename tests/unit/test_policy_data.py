"""Jobs start where their data is cached, and small ones leave whole islands alone."""

from __future__ import annotations

from typing import Any, ClassVar

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpcjobs.conformance import PluginConformance
from hpcjobs.model.hints import Hints
from hpcjobs.model.node_particulars import NodeParticulars
from hpcjobs.model.particulars import Particulars
from hpcjobs.model.reservation import Reservation
from hpcjobs.model.spec import Component, JobSpec, Resources
from hpcjobs.model.steering import Avoid, Label
from hpcjobs.plugin import Admit
from hpcjobs_plugins.policies import data, islands
from hpcjobs_plugins.policies.datasets import held_bytes
from tests.unit.builders import spec
from tests.unit.policy_views import NOW, asking, at_work, nodes_named, running


class TestDataConforms(PluginConformance):
    plugin = data.PLUGIN
    settings: ClassVar[dict[str, Any]] = {"look_s": 20}


class TestIslandsConforms(PluginConformance):
    plugin = islands.PLUGIN
    settings: ClassVar[dict[str, Any]] = {"islands": {"a": "n[1-4]", "b": "n[5-8]"}, "small_gpus": 16}


def holding(name, text="", *features):
    (one,) = nodes_named(name, features=features, particulars=NodeParticulars(extra=text))
    return one


IMAGENET = Hints(datasets=("imagenet",))
FULL = '{"data": {"imagenet": 1000}}'
NODES = (holding("n1", FULL), holding("n2", FULL), holding("n3", '{"data": {"imagenet": 100}}'), holding("n4"))


def wanted(*jobs, nodes=NODES, hints=IMAGENET, now=NOW, reservations=(), **settings):
    reading = {job.slurm_job_id: hints for job in jobs if not job.node_list}
    seen = at_work(*jobs, nodes=nodes, hints=reading, reservations=reservations)
    return {one.job: one.nodes for one in data.tick(data.Settings(**settings), seen, now)}


def young(number, gpus=8, nodes=1, **facts):
    return asking(number, gpus, nodes, **({"eligible_time": int(NOW) - 10} | facts))


def test_a_job_keeps_away_from_nodes_that_do_not_hold_most_of_its_data():
    assert wanted(young(1)) == {1: ("n3", "n4")}
    assert wanted(young(1), share=0.1) == {1: ("n4",)}
    assert wanted(young(1), hints=Hints(datasets=("other",))) == {}
    assert wanted(young(1), hints=Hints()) == {}


def test_as_long_as_too_few_such_nodes_will_be_free_soon_it_goes_anywhere():
    assert wanted(young(1, 24, 3)) == {}
    late, soon = running(9, "n1", 8), running(9, "n1", 8, end_time=int(NOW) + 200)
    assert wanted(young(1, 16, 2), late) == {}
    assert wanted(young(1, 16, 2), soon) == {1: ("n3", "n4")}
    assert wanted(young(1, 16, 2), soon, wait_s=100) == {}


def test_a_node_that_is_promised_to_one_is_not_promised_to_another():
    jobs = [young(number, 8, priority=10 - number) for number in (1, 2, 3)]
    assert sorted(wanted(*jobs)) == [1, 2]
    soon = running(9, "n[1-2]", 16, end_time=int(NOW) + 100)
    assert sorted(wanted(*jobs, soon)) == [1, 2]
    assert sorted(wanted(*jobs, ahead=1)) == [1]


def test_it_does_not_wait_for_its_data_for_ever():
    assert wanted(asking(1, 8, eligible_time=int(NOW) - 301)) == {}
    assert wanted(asking(1, 8, eligible_time=int(NOW) - 299)) != {}
    later = asking(1, 8, eligible_time=int(NOW) + 10_000, reason="BeginTime")
    assert wanted(later) == {1: ("n3", "n4")}  # before it may start, so that it is so when it starts


def test_nodes_that_are_kept_for_others_or_that_the_job_excludes_do_not_count():
    kept = Reservation("other", ("n1", "n2"), int(NOW), int(NOW) + 600)
    assert wanted(young(1), reservations=(kept,)) == {}
    without = young(1, particulars=Particulars(excluded_nodes="n1"))
    assert wanted(without) == {1: ("n1", "n3", "n4")}
    named = young(1, particulars=Particulars(required_nodes="n4"))
    assert wanted(named) == {}


def test_a_node_too_small_for_the_job_does_not_hold_its_data_for_it():
    small = (*nodes_named("n1", features=("data:imagenet",), gpus={"a100": 4}), *nodes_named("n2"))
    assert wanted(young(1), running(9, "n1", 4, end_time=int(NOW) + 60), nodes=small) == {}


def test_features_tell_of_data_sets_too_and_texts_of_others_are_passed_by():
    nodes = (holding("n1", '{"data": {"a": 7}, "rack": 3}', "data:b"), holding("n2", "no json", "data:a", "data:b"),
        holding("n3", '{"data": "somewhere"}'), holding("n4", '{"data": {"a": 0}}'))  # fmt: skip
    assert held_bytes(at_work(nodes=nodes)) == {"a": {"n1": 7, "n2": 7}, "b": {"n1": 1, "n2": 1}}


@given(st.text(max_size=20), st.text(max_size=20))
def test_any_text_of_a_node_can_be_read(text, more):
    wanted(young(1), nodes=(holding("n1", f'{{"data": {text}{more}'), holding("n2", f'"data"{text}'), holding("n3")))


@pytest.mark.parametrize("text", ['{"data": {"imagenet": 1e999}}', '{"data": {"imagenet": -1}}', "\ud800" + FULL,
    '{"data":' + "[" * 100_000, '{"other": ' + "[" * 100_000, '{"data": {"imagenet": %s}}' % ("9" * 40)])  # fmt: skip
def test_texts_that_break_readers_hold_nothing(text):
    assert held_bytes(at_work(nodes=(holding("n1", text),))) == {}


def test_by_bytes_several_data_sets_count_together():
    nodes = (holding("n1", '{"data": {"a": 900}}'), holding("n2", '{"data": {"a": 500, "b": 500}}'), holding("n3"))
    assert wanted(young(1), nodes=nodes, hints=Hints(datasets=("a", "b")), share=0.95) == {1: ("n1", "n3")}


def test_a_job_with_data_sets_can_be_made_to_wait_until_it_has_been_looked_at():
    reading = spec(hints=IMAGENET)
    passed = data.admit(15, reading)
    assert passed.begin == "now+15seconds"
    assert data.admit(15, passed) == passed
    assert data.admit(0, reading) == reading
    assert data.admit(15, spec()) == spec()
    assert data.admit(15, spec(hints=IMAGENET, begin="now+1hour")).begin == "now+1hour"


ISLANDS = {"a": "n[1-2]", "b": "n[3-4]"}
FOUR = nodes_named("n1", "n2", "n3", "n4")


def steered(*jobs, nodes=FOUR, reservations=(), settings=None):
    settings = settings or islands.Settings(islands=ISLANDS)
    seen = at_work(*jobs, nodes=nodes, reservations=reservations)
    return list(islands.tick(settings, seen, NOW))


def avoided(*jobs, **more):
    return {one.job: one.nodes for one in steered(*jobs, **more) if isinstance(one, Avoid)}


def test_the_nodes_of_an_island_are_labelled():
    labels = [(one.feature, one.nodes) for one in steered() if isinstance(one, Label)]
    assert labels == [("island_a", ("n1", "n2")), ("island_b", ("n3", "n4"))]
    assert steered(settings=islands.Settings(islands=ISLANDS, label=False)) == []


def test_islands_are_read_from_the_place_of_nodes_in_a_topology_of_slurm():
    nodes = tuple(
        msgspec.structs.replace(one, particulars=NodeParticulars(topology=place))
        for one, place in zip(FOUR, ["tree:root:l1,rail:r1", "tree:root:l1", "tree:root:l2", "rail:r2"], strict=True)
    )
    seen = at_work(nodes=nodes)
    assert islands.islands_of(islands.Settings(topology="tree"), seen) == {"l1": ["n1", "n2"], "l2": ["n3"]}
    assert islands.islands_of(islands.Settings(topology="rail"), seen) == {"r1": ["n1"], "r2": ["n4"]}
    assert islands.islands_of(islands.Settings(), seen) == {}


def test_small_jobs_leave_whole_islands_alone_as_long_as_there_is_room_elsewhere():
    busy = running(9, "n1", 4)
    assert avoided(busy, asking(1, 4)) == {1: ("n3", "n4")}
    two = {1: ("n3", "n4"), 2: ("n3", "n4")}
    assert avoided(busy, asking(1, 8), asking(2, 4), asking(3, 4)) == two  # n2, the rest of n1; then there is none
    assert avoided(asking(1, 4)) == {}  # both are whole: nothing is better
    assert avoided(busy, asking(1, 4), asking(2, 0, cpus=1), asking(3, 9, 3)).keys() == {1}


def test_a_job_of_several_nodes_is_kept_in_one_island_and_in_one_that_is_broken_if_it_can():
    settings = islands.Settings(islands=ISLANDS, small_gpus=16)
    pair = asking(1, 8, 2)
    assert avoided(running(9, "n3", 2), pair, settings=settings) == {1: ("n1", "n2")}
    assert avoided(running(9, "n3", 6), pair, settings=settings) == {1: ("n3", "n4")}
    assert avoided(running(9, "n3", 6), running(8, "n1", 6), pair, settings=settings) == {}
    six = nodes_named("n1", "n2", "n3", "n4", "n5", "n6")
    uneven = islands.Settings(islands={"a": "n[1-2]", "b": "n[3-6]"}, small_gpus=16)
    assert avoided(running(9, "n3", 6), asking(1, 16, 2), nodes=six, settings=uneven) == {1: ("n1", "n2")}


def test_an_island_in_use_or_kept_for_others_is_not_whole():
    down = (*FOUR[:2], *nodes_named("n3", usable=False), FOUR[3])
    assert avoided(running(9, "n1", 8), running(8, "n2", 8), asking(1, 4), nodes=down) == {}
    kept = Reservation("other", ("n1", "n2"), int(NOW), int(NOW) + 600)
    assert avoided(asking(1, 4), reservations=(kept,)) == {}


@pytest.mark.parametrize(
    ("given", "fault"),
    [
        ({"a": "n[1-2]", "b": "n[2-3]"}, "node n2 is in the islands a and b"),
        ({"a": "n[1-"}, "no hostlist"),
        ({"a b": "n1"}, "matching regex"),
    ],
)
def test_islands_that_cannot_be_are_refused(given, fault):
    with pytest.raises(msgspec.ValidationError, match=fault):
        msgspec.convert({"islands": given}, islands.Settings)


@pytest.mark.parametrize(
    ("asked", "flags"),
    [
        (Resources(gpus_per_node=2), "enforce-binding"),
        (Resources(gres="tmpdisk:4,gpu:h100:2"), "enforce-binding"),
        (Resources(tres_per_task="cpu=2,gres/gpu:a100=1"), "enforce-binding"),
        (Resources(gpus=4, gres_flags="disable-binding"), "disable-binding"),
        (Resources(gpus=0), None),
        (Resources(gres="gpumem:4"), None),
        (Resources(), None),
    ],
)
def test_cpus_are_bound_to_the_gpus_of_jobs_that_say_nothing_of_it(asked, flags):
    spec = JobSpec(script="#!/bin/sh\n", resources=asked, het=(Component(resources=asked),))
    (hook,) = [one for one in islands.PLUGIN.hooks(islands.Settings(bind=True)) if isinstance(one, Admit)]
    found = hook.run(spec, None)
    assert [one.gres_flags for one in (found.resources, found.het[0].resources)] == [flags, flags]
    assert not [one for one in islands.PLUGIN.hooks(islands.Settings()) if isinstance(one, Admit)]
