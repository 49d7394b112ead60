"""Tokens of OIDC issuers, checked with the keys that the issuer publishes (RFC 7517, RFC 9068).

The keys are fetched off the event loop, by one fetch at a time, and never more often than a floor allows, whatever
tokens come in. While the issuer is away its last keys stay good.
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

import jwt

from hpcjobs.errors import NotAuthenticated, Unavailable
from hpcjobs.identity.tokens import Claims, does_not_hold, scopes_in, verified
from hpcjobs.settings import IssuerSettings

log = logging.getLogger(__name__)

Fetch = Callable[[], jwt.PyJWKSet]

FLOOR_S: Final = 10.0
"""Seconds between two fetches, whatever comes: a token with a made-up key id must not become a request."""
MAX_AGE_S: Final = 300.0
"""Older keys are fetched again beside the next request; a key that was withdrawn is good that long."""
FETCH_TIMEOUT_S: Final = 5.0


def fetcher(settings: IssuerSettings) -> Fetch:
    """How an issuer's keys are had. May block, and may raise anything."""
    if settings.jwks_file is not None:
        path = settings.jwks_file
        return lambda: jwt.PyJWKSet.from_json(path.read_text())
    client = jwt.PyJWKClient(settings.jwks_url or "", cache_jwk_set=False, timeout=FETCH_TIMEOUT_S)
    return client.get_jwk_set


class KeySet:
    """The keys of an issuer, as last fetched.

    Args:
        issuer: For messages.
        fetch: See fetcher().
        clock: Seconds that do not jump.
    """

    def __init__(self, issuer: str, fetch: Fetch, clock: Callable[[], float] = time.monotonic) -> None:
        self.issuer = issuer
        self._fetch = fetch
        self._clock = clock
        self._keys: dict[str | None, jwt.PyJWK] = {}
        self._fetched_at: float | None = None
        self._tried_at: float | None = None
        self._fetching: asyncio.Task[None] | None = None
        self._trouble = ""

    async def key(self, kid: str | None) -> jwt.PyJWK:
        """The key with this id; without an id the only key there is.

        Raises:
            NotAuthenticated: The issuer has no such key.
            Unavailable: The issuer has never answered.
        """
        found = self._find(kid)
        if found is not None:
            if self._clock() - (self._fetched_at or 0.0) > MAX_AGE_S:
                self._refresh()  # not waited for: what is known is good until then
            return found
        fetching = self._refresh()
        if fetching is not None:
            await asyncio.shield(fetching)
            found = self._find(kid)
        if found is not None:
            return found
        if self._fetched_at is None:
            raise Unavailable(
                f"The keys of issuer {self.issuer} cannot be had, so its tokens cannot be checked: {self._trouble}.",
                retry_after_s=max(1, round(FLOOR_S)),
            )
        if kid is None:
            raise does_not_hold(f"it names no key, and issuer {self.issuer} has several")
        raise does_not_hold(f"issuer {self.issuer} has no key {kid!r}")

    def _find(self, kid: str | None) -> jwt.PyJWK | None:
        if kid is None and len(self._keys) == 1:
            return next(iter(self._keys.values()))
        return self._keys.get(kid) if kid is not None else None

    def _refresh(self) -> asyncio.Task[None] | None:
        """The fetch under way, or a new one; None where the last is too young for another."""
        if self._fetching is not None and not self._fetching.done():
            return self._fetching
        now = self._clock()
        if self._tried_at is not None and now - self._tried_at < FLOOR_S:
            return None
        self._tried_at = now
        self._fetching = asyncio.create_task(self._fetch_once())
        return self._fetching

    async def _fetch_once(self) -> None:
        try:
            fetched = await asyncio.to_thread(self._fetch)
        except Exception as error:  # noqa: BLE001  what others publish may be anything; the last keys stay good
            if not self._trouble:
                kept = "the last ones stay good" if self._keys else "there are none yet"
                log.warning("keys of issuer %s cannot be had, %s: %s", self.issuer, kept, error)
            self._trouble = (str(error) or type(error).__name__).rstrip(".")
            return
        self._keys = {key.key_id: key for key in fetched.keys if key.public_key_use in ("sig", None)}
        self._fetched_at, self._trouble = self._clock(), ""

    async def close(self) -> None:
        """Wait for a fetch under way; it has a time limit."""
        if self._fetching is not None:
            await self._fetching


class Issuer:
    """An OIDC issuer that the settings trust.

    Args:
        settings: Of this issuer.
        keys: Its keys; None: fetched as the settings say.
    """

    def __init__(self, settings: IssuerSettings, keys: KeySet | None = None) -> None:
        self.settings = settings
        self.keys = keys or KeySet(settings.issuer, fetcher(settings))
        self._pattern = re.compile(settings.user_pattern)

    async def claims(self, token: str, header: Mapping[str, Any]) -> Claims:
        """What a token of this issuer says.

        Args:
            token: As it came.
            header: Its header, not yet checked.

        Raises:
            NotAuthenticated: It does not hold; the message says why.
            Unavailable: It cannot be checked now.
        """
        settings = self.settings
        algorithm, kid = header.get("alg"), header.get("kid")
        if algorithm not in settings.algorithms:  # before any key is looked for
            wanted = ", ".join(settings.algorithms)
            raise does_not_hold(f"it is signed with {algorithm!r}, and issuer {settings.issuer} signs with {wanted}")
        if kid is not None and not isinstance(kid, str):
            raise does_not_hold("its key id is no text")
        key = await self.keys.key(kid)
        if key.algorithm_name != algorithm:
            raise does_not_hold(f"its key is for {key.algorithm_name}, and it is signed with {algorithm}")
        told = verified(
            token,
            key,
            [algorithm],
            audience=settings.audience,
            issuer=settings.issuer,
            leeway_s=settings.leeway_s,
            required=[settings.user_claim],
        )
        return Claims(
            user=self._user(told[settings.user_claim]),
            issuer=settings.issuer,
            expires_at=float(told["exp"]),
            scopes=scopes_in(told.get(settings.scope_claim, "")) if settings.scope_claim else None,
            groups=_texts(told.get(settings.groups_claim)),
            token=str(told.get("jti", "")),
        )

    def _user(self, claim: object) -> str:
        match = self._pattern.fullmatch(claim) if isinstance(claim, str) else None
        user = (match.groupdict().get("user") or match[0]) if match else ""
        if not user:
            raise NotAuthenticated(
                f"The token speaks for {claim!r}, which is not how issuer {self.settings.issuer} names our users."
            )
        return user


def _texts(claim: object) -> frozenset[str]:
    return frozenset(word for word in claim if isinstance(word, str)) if isinstance(claim, list) else frozenset()
