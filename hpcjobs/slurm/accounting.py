"""Slurm's accounts as slurmrestd (v0.0.42 to v0.0.45) and ``sacctmgr --json`` tell them: the same words."""

from __future__ import annotations

import msgspec

from hpcjobs.model.account import Account


class Coordinator(msgspec.Struct, frozen=True):
    """A coordinator; ``direct`` is False for one of an account above, and for users of a UsersAreCoords account."""

    name: str
    direct: bool = True


class AssociationBrief(msgspec.Struct, frozen=True):
    """A user's right to charge an account on a cluster; the account's own entry has no user."""

    cluster: str = ""
    user: str = ""


class AccountTold(msgspec.Struct, frozen=True):
    """One account of every cluster that the accounting serves."""

    name: str
    description: str = ""
    organization: str = ""
    associations: tuple[AssociationBrief, ...] = ()
    coordinators: tuple[Coordinator, ...] = ()


class AccountsTold(msgspec.Struct, frozen=True):
    """The part of the answer that we read."""

    accounts: tuple[AccountTold, ...] = ()


def accounts_of(told: tuple[AccountTold, ...], cluster: str) -> tuple[Account, ...]:
    """The accounts that exist on one cluster."""
    return tuple(
        Account(
            cluster=cluster,
            name=account.name,
            description=account.description,
            organization=account.organization,
            members=frozenset(entry.user for entry in here if entry.user),
            coordinators=frozenset(coordinator.name for coordinator in account.coordinators),
        )
        for account in told
        for here in [[entry for entry in account.associations if entry.cluster == cluster]]
        if here
    )
