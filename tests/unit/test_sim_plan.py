from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hpcjobs.sim.choosers import BestFit, Consecutive, InOrder
from hpcjobs.sim.lives import Life
from hpcjobs.sim.nodes import NEVER, NOW, Nodes
from hpcjobs.sim.space import UNBOUND
from tests.unit.simulated import fleet, shared_jobs, whole_jobs
from tests.unit.simulated import job as wanting

NODES = 5


def filled(jobs, untils):
    """A fleet on which as many of some jobs run as fit, each until a time of its own; and what each has."""
    space = Nodes(fleet(NODES), BestFit())
    placed = {}
    for job, until_s in zip(jobs, untils, strict=False):
        found = space.fleet.find(job, space.chooser) if space.fits(job) else None
        if found is not None:
            space.take(found, until_s)
            placed[job.number] = until_s, found
    return space, placed


untils = st.lists(st.integers(1, 30).map(float), min_size=20, max_size=20)


@given(running=shared_jobs(most=20, nodes=NODES), untils=untils, asking=shared_jobs(most=4, nodes=NODES))
@settings(max_examples=60, deadline=None)
def test_a_node_has_room_when_enough_of_what_runs_on_it_has_ended(running, untils, asking):
    space, placed = filled(running, untils)
    for job in asking:
        life = Life.of(job, {})
        clock = space.clock(life.asked, life.need)
        for at_s in (NOW, *sorted(set(untils))):
            later = space.fleet.copy()
            for until_s, found in placed.values():
                if until_s <= at_s:
                    later.release(found)
            assert (clock <= at_s).tolist() == later.having_room(job).tolist()


@given(running=shared_jobs(most=20, nodes=NODES), untils=untils, asking=shared_jobs(most=4, nodes=NODES))
@settings(max_examples=30, deadline=None)
def test_it_is_known_anew_after_each_change(running, untils, asking):
    space, placed = filled(running, untils)
    lives = [Life.of(job, {}) for job in asking]
    left = dict(placed)
    for number in placed:
        for life in lives:
            space.clock(life.asked, life.need)
        space.end(number)
        del left[number]
        fresh = Nodes(fleet(NODES))
        for until_s, found in left.values():
            fresh.take(found, until_s)
        for life in lives:
            assert space.clock(life.asked, life.need).tolist() == fresh.clock(life.asked, life.need).tolist()


@given(running=shared_jobs(most=12, nodes=NODES), untils=untils, asking=whole_jobs(most=12, nodes=NODES))
@settings(max_examples=80, deadline=None)
def test_what_was_found_for_other_jobs_shortens_the_search_and_changes_nothing(running, untils, asking):
    space, _ = filled(running, untils)
    plan, kinds, booked = space.plan(0.0), {}, []
    for job in asking:
        if not space.fits(job):
            continue
        life = Life.of(job, kinds)
        found = plan.earliest(life, UNBOUND, 0.0)
        assert found == space.plan(0.0, booked).earliest(life, UNBOUND, 0.0)
        assert found is not None
        assert NOW < found.start_s < NEVER
        assert len(found.indices) == job.nodes
        plan.book(found)
        booked.append(found)


@pytest.mark.parametrize(("keeper", "kept"), [(None, {1, 2, 4}), (Consecutive(), {0, 1, 2})])
def test_nodes_are_kept_that_have_room_last_or_as_the_keeper_chooses(keeper, kept):
    space = Nodes(fleet(5), InOrder(), keeper)
    for number, until_s in ((1, 100.0), (3, 500.0), (4, 100.0)):
        space.take(space.fleet.find(wanting(number), InOrder(), only=frozenset({number})), until_s)
    wide = Life.of(wanting(9, nodes=3), {})
    found = space.plan(0.0).earliest(wide, UNBOUND, 0.0)
    assert (found.start_s, found.indices) == (100, kept)
