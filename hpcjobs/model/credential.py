"""A user's credential for a registry of images, as people bring it and see it."""

from __future__ import annotations

from typing import Annotated, Any, Final

import msgspec

NAME: Final = "^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$"
"""Of a credential: unique among its owner's, and what ``container.credential`` of a job says."""
MAX_SECRET_BYTES: Final = 8192


class RegistryCredential(msgspec.Struct, frozen=True):
    """Who one is to a registry. Its secret is never shown.

    Attributes:
        name: What jobs call it.
        registry: The host that it is for, and no other: ``ghcr.io``, ``registry:5000``.
        user: Who one is there.
        created_at: Unix seconds at which it was made or replaced.
        used_at: Unix seconds at which a job asked for it last, to the minute; None: none has.
    """

    name: str
    registry: str
    user: str
    created_at: float
    used_at: float | None = None


class RegistryCredentialRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A credential to be kept. No repr shows the secret.

    Attributes:
        registry: The host that it is for, with its port where it has one; ``docker.io`` for names that say none.
        user: Who one is there: without a colon.
        secret: Password, or a token that stands for one; at most 8192 bytes.
    """

    registry: Annotated[str, msgspec.Meta(min_length=1, max_length=255)]
    user: Annotated[str, msgspec.Meta(min_length=1, max_length=255)]
    secret: Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_SECRET_BYTES)]

    def __repr__(self) -> str:
        return f"RegistryCredentialRequest(registry={self.registry!r}, user={self.user!r}, secret=...)"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [("registry", self.registry), ("user", self.user)]
