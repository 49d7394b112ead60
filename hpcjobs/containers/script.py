"""The batch script of a job in a container: it keeps the job's own script in a file and has it run inside. Pure.

Two files lie below the user's home, named after what is in them, so that any number of runs may write them at once and
nodes other than the first find them: ``script``, which is the job's own, and ``run``, which runs its words inside.
"""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Iterator, Sequence
from typing import Final

from hpcjobs.model.container import Launch

FOLDER: Final = ".hpcjobs/scripts"
"""Below the user's home."""

RUN_STEPS: Final = "HPCJOBS_SRUN"
RUN_INSIDE: Final = "HPCJOBS_WRAP"
"""What a script that stays outside finds: options for its srun, and words before each program of its steps."""

NOT_HANDED_ON: Final = (
    "PATH", "HOME", "PWD", "OLDPWD", "SHELL", "SHLVL", "_", "LD_LIBRARY_PATH", "LD_PRELOAD", "TMPDIR", "USER",
    "LOGNAME", "MAIL", "BASH_ENV", "ENV",
)  # fmt: skip
"""Variables of the host that mean nothing inside, where a runtime hands on none of itself (``env_flag``)."""

_KEEP: Final = """\
keep() { # keep NAME TEXT: whole or not at all
  [ ! -s "$hpcjobs_kept/$1" ] || return 0
  printf %s "$2" >"$hpcjobs_kept/.$1.$SLURM_JOB_ID.$$" && chmod 700 "$hpcjobs_kept/.$1.$SLURM_JOB_ID.$$" &&
    mv -f "$hpcjobs_kept/.$1.$SLURM_JOB_ID.$$" "$hpcjobs_kept/$1" && return 0
  rm -f "$hpcjobs_kept/.$1.$SLURM_JOB_ID.$$"
  echo "hpcjobs: container: the job's script cannot be kept in $hpcjobs_kept" >&2
  exit 1
}
mkdir -p -m 700 "$hpcjobs_kept" || exit 1
"""


def run_script(launch: Launch) -> str:
    """The shell that runs its words in the container; ``""`` where srun does that.

    Args:
        launch: As the runtime's plugin has it.
    """
    return "".join(_run_lines(launch)) if launch.before else ""


def _run_lines(launch: Launch) -> Iterator[str]:
    yield f"#!/bin/sh\n# hpcjobs: runs its words in {_plain(launch.image)}, by {launch.runtime}.\n"
    yield from _variables(launch)
    if launch.digest and launch.image.startswith("/"):  # of the store, which lets go what was not used for longest
        path, gone = shlex.quote(launch.image), f"hpcjobs: container: {launch.image} is not in the store any more"
        yield f"[ -e {path} ] || {{ echo {shlex.quote(gone)} >&2; exit 1; }}\ntouch -c {path} 2>/dev/null || :\n"
    if launch.after:
        yield f'set -- {shlex.join(launch.after)} "$@"\n'
    if launch.env_flag:
        kept_out = "|".join(NOT_HANDED_ON)
        names = "awk 'BEGIN { for (name in ENVIRON) print name }' | grep -x '[A-Za-z_][A-Za-z0-9_]*'"
        yield f"for hpcjobs_name in $({names}); do\n  case $hpcjobs_name in\n    {kept_out}|ENROOT_*) ;;\n"
        yield f'    *) set -- {shlex.quote(launch.env_flag)} "$hpcjobs_name" "$@" ;;\n  esac\ndone\n'
    for where in reversed(launch.where):
        yield f'[ ! -e {shlex.quote(where.path)} ] || set -- {shlex.join(where.words)} "$@"\n'
    yield f'exec {shlex.join(launch.before)} "$@"\n'


def _variables(launch: Launch) -> Iterator[str]:
    for name, value in launch.environment.items():
        yield f"export {name}={shlex.quote(value)}\n"
    for name, source in launch.copied.items():
        yield f'[ -z "${{{source}+is}}" ] || export {name}="${source}"\n'


def batch_script(launch: Launch, script: str, home: str) -> str:
    """What Slurm is given in place of a job's own script.

    Args:
        launch: As the runtime's plugin has it.
        script: The job's own; its first line names an interpreter, which the image has (``steps``: the node).
        home: The user's, on the cluster.
    """
    run = run_script(launch)
    digest = hashlib.sha256(f"{run}\0{script}".encode()).hexdigest()[:32]
    return "".join(_batch_lines(launch, script, run, f"{home.rstrip('/')}/{FOLDER}/{digest}"))


def _batch_lines(launch: Launch, script: str, run: str, folder: str) -> Iterator[str]:
    yield f"#!/bin/sh\n# hpcjobs: what follows runs in {_plain(launch.image)}, by {launch.runtime}.\n"
    yield f"hpcjobs_umask=$(umask)\numask 077\nhpcjobs_kept={shlex.quote(folder)}\n{_KEEP}"
    for name, text in (("run", run), ("script", script)):
        if text:
            # No here-document: dash loses bytes of lines that begin as its mark does.
            yield f"keep {name} {shlex.quote(text)}\n"
    yield 'umask "$hpcjobs_umask"\n'
    inside = ['"$hpcjobs_kept/run"'] if run else []
    if not run:
        yield from _variables(launch)
    if launch.scope == "steps":
        yield f"export {RUN_STEPS}={shlex.quote(' '.join(launch.srun))} {RUN_INSIDE}={inside[0] if run else ''}\n"
        yield 'exec "$hpcjobs_kept/script" "$@"\n'
        return
    if launch.scope == "tasks":
        inside = _srun(launch.srun) + inside
    elif not run:
        inside = _srun(("--nodes=1", "--ntasks=1", *launch.srun))
    yield f'exec {" ".join(inside)} "$hpcjobs_kept/script" "$@"\n'


def _srun(options: Sequence[str]) -> list[str]:
    return [" ".join(filter(None, ("srun", shlex.join(options))))]


def _plain(text: str) -> str:
    """A text for a comment: on one line."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)
