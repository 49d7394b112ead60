"""Run the application."""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path

import uvicorn

from hpcjobs.api.app import create_app
from hpcjobs.errors import SettingsError
from hpcjobs.service import Service
from hpcjobs.settings import load


def serve(config: Path | None) -> None:
    """Serve until a signal.

    Args:
        config: Settings file; None: see settings.load.
    """
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    # It warns of every tick that a slow controller makes late; the observer says so once.
    logging.getLogger("apscheduler").setLevel(logging.ERROR)
    if os.geteuid() == 0:
        sys.exit("hpcjobs: error: the service never runs as root; start it as its own user")
    os.umask(0o077)  # the database and the key are nobody else's
    try:
        settings = load(config)
    except SettingsError as error:
        sys.exit(f"hpcjobs: error: {error.detail}")
    uvicorn.run(
        create_app(Service(settings)),
        host=settings.listen_host,
        port=settings.listen_port,
        log_level="warning",
        timeout_graceful_shutdown=5,
    )
