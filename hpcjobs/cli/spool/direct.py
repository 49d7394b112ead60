"""A submission with --queue-offline: kept first, then sent; where no answer comes, it stays kept."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Final, NamedTuple

from hpcjobs.cli.outcome import NotDone
from hpcjobs.cli.spool import folder_of
from hpcjobs.cli.spool.entries import Entry, Request, Spool
from hpcjobs.profiles import ClientConfig

PATIENCE_S: Final = 3.0
"""For how long the service may be away before a submission is left kept, in seconds."""

LOCK_WAIT_S: Final = 5.0
"""How long another process that sends is waited for, in seconds."""


class Outcome(NamedTuple):
    """What came of a submission.

    Attributes:
        entry: As it is now: ``sent`` or ``waiting``.
        said: Why it has no number yet, or still waits.
    """

    entry: Entry
    said: list[str]


def told_of_kept(entry: Entry) -> str:
    """What the caller is told of a submission that waits."""
    return f"Queued offline as {entry.id}; hpcjobs spool send sends it"


def submit_or_keep(config: ClientConfig, request: Request, environment: Mapping[str, str]) -> Outcome:
    """Submit a job behind what waits already, or leave it waiting.

    Args:
        config: Where to.
        request: Body of ``POST /v1/jobs``.
        environment: The caller's variables.

    Raises:
        NotDone: The service refuses. Nothing is kept here, unless a job may be there all the same: ``kept`` says so.
        OSError: It cannot be kept; nothing was sent.
        ValueError: The configuration cannot be used; nothing was sent.
    """
    from hpcjobs.client.wire import address_of, bearer

    address_of(config.url)
    bearer(config.token)
    spool = Spool(folder_of(environment))
    entry = spool.add(config, request)
    try:
        return _try(spool, config, entry)
    except (OSError, ValueError) as error:  # it is kept, and its key may have been said: nobody says another
        return Outcome(spool.find(entry.id) or entry, [f"it is kept as {entry.id}: {error}"])
    except KeyboardInterrupt:
        if (found := spool.find(entry.id)) and found.state == "sent":
            return Outcome(found, [])
        sys.stderr.write(f"hpcjobs: {told_of_kept(entry)}; hpcjobs spool drop {entry.id} forgets it\n")
        raise SystemExit(130) from None


def _try(spool: Spool, config: ClientConfig, entry: Entry) -> Outcome:
    from hpcjobs.cli.advice import advice
    from hpcjobs.cli.spool.sending import DOUBT, KNOWN, line_of, send
    from hpcjobs.client import Conflict, NotAllowed, NotAuthenticated

    with spool.sending(LOCK_WAIT_S) as had:
        for told in send(spool, config, PATIENCE_S) if had else ():
            mine = told.entry.id == entry.id
            problem = told.problem
            fails = told.fate == "refused" or isinstance(problem, NotAuthenticated | NotAllowed)
            if problem is not None and fails and (mine or told.fate == "away"):
                details = problem.sentences
                now = spool.find(entry.id) or told.entry  # another process may have sent it meanwhile, or tried to
                if now.state == "sent":
                    return Outcome(now, [])
                if now.doubtful:
                    doubt = KNOWN if isinstance(problem, Conflict) else DOUBT
                    drop = f"hpcjobs spool drop {entry.id} forgets it"
                    raise NotDone(details, f"It is kept as {entry.id}: {doubt}; {drop}")
                spool.drop(entry)
                raise NotDone(details, problem.kept or advice(problem))
            if mine:
                if told.unwritten:
                    sys.stderr.write(f"hpcjobs: warning: {line_of(told)}\n")
                return Outcome(told.entry, told.said)
            if told.fate == "away":
                return Outcome(entry, told.said)
            sys.stderr.write(f"hpcjobs: {line_of(told)}\n")
    # Another process sends, or has sent this one too.
    return Outcome(spool.find(entry.id) or entry, ["another process is sending what waits"])
