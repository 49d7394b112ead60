"""``scontrol show hostnames|hostlist|hostlistsorted``: lists of nodes, worked out here; nobody is asked."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from hpcjobs.cli.slurm.common import say
from hpcjobs.sbatch.hostlists import expand_hostlist, joined_hostlist

if TYPE_CHECKING:
    from hpcjobs.cli.slurm.scontrol import Request


def show_names(request: Request) -> int:
    """Each name on a line; without an argument those of SLURM_JOB_NODELIST."""
    given = request.words[0] if request.words else request.call.environment.get("SLURM_JOB_NODELIST", "")
    if not given:
        say("scontrol", "error: host list is empty")
        return 0
    try:
        names = expand_hostlist(given)
    except ValueError:
        sys.stderr.write(f"Invalid hostlist: {given}\n")
        return 0
    sys.stdout.write("".join(f"{name}\n" for name in names))
    return 0


def show_list(request: Request) -> int:
    """Names as a hostlist, in their order."""
    return _show(request, sort=False)


def show_sorted(request: Request) -> int:
    """Names as a hostlist, sorted."""
    return _show(request, sort=True)


def _show(request: Request, *, sort: bool) -> int:
    if not request.words:
        sys.stderr.write("invalid encode argument\n")
        return 1
    given = request.words[0]
    if given.startswith("/"):
        try:
            with open(given, encoding="utf-8") as file:
                given = ",".join(file.read().split())
        except (OSError, UnicodeDecodeError):
            sys.stderr.write(f"Can not open file {given}\n")
            return 1
    try:
        names = expand_hostlist(given)
    except ValueError:
        sys.stderr.write(f"Invalid hostlist: {given}\n")
        return 1
    sys.stdout.write(joined_hostlist(names, sort=sort) + "\n")
    return 0
