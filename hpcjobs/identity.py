"""Who is asking: tokens of our own, JWT signed with a key that only the service reads."""

from __future__ import annotations

import contextlib
import os
import pwd
import secrets
from pathlib import Path
from typing import Final

import jwt
import msgspec

from hpcjobs.errors import NotAllowed, NotAuthenticated, SettingsError

ISSUER: Final = "hpcjobs"
AUDIENCE: Final = "hpcjobs"
ALGORITHM: Final = "HS256"
KEY_BYTES: Final = 64


class Identity(msgspec.Struct, frozen=True):
    """A caller.

    Attributes:
        user: Name of the account that jobs run as.
        admin: Whether the caller may see and cancel every job.
    """

    user: str
    admin: bool = False

    def require_owner(self, user: str, what: str) -> None:
        """Refuse callers who neither own a thing nor are admins.

        Raises:
            NotAllowed: Neither.
        """
        if user != self.user and not self.admin:
            raise NotAllowed(f"{what} belongs to another user.")


def check_may_run(user: str, never: frozenset[str], min_uid: int) -> None:
    """Refuse accounts that no job may run as, whatever backend would carry it.

    Args:
        user: Name of the account.
        never: Names that are refused wherever they come from.
        min_uid: Below are system accounts; checked where this machine knows the user.

    Raises:
        NotAllowed: It is root, Slurm's own or another system account.
    """
    try:
        uid = pwd.getpwnam(user).pw_uid
    except KeyError:
        uid = min_uid  # a user of the cluster only: Slurm is the judge
    if user in never or uid < min_uid:
        raise NotAllowed(f"No job runs as {user!r}: it is a system account.")


def load_key(path: Path) -> bytes:
    """Read the key; make it at the first start, readable by nobody else.

    Raises:
        SettingsError: The key is too short to sign with.
    """
    if not path.exists():
        # Whole before it has its name: two first starts at once end with one key.
        draft = path.with_name(f"{path.name}.{os.getpid()}")
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(secrets.token_bytes(KEY_BYTES))
        with contextlib.suppress(FileExistsError):
            os.link(draft, path)
        draft.unlink()
    key = path.read_bytes()
    if len(key) < KEY_BYTES // 2:
        raise SettingsError(f"{path}: the key of our tokens has {len(key)} bytes; {KEY_BYTES // 2} are the least")
    return key


def make_token(key: bytes, user: str, now: float, life_s: float) -> str:
    """Make a bearer token.

    Args:
        key: Of load_key.
        user: Whom it speaks for.
        now: Unix seconds.
        life_s: How long it holds, in seconds.
    """
    claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": user, "iat": int(now), "exp": int(now + life_s)}
    return jwt.encode(claims, key, algorithm=ALGORITHM)


def read_token(key: bytes, header: str | None, admins: frozenset[str]) -> Identity:
    """Find out who is asking.

    Args:
        key: Of load_key.
        header: The Authorization header.
        admins: Names of the admins.

    Raises:
        NotAuthenticated: There is no token, or it does not hold; the message says which.
    """
    scheme, _, token = (header or "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise NotAuthenticated("Send a token: Authorization: Bearer ... (an operator makes one: hpcjobs token).")
    try:
        claims = jwt.decode(
            token.strip(),
            key,
            algorithms=[ALGORITHM],
            audience=AUDIENCE,
            issuer=ISSUER,
            options={"require": ["exp", "iat", "sub"]},
        )
    except jwt.ExpiredSignatureError as error:
        raise NotAuthenticated("The token has expired.") from error
    except jwt.InvalidTokenError as error:
        raise NotAuthenticated(f"The token does not hold: {error}.") from error
    user = str(claims["sub"])
    return Identity(user, admin=user in admins)
