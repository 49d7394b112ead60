"""What must be ordered for Slurm's accounting to be as it shall be. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from hpcjobs.model.tenant import Change, Made, Setting, Verb

ORDER: Final = ("account", "parent", "fairshare", "MaxWall", "GrpJobs", "GrpSubmitJobs", "GrpTRES", "member", "manager")
"""What must be there before what follows can be."""


def diff(
    wanted: Mapping[Setting, str], found: Mapping[Setting, str], made: Mapping[Setting, Made]
) -> tuple[Change, ...]:
    """The changes, in an order in which they can be made.

    What is not wanted is touched only where hpcjobs made it and nobody has changed it since: then it gets back what it
    had before. An account stays even then, because its history hangs on it.

    Args:
        wanted: As it shall be.
        found: As Slurm has it.
        made: What of that is ours.
    """
    changes = [
        _change(setting, found.get(setting, ""), value, _why(setting, found.get(setting, ""), value, made))
        for setting, value in wanted.items()
        if found.get(setting, "") != value and not _comes_with_account(setting, found)
    ]
    changes += [_given_back(row, found.get(setting, "")) for setting, row in made.items() if setting not in wanted]
    parents = {setting.project: value for setting, value in wanted.items() if setting.field == "parent"}
    return tuple(sorted(changes, key=lambda change: _place(change, parents)))


def _comes_with_account(setting: Setting, found: Mapping[Setting, str]) -> bool:
    """Whether it is said when the account is made, which is still to be done."""
    return setting.field == "parent" and Setting(setting.project, "account") not in found


def _change(setting: Setting, was: str, value: str, why: str, *, ours: bool = True) -> Change:
    verb = Verb.REMOVE if not value else Verb.MODIFY if was else Verb.ADD
    return Change(verb, setting, was, value, why, ours)


def _why(setting: Setting, found: str, value: str, made: Mapping[Setting, Made]) -> str:
    row = made.get(setting)
    if row is not None and row.value == value:
        unsent = row.over is not None and found == row.over
        return "it was not sent yet" if unsent else "somebody has changed it since hpcjobs set it"
    return "the tenant says so" if row is None else f"the tenant said {row.value or 'nothing'} before"


def _given_back(row: Made, found: str) -> Change:
    if not row.ours(found):
        why = "no longer declared; somebody has changed it since"
        return Change(Verb.FORGET, row.setting, found, found, why, ours=False)
    if row.setting.field == "account" or (row.setting.field == "parent" and not row.was):
        why = "no longer declared; an account with its history stays"
        return Change(Verb.FORGET, row.setting, found, found, why, ours=False)
    return _change(row.setting, found, row.was, "no longer declared: as it was before", ours=False)


def _place(change: Change, parents: Mapping[str, str]) -> tuple[int, int, int, Setting]:
    """Removals first, and those in the opposite order; accounts from the root on."""
    rank = ORDER.index(change.setting.field)
    if change.verb is Verb.REMOVE:
        return 0, -rank, 0, change.setting
    return 1, rank, _depth(change.setting.project, parents), change.setting


def _depth(project: str, parents: Mapping[str, str]) -> int:
    seen: set[str] = set()
    while project in parents and project not in seen:
        seen.add(project)
        project = parents[project]
    return len(seen)


def kept_of(change: Change, made: Mapping[Setting, Made], now: float) -> Made | None:
    """What must be kept of a change before it is ordered; None: nothing is left of it.

    What was there before we first set it stays known, however often we set it anew.

    Args:
        change: What will be done.
        made: What is ours.
        now: Unix seconds.
    """
    if not change.ours:
        return None
    row = made.get(change.setting)
    over = change.was if row and row.ours(change.was) else None
    return Made(change.setting, row.was if row else change.was, change.value, now, over)


def trace(changes: Iterable[Change], found: Mapping[Setting, str]) -> dict[Setting, str]:
    """What Slurm's accounting has after these changes."""
    after = dict(found)
    for change in changes:
        if change.value:
            after[change.setting] = change.value
        else:
            after.pop(change.setting, None)
    return after
