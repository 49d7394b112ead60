"""Secrets of webhooks, and the signatures made with them (Standard Webhooks 1.0: symmetric)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from typing import Final

from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from hpcjobs.errors import Conflict

PREFIX: Final = "whsec_"
SECRET_BYTES: Final = 32


def new_secret() -> str:
    """A new secret, as its owner gets to see it."""
    return PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def signature(secret: str, message_id: str, timestamp: int, body: bytes) -> str:
    """The header ``webhook-signature``.

    Args:
        secret: Of new_secret.
        message_id: The header ``webhook-id``.
        timestamp: The header ``webhook-timestamp``, Unix seconds.
        body: As it is sent.
    """
    key = base64.b64decode(secret.removeprefix(PREFIX))
    signed = hmac.new(key, f"{message_id}.{timestamp}.".encode() + body, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(signed).decode()}"


class Sealer:
    """Keeps secrets in the database so that only who has the service's key can read them.

    Args:
        key: Of the service's tokens; another key is derived from it (HKDF, RFC 5869).
    """

    def __init__(self, key: bytes) -> None:
        derived = HKDF(SHA256(), 32, salt=None, info=b"hpcjobs: secrets of webhooks").derive(key)
        self._fernet = Fernet(base64.urlsafe_b64encode(derived))

    def seal(self, secret: str) -> str:
        """As it is stored."""
        return self._fernet.encrypt(secret.encode()).decode()

    def open(self, sealed: str) -> str:
        """As it was before seal().

        Raises:
            Conflict: It was sealed with another key.
        """
        try:
            return self._fernet.decrypt(sealed.encode()).decode()
        except InvalidToken as error:
            raise Conflict("The secret was sealed with another key of the service; make the webhook anew.") from error
