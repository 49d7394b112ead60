"""What somebody may who is not there."""

from __future__ import annotations

import pytest

from hpcjobs.identity.absent import Absent
from hpcjobs.identity.directory import Directory
from hpcjobs.identity.policy import Role, visibility
from hpcjobs.model.account import Account

VISION = Account("big", "vision", members=frozenset({"alice", "bob"}), coordinators=frozenset({"bob"}))


@pytest.fixture
def directory():
    return Directory()


@pytest.fixture
def absent(directory):
    return Absent(["boss"], ["ops"], directory, ["big", "small"])


def test_roles_are_those_of_the_settings_and_of_slurms_accounts(absent, directory):
    directory.learn("big", [VISION], 0.0)
    told = {user: absent.identity(user) for user in ("alice", "bob", "ops", "boss")}
    assert [one.role for one in told.values()] == [Role.USER, Role.USER, Role.OPERATOR, Role.ADMIN]
    assert [visibility(one).covers("alice", "big", "vision") for one in told.values()] == [True, True, True, True]
    assert not visibility(told["alice"]).covers("bob", "big", "vision")
    assert visibility(told["bob"]).covers("alice", "big", "vision")
    assert not visibility(told["bob"]).covers("alice", "small", "vision")
    assert all(one.scopes == frozenset() for one in told.values())


def test_nobody_is_gone_and_only_who_sees_all_is_known_before_every_cluster_has_answered(absent, directory):
    directory.learn("big", [VISION], 0.0)
    assert [absent.is_known(user) for user in ("alice", "ops", "boss")] == [False, True, True]
    assert not absent.is_gone("carol")
    directory.learn("small", [], 0.0)
    assert absent.is_known("alice")
    assert [absent.is_gone(user) for user in ("alice", "carol", "ops", "boss")] == [False, True, False, False]


def test_an_answer_without_any_account_ends_nothing(absent, directory):
    for cluster in ("big", "small"):
        directory.learn(cluster, [], 0.0)
    assert not absent.is_gone("alice")
