"""Accounts of this machine that no job may run as."""

from __future__ import annotations

import functools
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


def check_may_run(user: str, never: frozenset[str], min_uid: int) -> None:
    """Refuse accounts that no job may run as, whatever backend would carry it.

    Args:
        user: Name of the account.
        never: Names that are refused wherever they come from.
        min_uid: Below are system accounts; checked where this machine knows the user.

    Raises:
        NotAllowed: It is root, Slurm's own or another system account.
    """
    uid = _uid(user, int(time.monotonic() / REMEMBERED_S))
    # A user of the cluster only has none here: Slurm is the judge.
    if user in never or (uid is not None and uid < min_uid):
        raise NotAllowed(f"No job runs as {user!r}: it is a system account.")
