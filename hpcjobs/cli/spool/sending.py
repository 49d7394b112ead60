"""Sends what waits: in order, each once, and what one of them meets does not keep the others from going."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Literal, NamedTuple

import httpx
import msgspec

from hpcjobs.cli.advice import advice
from hpcjobs.cli.claims import speaks_for
from hpcjobs.cli.spool.entries import Entry, Spool
from hpcjobs.client import ApiProblem, Client, Conflict, NotAllowed, NotAuthenticated, RateLimited, ServiceFault
from hpcjobs.client.problems import Transient, Unreachable
from hpcjobs.model.job import Job
from hpcjobs.profiles import ClientConfig

TIMEOUT: Final = httpx.Timeout(20.0, connect=3.0)
"""Of one try."""

DOUBT: Final = "its job may be there all the same: an earlier try was not answered"
KNOWN: Final = "its job is there: the service has its key, of a request that was another one"
NO_JOB: Final = "is kept as refused"
"""Words of the service about what it has kept under a key: it was refused, whatever was not answered before."""

Fate = Literal["sent", "refused", "away", "kept"]


class Told(NamedTuple):
    """What a try to send an entry came to.

    Attributes:
        entry: As it is now.
        fate: ``sent``; ``refused``; ``away``: no answer came, and the rest waits with it; ``kept``: it waits on for
            another reason.
        said: Why, in words.
        problem: What the service answered, where it answered with one.
        unwritten: Why what came of it could not be written down: it waits on, and the same key is said again.
    """

    entry: Entry
    fate: Fate
    said: list[str]
    problem: ApiProblem | None = None
    unwritten: str = ""


def words_of(problem: ApiProblem) -> list[str]:
    """What a problem says."""
    words = problem.sentences
    return [*words, *filter(None, (problem.kept, advice(problem)))]


def send(spool: Spool, config: ClientConfig, patience_s: float) -> Iterator[Told]:
    """Send what this configuration sends, as the one process that does.

    Args:
        spool: Where it is. The caller holds ``spool.sending()``.
        config: Where to, and the token.
        patience_s: For how long the service may be away, in seconds.

    Yields:
        What came of each, when it is on disk.

    Raises:
        OSError: What came of one that is no job cannot be written down: it waits on, under its key.
        ValueError: The configuration cannot be used.
    """
    spool.forget_old()
    lost: list[ApiProblem] = []
    with Client(config.url, config.token, lost.append, retry_for_s=patience_s) as client:
        for entry in spool.waiting():
            if entry.of(config):
                lost.clear()
                told = _send_one(spool, client, entry, speaks_for(config.token), lost)
                yield told
                if told.fate == "away":
                    return


def maybe_done(problem: ApiProblem) -> bool:
    """Whether a submission may have become a job though this came of it."""
    if isinstance(problem, Unreachable):
        return problem.sent
    return isinstance(problem, Transient | ServiceFault) and not isinstance(problem, RateLimited)


def _send_one(spool: Spool, client: Client, entry: Entry, who: str, lost: list[ApiProblem]) -> Told:
    """Send one.

    Args:
        spool: Where it is.
        client: Whom to tell.
        entry: What to send.
        who: Whom the token speaks for.
        lost: Filled by the client with what came of tries that were not the last.
    """
    if entry.who and who and who != entry.who:
        return Told(entry, "kept", [f"it was kept by {entry.who}, and you are {who} now"])
    headers = {"Idempotency-Key": entry.key}
    body = msgspec.json.encode(entry.request)
    before = entry.doubtful
    entry = spool.begin(entry)
    try:
        job = client.ask(Job, "POST", "/v1/jobs", body=body, headers=headers, timeout=TIMEOUT)
    except ApiProblem as problem:
        return _not_sent(spool, entry, problem, before or any(map(maybe_done, lost)))
    said = [job.detail] if job.detail else []
    sent = entry.as_sent(job.id, job.slurm_job_id, job.cluster)
    try:
        return Told(spool.settle(sent), "sent", said)
    except OSError as error:
        return Told(sent, "sent", said, unwritten=str(error))


def _not_sent(spool: Spool, entry: Entry, problem: ApiProblem, doubtful: bool) -> Told:
    """Note what came of a try that made no job.

    Args:
        spool: Where it is.
        entry: What was sent.
        problem: The answer, or that there was none.
        doubtful: Whether an earlier try may have made a job.
    """
    said = words_of(problem)
    known = isinstance(problem, Conflict)
    certain = any(NO_JOB in words for words in said)
    entry = entry._replace(doubtful=known or maybe_done(problem) or (doubtful and not certain))
    if isinstance(problem, Transient | NotAuthenticated):
        return Told(spool.note(entry, said), "away", said, problem)
    if isinstance(problem, ServiceFault) or (isinstance(problem, NotAllowed) and not certain):
        return Told(spool.note(entry, said), "kept", said, problem)
    if entry.doubtful:
        said = [*said, KNOWN if known else DOUBT]
    return Told(spool.refused(entry, said), "refused", said, problem)


def line_of(told: Told) -> str:
    """What came of an entry, in a line."""
    entry = told.entry
    what = f"{entry.id} ({entry.name})" if entry.name else entry.id
    if told.fate == "sent":
        became = f"batch job {entry.slurm_job_id}" if entry.slurm_job_id is not None else f"job {entry.job_id}"
        noted = f", which cannot be noted: the same is said again, and makes no second job: {told.unwritten}"
        return f"{what} is {became} on cluster {entry.cluster}" + (noted if told.unwritten else "")
    why = "; ".join(told.said)
    if told.fate == "refused":
        return f"{what} was refused, and is kept: {why}"
    return f"{what} still waits: {why}"
