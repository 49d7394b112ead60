"""Where the service is and who we are: environment first, then the configuration file."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import msgspec


class ClientConfig(msgspec.Struct, frozen=True):
    """What a command needs to reach the service."""

    url: str = "http://127.0.0.1:8080"
    token: str = ""


def config_path(environment: Mapping[str, str] = os.environ) -> Path:
    """``$XDG_CONFIG_HOME/hpcjobs/config.toml``, ``~/.config`` where that is unset."""
    base = environment.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(base) / "hpcjobs" / "config.toml"


def load(environment: Mapping[str, str] = os.environ) -> ClientConfig:
    """Read the configuration; HPCJOBS_URL and HPCJOBS_TOKEN win.

    Raises:
        ValueError: The file cannot be read as configuration.
    """
    path = config_path(environment)
    config = ClientConfig()
    if path.exists():
        try:
            config = msgspec.toml.decode(path.read_bytes(), type=ClientConfig)
        except msgspec.MsgspecError as error:
            raise ValueError(f"{path}: {error}") from error
    return ClientConfig(
        url=environment.get("HPCJOBS_URL", config.url), token=environment.get("HPCJOBS_TOKEN", config.token)
    )
