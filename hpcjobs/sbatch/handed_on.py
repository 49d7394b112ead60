"""What a call of sbatch hands to the job of its own: variables, mask, limits (sbatch(1), --export, --propagate)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from hpcjobs.sbatch.called import Call, SpankSaid
from hpcjobs.sbatch.command import Client
from hpcjobs.sbatch.limits import LIMITS
from hpcjobs.sbatch.said import UMASK
from hpcjobs.sbatch.values import export_words, parse_export, parse_propagate

KEPT_BACK: Final = "HPCJOBS_TOKEN"
"""Never handed on, unless it is named."""

SLURMS_KEPT_BACK: Final = "SLURM_JWT"
"""Handed on only where there is an --export, as sbatch does."""

SPANK_OPTION: Final = "_SLURM_SPANK_OPTION_"
"""What the variables begin with that carry options of SPANK plugins to a node (spank(8))."""

UNLIMITED: Final = 2**64 - 1
"""How Slurm writes that there is no limit."""


def of_the_call(call: Call, client: Client) -> dict[str, str]:
    """The variables that tell where a call came from."""
    mask = int(str(client[UMASK]), 8) if UMASK in client else call.umask
    return {
        "SLURM_SUBMIT_DIR": call.workdir or call.cwd,
        "SLURM_SUBMIT_HOST": call.host,
        "SLURM_PRIO_PROCESS": str(call.priority),
        "SLURM_UMASK": call.environment.get("SLURM_UMASK") or f"{mask & 0o777:04o}",
    }


def of_limits(call: Call, propagate: str | None) -> dict[str, str]:
    """The variables by which a job gets the limits of the shell that calls.

    Args:
        call: With those limits.
        propagate: Argument of --propagate: ALL, NONE or names of limits, which slurmd must then obey; None: all of
            them, as far as the cluster's configuration says.
    """
    named = None if propagate is None else set(parse_propagate(propagate))
    if named and "NONE" in named:
        return {}
    mark = "" if named is None else "U"
    return {
        f"SLURM_RLIMIT_{limit}": f"{mark}{UNLIMITED if soft is None else soft}"
        for limit, soft in call.limits.items()
        if limit in LIMITS and (named is None or {limit, "ALL"} & named)
    }


def of_plugins(site: Client, spank: Mapping[str, SpankSaid]) -> dict[str, str]:
    """The variables that carry options of SPANK plugins."""
    said = {}
    for name, argument in site.items():
        option = name.replace("-", "_")
        variable = f"{SPANK_OPTION}{spank[name].plugin}_{option}"
        said[variable] = said[f"SLURM_SPANK_{variable}"] = "" if argument is True else argument
    return said


def _of_slurm(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if name.startswith(("SLURM", SPANK_OPTION))}


def job_environment(
    export: str | None, caller: Mapping[str, str], own: Mapping[str, str]
) -> tuple[dict[str, str], bool]:
    """The variables that a job gets from its caller.

    Args:
        export: Argument of --export; None: all.
        caller: The caller's variables, or those of --export-file.
        own: What sbatch adds itself.

    Returns:
        Values by name, and whether the user's login environment goes below them.
    """
    caller = {name: value for name, value in caller.items() if name != "SLURM_STEPMGR"} | dict(own)
    word = (export or "").upper()
    if word == "ALL" or export is None:
        secret = (KEPT_BACK,) if word else (KEPT_BACK, SLURMS_KEPT_BACK)
        return {name: value for name, value in caller.items() if name not in secret}, False
    told = {"SLURM_EXPORT_ENV": caller.get("SLURM_EXPORT_ENV", export)}
    if word in ("NIL", "NONE"):
        return _of_slurm(caller) | told, word == "NONE"
    named = parse_export(export)
    every = "ALL" in map(str.upper, export_words(export))
    everything = {name: value for name, value in caller.items() if every and name != KEPT_BACK}
    chosen = {
        name: caller[name] if value is None else value
        for name, value in named.items()
        if value is not None or name in caller
    }
    return {**everything, **chosen, **_of_slurm(caller), **told}, True
