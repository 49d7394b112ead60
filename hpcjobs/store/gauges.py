"""What the database can say of the service as a whole, in a few numbers."""

from __future__ import annotations

import time
from collections import Counter

import msgspec
from sqlalchemy import Connection

from hpcjobs.model.webhook import WebhookState
from hpcjobs.store import attempts, events, letters, webhooks

EVERYBODY = 1_000_000


class Gauges(msgspec.Struct, frozen=True):
    """Some numbers.

    Attributes:
        last_seq: ``seq`` of the newest event.
        webhooks: How many webhooks are ``active``, ``failing`` (active, but the last try failed) and ``paused``.
        behind: How many events the webhook that is furthest behind has not got yet.
        letters: How many reports and alerts wait to be sent, one a recipient.
        unknown: How many submissions have no known outcome, by cluster.
    """

    last_seq: int
    webhooks: dict[str, int]
    behind: int
    letters: int
    unknown: dict[str, int]


def read(connection: Connection, clusters: list[str]) -> Gauges:
    """Read them.

    Args:
        connection: The database.
        clusters: Names of the clusters.
    """
    last_seq = events.last_seq(connection)
    slowest = webhooks.slowest(connection)
    found = Counter({"active": 0, "failing": 0, "paused": 0})
    for webhook in webhooks.page(connection, None, None, EVERYBODY):
        failing = "failing" if webhook.failing_since is not None else "active"
        found["paused" if webhook.state is WebhookState.PAUSED else failing] += 1
    return Gauges(
        last_seq=last_seq,
        webhooks=dict(found),
        behind=0 if slowest is None else max(last_seq - slowest, 0),
        letters=letters.count_waiting(connection),
        unknown={name: len(attempts.open_attempts(connection, name, time.time())) for name in clusters},
    )
