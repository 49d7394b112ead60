"""The batch script: what sbatch takes for one."""

from __future__ import annotations

from typing import Final

from hpcjobs.sbatch.getopt import Misspelt

MOST_BYTES: Final = 4 * 1024 * 1024
"""The longest script that Slurm takes (max_script_size of slurm.conf, where it is not set)."""

WRAPPED: Final = "#!/bin/sh\n# This script was created by sbatch --wrap.\n\n{command}\n"


def _fault(*heard: str) -> Misspelt:
    return Misspelt(heard[0], *(f"error: {line}" for line in heard), exit_code=1)


def cannot_open(path: str) -> Misspelt:
    """What sbatch says of a script that is not there."""
    return _fault(f"Unable to open file {path}")


def checked_script(data: bytes, path: str | None) -> str:
    """Look at a script as sbatch does.

    Args:
        data: Its bytes.
        path: Where it is; None: it came on stdin.

    Raises:
        Misspelt: Slurm would not take it.
    """
    if len(data) > MOST_BYTES:
        where = (
            f"Script file {path} is too large"
            if path
            else f"Script from STDIN is too big, more than {MOST_BYTES} bytes."
        )
        raise Misspelt(where, f"fatal: {where}", exit_code=1)
    if not data:
        raise _fault("Batch script is empty!")
    if not data.strip():
        raise _fault("Batch script contains only whitespace!")
    if not data.startswith(b"#!"):
        raise _fault(
            "This does not look like a batch script.  The first",
            "line must start with #! followed by the path to an interpreter.",
            "For instance: #!/bin/sh",
        )
    if b"\0" in data:
        raise _fault("The Slurm controller does not allow scripts that", "contain a NULL character '\\0'.")
    if b"\r\n" in data:
        raise _fault("Batch script contains DOS line breaks (\\r\\n)", "instead of expected UNIX line breaks (\\n).")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise _fault(f"Batch script has a byte that is not UTF-8, at {error.start}") from error


def with_burst_buffer(script: str, lines: str | None) -> str:
    """A script with the lines of a file (``--bbf``) after its first.

    Raises:
        Misspelt: The file cannot be read.
    """
    if lines is None:
        raise _fault("Invalid --bbf specification")
    first, _, rest = script.partition("\n")
    return f"{first}\n{lines.rstrip()}\n{rest}"
