"""Where backfill plans jobs: as slurmctld 26.05.5 told it in its log, of eight nodes and jobs of whole ones."""

from __future__ import annotations

import numpy as np
import pytest

from hpcjobs.sim.bookings import Bookings
from hpcjobs.sim.choosers import Consecutive
from hpcjobs.sim.fleet import Fleet
from hpcjobs.sim.foreseen import foreseen, window_end_s
from hpcjobs.sim.lives import Life
from hpcjobs.sim.placed import Need
from hpcjobs.sim.workload import SimNode
from tests.unit.simulated import job

NOW = -np.inf
FLEET = Fleet([SimNode(name=f"n{number}") for number in range(1, 9)])
NEED = Need(cpus=1)


def planned(now, clock, *jobs, until_s=np.inf):
    """Start and nodes of each of some jobs, given as nodes and minutes, one after the other."""
    booked, found = Bookings(8), []
    for number, (count, minutes) in enumerate(jobs):
        life = Life.of(job(number, nodes=count, wall_s=60.0 * minutes), {})
        kept, _ = foreseen(
            np.array(clock), life, now, until_s, booked,
            lambda free, count=count: Consecutive().choose(FLEET, NEED, free, count),
        )  # fmt: skip
        found.append(kept and (kept.start_s, sorted(index + 1 for index in kept.indices)))
        if kept is not None:
            booked.book(kept._replace(start_s=kept.start_s // 60 * 60, end_s=-(-kept.end_s // 60) * 60))
    return found


def test_ends_in_one_window_are_taken_together_and_a_job_starts_when_the_last_of_its_nodes_has_room():
    clock = [60.0, 184.0, 184.0, 128.0, 128.0, 128.0, 128.0, NOW]
    assert planned(10.0, clock, (3, 1), (2, 3), (1, 2)) == [(128, [4, 5, 6]), (60, [1, 8]), (128, [7])]


def test_what_others_have_booked_is_waited_for():
    clock = [195.0, NOW, 184.0, 128.0, 128.0, 128.0, 140.0, 195.0]
    assert planned(25.0, clock, (3, 1), (2, 2), (2, 3), (2, 1), (2, 2)) == [
        (128, [4, 5, 6]),
        (140, [2, 7]),
        (195, [1, 3]),
        (240, [4, 5]),
        (240, [6, 8]),
    ]


@pytest.mark.parametrize(("enough_s", "end_s"), [(60, 120), (128, 150), (184, 210), (NOW, NOW), (np.inf, np.inf)])
def test_a_window_is_twice_as_long_as_the_one_before(enough_s, end_s):
    assert window_end_s(np.array([NOW, 60.0, 128.0, 184.0, np.inf]), enough_s) == end_s


def test_what_never_has_room_or_only_when_nobody_looks_any_more_is_not_foreseen():
    assert planned(0.0, [np.inf] * 7 + [5.0], (2, 1), (1, 1)) == [None, (5, [8])]
    assert planned(0.0, [100.0] * 8, (8, 1), (8, 1), until_s=160.0) == [(100, [1, 2, 3, 4, 5, 6, 7, 8]), None]
