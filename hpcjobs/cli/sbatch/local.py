"""What few calls of sbatch need, and loads slowly: the call read on this machine, and the whole client."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from hpcjobs.cli.outcome import NotDone, Sent
from hpcjobs.cli.sbatch.call import say, submit
from hpcjobs.cli.sbatch.here import MOST_BYTES, call_of, find_script
from hpcjobs.cli.series import version_text
from hpcjobs.model.problem import Problem
from hpcjobs.profiles import ClientConfig
from hpcjobs.sbatch.called import Call
from hpcjobs.sbatch.command import Line
from hpcjobs.sbatch.getopt import Misspelt
from hpcjobs.sbatch.reading import OFFLINE, Needed, Reading, line_of, read_call
from hpcjobs.sbatch.script import cannot_open, checked_script

Made = dict[str, Any]

USAGE: Final = "Usage: sbatch [OPTIONS(0)...] [ : [OPTIONS(N)...]] script(0) [args(0)...]"
SLURM_SAYS: Final = " Slurm says: "
NEEDED: Final = "sbatch-needed"
MOST_NEEDS: Final = 64
"""As many files as one call may name."""


def _complain(error: Misspelt) -> int:
    say(*error.heard)
    if error.heard and not error.heard[0].startswith(("error:", "fatal:")):
        sys.stderr.write('Try "sbatch --help" for more information\n')
    elif not any(str(error) in line for line in error.heard):
        say(f"note: {error}")
    return error.exit_code


def complain_of_service(error: NotDone, failed: str) -> None:
    """Say what the service says, in sbatch's manner."""
    for detail in error.details:
        ours, found, slurms = f" {detail}".partition(SLURM_SAYS)
        if found and ours.strip():
            say(f"error: {ours.strip()}")
        say(f"{failed}: {slurms.rpartition(' (error ')[0] or slurms or detail}")
    if error.kept:
        say(f"note: {error.kept}")


def _early(line: Line) -> bool:
    """Whether the call only asks about sbatch; it is answered then."""
    if "help" in line.early:
        from hpcjobs.cli.sbatch.help import help_text

        sys.stdout.write(help_text(USAGE))
    elif "usage" in line.early:
        sys.stdout.write(f"{USAGE}\n")
    elif "version" in line.early:
        sys.stdout.write(version_text())
    elif "autocomplete" in line.early:
        from hpcjobs.cli.sbatch.help import options_with

        sys.stdout.write(options_with(str(line.early["autocomplete"])))
    else:
        return False
    return True


def supply(made: Made, needed: Needed, environment: Mapping[str, str]) -> None:
    """Put into a call what it names and has not brought.

    Raises:
        Misspelt: The script cannot be read, or is none.
    """
    if needed.script is not None:
        path = find_script(needed.script, environment) if needed.script else None
        try:
            if path is None:
                data = sys.stdin.buffer.read(MOST_BYTES + 1)
            else:
                with open(path, "rb") as file:
                    data = file.read(MOST_BYTES + 1)
        except OSError as error:
            raise cannot_open(path or "") from error
        text = checked_script(data, path)
        made["script"] = {"word": needed.script or None, "path": path, "text": text}
    for name in needed.files:
        try:
            # --export-file may be the number of an open file
            with open(int(name) if name.isdigit() and int(name) > 2 else name, "rb") as file:
                made["files"][name] = file.read(MOST_BYTES).decode("latin-1")
        except OSError:
            made["files"][name] = None


def read_whole(made: Made, environment: Mapping[str, str]) -> Reading:
    """Read a call here, with whatever it names.

    Raises:
        Misspelt: Something cannot be read or obeyed.
    """
    for _ in range(MOST_NEEDS):
        try:
            return read_call(msgspec.convert(made, Call))
        except Needed as needed:
            supply(made, needed, environment)
    raise Misspelt("it names too many files", "error: too many files", exit_code=1)


def read_here(words: Sequence[str], config: ClientConfig, environment: Mapping[str, str], wrong: int) -> int:
    """A call whose words may ask about the program, or that is kept where the service is away.

    Returns:
        The exit code.
    """
    made = call_of(words, environment, config, secrets=True)
    try:
        line = line_of(msgspec.convert(made, Call))
        if _early(line):
            return 0
        if not config.queue_offline and OFFLINE not in line.early:
            return submit(call_of(words, environment, config), config, environment, wrong)
        reading = read_whole(made, environment)
    except Misspelt as error:
        code = _complain(error)
        return wrong if code == 1 else code
    say(*reading.notes)
    if reading.clusters:
        reading.request["cluster"] = reading.clusters
    if "test-only" in reading.client:
        return say_again(made, config, environment, "", wrong)
    from hpcjobs.cli.sbatch.offline import act_offline

    return act_offline(config, reading, made, environment, wrong)


def _refused(document: bytes) -> NotDone | None:
    """What the service's refusal says; None: it only wants what the call names."""
    try:
        problem = msgspec.json.decode(document, type=Problem)
    except ValueError:
        return None
    if any(fault.code == NEEDED for fault in problem.errors):
        return None
    return NotDone([fault.detail for fault in problem.errors] or [problem.detail], problem.kept)


def say_again(
    made: Made, config: ClientConfig, environment: Mapping[str, str], key: str, wrong: int, refusal: bytes = b""
) -> int:
    """Send a call with the whole client, for as long as that can help; with what it names, where that is wanted.

    Args:
        made: The call.
        config: Where to.
        environment: The caller's variables.
        key: Idempotency key; ``""``: nothing is submitted.
        wrong: Exit code of what goes wrong.
        refusal: The problem that the first try was answered with, if it was.

    Returns:
        The exit code.
    """
    testing = False
    try:
        reading = read_whole(made, environment)  # what cannot be read is told here, in sbatch's words
        testing = "test-only" in reading.client
        if refusal and (refused := _refused(refusal)):
            raise refused
        from hpcjobs.cli.sbatch.late import call_again  # the whole client

        answer = call_again(config, made, key)
        say(*answer.stderr)
        if answer.stdout:
            sys.stdout.write(f"{answer.stdout}\n")
            sys.stdout.flush()
        if answer.job is None or answer.then == "done":
            return answer.exit_code
        sent = Sent(answer.job.id, answer.job.slurm_job_id, answer.job.cluster, answer.job.detail)
        return finish(config, reading, sent, shown=bool(answer.stdout))
    except Misspelt as error:
        code = _complain(error)
        return wrong if code == 1 else code
    except ValueError as error:
        say(f"error: {error}")
    except NotDone as error:
        complain_of_service(error, "allocation failure" if testing else "error: Batch job submission failed")
    return 1 if testing else wrong


def finish(config: ClientConfig, reading: Reading, sent: Sent, *, shown: bool = False) -> int:
    """What remains to be done when the service has the job: its number, its end.

    Args:
        config: Where the service is.
        reading: The call.
        sent: The job.
        shown: Whether its number has been printed.

    Returns:
        The exit code.

    Raises:
        NotDone: The service refuses, or stays away.
        ValueError: The configuration cannot be used.
    """
    from hpcjobs.cli.sbatch.late import exit_code, numbered

    client = reading.client
    if sent.slurm_job_id is None:
        say(f"Slurm does not answer. The job is kept as {sent.job_id}, and goes in as soon as it does: {sent.detail}")
        sent = numbered(config, sent)
    if not shown and "quiet" not in client:
        _show(sent, parsable="parsable" in client, with_cluster="clusters" in client or "cluster" in client)
    return exit_code(config, sent) if "wait" in client else 0


def _show(sent: Sent, *, parsable: bool, with_cluster: bool) -> None:
    if parsable:
        told = f"{sent.slurm_job_id}" + (f";{sent.cluster}" if with_cluster else "")
    else:
        told = f"Submitted batch job {sent.slurm_job_id}" + (f" on cluster {sent.cluster}" if with_cluster else "")
    sys.stdout.write(f"{told}\n")
    sys.stdout.flush()
