"""One time that a node is looked at: ``hpcjobs node check``, or ``python3 /where/nodecheck``."""

from __future__ import annotations

import argparse
import os
import pwd
import socket
import sys
import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from .apart import Answer, Task, apart
from .call import EPILOG, FORGET, PERIODIC, PROLOG, Call
from .checks import KINDS
from .decide import DRAIN, RESUME, Memory, order, reason_of, weigh
from .host import Host
from .kept import Kept, alone, load, save
from .settings import SITE, Check, Settings, SettingsError, settings
from .slurm import seen, tell

ILL, WRONG = 3, 2
"""Exit codes: the node is ill; the settings are wrong. Any other is Python's, and says nothing of the node."""
SLOW = 3
"""So many times in a row a check must not answer: a node that is very busy is not ill."""
STATE = "/var/lib/hpcjobs/health.json"
BOOT = "/proc/sys/kernel/random/boot_id"


class Looked(NamedTuple):
    """What was found.

    Attributes:
        faults: What is wrong, by check; not of those that are well.
        unseen: What could not be looked at, by check, and why; that is no fault.
        slow: Checks that did not answer in time.
        kept: What to remember; of checks what has changed: another look may have gone on meanwhile.
    """

    faults: dict[str, list[str]]
    unseen: dict[str, str]
    slow: frozenset[str]
    kept: Kept


def call(words: Sequence[str], environ: Mapping[str, str]) -> int:
    """Look at this node.

    Args:
        words: Options.
        environ: Variables, of Slurm.

    Returns:
        The exit code.
    """
    asked = _parser().parse_args(words)
    name = asked.node or environ.get("SLURMD_NODENAME") or socket.gethostname().partition(".")[0]
    host = Host(asked.root, name)
    try:
        told = settings(asked.settings or host.at(SITE), asked.settings is not None)
    except SettingsError as error:
        return _say(WRONG, str(error))
    if unknown := {*asked.only} - {*told.checks}:
        return _say(WRONG, f"there is no check {', '.join(unknown)}; there are {', '.join(told.checks)}")
    mode = FORGET if asked.forget else asked.mode or PERIODIC
    chosen = {
        name: check
        for name, check in told.checks.items()
        if (name in asked.only if asked.only else (PERIODIC if mode == FORGET else mode) in check.when)
    }
    path, boot, now = asked.state or host.at(STATE), host.text(BOOT), time.time()
    found = look(chosen, host, mode, environ, load(path, boot), now)
    for check, why in found.unseen.items():
        _say(0, f"{check}: not looked at: {why}")
    if not asked.mode and not asked.forget:
        return _show(chosen, found)
    for check, faults in found.faults.items():
        sys.stdout.write(f"{host.name}: {check}: {', '.join(faults)}\n")
    with alone(path):
        before = load(path, boot)
        memory, failed = before.memory, ""
        if asked.mode:
            memory, failed = act(told, host, mode, found, before.memory, now)
        checks = {**before.checks, **found.kept.checks}
        try:
            save(path, boot, Kept(memory, checks, {**before.stuck, **found.kept.stuck}))
        except OSError as error:
            _say(0, f"{path}: {error.strerror}: nothing is remembered")
    if failed:
        return _say(ILL, failed)
    return ILL if mode == PROLOG and found.faults else 0


def look(
    checks: Mapping[str, Check], host: Host, mode: str, environ: Mapping[str, str], kept: Kept, now: float
) -> Looked:
    """Do checks, all at the same time, each in a process of its own.

    Args:
        checks: Which, by name.
        host: The node.
        mode: periodic, prolog, epilog, forget.
        environ: Variables, of Slurm.
        kept: What is remembered.
        now: Unix seconds.
    """
    waiting = {name: pid for name, (pid, began) in kept.stuck.items() if _began(host, pid) == began}
    tasks = {
        name: Task(
            partial(_do, name, check, host, Call(mode, environ, now, dict(kept.checks.get(name, {})))), check.limit_s
        )
        for name, check in checks.items()
        if name not in waiting
    }
    answers = apart(tasks)
    faults = {name: [f"process {pid} still waits for an answer"] for name, pid in waiting.items() if name in checks}
    unseen, slow = dict[str, str](), dict[str, str]()
    for name, answer in answers.items():
        if answer.late:
            slow[name] = f"no answer within {checks[name].limit_s:g} s"
        elif answer.value is None:
            unseen[name] = "it broke"
        elif answer.value["late"]:
            slow[name] = answer.value["late"]
        elif answer.value["unseen"]:
            unseen[name] = answer.value["unseen"]
        elif answer.value["faults"]:
            faults[name] = answer.value["faults"]
    if mode == PERIODIC:
        faults.update({name: [why] for name, why in slow.items()})
    else:  # the node may only be busy, and there is no second time to see
        unseen.update(slow)
    remembered = {name: answer.value["kept"] for name, answer in answers.items() if answer.value}
    return Looked(
        {name: faults[name] for name in checks if name in faults},
        unseen,
        frozenset(slow),
        Kept(
            kept.memory,
            {name: told for name, told in remembered.items() if told != kept.checks.get(name, {})},
            {name: stuck for name, answer in answers.items() if (stuck := _stuck(host, answer))},
        ),
    )


def act(told: Settings, host: Host, mode: str, found: Looked, memory: Memory, now: float) -> tuple[Memory, str]:
    """Have the node drained or resumed, where that follows.

    Args:
        told: The settings.
        host: The node.
        mode: periodic, prolog, epilog.
        found: What was found.
        memory: What is remembered.
        now: Unix seconds.

    Returns:
        What to remember, and what went wrong.
    """
    faults = found.faults
    strikes = {name: max(check.strikes, SLOW * (name in found.slow)) for name, check in told.checks.items()}
    memory, want, because = weigh(memory, faults, strikes, mode, told.resume, now)
    if not want:
        return memory, ""
    try:
        node = seen(host)
        if node is None:
            return memory._replace(drained=None), "the controller does not say how the node is"
        reason = reason_of({name: faults[name] for name in because})
        what = order(want, reason, node, pwd.getpwuid(os.geteuid()).pw_name, KINDS)
        if what.words and (wrong := tell(host, *what.words)):
            return memory._replace(drained=None), f"the node cannot be changed: {wrong}"
    except FileNotFoundError as error:
        return memory._replace(drained=None), str(error)
    if what.words:
        sys.stdout.write(f"{host.name}: {'drained' if want == DRAIN else 'resumed'}\n")
    resumed = (*memory.resumed, now) if want == RESUME and what.words else memory.resumed
    return memory._replace(drained=what.drained, resumed=resumed), ""


def _do(name: str, check: Check, host: Host, call: Call) -> dict[str, Any]:
    """One check, in its process."""
    told = {"faults": list[str](), "unseen": "", "late": "", "kept": call.kept}
    try:
        told["faults"] = KINDS[name].do(check.options, host, call)
    except (FileNotFoundError, PermissionError) as error:
        told["unseen"] = str(error)
    except TimeoutError as error:
        told["late"] = str(error)
    return told


def _stuck(host: Host, answer: Answer) -> tuple[int, int] | None:
    began = _began(host, answer.stuck) if answer.stuck else None
    return (answer.stuck, began) if answer.stuck and began is not None else None


def _began(host: Host, pid: int) -> int | None:
    """When a process began, clock ticks since boot, None: there is none."""
    fields = host.text(f"/proc/{pid}/stat").rpartition(")")[2].split()
    return int(fields[19]) if len(fields) > 19 else None


def _show(checks: Mapping[str, Check], found: Looked) -> int:
    """For people, who only look."""
    for name in checks:
        told = ", ".join(found.faults.get(name, [])) or ("not looked at" if name in found.unseen else "well")
        sys.stdout.write(f"{name:<14}{told}\n")
    return ILL if found.faults else 0


def _say(code: int, text: str) -> int:
    sys.stderr.write(f"hpcjobs: {text}\n")
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "hpcjobs node check",
        description=f"See whether this node is well; ends with {ILL} where it is not. docs/HEALTH.md",
    )
    parser.add_argument(
        "--as",
        dest="mode",
        choices=(PERIODIC, PROLOG, EPILOG),
        help="as Slurm runs it, and act: drain, resume (only look)",
    )
    parser.add_argument(
        "--forget", action="store_true", help="what checks found until now counts no more: it is mended"
    )
    parser.add_argument("--only", action="append", default=[], metavar="CHECK", help="may be repeated")
    parser.add_argument("--settings", type=Path, metavar="FILE", help=f"the site's own ({SITE})")
    parser.add_argument("--state", type=Path, metavar="FILE", help=f"what is remembered ({STATE})")
    parser.add_argument("--node", metavar="NAME", help="NodeName in Slurm (SLURMD_NODENAME, or the host's)")
    parser.add_argument("--root", type=Path, default=Path("/"), metavar="DIR", help="another root of /sys, /proc, /dev")
    return parser


def main() -> None:
    """``python3 /where/nodecheck ...``."""
    sys.exit(call(sys.argv[1:], os.environ))
