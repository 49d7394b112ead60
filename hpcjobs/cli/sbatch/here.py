"""What a call of sbatch sees where it is made. Loads little: everything else is read by the service, or in local.py."""

from __future__ import annotations

import os
import resource
import time

from hpcjobs.sbatch.limits import LIMITS

TYPE_CHECKING = False  # typing loads slowly
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any, Final

    from hpcjobs.profiles import ClientConfig

MOST_BYTES: Final = 4 * 1024 * 1024
SECRETS: Final = ("HPCJOBS_TOKEN", "SLURM_JWT")
"""Variables that go along only where the call says something of exporting."""

ZONES: Final = "zoneinfo/"


def callers_variables(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables as the caller has them: Python sets LC_CTYPE itself where the locale is C (PEP 538)."""
    caller = dict(environment)
    if caller.get("LC_CTYPE") == "C.UTF-8":
        try:
            with open("/proc/self/environ", "rb") as file:
                given = b"LC_CTYPE" in {one.partition(b"=")[0] for one in file.read().split(b"\0")}
        except OSError:
            given = caller.get("LANG", "C") not in ("", "C", "POSIX")
        if not given:
            del caller["LC_CTYPE"]
    return caller


def find_script(name: str, environment: Mapping[str, str]) -> str:
    """Where a script is: a name without a leading ``.`` or ``/`` is looked for here, and then in PATH."""
    if name.startswith((".", "/")):
        return name
    here = os.getcwd()
    folders = [here, *filter(None, environment.get("PATH", "").split(":"))]
    paths = (f"{here}/{folder}/{name}" if folder.startswith(".") else f"{folder}/{name}" for folder in folders)
    return next((path for path in paths if os.path.exists(path)), name)


def likely_script(words: Sequence[str], environment: Mapping[str, str]) -> dict[str, str] | None:
    """What seems to be the script: the first word that is no option and names one. Whoever reads the words knows."""
    for word in words:
        if word.startswith("-") or not word:
            continue
        path = find_script(word, environment)
        try:
            with open(path, "rb") as file:
                if file.read(2) != b"#!":
                    continue
                file.seek(0)
                return {"word": word, "path": path, "text": file.read(MOST_BYTES + 1).decode()}
        except (OSError, ValueError):
            continue
    return None


def _limits() -> dict[str, int | None]:
    found = {}
    for limit in LIMITS:
        number = getattr(resource, f"RLIMIT_{limit}", None)  # not every system has every limit
        if number is not None:
            soft, _ = resource.getrlimit(number)
            found[limit] = None if soft == resource.RLIM_INFINITY else soft
    return found


def _zone() -> str:
    try:
        return os.readlink("/etc/localtime").partition(ZONES)[2]
    except OSError:
        return ""


def _says_of_exporting(words: Sequence[str], script: Mapping[str, str] | None, config: ClientConfig) -> bool:
    return bool(config.export) or any("--ex" in word for word in words) or (script is None or "--ex" in script["text"])


def call_of(
    words: Sequence[str], environment: Mapping[str, str], config: ClientConfig, *, secrets: bool = False
) -> dict[str, Any]:
    """A call as JSON has it; see hpcjobs.sbatch.called.Call.

    Args:
        words: After the program's name.
        environment: The caller's variables.
        config: The client's settings.
        secrets: Whether variables with secrets go along whatever is said.
    """
    mask = os.umask(0)
    os.umask(mask)
    script = likely_script(words, environment)
    caller = callers_variables(environment)
    if not secrets and "SBATCH_EXPORT" not in environment and not _says_of_exporting(words, script, config):
        for name in SECRETS:
            caller.pop(name, None)
    unsent = []
    for name, value in list(caller.items()):
        try:
            f"{name}{value}".encode()
        except UnicodeEncodeError:
            unsent.append(name.encode(errors="replace").decode())
            del caller[name]
    return {
        "words": list(words),
        "environment": caller,
        "cwd": os.getcwd(),
        "now": time.time(),
        "script": script,
        "files": {},
        "host": os.uname().nodename,
        "umask": mask,
        "priority": os.getpriority(os.PRIO_PROCESS, 0),
        "limits": _limits(),
        "zone": _zone(),
        "utc_offset_s": time.localtime().tm_gmtoff,
        "unsent": unsent,
        "cluster": config.cluster,
        "workdir": config.workdir,
        "export": config.export,
        "propagate": config.propagate,
        "spank": {name: {"plugin": one.plugin, "takes": one.takes} for name, one in config.spank.items()},
    }
