"""Accounts of this machine that no job may run as."""

from __future__ import annotations

import pwd

from hpcjobs.errors import NotAllowed


def check_may_run(user: str, never: frozenset[str], min_uid: int) -> None:
    """Refuse accounts that no job may run as, whatever backend would carry it.

    Args:
        user: Name of the account.
        never: Names that are refused wherever they come from.
        min_uid: Below are system accounts; checked where this machine knows the user.

    Raises:
        NotAllowed: It is root, Slurm's own or another system account.
    """
    try:
        uid = pwd.getpwnam(user).pw_uid
    except KeyError:
        uid = min_uid  # a user of the cluster only: Slurm is the judge
    if user in never or uid < min_uid:
        raise NotAllowed(f"No job runs as {user!r}: it is a system account.")
