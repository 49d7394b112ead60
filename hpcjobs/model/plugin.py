"""Plugins as the service has them: which are in use, in which order, and how they fare."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import msgspec

from hpcjobs.settings import PluginSettings


class PluginState(StrEnum):
    """How a plugin fares."""

    ON = "ON"
    OFF = "OFF"  # of an earlier generation
    BROKEN = "BROKEN"  # it failed too often, or could not be loaded: it is not asked any more


class PluginInfo(msgspec.Struct, frozen=True):
    """One plugin of a generation.

    Attributes:
        name: Its name.
        version: Of the distribution that brings it.
        digest: SHA-256 over its source files, 16 hexadecimal digits: tells one state of its code from another.
        hooks: What it has: ``admit``, ``place``, ``configure``, ``observe``, ``discover``, ``tick``; of an earlier
            generation not known any more.
        required: Whether submissions are refused while it cannot judge them.
        timeout_s: How long a hook may take, in seconds.
        dry_run: Whether what it wants as a policy is only told and not done.
        state: How it fares.
        failures: How often it failed in this generation.
        last_failure: The last of them in words, or ``""``; shown to operators.
        settings: What it was given; shown to admins, else None.
    """

    name: str
    version: str
    digest: str
    hooks: tuple[str, ...]
    required: bool
    timeout_s: float
    dry_run: bool = False
    state: PluginState = PluginState.ON
    failures: int = 0
    last_failure: str = ""
    settings: dict[str, object] | None = None


class Installed(msgspec.Struct, frozen=True):
    """A plugin that could be enabled.

    Attributes:
        name: Its name.
        version: Of the distribution that brings it.
        distribution: Name of that.
    """

    name: str
    version: str
    distribution: str


class Generation(msgspec.Struct, frozen=True):
    """The plugins in use.

    Attributes:
        number: Grows with each change; jobs say which one admitted them. 0: there has never been a plugin.
        since: Unix seconds.
        by: Who changed it; ``""``: the settings file, or new code that was there when the service started.
        plugins: In the order in which they are asked.
        installed: What could be enabled, by name.
    """

    number: int
    since: float
    by: str
    plugins: tuple[PluginInfo, ...]
    installed: tuple[Installed, ...] = ()


class PluginSet(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The plugins that shall be in use.

    Attributes:
        plugins: In the order in which they are asked.
        generation: The generation that this was made from; where another is in use by now, nothing changes. None:
            whatever is in use.
    """

    plugins: Annotated[tuple[PluginSettings, ...], msgspec.Meta(max_length=64)]
    generation: int | None = None


class ConfigurationFile(msgspec.Struct, frozen=True):
    """A part of Slurm's configuration that a plugin has written.

    Attributes:
        plugin: Name of the plugin.
        name: Of the file, as ``topology.yaml``; ``""``: the plugin failed.
        text: What is in it.
        why: Why it failed, or ``""``.
    """

    plugin: str
    name: str
    text: str
    why: str = ""
