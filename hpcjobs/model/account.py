"""Slurm's accounts, which are our projects."""

from __future__ import annotations

import msgspec


class Account(msgspec.Struct, frozen=True):
    """One account of one cluster.

    Attributes:
        cluster: Where it is.
        name: Slurm's name of it.
        description: In the words of whoever made it.
        organization: The same.
        members: Users who may charge it on this cluster.
        coordinators: Users who manage it: named for it or for an account above it, or every user of an account with
            UsersAreCoords. Slurm works that out itself.
    """

    cluster: str
    name: str
    description: str = ""
    organization: str = ""
    members: frozenset[str] = frozenset()
    coordinators: frozenset[str] = frozenset()
