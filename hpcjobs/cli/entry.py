"""Where every command begins. What starts often loads only what it needs."""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False  # typing loads slowly
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Final

OF_SLURM: Final[Mapping[str, str]] = {
    "sbatch": "hpcjobs.cli.sbatch.call",
    "squeue": "hpcjobs.cli.slurm.squeue",
    "sacct": "hpcjobs.cli.slurm.sacct",
    "sinfo": "hpcjobs.cli.slurm.sinfo",
    "scontrol": "hpcjobs.cli.slurm.scontrol",
    "scancel": "hpcjobs.cli.slurm.scancel",
}
"""Programs of Slurm that we stand in for, and the modules whose ``call`` does."""

IN_JOB: Final[Sequence[str]] = ("run", "beat", "checkpoint")
"""Commands of hpcjobs/injob, which knows nothing of the service."""


def _profile(words: Sequence[str]) -> tuple[dict[str, str], Sequence[str]]:
    """What ``--profile`` before a command's name says, as a variable, and the words after it."""
    if len(words) > 1 and words[0] == "--profile":
        return {"HPCJOBS_PROFILE": words[1]}, words[2:]
    if words and words[0].startswith("--profile="):
        return {"HPCJOBS_PROFILE": words[0].partition("=")[2]}, words[1:]
    return {}, words


def _end(code: int) -> None:
    """End at once: nothing that Python would still tidy up here is anybody's, and it takes as long as a request."""
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except OSError:  # as into a pipe that nobody reads: Python says so
        sys.exit(code)
    os._exit(code)


def run() -> None:
    """What the script calls: a program of Slurm's ends at once."""
    main(_end)


def main(end: Callable[[int], object] = sys.exit) -> None:
    """``hpcjobs``; as ``hpcjobs sbatch`` and through a link named ``sbatch``: sbatch, and so for Slurm's others."""
    name, words = sys.argv[0].rpartition("/")[2], sys.argv[1:]
    said: dict[str, str] = {}
    rest: Sequence[str] = ()
    if name not in OF_SLURM:
        said, rest = _profile(words)
        if rest and rest[0] in OF_SLURM:
            name, words = rest[0], list(rest[1:])
    if name in OF_SLURM and words in (["--version"], ["-V"]):
        from hpcjobs.cli.series import version_text

        sys.stdout.write(version_text())
        return
    if name in OF_SLURM:
        module = __import__(OF_SLURM[name], fromlist=["call"])  # importlib itself loads slowly
        end(module.call(words, {**os.environ, **said} if said else os.environ))
        return
    if rest and rest[0] in IN_JOB:
        from hpcjobs.injob.command import call

        end(call(rest, os.environ))
        return
    if words == ["--version"]:
        from hpcjobs import __version__

        sys.stdout.write(f"hpcjobs, version {__version__}\n")
        return
    from hpcjobs.cli.main import main as hpcjobs

    hpcjobs(prog_name="hpcjobs")
