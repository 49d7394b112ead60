"""What a link carries: from the words for its width and speed to Gbit/s, and back."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

GBPS_PER_LANE: Final[Mapping[str, float]] = {
    "SDR": 2.0,
    "DDR": 4.0,
    "QDR": 8.0,
    "FDR10": 10.0,
    "FDR": 14.0625 * 64 / 66,
    "EDR": 25.0,
    "HDR": 50.0,
    "NDR": 100.0,
    "XDR": 200.0,
}
"""Data rate of an InfiniBand lane in one direction, in Gbit/s: what is left of the signalling rate after line coding.

Signalling rates are those of the InfiniBand Architecture Specification, volume 2, as libibmad (``dump.c``) writes them
out: SDR 2.5, DDR 5, QDR 10, FDR 14.0625, EDR 25.78125, HDR 53.125, NDR 106.25, XDR 212.5; FDR10, a vendor's, 10.3125.
Up to QDR 8 of 10 bits are data, in FDR10, FDR and EDR 64 of 66; from HDR on the codes together leave 512 of 544.
"""

WIDTHS: Final = (4, 1, 2, 8, 12)
"""Numbers of lanes that links have, the usual one first."""

_ETHERNET: Final = re.compile(r"([0-9]{1,6}(?:\.[0-9]{1,3})?)G", re.IGNORECASE)


def gbps(lanes: int, speed: str) -> float:
    """Data rate of a link in one direction in Gbit/s; 0.0 where it is not known.

    Args:
        lanes: How many; 0: not said, or the speed is that of all of them.
        speed: ``HDR`` of a lane, or for Ethernet ``100G`` of the link.
    """
    if match := _ETHERNET.fullmatch(speed):
        return float(match[1])
    return lanes * GBPS_PER_LANE.get(speed, 0.0)


def words(rate_gbps: float, *, ethernet: bool = False) -> tuple[int, str]:
    """Lanes and speed of which ``gbps`` makes a rate; ``(0, "")`` where there are none.

    Args:
        rate_gbps: Data rate in Gbit/s.
        ethernet: Whether the link is one of Ethernet.
    """
    if rate_gbps <= 0:
        return 0, ""
    if ethernet:
        return 0, f"{rate_gbps:g}G"
    for lanes in WIDTHS:
        for speed, one in GBPS_PER_LANE.items():
            if abs(lanes * one - rate_gbps) < 1e-9:
                return lanes, speed
    return 0, ""
