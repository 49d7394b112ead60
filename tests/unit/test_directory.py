from __future__ import annotations

import msgspec

from hpcjobs.identity.directory import Directory, Membership
from hpcjobs.model.account import Account
from hpcjobs.slurm.accounting import AccountsTold, accounts_of

CLIMATE = Account("big", "climate", "the weather", "earth", frozenset({"carol", "dave"}), frozenset({"dave"}))
VISION = Account("big", "vision", members=frozenset({"alice"}))
ELSEWHERE = Account("small", "climate", members=frozenset({"alice"}), coordinators=frozenset({"carol"}))


def directory() -> Directory:
    known = Directory()
    known.learn("big", [VISION, CLIMATE], 10.0)
    known.learn("small", [ELSEWHERE], 11.0)
    return known


def test_a_user_is_to_an_account_what_slurm_says_on_that_cluster():
    known = directory()
    assert known.role_in("dave", "big", "climate") is Membership.MANAGER
    assert known.role_in("carol", "big", "climate") is Membership.MEMBER
    assert known.role_in("carol", "small", "climate") is Membership.MANAGER
    assert known.role_in("dave", "small", "climate") is None
    assert known.role_in("dave", "big", "nothing") is None
    assert known.role_in("dave", "nowhere", "climate") is None
    assert known.managed_by("dave") == {("big", "climate")}
    assert known.managed_by("carol") == {("small", "climate")}
    assert known.managed_by("alice") == frozenset()


def test_ones_projects_are_listed_by_cluster_and_name():
    def names(user: str) -> list[tuple[str, str, str | None]]:
        return [(place.account.cluster, place.account.name, place.role) for place in directory().projects_of(user)]

    assert names("alice") == [("big", "vision", "member"), ("small", "climate", "member")]
    assert names("dave") == [("big", "climate", "manager")]
    assert names("nobody") == []
    assert [place.account.name for place in directory().every_project("nobody")] == ["climate", "vision", "climate"]


def test_a_new_answer_takes_the_place_of_that_clusters_last_and_of_no_others():
    known = directory()
    known.learn("big", [VISION], 20.0)
    assert known.managed_by("dave") == frozenset()
    assert known.role_in("carol", "big", "climate") is None
    assert known.managed_by("carol") == {("small", "climate")}
    assert known.asked_at == {"big": 20.0, "small": 11.0}


RECORDED = b"""{"accounts": [
 {"associations": [{"account": "below", "cluster": "slurm2605", "partition": "", "user": "", "id": 13}],
  "coordinators": [{"name": "bob", "direct": false}], "description": "below", "name": "below", "organization": "all",
  "flags": []},
 {"associations": [{"account": "climate", "cluster": "slurm2605", "partition": "", "user": "", "id": 4},
  {"account": "climate", "cluster": "slurm2605", "partition": "", "user": "carol", "id": 7},
  {"account": "climate", "cluster": "slurm2605", "partition": "gpu", "user": "carol", "id": 8},
  {"account": "climate", "cluster": "other", "partition": "", "user": "mallory", "id": 9}],
  "coordinators": [{"name": "dave", "direct": true}], "description": "x|y", "name": "climate",
  "organization": "earth", "flags": []},
 {"associations": [{"account": "elsewhere", "cluster": "other", "partition": "", "user": "", "id": 4}],
  "coordinators": [], "description": "", "name": "elsewhere", "organization": "", "flags": []}],
 "errors": [], "warnings": [], "meta": {"slurm": {"release": "26.05.5"}}}"""


def test_accounts_are_read_as_slurm_tells_them_those_of_other_clusters_left_out():
    told = msgspec.json.decode(RECORDED, type=AccountsTold).accounts
    assert accounts_of(told, "slurm2605") == (
        Account("slurm2605", "below", "below", "all", frozenset(), frozenset({"bob"})),
        Account("slurm2605", "climate", "x|y", "earth", frozenset({"carol"}), frozenset({"dave"})),
    )
    assert [account.name for account in accounts_of(told, "other")] == ["climate", "elsewhere"]
