"""Slurm's accounts as slurmrestd (v0.0.42 to v0.0.45) and ``sacctmgr --json`` tell them: the same words."""

from __future__ import annotations

import asyncio
import os
from typing import Final

import msgspec

from hpcjobs.errors import Unavailable
from hpcjobs.model.account import Account
from hpcjobs.slurm.openapi import ErrorWords

ACCOUNTING_TIMEOUT_S: Final = 30.0
SACCTMGR: Final = ("sacctmgr", "--json", "show", "account", "withassoc", "withcoord")
"""pyslurm 25.11 does not know coordinators."""


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
    errors: tuple[ErrorWords, ...] = ()


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


async def ask(cluster: str, slurm_conf: str) -> tuple[Account, ...]:
    """Ask by sacctmgr, as whoever this process is.

    Args:
        cluster: Whose accounts.
        slurm_conf: Path of its slurm.conf.

    Raises:
        Unavailable: There is no sacctmgr, or the accounting does not answer.
    """
    environment = {"PATH": os.environ.get("PATH", os.defpath), "SLURM_CONF": slurm_conf}
    try:
        process = await asyncio.create_subprocess_exec(
            *SACCTMGR, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, env=environment
        )
    except OSError as error:
        raise Unavailable(f"sacctmgr cannot be run: {error.strerror}.") from error
    try:
        async with asyncio.timeout(ACCOUNTING_TIMEOUT_S):
            out, said = await process.communicate()
    except TimeoutError:
        raise Unavailable(f"Slurm's accounting did not answer within {ACCOUNTING_TIMEOUT_S:g} s.") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        words = said.decode(errors="replace").strip().rsplit("\n", 1)[-1]
        raise Unavailable(f"Slurm's accounting did not answer: {words or 'without a reason'}.")
    try:
        return accounts_of(msgspec.json.decode(out, type=AccountsTold).accounts, cluster)
    except msgspec.MsgspecError as error:
        raise Unavailable(f"sacctmgr answered what we cannot read: {error}.") from error
