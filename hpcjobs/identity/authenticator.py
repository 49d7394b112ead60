"""From an Authorization header to an Identity."""

from __future__ import annotations

from hpcjobs.errors import NotAuthenticated
from hpcjobs.identity.directory import Directory
from hpcjobs.identity.issuers import Issuer
from hpcjobs.identity.policy import Identity, Role, scopes_of
from hpcjobs.identity.tokens import Claims, bearer, does_not_hold, own_claims, unverified
from hpcjobs.settings import OWN_ISSUER, Settings


class Authenticator:
    """Knows whom to believe.

    Args:
        settings: Issuers, and who has which role.
        key: Of our own tokens.
        directory: Who manages which project.
    """

    def __init__(self, settings: Settings, key: bytes, directory: Directory) -> None:
        self.settings = settings
        self.directory = directory
        self.issuers = {entry.issuer: Issuer(entry) for entry in settings.issuers}
        self._key = key
        self._never = settings.forbidden

    async def identify(self, header: str | None) -> Identity:
        """Find out who is asking.

        Args:
            header: The Authorization header.

        Raises:
            NotAuthenticated: There is no token, or it does not hold; the message says which.
            Unavailable: The token's issuer has not answered yet, so that its tokens cannot be checked.
        """
        token = bearer(header)
        told, name = unverified(token)
        if name == OWN_ISSUER:
            claims = own_claims(token, self._key, self.settings.token_leeway_s)
        else:
            issuer = self.issuers.get(name) if isinstance(name, str) else None
            if issuer is None:
                raise does_not_hold(f"its issuer {name!r} is not one that is trusted here")
            claims = await issuer.claims(token, told)
            if claims.user in self._never:
                raise NotAuthenticated(f"No issuer speaks for {claims.user!r}: it is a system account.")
        return self._identity(claims)

    def _identity(self, claims: Claims) -> Identity:
        role = self._role(claims)
        scopes = scopes_of(role)
        return Identity(
            user=claims.user,
            role=role,
            scopes=scopes if claims.scopes is None else scopes & claims.scopes,
            manages=self.directory.managed_by(claims.user),
            issuer=claims.issuer,
            token=claims.token,
            expires_at=claims.expires_at,
        )

    def _role(self, claims: Claims) -> Role:
        issuer = self.issuers.get(claims.issuer)
        if claims.user in self.settings.admins or (issuer and claims.groups & {*issuer.settings.admin_groups}):
            return Role.ADMIN
        if claims.user in self.settings.operators or (issuer and claims.groups & {*issuer.settings.operator_groups}):
            return Role.OPERATOR
        return Role.USER

    async def close(self) -> None:
        """Let what is under way come to its end."""
        for issuer in self.issuers.values():
            await issuer.keys.close()
