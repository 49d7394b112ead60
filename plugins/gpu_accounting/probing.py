"""Whether the devices of this node are well: a family's own command is asked."""

from __future__ import annotations

import contextlib
import subprocess
import tempfile
from typing import Final

import msgspec

from hpcjobs.devices.family import Family
from hpcjobs.devices.probe import fault

PATIENCE_S: Final = 45.0
"""A driver that hangs is an ill one; Slurm ends a HealthCheckProgram after 60 s (slurm.conf(5))."""
KILLED_S: Final = 1.0


class Health(msgspec.Struct, frozen=True):
    """How the devices of a family are.

    Attributes:
        family: Its name.
        fault: What is wrong; ``""``: they are well.
    """

    family: str
    fault: str


def health(family: Family) -> str:
    """What is wrong with the devices of a family on this node; ``""``: they are well."""
    if family.probe is None:
        return "how to ask is not known"
    command = family.probe.argv[0]
    with tempfile.TemporaryFile() as output:
        try:
            process = subprocess.Popen(family.probe.argv, stdout=output, stderr=subprocess.DEVNULL)
        except OSError as error:
            return f"{command} cannot be run: {error.strerror}"
        try:
            code = process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(KILLED_S)  # what hangs in a driver does not end even so
            return f"{command} has not ended after {PATIENCE_S:g} s"
        output.seek(0)
        return fault(family.probe, code, output.read().decode(errors="replace"))
