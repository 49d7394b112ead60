"""Run the application."""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import socket
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import uvicorn

from hpcjobs.api.app import create_app
from hpcjobs.errors import SettingsError
from hpcjobs.service import Service
from hpcjobs.settings import Settings, load


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


def config_of(app: Callable[..., Awaitable[None]], settings: Settings) -> uvicorn.Config:
    """How uvicorn is to serve: who calls is whoever connects, unless a proxy of the settings says otherwise."""
    return uvicorn.Config(
        app,
        host=settings.listen_host,
        port=settings.listen_port,
        log_level="warning",
        access_log=False,
        proxy_headers=bool(settings.proxies),
        forwarded_allow_ips=list(settings.proxies),
        timeout_graceful_shutdown=5,
    )


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
        service = Service(settings)
    except SettingsError as error:
        sys.exit(f"hpcjobs: error: {error.detail}")
    server = Server(config_of(create_app(service), settings), service)
    # What is there now stays: the garbage collector need not look at it again, nor at every few hundred new objects.
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
    with contextlib.suppress(KeyboardInterrupt):
        server.run()
    if not server.started:
        sys.exit(3)  # as uvicorn.run does
