"""A call of sbatch as data: everything that the program could see where it was called, and what came of it."""

from __future__ import annotations

from typing import Literal

import msgspec

from hpcjobs.model.job import Job


class ScriptFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A batch script as the caller found it.

    Attributes:
        word: The word of the command line that names it; None: it came on stdin.
        path: Where it was found; None: it came on stdin.
        text: The script itself.
    """

    word: str | None
    path: str | None
    text: str


class SpankSaid(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An option of sbatch that a site's SPANK plugin brings.

    Attributes:
        plugin: Name of the plugin.
        takes: Whether it has an argument.
    """

    plugin: str
    takes: Literal["none", "optional", "required"] = "required"


class Call(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A call.

    Attributes:
        words: The command line after the program's name.
        environment: The caller's variables, those that are text.
        cwd: The working directory.
        now: Unix seconds: what ``now+1hour`` counts from.
        script: What seems to be the script.
        files: Content of the files that the call names (--nodefile, --export-file, --bbf, a node list with a slash),
            by the name that it has there, a character for each byte (ISO 8859-1); None: it cannot be read.
        host: Name of the machine.
        umask: File mode mask.
        priority: Scheduling priority of the process.
        limits: Soft limits by name, as ``NOFILE``; None: unlimited.
        zone: Name of the time zone, as ``Europe/Berlin``, or ``""``.
        utc_offset_s: How far the clock there is before UTC; where the zone is not known.
        unsent: Names of variables that are no text.
        cluster: Where jobs go that name no cluster, or ``""``.
        workdir: Where jobs run that name no directory; ``""``: in cwd.
        export: What --export says where nothing else does, or ``""``.
        propagate: What --propagate says where nothing else does, or ``""``.
        spank: Options of the site's SPANK plugins, by name.
    """

    words: tuple[str, ...]
    environment: dict[str, str]
    cwd: str
    now: float
    script: ScriptFile | None = None
    files: dict[str, str | None] = {}
    host: str = ""
    umask: int = 0o022
    priority: int = 0
    limits: dict[str, int | None] = {}
    zone: str = ""
    utc_offset_s: int = 0
    unsent: tuple[str, ...] = ()
    cluster: str = ""
    workdir: str = ""
    export: str = ""
    propagate: str = ""
    spank: dict[str, SpankSaid] = {}


class Sbatched(msgspec.Struct, frozen=True):
    """What came of a call.

    Attributes:
        then: What the program does now: ``done``; ``wait`` for the job's end, as --wait; ``number``: Slurm has not
            answered yet, wait for its number.
        job: The job; None with --test-only.
        stdout: What sbatch prints.
        stderr: What it says, a line each, without its own name.
        exit_code: How it exits, where nothing more is to be done.
    """

    then: str
    job: Job | None
    stdout: str = ""
    stderr: tuple[str, ...] = ()
    exit_code: int = 0

    @property
    def text(self) -> str:
        """The same for a program that starts in no time: words of the job, stdout, lines of stderr."""
        job = self.job
        words = (self.then, str(self.exit_code), job.id if job else "-", str(job.slurm_job_id) if job else "-")
        return "\n".join((" ".join((*words, job.cluster if job else "-")), self.stdout, *self.stderr))
