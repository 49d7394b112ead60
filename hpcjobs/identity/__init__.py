"""Who is asking, and what they may do.

tokens.py        our own tokens: made, and any token's claims checked
issuers.py       tokens of OIDC issuers, checked with the keys that the issuer publishes
authenticator.py from an Authorization header to an Identity
policy.py        the one place that says who may see and do what; pure
directory.py     whose projects are whose, as Slurm last said; pure
ratelimit.py     how often a user may ask; pure
unix.py          accounts of this machine, and those that no job may run as
"""

from hpcjobs.identity.policy import Identity, Role, Scope
from hpcjobs.identity.tokens import load_key, make_token
from hpcjobs.identity.unix import check_may_run

__all__ = ["Identity", "Role", "Scope", "check_may_run", "load_key", "make_token"]
