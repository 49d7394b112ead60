"""Asks the service for what is shown: when an event says that something has changed, and seldom otherwise."""

from __future__ import annotations

import threading
import time
from typing import Final

from hpcjobs.cli.top.picture import Seen
from hpcjobs.client import ApiProblem, Client, NotAllowed, NotFound
from hpcjobs.model.event import EventKind
from hpcjobs.model.job import LIVE
from hpcjobs.profiles import ClientConfig

MOST_JOBS: Final = 1000
LEAST_S: Final = 2.0
"""Between two looks, in seconds: the service lists once a second."""
MOST_S: Final = 30.0
"""After which one looks though nothing was told: how much of a node is in use is no event."""
BLIND_S: Final = 5.0
"""The same where events cannot be had."""
AWAY_S: Final = 3.0
SHOWS: Final = (EventKind.JOB_SUBMITTED, EventKind.JOB_STATE, EventKind.NODE_STATE, EventKind.CLUSTER_STATE)


def look(client: Client, user: str, cluster: str | None) -> Seen:
    """Ask for everything.

    Args:
        client: Whom to ask.
        user: Who looks.
        cluster: Only this one; None: all.

    Raises:
        ApiProblem: The service does not answer.
    """
    clusters = [one for one in client.clusters() if cluster in (None, one.name)]
    nodes = {}
    for one in clusters:
        if one.up:
            nodes[one.name] = client.nodes(one.name, max_age_s=3600).items
    jobs = list(client.jobs(MOST_JOBS, state=LIVE, cluster=cluster, max_age_s=3600))
    return Seen(user, client.url, clusters, nodes, jobs, len(jobs) == MOST_JOBS, time.time())


class Looker:
    """Keeps what was seen up to date in two threads of its own.

    Args:
        config: Whom to ask.
        seen: What was seen first.
        cluster: Only this one; None: all.

    Attributes:
        seen: What was seen last.
        note: Why it is old, or ``""``.
    """

    def __init__(self, config: ClientConfig, seen: Seen, cluster: str | None) -> None:
        self.config = config
        self.seen = seen
        self.note = ""
        self.cluster = cluster
        self._changed = threading.Event()
        self._most_s = MOST_S

    def start(self) -> None:
        """Begin. The threads end with the process."""
        for work in (self._listen, self._look):
            threading.Thread(target=work, daemon=True).start()

    def hurry(self) -> None:
        """Look again soon."""
        self._changed.set()

    def _client(self) -> Client:
        return Client(self.config.url, self.config.token, retry_for_s=0.0)

    def _listen(self) -> None:
        while True:
            try:
                with self._client() as client:
                    for _event in client.events(kind=SHOWS, cluster=self.cluster):
                        self._changed.set()
            except (NotAllowed, NotFound):
                self._most_s = BLIND_S
                return
            except ApiProblem:
                time.sleep(AWAY_S)
            self._changed.set()  # who knows what was missed

    def _look(self) -> None:
        with self._client() as client:
            while True:
                self._changed.wait(self._most_s)
                self._changed.clear()
                try:
                    self.seen, self.note = look(client, self.seen.user, self.cluster), ""
                except ApiProblem as problem:
                    self.note = problem.detail
                    self._changed.set()
                time.sleep(LEAST_S)
