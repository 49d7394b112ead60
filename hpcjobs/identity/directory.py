"""Whose projects are whose: look-ups over what Slurm's accounting last said. Nothing here asks it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import msgspec

from hpcjobs.model.account import Account
from hpcjobs.model.who import Membership as Membership


class Place(msgspec.Struct, frozen=True):
    """A project, and what a user is to it (None: neither member nor manager)."""

    account: Account
    role: Membership | None


class Directory:
    """Accounts of every cluster.

    An answer is kept until the next one, however long Slurm's accounting is away.
    """

    def __init__(self) -> None:
        self.asked_at: dict[str, float] = {}
        """Unix seconds of the last answer, by cluster."""
        self._accounts: dict[str, dict[str, Account]] = {}
        self._manages: dict[str, frozenset[tuple[str, str]]] = {}

    def learn(self, cluster: str, accounts: Sequence[Account], asked_at: float) -> None:
        """Take over a cluster's answer.

        Args:
            cluster: Whose.
            accounts: All of them.
            asked_at: Unix seconds.
        """
        self._accounts[cluster] = {account.name: account for account in accounts}
        self.asked_at[cluster] = asked_at
        manages: defaultdict[str, set[tuple[str, str]]] = defaultdict(set)
        for name, known in self._accounts.items():
            for account in known.values():
                for user in account.coordinators:
                    manages[user].add((name, account.name))
        self._manages = {user: frozenset(pairs) for user, pairs in manages.items()}

    def managed_by(self, user: str) -> frozenset[tuple[str, str]]:
        """Pairs of cluster and account that a user coordinates."""
        return self._manages.get(user, frozenset())

    def role_in(self, user: str, cluster: str, account: str) -> Membership | None:
        """What a user is to an account; None: nothing, or there is no such account."""
        found = self._accounts.get(cluster, {}).get(account)
        return _role(user, found) if found else None

    def knows(self, cluster: str, account: str) -> bool:
        """Whether there is such an account."""
        return account in self._accounts.get(cluster, {})

    def projects_of(self, user: str) -> list[Place]:
        """The projects that a user belongs to or manages, by cluster and name."""
        return [place for place in self.every_project(user) if place.role is not None]

    def every_project(self, user: str) -> list[Place]:
        """All projects, by cluster and name, and what a user is to each."""
        return [
            Place(account, _role(user, account))
            for _, known in sorted(self._accounts.items())
            for _, account in sorted(known.items())
        ]


def _role(user: str, account: Account) -> Membership | None:
    if user in account.coordinators:
        return Membership.MANAGER
    return Membership.MEMBER if user in account.members else None
