"""What every command that has succeeded does: send what waits for the same service. Loads little where nothing does."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Mapping

from hpcjobs.cli.spool import anything_waits, folder_of
from hpcjobs.profiles import ClientConfig


def send_later(config: ClientConfig, environment: Mapping[str, str], interrupted: int = 130) -> None:
    """Send what waits, and say on stderr what came of it. Nothing that goes wrong here is the command's fault.

    Args:
        config: That of the command.
        environment: The caller's variables.
        interrupted: Exit code where the caller does not want to wait; 0: the command has told of what must not be
            taken for undone, and just ends.

    Raises:
        SystemExit: The caller does not want to wait.
    """
    if not anything_waits(environment):
        return
    try:
        _send(config, environment)
    except KeyboardInterrupt:
        if interrupted:
            raise SystemExit(interrupted) from None


def _send(config: ClientConfig, environment: Mapping[str, str]) -> None:
    from hpcjobs.cli.spool.entries import Spool, left_behind
    from hpcjobs.cli.spool.sending import line_of, send

    spool = Spool(folder_of(environment))
    with contextlib.suppress(OSError, ValueError), spool.sending(0.0) as mine:
        if mine:
            for told in send(spool, config, 0.0):
                another = told.fate == "kept" and told.problem is None and told.entry.profile != config.profile
                if told.fate != "away" and not another:  # what another profile's user has kept, that profile sends
                    sys.stderr.write(f"hpcjobs: {line_of(told)}\n")
    with contextlib.suppress(OSError, ValueError):
        if words := left_behind(spool.waiting(), environment):
            sys.stderr.write(f"hpcjobs: {words}\n")
