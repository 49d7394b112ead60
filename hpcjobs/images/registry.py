"""A client of registries that answers one question: what is the digest of an image now (the OCI distribution API).

Users name the hosts, so it connects by what it is given for that (``hpcjobs.push.outbound``): to hosts of the world,
over https, and inside to those alone that a site lists by their full names, port and all.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
from collections.abc import Callable, Sequence
from typing import Final

import httpx

from hpcjobs.errors import NotSupported, RegistryDown, SettingsError
from hpcjobs.images.hosts import Registries
from hpcjobs.images.question import Credential, Found, Question, refused
from hpcjobs.model.image import Image

__all__ = ["Connect", "Credential", "Found", "Registries", "Registry"]

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Connect = Callable[[Sequence[Network]], httpx.AsyncBaseTransport]
"""Makes what connects to hosts of the world and to these networks. A host elsewhere is an ``httpx.TransportError`` of
no class of httpx's own."""

WHOLE_S: Final = 20.0
"""For a whole question, from the name's resolution to the answer."""
STEP_S: Final = 10.0
EVERYWHERE: Final = (ipaddress.ip_network("0.0.0.0/0"), ipaddress.ip_network("::/0"))


class Registry:
    """Asks registries.

    Args:
        registries: Which may be asked.
        connect: Makes what connects: where it must not, it does not.
        whole_s: Seconds that a question may take.

    Raises:
        SettingsError: What is listed are no hosts.
    """

    def __init__(self, registries: Registries, connect: Connect, whole_s: float = WHOLE_S) -> None:
        if fault := registries.fault():
            raise SettingsError(f"Registries of images: {fault}.")
        self._registries = registries
        self._connect = connect
        self._whole_s = whole_s

    async def digest_of(self, image: Image, credential: Credential | None) -> Found:
        """What an image is now.

        Args:
            image: Of a registry.
            credential: The user's, for this very host: the caller sees to that. None: nobody's.

        Raises:
            Refused: The image is not there (``image-missing``), may not be read (``image-denied``), or its registry may
                not be asked or says what cannot be (``registry-refused``).
            RegistryDown: It does not answer, or not now.
            NotSupported: The image is of no registry that speaks this API.
        """
        if image.kind not in ("docker", "oras"):
            raise NotSupported(f"What {image.text} is now cannot be asked: only docker:// and oras:// say digests.")
        if against := self._registries.against(image.host):
            raise refused(against)
        try:
            async with asyncio.timeout(self._whole_s), contextlib.AsyncExitStack() as stack:
                clients = {
                    listed: await stack.enter_async_context(
                        httpx.AsyncClient(transport=self._connect(networks), trust_env=False, timeout=STEP_S)
                    )
                    for listed, networks in ((True, EVERYWHERE), (False, ()))
                }
                return await Question(self._registries, clients, image, credential).found()
        except TimeoutError:
            raise RegistryDown(f"Registry {image.host} did not answer within {self._whole_s:g} s.") from None
