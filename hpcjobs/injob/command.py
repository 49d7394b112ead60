"""The commands that run inside jobs: ``run``, ``beat``, ``checkpoint``."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from . import naming, report
from .agent import Options, run, say
from .checkpoints import Checkpoints, Fault
from .errors import CheckpointError
from .state import Keep

PROGRAM = "hpcjobs"
NONE, TORN = 1, 2


def call(words: Sequence[str], environ: Mapping[str, str]) -> int:
    """One of them.

    Args:
        words: Its name and what follows.
        environ: Variables.

    Returns:
        The exit code.
    """
    asked = _parser().parse_args(words)
    act: Callable[[argparse.Namespace, Mapping[str, str]], int] = asked.act
    try:
        return act(asked, environ)
    except (CheckpointError, OSError) as error:
        return say(NONE, str(error))


def _run(asked: argparse.Namespace, environ: Mapping[str, str]) -> int:
    command = asked.command[1:] if asked.command[:1] == ["--"] else asked.command
    root = asked.checkpoints or naming.folder(
        environ.get(report.ROOT, ""),
        environ.get("SLURM_JOB_ID", ""),
        environ.get("SLURM_ARRAY_JOB_ID", ""),
        environ.get("SLURM_ARRAY_TASK_ID", ""),
    )
    options = Options(
        Path(root) if root else None,
        Keep(asked.keep, asked.keep_every),
        tuple(_signal(word) for word in asked.save_on.split(",") if word),
        None if asked.hand_on == "none" else _signal(asked.hand_on) if asked.hand_on else 0,
        asked.save_hook,
        asked.grace,
        asked.kill_after,
        asked.status,
    )
    return run(command, options, environ) if command else say(NONE, "run: which command?")


def _beat(asked: argparse.Namespace, _: Mapping[str, str]) -> int:
    if asked.step is None:
        return 0 if report.heartbeat() else say(NONE, "no agent hears it")
    return 0 if report.step(asked.step, asked.loss) else say(NONE, "no agent hears it")


def _publish(asked: argparse.Namespace, _: Mapping[str, str]) -> int:
    sys.stdout.write(f"{report.checkpoint(asked.path, asked.step)}\n")
    return 0


def _list(asked: argparse.Namespace, environ: Mapping[str, str]) -> int:
    for one in _folder(asked, environ).state().saved:
        sys.stdout.write(f"{one.step}\t{one.attempt}\t{one.time:.0f}\t{one.size}\t{one.path}\n")
    return 0


def _latest(asked: argparse.Namespace, environ: Mapping[str, str]) -> int:
    folder = _folder(asked, environ)
    faults: list[Fault] = []
    found = folder.latest_good(faults)
    for fault in faults:
        say(0, f"not used: {fault.detail}")
    if found is None:
        return say(NONE, f"{folder.root}: no checkpoint that is whole")
    sys.stdout.write(f"{folder.root / found.path}\n")
    return 0


def _verify(asked: argparse.Namespace, environ: Mapping[str, str]) -> int:
    faults: list[Fault] = []
    for one in _folder(asked, environ).good(faults):
        sys.stdout.write(f"whole\t{one.path}\n")
    for fault in faults:
        sys.stdout.write(f"torn\t{fault.path}\t{fault.detail}\n")
    return TORN if faults else 0


def _folder(asked: argparse.Namespace, environ: Mapping[str, str]) -> Checkpoints:
    root = asked.folder or environ.get(report.ROOT)
    if not root:
        raise CheckpointError(f"which checkpoint folder? ({report.ROOT} is not set)")
    return Checkpoints(Path(root))


def _signal(word: str) -> int:
    name = word.strip().upper()
    name = name if name.startswith("SIG") else f"SIG{name}"
    try:
        return signal.Signals[name]
    except KeyError:
        raise CheckpointError(f"{word}: there is no such signal") from None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(PROGRAM, description="Inside a job: docs/CHECKPOINTS.md.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    one = commands.add_parser("run", help="run a command that reports, saves and goes on")
    one.add_argument("--checkpoints", metavar="DIR", help="checkpoint folder, on a file system that all nodes see")
    one.add_argument("--keep", type=int, default=3, metavar="N", help="so many of the newest that are whole (3)")
    one.add_argument("--keep-every", type=int, default=0, metavar="N", help="each so manyth for ever (none)")
    one.add_argument("--save-on", default="USR1,TERM", metavar="SIGNALS", help="mean that the end is near (USR1,TERM)")
    one.add_argument("--hand-on", default="", metavar="SIGNAL", help="what the command gets, or none (the same)")
    one.add_argument("--save-hook", default="", metavar="COMMAND", help="saves, in place of that")
    one.add_argument("--grace", type=float, default=100.0, metavar="S", help="how long saving may take (100)")
    one.add_argument("--kill-after", type=float, default=10.0, metavar="S", help="from SIGTERM to SIGKILL (10)")
    one.add_argument("--status", type=Path, metavar="FILE", help="status file (in the checkpoint folder, of rank 0)")
    one.add_argument("command", nargs=argparse.REMAINDER, metavar="-- COMMAND")
    one.set_defaults(act=_run)

    one = commands.add_parser("beat", help="tell the agent that the program lives, and its step")
    one.add_argument("--step", type=int, metavar="N")
    one.add_argument("--loss", type=float, metavar="X", help="at that step")
    one.set_defaults(act=_beat)

    group = commands.add_parser("checkpoint", help="publish, list, verify").add_subparsers(
        required=True, metavar="COMMAND"
    )
    one = group.add_parser("publish", help="make a checkpoint of a folder in HPCJOBS_CHECKPOINT_DIR")
    one.add_argument("path", type=Path)
    one.add_argument("--step", type=int, required=True, metavar="N")
    one.set_defaults(act=_publish)
    for name, act, text in (
        ("list", _list, "step, attempt, Unix seconds, bytes, path; oldest first"),
        ("latest", _latest, "path of the newest that is whole"),
        ("verify", _verify, f"read all of them; ends with {TORN} if one is torn"),
    ):
        one = group.add_parser(name, help=text)
        one.add_argument("folder", nargs="?", help=f"checkpoint folder ({report.ROOT})")
        one.set_defaults(act=act)
    return parser


def main() -> None:
    """``python3 /where/injob run -- ...``."""
    sys.exit(call(sys.argv[1:], os.environ))
