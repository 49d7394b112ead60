"""Run the application."""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import socket
import sys
from pathlib import Path

import uvicorn

from hpcjobs.api.app import create_app
from hpcjobs.errors import SettingsError
from hpcjobs.service import Service
from hpcjobs.settings import load


class Server(uvicorn.Server):
    """Tells those who listen to events that the service stops, instead of waiting for them to leave.

    Args:
        config: Of uvicorn.
        service: Whose listeners.
    """

    def __init__(self, config: uvicorn.Config, service: Service) -> None:
        super().__init__(config)
        self._service = service

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """See uvicorn."""
        self._service.hub.close()
        await super().shutdown(sockets)


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
    service = Service(settings)
    told = uvicorn.Config(
        create_app(service),
        host=settings.listen_host,
        port=settings.listen_port,
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=5,
    )
    server = Server(told, service)
    # What is there now stays: the garbage collector need not look at it again, nor at every few hundred new objects.
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
    with contextlib.suppress(KeyboardInterrupt):
        server.run()
    if not server.started:
        sys.exit(3)  # as uvicorn.run does
