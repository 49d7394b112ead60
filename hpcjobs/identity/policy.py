"""Who may see and do what: every rule of the house, pure, in this one place.

    role              sees                       acts                               reads output and files
    user              own jobs                   on own jobs                        own
    project manager   + jobs of the accounts     + on these, in their own name:     own
                        that they coordinate       Slurm permits it itself
    operator          every job                  on every job, through the          own
                                                 service's user
    admin             + audit log, settings      as an operator                     own

A scope says what a token is for. Scopes only narrow: none of them gives more than its user's role does. What one may
not see is not there: it is answered like an id that nobody has.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

import msgspec

from hpcjobs.errors import NotAllowed, ScopeMissing
from hpcjobs.model.event import Event, EventKind
from hpcjobs.model.who import Role as Role
from hpcjobs.model.who import Scope as Scope

EVERY_SCOPE: Final = frozenset(Scope)
PUBLIC_KINDS: Final = frozenset({EventKind.NODE_STATE, EventKind.CLUSTER_STATE})
"""Events that are nobody's own: everybody may know of them."""


def scopes_of(role: Role) -> frozenset[Scope]:
    """Everything that a token of this role can be for."""
    return {
        Role.USER: EVERY_SCOPE - {Scope.ADMIN, Scope.SAMPLES_WRITE},
        Role.OPERATOR: EVERY_SCOPE - {Scope.ADMIN},
        Role.ADMIN: EVERY_SCOPE,
    }[role]


class Visibility(msgspec.Struct, frozen=True):
    """Which jobs and events somebody may see, as data: the store makes the same of it in SQL.

    Attributes:
        user: Whose jobs, whatever their account.
        accounts: Pairs of cluster and account whose jobs, whosever they are.
        everything: Every job.
    """

    user: str
    accounts: frozenset[tuple[str, str]] = frozenset()
    everything: bool = False

    def covers(self, owner: str, cluster: str, account: str) -> bool:
        """Whether a job of this owner on this cluster under this account is among them."""
        return self.everything or owner == self.user or (cluster, account) in self.accounts

    def shows(self, event: Event) -> bool:
        """Whether an event is among them: those of the jobs, and those that are nobody's own."""
        return event.kind in PUBLIC_KINDS or self.covers(event.user, event.cluster, event.account)


class Identity(msgspec.Struct, frozen=True):
    """A caller.

    Attributes:
        user: Name of the account that jobs run as.
        role: By the settings, or by the groups of a trusted issuer.
        scopes: What the token is for; never more than the role has.
        manages: Pairs of cluster and account that the user coordinates.
        issuer: Who made the token.
        token: The token's id (``jti``), or ``""``.
        expires_at: Unix seconds; the token does not hold after that.
    """

    user: str
    role: Role = Role.USER
    scopes: frozenset[Scope] = EVERY_SCOPE - {Scope.ADMIN, Scope.SAMPLES_WRITE}
    manages: frozenset[tuple[str, str]] = frozenset()
    issuer: str = ""
    token: str = ""
    expires_at: float = 0.0

    @property
    def sees_all(self) -> bool:
        """Whether every job is theirs to see and to act on."""
        return self.role in (Role.OPERATOR, Role.ADMIN)


def require_scope(who: Identity, wanted: Collection[Scope]) -> None:
    """Refuse a token that was not made for this.

    Args:
        who: The caller.
        wanted: Every one of these is needed.

    Raises:
        ScopeMissing: The token lacks one that its user could have.
        NotAllowed: The user's role does not have it.
    """
    for scope in wanted:
        if scope not in scopes_of(who.role):
            raise NotAllowed(f"This needs the scope {scope}, which the role {who.role} does not have.")
        if scope not in who.scopes:
            have = ", ".join(sorted(who.scopes)) or "nothing"
            raise ScopeMissing(f"This needs a token with the scope {scope}; this one is for {have}.")


def visibility(who: Identity) -> Visibility:
    """Which jobs the caller may see."""
    return Visibility(who.user, who.manages, who.sees_all)


def actor(who: Identity, owner: str, cluster: str, account: str, service_user: str) -> str | None:
    """In whose name the caller acts on a job.

    Args:
        who: The caller.
        owner: Whose job it is.
        cluster: Where it is.
        account: Which account it is charged to.
        service_user: Operator in Slurm; acts for our operators.

    Returns:
        The caller's own name wherever Slurm itself permits it; None: they may not act, nor know of the job.
    """
    if who.user == owner or (cluster, account) in who.manages:
        return who.user
    return service_user if who.sees_all else None


def require_owner(who: Identity, owner: str, what: str) -> None:
    """Files and output are nobody's but their owner's, whatever role asks.

    Args:
        who: The caller.
        owner: Whose they are.
        what: As ``The output of job 7``.

    Raises:
        NotAllowed: Somebody else asks.
    """
    if who.user != owner:
        raise NotAllowed(f"{what} is read by its owner only; no role reads another user's files.")
