"""What is looked at, when, and how much is too much: ``checks.json``, and a site's own file that changes it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from .call import EPILOG, PERIODIC, PROLOG
from .checks import KINDS
from .decide import Resume

SHIPPED = Path(__file__).with_name("checks.json")
SITE = "/etc/hpcjobs/health.json"
FREE = ": per_hour"
"""There names are the kernel's, and a site may have others."""


class SettingsError(Exception):
    """The site's file is wrong: nothing is looked at."""


class Check(NamedTuple):
    """One check.

    Attributes:
        when: periodic, prolog, epilog.
        limit_s: How long it may take.
        strikes: So many times in a row it must find something until the node is drained.
        options: Its own.
    """

    when: tuple[str, ...]
    limit_s: float
    strikes: int
    options: Any


class Settings(NamedTuple):
    """All of it.

    Attributes:
        resume: Whether nodes that are well again are resumed.
        checks: By name, in order; those that the site left out are not there.
    """

    resume: Resume
    checks: dict[str, Check]


def settings(site: Path, needed: bool) -> Settings:
    """Read both files.

    Args:
        site: The site's: the same form, of which it has what differs; ``"disk": false`` leaves a check out.
        needed: Whether it must be there.

    Raises:
        SettingsError: It cannot be read, or has a word or a kind of value that ours has not.
    """
    shipped = json.loads(SHIPPED.read_text())
    try:
        own = json.loads(site.read_text()) if needed or site.exists() else {}
    except (OSError, ValueError) as error:
        raise SettingsError(f"{site}: {error}") from error
    left_out = [name for name, told in own.get("checks", {}).items() if told is False] if isinstance(own, dict) else []
    for name in left_out:
        if shipped["checks"].pop(name, None) is None:
            raise SettingsError(f"{site}: there is no check {name}")
        del own["checks"][name]
    told = _merged(shipped, own, str(site))
    checks = {name: _check(name, one, site) for name, one in told["checks"].items()}
    return Settings(Resume(**told["resume"]), checks)


def _check(name: str, told: dict[str, Any], site: Path) -> Check:
    when, limit_s, strikes = tuple(told.pop("as")), told.pop("limit_s"), told.pop("strikes")
    if unknown := {*when} - {PERIODIC, PROLOG, EPILOG}:
        raise SettingsError(f"{site}: checks.{name}.as: there is no {', '.join(map(str, unknown))}")
    return Check(when, limit_s, strikes, KINDS[name].options(**told))


def _merged(ours: Mapping[str, object], own: object, where: str) -> dict[str, Any]:
    """Ours, with what the site's has in its place."""
    if not isinstance(own, dict):
        raise SettingsError(f"{where}: {own!r} should be an object")
    found = dict(ours)
    for name, value in own.items():
        if name not in ours and not where.endswith(FREE):
            raise SettingsError(f"{where}: there is no {name}; there are {', '.join(ours)}")
        was, here = ours.get(name, 0), f"{where}: {name}"
        if isinstance(was, dict):
            found[name] = _merged(was, value, here)
        elif _kind(was) != _kind(value):
            raise SettingsError(f"{here}: {value!r} should be {_kind(was)}, as {json.dumps(was)}")
        else:
            found[name] = value
    return found


def _kind(value: object) -> str:
    if isinstance(value, bool):
        return "true or false"
    names = {dict: "an object", list: "a list", str: "a text", int: "a number", float: "a number"}
    return names.get(type(value), "something else")
