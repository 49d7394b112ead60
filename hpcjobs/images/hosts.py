"""Which registries a site lets its users name."""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec

from hpcjobs.model.image import HUB, HUB_ASKED

_ENTRY = re.compile(r"(?:(?:\*\.)?[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?|\*")


class Registries(msgspec.Struct, frozen=True):
    """Which registries are asked.

    A host that is an address, or whose addresses are inside, must stand here by its full name: anybody may make a name
    that leads inside below a domain that lets them.

    Attributes:
        allowed: Hosts as ``registry:5000`` or ``*.example.org``, with the port where it is not 443; ``*``: all of the
            world, beside those that are listed. None: all of the world.
        insecure: More of them, which speak http, with the port where it is not 80.
    """

    allowed: tuple[str, ...] = ()
    insecure: tuple[str, ...] = ()

    def fault(self) -> str:
        """What cannot be right about it, or ``""``."""
        if "*" in self.insecure:
            return "insecure: * would speak http with all the world"
        wrong = [entry for entry in (*self.allowed, *self.insecure) if not _ENTRY.fullmatch(entry.lower())]
        return f"{wrong[0]!r} is no host of a registry, as registry:5000 or *.example.org" if wrong else ""

    def takes(self, host: str) -> bool:
        """Whether images may come from a host."""
        every = not self.allowed or "*" in self.allowed
        return every or _among(host, self.allowed, "https") or self.over_http(host)

    def against(self, host: str) -> str:
        """Why no image may come from a host, a sentence, or ``""``; a library may have no host."""
        if self.takes(host):
            return ""
        taken = ", ".join((*self.allowed, *self.insecure))
        return f"Images of {host or 'libraries'} are not taken here; images come from {taken}."

    def over_http(self, host: str) -> bool:
        """Whether a host is spoken to without TLS."""
        return _among(host, self.insecure, "http")

    def lists(self, host: str, scheme: str) -> bool:
        """Whether a host stands here by its full name, for this scheme."""
        entries = self.insecure if scheme == "http" else self.allowed
        return _plain(host, scheme) in {_plain(entry, scheme) for entry in entries}


def _plain(host: str, scheme: str) -> str:
    host = host.lower().removesuffix(":80" if scheme == "http" else ":443")
    return HUB if host in (HUB_ASKED, f"index.{HUB}") else host


def _among(host: str, entries: Sequence[str], scheme: str) -> bool:
    host = _plain(host, scheme)
    plain = [_plain(entry, scheme) for entry in entries]
    return any(host.endswith(entry[1:]) if entry.startswith("*.") else host == entry for entry in plain)
