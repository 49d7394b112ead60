"""sacct, run as whoever this process is: what an agent does where accounting is asked."""

from __future__ import annotations

import os
import subprocess
import tempfile
import threading
from typing import IO, Any, Final, cast

import msgspec

from hpcjobs.agents.serve import SlurmFailure
from hpcjobs.errors import Unavailable
from hpcjobs.model.history import Accounted, HistoryQuery
from hpcjobs.model.usage import Run
from hpcjobs.slurm.errtexts import number_of
from hpcjobs.slurm.history import NO_DATABASE, can_be_any, history_words
from hpcjobs.slurm.openapi import decode
from hpcjobs.slurm.openapi_accounting import AccountingReply, accounted_of
from hpcjobs.slurm.sacct_runs import new_delimiter, runs_printed, runs_words

TIMEOUT_S: Final = 50.0
"""How long sacct may take."""
MOST_BYTES: Final = 256 * 1024 * 1024
"""The longest answer that is read: some 50,000 jobs."""


def _failure(said: str) -> SlurmFailure | ValueError:
    """What sacct says of a question in vain."""
    words = said.strip().rpartition("\n")[2].removeprefix("sacct: ").removeprefix("error: ").removeprefix("fatal: ")
    if number := number_of(words) or number_of(words.rpartition(": ")[2]):
        return SlurmFailure(number, words)
    if words.startswith(("Invalid ", "Unknown ", "Bad ", "unrecognized ")):
        return ValueError(f"Slurm says: {words}")
    return SlurmFailure(NO_DATABASE, words or "sacct failed without a reason")


def _run(words: list[str]) -> bytes:
    """What a command prints.

    Raises:
        SlurmFailure: It does not answer, or fails.
        ValueError: It prints more than this process can hold.
    """
    environment = {"PATH": os.environ.get("PATH", os.defpath), "SLURM_CONF": os.environ["SLURM_CONF"]}
    with tempfile.TemporaryFile() as said:
        try:
            process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=said, env=environment)
        except OSError as error:
            raise SlurmFailure(NO_DATABASE, f"sacct cannot be run: {error.strerror}") from error
        late = threading.Timer(TIMEOUT_S, process.kill)
        late.start()
        with process, cast("IO[bytes]", process.stdout) as printed:
            told = printed.read(MOST_BYTES + 1)
            if len(told) > MOST_BYTES:
                process.kill()
        in_time = late.is_alive()
        late.cancel()
        if len(told) > MOST_BYTES:
            raise ValueError("the answer is too large: ask for less time or fewer jobs")
        if not in_time:
            raise SlurmFailure(NO_DATABASE, f"sacct did not answer within {TIMEOUT_S:g} s")
        if process.returncode:
            said.seek(0)
            raise _failure(said.read(MOST_BYTES).decode(errors="replace"))
    return told


def ask(query: dict[str, Any]) -> tuple[Accounted, ...]:
    """What accounting knows, asked by sacct as whoever this process is.

    In a process of its own, so that what is read of a large answer, a tenth of it, is all that the service gets.

    Args:
        query: A HistoryQuery.

    Raises:
        SlurmFailure: Accounting does not answer.
        ValueError: It cannot be asked so, as for users whom nobody knows, or the answer is too large.
    """
    wanted = msgspec.convert(query, HistoryQuery)
    if not can_be_any(wanted):
        return ()
    told = _run(history_words(wanted))
    try:
        reply = decode(told, AccountingReply)
    except msgspec.MsgspecError as error:
        raise SlurmFailure(NO_DATABASE, f"sacct prints what we cannot read: {error}") from error
    for fault in reply.errors:
        raise SlurmFailure(fault.error_number, fault.error or fault.description or "an error without words")
    return tuple(map(accounted_of, reply.jobs))


def runs(since: int, until: int) -> tuple[Run, ...]:
    """Every run of a job that accounting has in a time; see Backend.

    Raises:
        SlurmFailure: Accounting does not answer.
        ValueError: The answer is too large.
    """
    delimiter = new_delimiter()
    try:
        return runs_printed(_run(runs_words(delimiter, since, until)), delimiter)
    except Unavailable as error:
        raise SlurmFailure(NO_DATABASE, error.detail) from error
