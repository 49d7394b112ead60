"""Secrets of credentials as the database has them: nobody reads them without the service's key, or moves them. Pure.

Each is sealed for one place (AES-256-GCM, NIST SP 800-38D): whose it is, what it is called, which registry it is for,
who one is there. In another row it cannot be opened, so who may write the database cannot have one user's secret sent
as another's, or to another host.
"""

from __future__ import annotations

import base64
import os
from contextlib import suppress
from typing import Final

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

FORM: Final = b"\x01"
"""The first byte of what is sealed: how it was done."""
NONCE_BYTES: Final = 12


class Place(msgspec.Struct, frozen=True, array_like=True):
    """Where a secret belongs.

    Attributes:
        owner: Whose it is.
        name: What they call it.
        registry: The host that it is for.
        user: Who they are there.
    """

    owner: str
    name: str
    registry: str
    user: str


def key_of(token_key: bytes) -> bytes:
    """The key for this, derived from that of the service's tokens (HKDF, RFC 5869), as for webhooks."""
    return HKDF(SHA256(), 32, salt=None, info=b"hpcjobs: credentials of registries").derive(token_key)


def seal(key: bytes, place: Place, secret: str) -> str:
    """As it is stored.

    Args:
        key: Of key_of.
        place: Where it belongs.
        secret: What is sealed.
    """
    nonce = os.urandom(NONCE_BYTES)
    sealed = AESGCM(key).encrypt(nonce, secret.encode(), _about(place))
    return base64.b64encode(FORM + nonce + sealed).decode("ascii")


def unseal(key: bytes, place: Place, sealed: str) -> str:
    """As it was before seal().

    Raises:
        ValueError: It was sealed with another key or for another place, or has been changed.
    """
    with suppress(InvalidTag, ValueError):
        told = base64.b64decode(sealed, validate=True)
        if told.startswith(FORM):
            start = len(FORM) + NONCE_BYTES
            return AESGCM(key).decrypt(told[len(FORM) : start], told[start:], _about(place)).decode()
    raise ValueError("It was sealed with another key of the service, or is not what was sealed here.")


def _about(place: Place) -> bytes:
    """What is sealed with it, without being hidden; JSON, so that no two places read alike."""
    return msgspec.json.encode(place)
