"""Slurm's accounts as slurmrestd (v0.0.42 to v0.0.45) and ``sacctmgr --json`` tell them: the same words."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from typing import Final

import msgspec

from hpcjobs.errors import OutcomeUnknown, Unavailable
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


async def run(words: Sequence[str], slurm_conf: str) -> tuple[int, bytes, str]:
    """Run sacctmgr, as whoever this process is.

    Args:
        words: The command.
        slurm_conf: Path of the cluster's slurm.conf.

    Returns:
        Its exit status, what it printed, and what it complained of.

    Raises:
        Unavailable: There is no sacctmgr; nothing was done.
        OutcomeUnknown: It did not end in time.
    """
    environment = {"PATH": os.environ.get("PATH", os.defpath), "SLURM_CONF": slurm_conf}
    try:
        process = await asyncio.create_subprocess_exec(
            *words, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, env=environment
        )
    except OSError as error:
        raise Unavailable(f"sacctmgr cannot be run: {error.strerror}.") from error
    try:
        async with asyncio.timeout(ACCOUNTING_TIMEOUT_S):
            out, said = await process.communicate()
    except TimeoutError:
        raise OutcomeUnknown(f"Slurm's accounting did not answer within {ACCOUNTING_TIMEOUT_S:g} s.") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return process.returncode or 0, out, said.decode(errors="replace")


async def asked(words: Sequence[str], slurm_conf: str) -> bytes:
    """What a command that asks something prints.

    Args:
        words: The command.
        slurm_conf: Path of the cluster's slurm.conf.

    Raises:
        Unavailable: There is no sacctmgr, or the accounting does not answer.
    """
    try:
        status, out, said = await run(words, slurm_conf)
    except OutcomeUnknown as error:
        raise Unavailable(error.detail) from error
    if status:
        words_said = said.strip().rsplit("\n", 1)[-1]
        raise Unavailable(f"Slurm's accounting did not answer: {words_said or 'without a reason'}.")
    return out


async def ask(cluster: str, slurm_conf: str) -> tuple[Account, ...]:
    """Ask by sacctmgr, as whoever this process is.

    Args:
        cluster: Whose accounts.
        slurm_conf: Path of its slurm.conf.

    Raises:
        Unavailable: There is no sacctmgr, or the accounting does not answer.
    """
    return accounts_of(told_accounts(await asked(SACCTMGR, slurm_conf)), cluster)


def told_accounts(out: bytes) -> tuple[AccountTold, ...]:
    """The accounts that sacctmgr has printed.

    Raises:
        Unavailable: It printed something else.
    """
    try:
        return msgspec.json.decode(out, type=AccountsTold).accounts
    except msgspec.MsgspecError as error:
        raise Unavailable(f"sacctmgr answered what we cannot read: {error}.") from error
