"""What lets a user in over ssh: a certificate that the service's CA signs for minutes, or a key of the user's."""

from __future__ import annotations

import io
import re
import secrets
import time
from pathlib import Path
from typing import Final, Protocol

import paramiko
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    SSHCertificateBuilder,
    SSHCertificateType,
    load_ssh_private_key,
)

from hpcjobs.errors import NotAllowed, SettingsError

LIFE_S: Final = 120
"""A certificate opens one connection, at once; what runs on it may outlive it."""

SKEW_S: Final = 60
"""How far the login node's clock may be behind ours."""

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}\Z")


def checked_name(user: str) -> str:
    """A user's name that may be sent to a login node and written into a certificate.

    Raises:
        NotAllowed: It is root, or no name of an account.
    """
    if user == "root" or not _NAME.match(user):
        raise NotAllowed(f"No connection is made as {user!r}.")
    return user


class Keys(Protocol):
    """Where keys come from."""

    def key_of(self, user: str) -> paramiko.PKey:
        """The key that opens one connection as a user; for a certificate it carries that too."""
        ...


class CertificateKeys:
    """Fresh keys, each with a certificate of our CA (docs/adr/0009).

    The certificate names one principal, the user, and carries no extension: no terminal, no forwarding of ports, X11
    or agents, no rc file.

    Args:
        ca_key_file: The CA's private key, Ed25519 in OpenSSH's format. Login nodes name its public half in
            TrustedUserCAKeys.

    Raises:
        SettingsError: It cannot be read, or is of another kind.
    """

    def __init__(self, ca_key_file: Path) -> None:
        try:
            ca = load_ssh_private_key(ca_key_file.read_bytes(), password=None)
        except (OSError, ValueError) as error:
            raise SettingsError(f"{ca_key_file}: the key of the ssh CA cannot be read: {error}") from error
        if not isinstance(ca, Ed25519PrivateKey):
            raise SettingsError(f"{ca_key_file}: the key of the ssh CA must be an Ed25519 key")
        self._ca = ca

    def certificate(self, user: str, key: Ed25519PrivateKey, now: float) -> bytes:
        """A certificate that lets ``key`` in as ``user`` until ``now`` (Unix seconds) and LIFE_S."""
        serial = secrets.randbits(63)
        builder = (
            SSHCertificateBuilder()
            .public_key(key.public_key())
            .serial(serial)
            .type(SSHCertificateType.USER)
            .key_id(f"hpcjobs:{user}:{serial:x}".encode())
            .valid_principals([user.encode()])
            .valid_after(int(now) - SKEW_S)
            .valid_before(int(now) + LIFE_S)
        )
        return builder.sign(self._ca).public_bytes()

    def key_of(self, user: str) -> paramiko.PKey:
        """See Keys."""
        key = Ed25519PrivateKey.generate()
        certificate = self.certificate(checked_name(user), key, time.time())
        text = key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()).decode()
        own = paramiko.Ed25519Key.from_private_key(io.StringIO(text))
        own.load_certificate(certificate.decode())
        return own


class FileKeys:
    """Users' own keys, where the service may read them.

    Args:
        pattern: As ``/home/{user}/.ssh/id_ed25519``.
    """

    def __init__(self, pattern: str) -> None:
        self.pattern = pattern

    def key_of(self, user: str) -> paramiko.PKey:
        """See Keys.

        Raises:
            NotAllowed: The service cannot read it.
        """
        path = Path(self.pattern.format(user=checked_name(user)))
        try:
            return paramiko.Ed25519Key.from_private_key_file(str(path))
        except (OSError, paramiko.SSHException) as error:
            raise NotAllowed(f"There is no ssh key of {user!r} that the service may use: {error}.") from error
