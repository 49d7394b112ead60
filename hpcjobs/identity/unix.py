"""Accounts of this machine: their numbers, and those that no job may run as."""

from __future__ import annotations

import functools
import grp
import pwd
import time
from typing import Final

from hpcjobs.errors import NotAllowed

REMEMBERED_S: Final = 60.0
"""How long a look into the machine's accounts, which a directory server may hold, is good for."""


@functools.lru_cache(maxsize=10_000)
def _uid(user: str, _period: int) -> int | None:
    try:
        return pwd.getpwnam(user).pw_uid
    except KeyError:
        return None


@functools.lru_cache(maxsize=10_000)
def _gid(group: str, _period: int) -> int | None:
    try:
        return grp.getgrnam(group).gr_gid
    except KeyError:
        return None


def _period() -> int:
    return int(time.monotonic() / REMEMBERED_S)


def uid_of(user: str) -> int | None:
    """Number of an account, None where this machine does not know it."""
    return _uid(user, _period())


def gid_of(group: str) -> int | None:
    """Number of a group, None where this machine does not know it."""
    return _gid(group, _period())


def check_may_run(user: str, never: frozenset[str], min_uid: int) -> None:
    """Refuse accounts that no job may run as, whatever backend would carry it.

    Args:
        user: Name of the account.
        never: Names that are refused wherever they come from.
        min_uid: Below are system accounts; checked where this machine knows the user.

    Raises:
        NotAllowed: It is root, Slurm's own or another system account.
    """
    uid = uid_of(user)
    # A user of the cluster only has none here: Slurm is the judge.
    if user in never or (uid is not None and uid < min_uid):
        raise NotAllowed(f"No job runs as {user!r}: it is a system account.")
