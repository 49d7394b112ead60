"""The small forms in which Slurm's JSON says numbers; see openapi."""

from __future__ import annotations

from typing import Final

import msgspec


class Number(msgspec.Struct, frozen=True):
    """Slurm's number that may be unset or infinite."""

    set: bool = False
    infinite: bool = False
    number: float = 0

    @property
    def value(self) -> int:
        """The number, 0 where there is none."""
        return int(self.number) if self.set and not self.infinite else 0

    @property
    def maybe(self) -> int | None:
        """The number, None where there is none."""
        return int(self.number) if self.set and not self.infinite else None


NONE: Final = Number()


class _Signal(msgspec.Struct, frozen=True):
    id: Number = NONE


class ExitCode(msgspec.Struct, frozen=True):
    """How a job or a step ended."""

    return_code: Number = NONE
    signal: _Signal = _Signal()
