"""Which nodes sinfo is to show: ``--states idle,drain``, ``mixed&drain``, ``~down``. Pure."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from hpcjobs.cli.slurm.node_states import ALLOCATED, BASE, BASES, FLAGS, IDLE, SHORT, is_draining
from hpcjobs.sbatch.getopt import Misspelt

DRAINED: Final = FLAGS["DRAIN"] | IDLE
DRAINING: Final = FLAGS["DRAIN"] | ALLOCATED

_NAMED: Final[tuple[tuple[int, tuple[str, ...]], ...]] = (
    *((at, (name, SHORT.get(name, name))) for at, name in enumerate(BASES) if name != "ERROR"),
    (FLAGS["BLOCKED"], ("BLOCKED", "BLOCK")),
    (FLAGS["INVALID_REG"], ("INVALID_REG", "INVAL")),
    (FLAGS["PLANNED"], ("PLANNED", "PLND")),
    (FLAGS["DRAIN"], ("DRAIN",)),
    (DRAINED, ("DRAINED",)),
    (FLAGS["RESERVED"], ("RESV", "RESERVED")),
    (DRAINING, ("DRAINING", "DRNG")),
    (FLAGS["DYNAMIC_FUTURE"], ("DYNAMIC_FUTURE",)),
    (FLAGS["DYNAMIC_NORM"], ("DYNAMIC_NORM",)),
    (FLAGS["COMPLETING"], ("COMPLETING", "COMP")),
    (FLAGS["NOT_RESPONDING"], ("NO_RESPOND",)),
    (FLAGS["POWER_UP"], ("POWER_UP",)),
    (FLAGS["POWERING_DOWN"], ("POWERING_DOWN",)),
    (FLAGS["POWERED_DOWN"], ("POWERED_DOWN",)),
    (FLAGS["POWER_DOWN"], ("POWER_DOWN",)),
    (FLAGS["POWERING_UP"], ("POWERING_UP",)),
    (FLAGS["FAIL"], ("FAIL",)),
    (FLAGS["MAINTENANCE"], ("MAINT", "MAINTENANCE")),
    (FLAGS["REBOOT_REQUESTED"], ("REBOOT", "BOOT", "REBOOT_REQUESTED")),
    (FLAGS["REBOOT_ISSUED"], ("REBOOT^", "BOOT^", "REBOOT_ISSUED")),
    (FLAGS["CLOUD"], ("CLOUD",)),
    (FLAGS["EXTERNAL"], ("EXTERNAL",)),
)
"""States by name, in the order in which a beginning of a name is looked up."""

TOLD: Final = (
    "unknown", "down", "idle", "allocated", "mixed", "future", "drain", "drained", "draining", "no_respond",
    "reserved", "planned", "blocked", "cloud", "completing", "powering_down", "powered_down", "power_down",
    "powering_up", "power_up", "inval", "fail", "maint", "reboot", "reboot^", "external", "dynamic_future",
    "dynamic_norm",
)  # fmt: skip
"""What ``--helpstate`` lists."""


class Wanted(NamedTuple):
    """One state that is asked for.

    Attributes:
        bits: The state.
        negated: Whether nodes in any other are meant.
    """

    bits: int
    negated: bool = False

    def fits(self, bits: int, cpus_alloc: int) -> bool:
        """Whether a node is meant.

        Args:
            bits: Its state.
            cpus_alloc: How many of its CPUs jobs have.
        """
        return self._is(bits, cpus_alloc) != self.negated

    def _is(self, bits: int, cpus_alloc: int) -> bool:
        if self.bits == FLAGS["DRAIN"]:
            return bool(bits & FLAGS["DRAIN"])
        if self.bits == DRAINING:
            return is_draining(bits)
        if self.bits == DRAINED:
            return bool(bits & FLAGS["DRAIN"]) and not is_draining(bits)
        if self.bits & ~BASE:
            return bool(bits & self.bits)
        return bool(cpus_alloc) if self.bits == ALLOCATED else bits & BASE == self.bits


class States(NamedTuple):
    """The states that are asked for.

    Attributes:
        wanted: Each.
        all_of: Whether a node must be in every one of them.
    """

    wanted: tuple[Wanted, ...]
    all_of: bool = False

    def fit(self, bits: int, cpus_alloc: int) -> bool:
        """Whether a node is meant; see Wanted."""
        found = [wanted.fits(bits, cpus_alloc) for wanted in self.wanted]
        return bool(found) and (all(found) if self.all_of else any(found))


def read_states(text: str) -> States | None:
    """Read ``--states``.

    Args:
        text: Names or beginnings of names, between commas, or between ``&`` or ``+`` where all must hold; ``~`` or
            ``!`` before one means any other.

    Returns:
        The states; None: all.

    Raises:
        Misspelt: There is no such state.
    """
    if text.lower() == "all":
        return None
    wanted = []
    for word in filter(None, re.split("[,&+]", text)):
        negated = word[0] in "~!"
        name = word[negated:]
        found = next((bits for bits, names in _NAMED if any(full.startswith(name.upper()) for full in names)), None)
        if found is None:
            raise Misspelt(
                f"there is no state {name!r}",
                f'error: Bad state string: "{name}"',
                f"error: valid states: {','.join(TOLD)}",
                exit_code=1,
            )
        wanted.append(Wanted(found, negated))
    return States(tuple(wanted), "+" in text or "&" in text)
