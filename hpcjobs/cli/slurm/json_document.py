"""What is common to all that the stand-ins print as JSON: the shape of Slurm's data_parser of one version."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import Any, Final

from hpcjobs.cli.series import PARSER, SERIES
from hpcjobs.cli.slurm.common import Call, Failed

Entry = dict[str, Any]

UNSET: Final[Mapping[str, Any]] = {"set": False, "infinite": False, "number": 0}
INFINITE: Final[Mapping[str, Any]] = {"set": False, "infinite": True, "number": 0}

PLUGIN: Final = f"data_parser/{PARSER}"
LIST: Final = f"Possible data_parser plugins:\n\n{PLUGIN}\n"

NAMED: Final = frozenset({"HUP", "INT", "QUIT", "ABRT", "KILL", "ALRM", "TERM", "USR1", "USR2", "URG", "CONT", "STOP",
                          "TSTP", "TTIN", "TTOU", "PIPE", "XCPU"})  # fmt: skip
"""Signals for which Slurm has names; others are numbers."""


def asks_for_list(argument: str | None) -> bool:
    """Look at the argument of --json.

    Args:
        argument: The version that is wanted; None: any.

    Returns:
        Whether only the versions that there are are asked for: ``list``.

    Raises:
        Failed: It is another than ours.
    """
    if argument == "list":
        return True
    if argument in (None, PARSER, PLUGIN):
        return False
    wanted = (argument or "").removeprefix("data_parser/")
    heard = [
        f"error: load_plugins: unable to find plugin: data_parser/{wanted}",
        "error: data_parser_g_new: failure loading plugins: Plugin has invalid format or unable to be loaded",
    ]
    if not wanted:
        heard = ["error: data_parser_g_new: invalid plugin "]
    raise Failed(*heard, f"error: application/json output not supported by {PLUGIN}")


def number(value: int | None, none: Mapping[str, Any] = UNSET) -> Entry:
    """A number; ``none`` where there is none."""
    return dict(none) if value is None else {"set": True, "infinite": False, "number": value}


def signal_name(number: int) -> str:
    """What Slurm calls a signal: its name, or its number."""
    import signal

    name = signal.Signals(number).name.removeprefix("SIG") if number in set(signal.Signals) else ""
    return name if name in NAMED else str(number)


def exit_code(code: int, by: int) -> Entry:
    """How something ended.

    Args:
        code: Its exit code.
        by: The signal that ended it; 0: none did.
    """
    if by:
        return {
            "status": ["SIGNALED"],
            "return_code": number(None),
            "signal": {"id": number(by), "name": signal_name(by)},
        }
    return {
        "status": ["ERROR" if code else "SUCCESS"],
        "return_code": number(code),
        "signal": {"id": number(None), "name": ""},
    }


def document(call: Call, cluster: str, content: Mapping[str, object], warning: str = "") -> str:
    """The whole document.

    Args:
        call: The call that it answers.
        cluster: Name of the cluster; ``""``: of several.
        content: What it is about.
        warning: What is to be said of it.
    """
    major, _, minor = SERIES.partition(".")
    whole = {
        **content,
        "meta": {
            "plugin": {
                "type": "",
                "name": "",
                "data_parser": PLUGIN,
                "accounting_storage": "accounting_storage/slurmdbd",
            },
            "client": {"source": _source(), "user": _user(), "group": _group()},
            "command": [call.program, *call.words],
            "slurm": {
                "version": {"major": major, "micro": "0", "minor": minor},
                "release": f"{SERIES}.0",
                "cluster": cluster,
            },
        },
        "errors": [],
        "warnings": [{"description": warning, "source": ""}] if warning else [],
    }
    import json

    return json.dumps(whole, indent=2) + "\n"


def _source() -> str:
    """Where one types."""
    try:
        return os.ttyname(sys.stdin.fileno())
    except (OSError, ValueError, AttributeError):
        return ""


def _user() -> str:
    import pwd

    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())


def _group() -> str:
    import grp

    try:
        return grp.getgrgid(os.getgid()).gr_name
    except KeyError:
        return str(os.getgid())
