"""The table of checks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from . import accelerators, clock, disks, fabric, gres, kernel, leftovers, memory, mounts


class Kind(NamedTuple):
    """One kind of check.

    Attributes:
        options: What may be set: made of the words of the settings.
        do: It: options, host and call; what it returns is wrong, each in words.
    """

    options: Callable[..., Any]
    do: Callable[..., list[str]]


KINDS = {
    "gres": Kind(gres.Options, gres.check),
    "accelerators": Kind(accelerators.Options, accelerators.check),
    "kernel": Kind(kernel.Options, kernel.check),
    "fabric": Kind(fabric.Options, fabric.check),
    "disk": Kind(disks.Options, disks.check),
    "spool": Kind(disks.Spool, disks.spool),
    "memory": Kind(memory.Options, memory.check),
    "edac": Kind(memory.Edac, memory.edac),
    "clock": Kind(clock.Options, clock.check),
    "mounts": Kind(mounts.Options, mounts.check),
    "leftovers": Kind(leftovers.Options, leftovers.check),
}
