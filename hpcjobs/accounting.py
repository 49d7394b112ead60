"""What accounting knows of jobs, for whoever may see them: asked of slurmdbd sparingly, and never another's."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from functools import partial
from typing import Final

import msgspec

from hpcjobs.errors import NotSupported, Refusal, Refused
from hpcjobs.identity.policy import Visibility
from hpcjobs.identity.unix import gid_of, uid_of
from hpcjobs.model.history import Accounted, AccountedList, HistoryQuery
from hpcjobs.slurm.base import Backend, Op
from hpcjobs.slurm.sparing import Sparing

TURN_S: Final = 10.0
"""How long a question waits for its turn, in seconds."""
MOST: Final = 20_000
"""Jobs of one answer."""


def narrowed(query: HistoryQuery, visible: Visibility, cluster: str) -> list[HistoryQuery]:
    """The questions that bring what somebody may see of an answer, and little else. Pure.

    Args:
        query: What they want to know.
        visible: What they may see.
        cluster: Where.

    Returns:
        One question, or one for their own jobs and one for those of accounts that they coordinate; none where
        nothing could be theirs.
    """
    if visible.everything:
        return [query]
    managed = {account for where, account in visible.accounts if where == cluster}
    wanted = managed & set(query.accounts) if query.accounts else managed
    questions = []
    if not query.users or visible.user in query.users:
        questions.append(msgspec.structs.replace(query, users=(visible.user,)))
    if wanted and query.users != (visible.user,):
        questions.append(msgspec.structs.replace(query, accounts=tuple(sorted(wanted))))
    return questions


def merged(answers: Iterable[Iterable[Accounted]], visible: Visibility, cluster: str) -> tuple[Accounted, ...]:
    """What somebody may see of several answers, each run of a job once. Pure."""
    found: dict[tuple[int, int, str], Accounted] = {}
    for one in (one for answer in answers for one in answer):
        record = one.record
        if visible.covers(record.user, cluster, record.account):
            found.setdefault((record.slurm_job_id, record.submit_time, one.ledger.sluid), one)
    return tuple(found.values())


class Accounting:
    """Asks accounting for callers: equal questions at the same time are one."""

    def __init__(self) -> None:
        self._sparing: Sparing[HistoryQuery, tuple[Accounted, ...]] = Sparing(TURN_S)

    async def of(self, query: HistoryQuery, backend: Backend, cluster: str, visible: Visibility) -> AccountedList:
        """The jobs of accounting that a caller may see.

        Args:
            query: Which.
            backend: How the cluster is asked.
            cluster: Its name.
            visible: What the caller may see.

        Raises:
            NotSupported: No way to the cluster can ask accounting.
            Unavailable: It does not answer, or has no time.
            Refused: Slurm does not understand the question, or there are too many jobs.
        """
        if why := backend.lacks(Op.HISTORY):
            raise NotSupported(f"Cluster {cluster!r}: {why}.")
        asked_at = time.time()
        answers = [
            await self._sparing.ask(cluster, question, partial(backend.history, question))
            for question in narrowed(query, visible, cluster)
        ]
        items = merged(answers, visible, cluster)
        if len(items) > MOST:
            raise Refused([Refusal("", f"{len(items)} jobs are so, more than {MOST}: ask for less time.", "too-many")])
        return await asyncio.to_thread(_told, items, asked_at)  # accounts may be far away

    async def stop(self) -> None:
        """Leave the questions under way without an answer."""
        await self._sparing.stop()


def _told(items: tuple[Accounted, ...], asked_at: float) -> AccountedList:
    """The answer, with the numbers of those whom it names."""
    names = {name for one in items for name in _users(one)}
    user_ids = {name: number for name in sorted(names) if (number := uid_of(name)) is not None}
    return AccountedList(tuple(_with_numbers(one) for one in items), asked_at, user_ids)


def _users(one: Accounted) -> set[str]:
    """Everybody whom a job names."""
    return {one.record.user, one.ledger.killed_by, *(step.killed_by for step in one.steps)} - {""}


def _with_numbers(one: Accounted) -> Accounted:
    """A job with the numbers of its user and group, which Slurm's JSON lacks, where this machine knows them."""
    user_id, group_id = uid_of(one.record.user), gid_of(one.ledger.group)
    return msgspec.structs.replace(one, ledger=msgspec.structs.replace(one.ledger, user_id=user_id, group_id=group_id))
