"""The Slurm whose commands ours are like."""

from __future__ import annotations

from hpcjobs import __version__

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

SERIES: Final = "26.05"
PARSER: Final = "v0.0.45"
"""The data_parser in whose shape JSON is printed: the newest of this series."""


def version_text() -> str:
    """What ``--version`` prints."""
    return f"slurm {SERIES} (hpcjobs {__version__})\n"
