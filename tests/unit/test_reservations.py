"""Reservations as Slurm prints them and as its JSON says them: recorded from both clusters."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from hpcjobs.model.reservation import Reservation, ReservationFlag
from hpcjobs.slurm.delta import Listing, merged
from hpcjobs.slurm.openapi import ReservationsTold
from hpcjobs.slurm.openapi_reservations import reservation_of
from hpcjobs.slurm.printed_reservations import reservations_of

DATA = Path(__file__).parent / "data"
VERSIONS = ("24.11", "26.05")


def printed(version: str) -> dict[str, Reservation]:
    return {one.name: one for one in reservations_of((DATA / f"reservations_{version}.txt").read_text())}


def said(version: str) -> dict[str, Reservation]:
    told = msgspec.json.decode((DATA / f"reservations_{version}.json").read_bytes(), type=ReservationsTold)
    return {words.name: reservation_of(words) for words in told.reservations}


@pytest.mark.parametrize("version", VERSIONS)
def test_what_is_printed_and_what_the_json_says_is_read_as_the_same(version):
    assert printed(version) == said(version)
    assert len(printed(version)) == 5


def test_a_reservation_is_read_in_full():
    gang = printed("26.05")["nodeorders_gang"]
    assert (gang.nodes, gang.cores, gang.partition) == (("c3", "c4"), 128, "")
    assert gang.end - gang.start == 86400
    assert (gang.users, gang.accounts, gang.groups) == (("alice", "bob"), ("vision",), ())
    assert gang.purge_s == 600
    assert {"SPEC_NODES", "PURGE_COMP", "USER_DELETE"} < set(gang.flags)
    assert set(ReservationFlag) - {ReservationFlag.MAINT} < set(gang.flags)


def test_whom_a_reservation_is_for_and_what_of_its_nodes_it_has_is_told():
    found = printed("26.05")
    assert found["nodeorders_maint"].users == ("-alice",)
    assert found["nodeorders_maint"].flags == ("ALL_NODES", "DAILY", "MAINT", "SPEC_NODES")
    assert found["nodeorders_group"].groups == ("alice",)
    assert (found["nodeorders_cores"].cores, found["nodeorders_cores"].nodes) == (4, ("c3", "c4"))
    assert found["nodeorders_cores"].partition == "gpu"
    assert found["nodeorders_any"].purge_s == 300
    assert found["nodeorders_group"].purge_s is None


def test_no_reservations_are_none():
    assert reservations_of("No reservations in the system\n") == []
    assert reservations_of("") == []


def test_a_listing_without_news_keeps_the_reservations_and_one_with_news_replaces_them():
    one, other = Reservation("one", ("n1",), 1, 2), Reservation("other", ("n2",), 1, 2)
    view = merged(None, Listing(0, 1, [], [], [], [], reservations=[one]), "big", 1.0)
    view = merged(view, Listing(1, 2, [], [], [], []), "big", 2.0)
    assert view.reservations == {"one": one}
    assert merged(view, Listing(2, 3, [], [], [], [], reservations=[other]), "big", 3.0).reservations == {
        "other": other
    }
    assert merged(view, Listing(2, 3, [], [], [], [], reservations=[]), "big", 3.0).reservations == {}
