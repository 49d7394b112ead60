"""A call of sbatch from its first word to its exit code. The service reads it; what is odd goes to local.py."""

from __future__ import annotations

import os
import sys

from hpcjobs.cli.quick import exchange
from hpcjobs.cli.sbatch.here import call_of
from hpcjobs.cli.sbatch.json_text import json_text
from hpcjobs.cli.spool import anything_waits
from hpcjobs.profiles import load

TYPE_CHECKING = False  # typing loads slowly
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any, Final

    from hpcjobs.profiles import ClientConfig

OFFLINE: Final = "--queue-offline"
EARLY: Final = ("--help", "--usage", "--version", "--autocomplete")
"""Options that count at once, and ask no service."""
REFUSING: Final = (403, 409, 422, 501)
"""Statuses that say no for good: nothing is said again."""
HEADERS: Final = {"Content-Type": "application/json", "Accept": "text/plain"}


def say(*lines: str) -> None:
    """Tell the caller, as sbatch does, on stderr."""
    for line in lines:
        sys.stderr.write(f"sbatch: {line}\n")


def call(words: Sequence[str], environment: Mapping[str, str] = os.environ) -> int:
    """Do what a call of sbatch says.

    Args:
        words: After the program's name.
        environment: The caller's variables.

    Returns:
        The exit code: sbatch's own; 130 where it was interrupted.
    """
    try:
        return _call(words, environment)
    except KeyboardInterrupt:
        return 130


def _call(words: Sequence[str], environment: Mapping[str, str]) -> int:
    wrong = _error_code(environment)
    try:
        config = load(environment)
    except ValueError as error:
        say(f"error: {error}")
        return wrong
    if config.queue_offline or any(_may_be_local(word) for word in words):
        from hpcjobs.cli.sbatch.local import read_here

        return read_here(words, config, environment, wrong)
    return submit(call_of(words, environment, config), config, environment, wrong)


def _may_be_local(word: str) -> bool:
    """Whether a word may be an option that asks no service, or that keeps the call: reading the line will tell."""
    if word.startswith("--"):
        name = word.partition("=")[0]
        return name == OFFLINE or (len(name) > 2 and any(option.startswith(name) for option in EARLY))
    return word.startswith("-") and ("h" in word or "V" in word)


def _error_code(environment: Mapping[str, str]) -> int:
    said = environment.get("SLURM_EXIT_ERROR")
    if said is None:
        return 1
    if not said.isdigit() or not int(said):
        say("error: SLURM_EXIT_ERROR has zero value")
        return 1
    return int(said) & 0xFF


def submit(made: dict[str, Any], config: ClientConfig, environment: Mapping[str, str], wrong: int) -> int:
    """Send a call, exactly once, and say what came of it; then what has waited for the service.

    Args:
        made: The call; see call_of.
        config: Where to.
        environment: The caller's variables.
        wrong: Exit code of what goes wrong.

    Returns:
        The exit code.
    """
    code = _sent(made, config, environment, wrong)
    if not code and anything_waits(environment):
        from hpcjobs.cli.spool.later import send_later

        send_later(config, environment, 0)
    return code


def _sent(made: dict[str, Any], config: ClientConfig, environment: Mapping[str, str], wrong: int) -> int:
    key = os.urandom(16).hex()  # where the first try is not answered, the whole client says the same again
    refusal = b""
    try:
        headers = {**HEADERS, "Idempotency-Key": key}
        status, said = exchange(config, "POST", "/v1/sbatch", headers, json_text(made).encode(), environment)
        if status in (200, 201):
            first, stdout, *stderr = said.decode().removesuffix("\n").split("\n")
            then, code, *_ = first.split(" ")
            if then == "done":
                say(*stderr)
                if stdout:
                    sys.stdout.write(f"{stdout}\n")
                    sys.stdout.flush()
                return int(code)
        if status in REFUSING:
            refusal = said
    except (OSError, ValueError):
        pass  # the whole client finds out, and says it well
    from hpcjobs.cli.sbatch.local import say_again

    return say_again(made, config, environment, key, wrong, refusal)
