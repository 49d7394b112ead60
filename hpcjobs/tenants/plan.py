"""What must be ordered for Slurm's accounting to be as it shall be. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Final

from hpcjobs.model.tenant import Change, Made, Setting, Verb

ORDER: Final = (
    "account", "parent", "fairshare", "MaxWall", "GrpJobs", "GrpSubmitJobs", "GrpTRES", "member", "manager",
    "qos", "qos.Priority", "qos.GraceTime", "qos.PreemptMode", "qos.MaxJobsPerUser", "qos.MaxSubmitJobsPerUser",
    "qos.GrpTRES", "qos.MaxTRESPerUser", "qos.Preempt", "QosLevel", "DefaultQOS",
)  # fmt: skip
"""What must be there before what follows can be."""


def diff(
    wanted: Mapping[Setting, str], found: Mapping[Setting, str], made: Mapping[Setting, Made]
) -> tuple[Change, ...]:
    """The changes, in an order in which they can be made.

    What is not wanted is touched only where hpcjobs made it and nobody has changed it since: then it gets back what it
    had before. Accounts and QOS stay even then, because jobs and their history hang on them.

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
    given_up = [row for setting, row in made.items() if setting not in wanted]
    allowed = {setting for setting in found if setting.field == "QosLevel"}
    allowed -= {row.setting for row in given_up if not row.was}
    changes += [_given_back(row, found.get(row.setting, ""), allowed) for row in given_up]
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


def _given_back(row: Made, found: str, allowed: Collection[Setting]) -> Change:
    if not row.ours(found):
        why = "no longer declared; somebody has changed it since"
        return Change(Verb.FORGET, row.setting, found, found, why, ours=False)
    if row.setting.field in ("account", "qos") or (row.setting.field == "parent" and not row.was):
        why = f"no longer declared; the {row.setting.field} with its history stays"
        return Change(Verb.FORGET, row.setting, found, found, why, ours=False)
    was = row.was
    if row.setting.field == "DefaultQOS" and Setting(row.setting.project, "QosLevel", was) not in allowed:
        was = ""  # Slurm takes as default only what may be used
    return _change(row.setting, found, was, "no longer declared: as it was before", ours=False)


def _place(change: Change, parents: Mapping[str, str]) -> tuple[int, int, int, Setting]:
    """Removals first, and those in the opposite order; accounts from the root on.

    A QOS is taken from an account last of all, when it is nobody's default any more.
    """
    rank = ORDER.index(change.setting.field)
    if change.verb is Verb.REMOVE and change.setting.field == "QosLevel":
        return 2, 0, 0, change.setting
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
