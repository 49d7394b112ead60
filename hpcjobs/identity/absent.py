"""What somebody may who is not there: no token speaks for them, and a webhook, a report or an alert goes on."""

from __future__ import annotations

from collections.abc import Collection

from hpcjobs.identity.directory import Directory
from hpcjobs.identity.policy import Identity, Role


class Absent:
    """Users by the settings and by Slurm's accounts, as they are at the moment of the question.

    A role that somebody has by a group of an issuer stands in their token only, and does not count here.

    Args:
        admins: Of the settings.
        operators: The same.
        directory: Whose projects are whose.
        clusters: Names of all clusters.
    """

    def __init__(
        self, admins: Collection[str], operators: Collection[str], directory: Directory, clusters: Collection[str]
    ) -> None:
        self._admins = frozenset(admins)
        self._operators = frozenset(operators)
        self._directory = directory
        self._clusters = frozenset(clusters)

    def identity(self, user: str) -> Identity:
        """Who they are, with no scope: nothing can be asked in their name but what they may see.

        Before Slurm's accounts are known (is_known()) they manage nothing.
        """
        role = Role.ADMIN if user in self._admins else Role.OPERATOR if user in self._operators else Role.USER
        return Identity(user, role, frozenset(), self._directory.managed_by(user))

    def is_known(self, user: str) -> bool:
        """Whether it is known all that they may see: every cluster has told whose its projects are, or they see all."""
        return user in self._admins | self._operators or self._clusters <= self._directory.asked_at.keys()

    def is_gone(self, user: str) -> bool:
        """Whether they belong to nothing here any more; False where that is not known, or nobody is known."""
        if user in self._admins | self._operators or not self.is_known(user):
            return False
        places = self._directory.every_project(user)
        return bool(places) and all(place.role is None for place in places)
