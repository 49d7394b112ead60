"""Tokens: our own are JWT signed with a key that only the service reads; anybody's have their claims checked here."""

from __future__ import annotations

import contextlib
import functools
import math
import os
import secrets
import time
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import jwt
import msgspec
import uuid_utils

from hpcjobs.errors import NotAuthenticated, SettingsError
from hpcjobs.identity.policy import Scope
from hpcjobs.settings import OWN_ISSUER

AUDIENCE: Final = "hpcjobs"
ALGORITHM: Final = "HS256"
KEY_BYTES: Final = 64
MAX_TOKEN_BYTES: Final = 8192
"""Longer than any token that fits the headers of ordinary web servers, and short enough to be read at once."""


class Claims(msgspec.Struct, frozen=True):
    """What a token that holds says.

    Attributes:
        user: Whom it speaks for.
        issuer: Who made it.
        expires_at: Unix seconds.
        scopes: What it is for; None: everything that the user's role can.
        groups: Groups of the user, as the issuer sees it.
        token: Its id, or ``""``.
    """

    user: str
    issuer: str
    expires_at: float
    scopes: frozenset[Scope] | None = None
    groups: frozenset[str] = frozenset()
    token: str = ""


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


def make_token(key: bytes, user: str, now: float, life_s: float, scopes: Collection[Scope] | None = None) -> str:
    """Make a bearer token.

    Args:
        key: Of load_key.
        user: Whom it speaks for.
        now: Unix seconds.
        life_s: How long it holds, in seconds.
        scopes: What it is for; None: everything that the user's role can.
    """
    claims: dict[str, Any] = {
        "iss": OWN_ISSUER,
        "aud": AUDIENCE,
        "sub": user,
        "iat": int(now),
        "exp": int(now + life_s),
        "jti": uuid_utils.uuid4().hex,
    }
    if scopes is not None:
        claims["scope"] = " ".join(sorted(scopes))
    return jwt.encode(claims, key, algorithm=ALGORITHM)


def does_not_hold(why: object) -> NotAuthenticated:
    """The error for a token that is there and is not believed."""
    return NotAuthenticated(f"The token does not hold: {str(why).rstrip('.')}.")


def bearer(header: str | None) -> str:
    """The token in an Authorization header.

    Raises:
        NotAuthenticated: There is none, or it is longer than any token.
    """
    scheme, _, token = (header or "").partition(" ")
    token = token.strip()
    if scheme.lower() != "bearer" or not token:
        raise NotAuthenticated("Send a token: Authorization: Bearer ... (an operator makes one: hpcjobs token).")
    if len(token) > MAX_TOKEN_BYTES:
        raise does_not_hold(f"it has {len(token)} bytes, and {MAX_TOKEN_BYTES} are the most")
    return token


@functools.lru_cache(maxsize=4096)
def unverified(token: str) -> tuple[Mapping[str, Any], object]:
    """Header and ``iss`` of a token that nobody has checked yet: good for choosing a key, and for nothing else.

    Raises:
        NotAuthenticated: It is no JWT.
    """
    try:
        told = jwt.decode_complete(token, options={"verify_signature": False})
        return told["header"], told["payload"].get("iss")
    except (jwt.InvalidTokenError, ValueError, TypeError, RecursionError) as error:
        raise does_not_hold(error) from error


CHECKED_S: Final = 30.0
"""A token that held is not checked again for so long by the same key, unless it ends before."""
MOST_CHECKED: Final = 4096
_checked: dict[tuple[object, ...], tuple[float, dict[str, Any]]] = {}
"""By token, key and how it was checked: until when, by time.monotonic(), and what it claims."""


def verified(
    token: str,
    key: bytes | jwt.PyJWK,
    algorithms: Sequence[str],
    *,
    audience: str,
    issuer: str,
    leeway_s: float,
    required: Sequence[str],
) -> dict[str, Any]:
    """The claims of a token, checked: signature, audience, issuer, and that it holds now.

    Args:
        token: As it came.
        key: What must have signed it.
        algorithms: How it may be signed.
        audience: Whom it must be for.
        issuer: Who must have made it.
        leeway_s: How far the maker's clock may be off, in seconds.
        required: Claims that must be there, beside ``exp`` and ``iat``.

    Raises:
        NotAuthenticated: It does not hold; the message says why.
    """
    check = (token, key, audience, issuer, leeway_s)
    until, remembered = _checked.get(check, (0.0, {}))
    if time.monotonic() < until and time.time() < remembered["exp"]:
        return remembered
    try:
        claims: dict[str, Any] = jwt.decode(
            token,
            key,
            algorithms=algorithms,
            audience=audience,
            issuer=issuer,
            leeway=leeway_s,
            options={"require": ["exp", "iat", "aud", "iss", *required]},
        )
    except jwt.ExpiredSignatureError as error:
        raise NotAuthenticated("The token has expired.") from error
    except jwt.ImmatureSignatureError as error:
        raise does_not_hold(f"it is from the future, {error}; are the clocks right?") from error
    except jwt.InvalidAudienceError as error:
        raise does_not_hold(f"it is not for this service, whose audience is {audience!r}") from error
    except (jwt.InvalidTokenError, jwt.InvalidKeyError, ValueError, TypeError, OverflowError) as error:
        raise does_not_hold(error) from error
    claims["exp"] = float(claims["exp"])  # a JSON string of digits is let through
    if not math.isfinite(claims["exp"]):
        raise does_not_hold("it never expires")
    if len(_checked) >= MOST_CHECKED:
        _checked.clear()
    _checked[check] = (time.monotonic() + CHECKED_S, claims)
    return claims


def scopes_in(told: object) -> frozenset[Scope]:
    """Our scopes in a claim: words in a text (RFC 8693, 4.2) or a list; words of others are not ours to judge.

    Raises:
        NotAuthenticated: The claim is neither.
    """
    words = told.split() if isinstance(told, str) else told
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise does_not_hold("its scopes are neither a text nor a list of texts")
    return frozenset(scope for scope in Scope if scope.value in words)


def own_claims(token: str, key: bytes, leeway_s: float) -> Claims:
    """What one of our own tokens says.

    Raises:
        NotAuthenticated: It does not hold.
    """
    told = verified(token, key, [ALGORITHM], audience=AUDIENCE, issuer=OWN_ISSUER, leeway_s=leeway_s, required=["sub"])
    return Claims(
        user=str(told["sub"]),
        issuer=OWN_ISSUER,
        expires_at=float(told["exp"]),
        scopes=scopes_in(told["scope"]) if "scope" in told else None,
        token=str(told.get("jti", "")),
    )
