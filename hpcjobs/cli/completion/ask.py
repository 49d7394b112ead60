"""Asks the service for what can be completed, within a second, with little to load."""

from __future__ import annotations

import json
import threading
from typing import Any, Final
from urllib.parse import urlencode

from hpcjobs.cli.quick import exchange
from hpcjobs.profiles import ClientConfig

PATIENCE_S: Final = 1.0
"""How long a person at a keyboard waits for suggestions, in seconds."""


def ask(config: ClientConfig, path: str, **query: object) -> Any:  # noqa: ANN401
    """The answer to a GET; None where there is none in time, or it is a problem.

    Args:
        config: Where to.
        path: Path, its segments quoted.
        query: What comes after it.
    """
    answers: list[Any] = []
    words = urlencode(query, doseq=True)
    where = f"{path}?{words}" if words else path

    def work() -> None:
        try:
            status, data = exchange(config, "GET", where, {"Accept": "application/json"}, timeout_s=PATIENCE_S)
            answers.append(json.loads(data) if status == 200 else None)
        except (OSError, ValueError):
            return

    asking = threading.Thread(target=work, daemon=True)  # a name that is long looked up keeps nobody
    asking.start()
    asking.join(PATIENCE_S)
    return answers[0] if answers else None
