"""Users' credentials for registries: kept sealed, and given to nobody but the registry that each is for."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from typing import Final

from hpcjobs.errors import NotFound, Refusal, Refused
from hpcjobs.images.registry import Credential
from hpcjobs.images.sealing import Place, key_of, seal, unseal
from hpcjobs.model.credential import MAX_SECRET_BYTES, NAME, RegistryCredential, RegistryCredentialRequest
from hpcjobs.model.image import registry_of
from hpcjobs.store import credentials as rows
from hpcjobs.store.credentials import Kept
from hpcjobs.store.store import Store

FIELD: Final = "container.credential"
"""Where a job names one."""
USED_S: Final = 60.0
"""How exactly it is known when one was used, in seconds: jobs may come many a second."""

_NAME: Final = re.compile(NAME.strip("^$"))


class Credentials:
    """All of them.

    Args:
        store: Where they are.
        most: How many a user may have.
    """

    def __init__(self, store: Store, most: int) -> None:
        self.store = store
        self._most = most
        self._key = key_of(b"")

    def start(self, key: bytes) -> None:
        """Seal and open from now on.

        Args:
            key: Of the service.
        """
        self._key = key_of(key)

    async def put(self, user: str, name: str, asked: RegistryCredentialRequest) -> RegistryCredential:
        """Keep one, in the place of the one that had its name.

        Args:
            user: Whose.
            name: What they call it.
            asked: What it is.

        Raises:
            Refused: Every fault of it.
            Conflict: The user has as many as one may.
        """
        if faults := list(_faults(name, asked)):
            raise Refused(faults)
        shown = RegistryCredential(name, registry_of(asked.registry), asked.user, time.time())
        kept = Kept(shown, seal(self._key, _place(user, shown), asked.secret))
        await self.store.write(rows.put, user, kept, self._most)
        return shown

    async def every(self, user: str) -> list[RegistryCredential]:
        """A user's, by name; nobody sees another's, whatever their role."""
        return await self.store.read(rows.every, user)

    async def remove(self, user: str, name: str) -> None:
        """Forget one. What nodes were given of it stays in the user's home.

        Raises:
            NotFound: The user has none of this name.
        """
        if not await self.store.write(rows.remove, user, name):
            raise NotFound(f"{user} has no credential {name[:64]!r}.")

    async def of(self, user: str, name: str, host: str) -> Credential:
        """One, for its registry.

        Args:
            user: Whose.
            name: Which.
            host: The registry that is to get it, as an image has it.

        Raises:
            Refused: The user has none of this name (``credential-missing``), or it is for another registry
                (``credential-elsewhere``).
        """
        kept = await self.store.read(rows.find, user, name)
        if kept is None:
            told = "`hpcjobs credential list` shows those there are, `hpcjobs credential add` keeps another."
            raise _against(f"{user} has no credential {name!r}: {told}", "credential-missing")
        told_of = kept.credential
        if told_of.registry != host:
            told = f"Credential {name!r} is for {told_of.registry} alone, and the image is of {host}."
            raise _against(told, "credential-elsewhere")
        try:
            secret = unseal(self._key, _place(user, told_of), kept.sealed)
        except ValueError as error:
            told = f"Credential {name!r} cannot be read any more: add it again. {error}"
            raise _against(told, "credential-missing") from error
        now = time.time()
        if told_of.used_at is None or now - told_of.used_at >= USED_S:
            await self.store.write(rows.used, user, name, now)
        return Credential(told_of.user, secret)


def _place(user: str, told: RegistryCredential) -> Place:
    return Place(user, told.name, told.registry, told.user)


def _against(detail: str, code: str) -> Refused:
    return Refused([Refusal(FIELD, detail, code)])


def _faults(name: str, asked: RegistryCredentialRequest) -> Iterator[Refusal]:
    """What is wrong with a credential. What was sent is not repeated: it may be a secret in the wrong place."""
    if not _NAME.fullmatch(name):
        yield Refusal("name", "A name is of letters, digits and . _ -, begins with one of the first two, and has 64 at"
            " the most.")  # fmt: skip
    try:
        registry_of(asked.registry)
    except ValueError:
        yield Refusal("registry", "This is no registry: say a host, and a port where it has one, as registry:5000.")
    try:
        Credential(asked.user, asked.secret)
    except ValueError as error:
        yield Refusal("user", f"{error}")
    if len(asked.secret.encode()) > MAX_SECRET_BYTES:
        yield Refusal("secret", f"A secret has at most {MAX_SECRET_BYTES} bytes.")
    if "\0" in asked.secret:
        yield Refusal("secret", "A secret has no NUL in it: Docker's form, in which nodes get it, drops those.")
