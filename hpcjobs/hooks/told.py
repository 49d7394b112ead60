"""What is told of plugins: an event for each that comes into use, goes out of it, or is switched off."""

from __future__ import annotations

import logging

from hpcjobs.errors import HpcjobsError
from hpcjobs.hooks.generation import AtWork, Entry
from hpcjobs.model.event import Event, EventKind
from hpcjobs.model.plugin import PluginState
from hpcjobs.store import events
from hpcjobs.store.store import Store

log = logging.getLogger(__name__)


async def tell_of(store: Store, entry: Entry, at_work: AtWork, now: float) -> None:
    """Tell how a plugin fares.

    Args:
        store: Where events are.
        entry: The plugin.
        at_work: Its generation.
        now: Unix seconds.
    """
    await _write(store, [_event(entry, at_work, now)])


async def tell_of_change(store: Store, before: AtWork, made: AtWork, now: float) -> None:
    """Tell which plugins are in use since a change, and which no longer.

    Args:
        store: Where events are.
        before: The generation that was in use.
        made: The one in its place.
        now: Unix seconds.
    """
    there = {entry.setting.name for entry in made.entries}
    told = [_event(entry, made, now) for entry in made.entries]
    told += [
        _event(entry, made, now, state=PluginState.OFF) for entry in before.entries if entry.setting.name not in there
    ]
    await _write(store, told)


def _event(entry: Entry, at_work: AtWork, now: float, state: PluginState | None = None) -> Event:
    data: dict[str, str | int | float | bool | None] = {
        "plugin": entry.setting.name,
        "state": state or (PluginState.BROKEN if entry.broken else PluginState.ON),
        "detail": entry.broken,
        "generation": at_work.number,
        "version": entry.brought.version,
    }
    return Event(0, now, EventKind.PLUGIN_STATE, "", data=data)


async def _write(store: Store, told: list[Event]) -> None:
    try:
        await store.write(events.write, told)
    except HpcjobsError as error:
        log.warning("events of plugins were lost: %s", error.detail)
