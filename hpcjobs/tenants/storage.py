"""How a quota of bytes stands, and the commands that measure what is used. Pure."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from typing import Final

from hpcjobs.errors import Refusal
from hpcjobs.model.storage import Measured, StorageState
from hpcjobs.model.tenant import Quota
from hpcjobs.tenants.budget import DAY_S, RATE_DAYS

BELIEVED: Final = 3
"""So many times as long as there should be between two measurements, one is believed."""
_HOUR_S: Final = 3600
_FORESEEN_S: Final = 3650 * DAY_S
_LIMITS: Final = (124, 137)
"""How ``timeout`` ends when a command took too long: asked to end, and killed."""
_SIZES: Final = ("bytes", "KiB", "MiB", "GiB", "TiB", "PiB")


def bounded(quota: Quota) -> bool:
    """Whether a quota says anything of bytes."""
    return quota.storage_bytes is not None or quota.storage_soft_bytes is not None


def state(quota: Quota, measured: Sequence[Measured], every_s: float, now: float) -> StorageState:
    """How a quota of bytes stands.

    Args:
        quota: The project's.
        measured: What came of measuring, the oldest first.
        every_s: Seconds that should be between two measurements.
        now: Unix seconds.
    """
    known = [(one.at, one.used_bytes) for one in measured if one.used_bytes is not None]
    why = measured[-1].why if measured else "it was not measured yet"
    if not known:
        return StorageState(None, None, None, False, False, None, None, why)
    at, used = known[-1]
    believed = now - at <= BELIEVED * every_s
    if not believed and not why:
        why = "it should have been measured since"
    hard, soft = quota.storage_bytes, quota.storage_soft_bytes
    rate = _rate(known)
    return StorageState(
        used_bytes=used,
        measured_at=at,
        left_bytes=None if hard is None else max(hard - used, 0),
        soft_passed=believed and soft is not None and used >= soft,
        hard_passed=believed and hard is not None and used >= hard,
        rate_bytes=rate,
        exhausted_at=None if hard is None else _exhausted_at(hard - used, rate, at),
        why=why,
    )


def _rate(known: Sequence[tuple[float, int]]) -> float | None:
    at, used = known[-1]
    before, used_before = next((then, bytes_then) for then, bytes_then in known if then >= at - RATE_DAYS * DAY_S)
    return (used - used_before) / (at - before) * DAY_S if at - before >= _HOUR_S else None


def _exhausted_at(left: int, rate: float | None, at: float) -> int | None:
    if left <= 0:
        return int(at)
    if rate is None or rate <= 0 or left / rate * DAY_S > _FORESEEN_S:
        return None
    return int(at + left / rate * DAY_S)


def size(amount: float) -> str:
    """Bytes for a person, as ``1.5 TiB``."""
    rank = 0
    while amount >= 1024 and rank < len(_SIZES) - 1:
        amount, rank = amount / 1024, rank + 1
    return f"{amount:.1f} {_SIZES[rank]}" if rank else f"{amount:.0f} bytes"


def stands(project: str, quota: Quota, told: StorageState) -> str:
    """How a project's quota of bytes stands, in a sentence."""
    if told.used_bytes is None or told.measured_at is None:
        return f"What files of project {project} use is not known: {told.why}."
    bound = quota.storage_bytes if quota.storage_bytes is not None else quota.storage_soft_bytes
    moment = datetime.fromtimestamp(told.measured_at, UTC)
    of = "" if bound is None else f" of {size(bound)}"
    why = f" ({told.why})" if told.why else ""
    return f"Files of project {project} used {size(told.used_bytes)}{of} on {moment:%d %B %Y at %H:%M} UTC{why}."


def faults(quota: Quota, field: str) -> list[Refusal]:
    """What cannot be meant of bytes by a quota.

    Args:
        quota: Which.
        field: Its place in the request.
    """
    hard, soft = quota.storage_bytes, quota.storage_soft_bytes
    if hard is not None and soft is not None and soft > hard:
        return [Refusal(f"{field}.storage_soft_bytes", "The soft bound is not above the hard one.")]
    return []


def du_words(folder: str) -> list[str]:
    """The command that counts what is allocated below a folder; a link to a folder counts as the folder."""
    return ["du", "-s", "-D", "--block-size=1", "--", folder]


def patient(words: Sequence[str], limit_s: int) -> list[str]:
    """A command at the lowest priority that ends in time, also when nobody waits for it any more."""
    return ["timeout", "-k", "5", str(limit_s), "nice", "-n", "19", *words]


def du_told(status: int, out: str, said: str, at: float) -> Measured:
    """What came of ``du``. Files that went away while it counted are not missed; what it may not read is.

    Args:
        status: Its exit status.
        out: What it printed.
        said: What it complained of, in English.
        at: Unix seconds.
    """
    complaints = [line for line in said.splitlines() if line and not line.endswith(": No such file or directory")]
    number = out.partition("\t")[0]
    if status in _LIMITS or complaints or not (number.isascii() and number.isdigit()):
        return Measured(at, None, _why(status, (complaints or said.splitlines())[:1]))
    return Measured(at, int(number))


def command_told(status: int, out: str, said: str, projects: Collection[str], at: float) -> dict[str, Measured]:
    """What came of a site's command, which prints ``project bytes`` a line.

    Args:
        status: Its exit status.
        out: What it printed.
        said: What it complained of.
        projects: Whose files are asked about.
        at: Unix seconds.

    Returns:
        By project; a line that is something else makes all of it unknown.
    """
    lines = [line.split() for line in out.splitlines() if line.strip()]
    fault = ""
    if status:
        fault = _why(status, said.splitlines()[-1:])
    elif odd := [line for line in lines if len(line) != 2 or not (line[1].isascii() and line[1].isdigit())]:
        fault = f"the command printed {' '.join(odd[0])[:80]!r}, which is no project with its bytes"
    elif len({name for name, _ in lines}) != len(lines):
        fault = "the command printed a project twice"
    if fault:
        return {project: Measured(at, None, fault) for project in projects}
    used = {name: int(amount) for name, amount in lines}
    return {
        project: Measured(at, used[project])
        if project in used
        else Measured(at, None, "the command says nothing of it")
        for project in projects
    }


def _why(status: int, said: Sequence[str]) -> str:
    if status in _LIMITS:
        return "measuring took too long"
    return said[0][:200] if said else f"measuring ended with {status}"
