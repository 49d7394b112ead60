"""The very ports: where a cable that is missing would be, and which of several cables is the wrong one. Pure.

Cabling is done by port: most leaves go to a spine from the same port, and a leaf is in the same port of most spines.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from hpcjobs_plugins.topology.checks.pattern import MOST, Want
from hpcjobs_plugins.topology.fabric import Trunk
from hpcjobs_plugins.topology.layers import Layers, port_of, shown


class Places:
    """Ports of the switches of a fabric."""

    def __init__(self, layers: Layers) -> None:
        self._layers = layers
        self._used = {name: {port_of(trunk, name) for trunk in trunks} for name, trunks in layers.trunks.items()}
        for name, plugs in layers.plugs.items():
            self._used[name].update(plug.point.switch_port for plug in plugs)

    def low_ports(self, want: Want, high: str) -> list[int]:
        """Ports from which most of the like go to an upper switch."""
        count = Counter(port_of(trunk, peer) for peer in want.peers for trunk in self._layers.up.get((peer, high), ()))
        return _agreed(count, len(want.peers))

    def high_ports(self, low: str, want: Want, but: str) -> list[int]:
        """Ports of most of the other upper switches that a lower one is in."""
        others = [high for high in want.cables if high != but]
        count = Counter(port_of(trunk, high) for high in others for trunk in self._layers.up.get((low, high), ()))
        return _agreed(count, len(others))

    def cable(self, low: str, want: Want, high: str) -> str:
        """A missing cable, as ``leaf07:36 - spine04:7``, without the ports that cannot be said or are in use."""
        own = {port_of(trunk, low) for trunk in self._layers.up.get((low, high), ())}
        near = [port for port in self.low_ports(want, high) if port not in own]
        far = [port for port in self.high_ports(low, want, high) if port not in self._used[high]]
        return f"{_place(low, near)} - {_place(high, far)}"

    def far_place(self, low: str, want: Want, high: str) -> str:
        """Where the upper end of a cable belongs, as ``spine04:7``."""
        return self.cable(low, want, high).split(" - ")[1]

    def near_place(self, low: str, want: Want, high: str) -> str:
        """Where the lower end of a cable belongs, as ``leaf07:36``; only if the port is free."""
        near = [port for port in self.low_ports(want, high) if port not in self._used[low]]
        return _place(low, near)

    def wrong_ones(self, low: str, high: str, want: Want | None, right: str = "") -> list[Trunk]:
        """Of the cables between two switches those that do not belong there; all of them if that cannot be told.

        Args:
            low: The lower one.
            high: The upper one.
            want: What the lower one should have, or None.
            right: Where the wrong cable belongs instead, if it is another upper switch.
        """
        trunks = self._layers.up.get((low, high), [])
        if want is None or len(trunks) < 2:
            return trunks
        due = set(self.low_ports(want, right)) if right else set()
        meant = set(self.low_ports(want, high))
        wrong = [trunk for trunk in trunks if port_of(trunk, low) in due - meant]
        wrong = wrong or [trunk for trunk in trunks if meant and port_of(trunk, low) not in meant]
        return wrong or trunks


def _agreed(count: Counter[int], of: int) -> list[int]:
    return sorted(port for port, often in count.items() if of > 1 and often * MOST[1] >= of * MOST[0])


def _place(switch: str, ports: Sequence[int]) -> str:
    return f"{switch}:{ports[0]}" if ports else switch


def listed(trunks: Iterable[Trunk], first: str) -> tuple[str, ...]:
    """Cables as they are shown, one switch first."""
    return tuple(shown(trunk, first) for trunk in trunks)
