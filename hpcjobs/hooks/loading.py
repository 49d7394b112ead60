"""Finds and loads plugins: entry point, version of the interface, hooks, settings. Every fault in words."""

from __future__ import annotations

import hashlib
import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Final, NamedTuple, get_args

import msgspec

from hpcjobs.model.container import Runtime
from hpcjobs.model.plugin import Installed
from hpcjobs.plugin import ENTRY_POINTS, HOOKS, PLUGIN_API, Discover, Hook, Plugin, Report, Tick, Wrap
from hpcjobs.settings import PluginSettings

ARGUMENTS: Final[Mapping[str, int]] = {
    "admit": 2, "place": 2, "configure": 1, "observe": 1, "discover": 3, "tick": 2, "report": 2, "recover": 2,
    "wrap": 4,
}  # fmt: skip
"""How many arguments each kind of hook is called with."""


class NotLoaded(Exception):
    """A plugin cannot be used; says why."""


class Loaded(NamedTuple):
    """A plugin that is ready.

    Attributes:
        plugin: As its module has it.
        hooks: By kind.
        version: Of the distribution that brings it.
        digest: Of its source files; see PluginInfo.
    """

    plugin: Plugin
    hooks: Mapping[str, Hook]
    version: str
    digest: str


def installed() -> list[Installed]:
    """Every plugin that could be enabled, by name."""
    points = sorted(entry_points(group=ENTRY_POINTS), key=lambda point: point.name)
    return [Installed(point.name, _version(point), point.dist.name if point.dist else "") for point in points]


def _version(point: EntryPoint) -> str:
    return (point.dist.version or "") if point.dist else ""  # None: it has no metadata


def _digest(module_name: str) -> str:
    """Of the source of a module, or of all modules of the package that it is in."""
    file = import_module(module_name).__file__
    if file is None:
        return ""
    path = Path(file)
    files = sorted(path.parent.rglob("*.py")) if (path.parent / "__init__.py").exists() else [path]
    total = hashlib.sha256()
    for one in files:
        total.update(one.relative_to(path.parent).as_posix().encode() + b"\0" + one.read_bytes() + b"\0")
    return total.hexdigest()[:16]


def load(setting: PluginSettings) -> Loaded:
    """Load a plugin.

    Args:
        setting: Which, and what is for it.

    Raises:
        NotLoaded: It is not there, was written for another interface, or does not want these settings.
    """
    points = list(entry_points(group=ENTRY_POINTS, name=setting.name))
    if not points:
        there = ", ".join(one.name for one in installed()) or "none"
        raise NotLoaded(f"No plugin is called {setting.name!r}; installed are: {there}.")
    if len({point.value for point in points}) > 1:
        brought = ", ".join(sorted(point.dist.name for point in points if point.dist))
        raise NotLoaded(f"More than one distribution brings a plugin called {setting.name!r}: {brought}.")
    point = points[0]
    try:
        plugin = point.load()
        digest = _digest(point.module)
    except (Exception, SystemExit) as error:
        raise NotLoaded(f"{point.value} cannot be loaded: {type(error).__name__}: {error}.") from error
    hooks = checked(plugin, setting)
    return Loaded(plugin, hooks, _version(point), digest)


def checked(plugin: object, setting: PluginSettings) -> Mapping[str, Hook]:
    """The hooks of a plugin, by kind.

    Args:
        plugin: What its entry point names.
        setting: What is for it.

    Raises:
        NotLoaded: It is no plugin, was written for another interface, or does not want these settings.
    """
    if not isinstance(plugin, Plugin):
        raise NotLoaded(f"The entry point of {setting.name} names a {type(plugin).__name__}, not a Plugin.")
    if plugin.api != PLUGIN_API:
        raise NotLoaded(f"{setting.name} was written for interface {plugin.api}; this is interface {PLUGIN_API}.")
    if plugin.name != setting.name:
        raise NotLoaded(f"The plugin that {setting.name} names calls itself {plugin.name!r}.")
    return _by_kind(plugin.name, _hooks(plugin, setting))


def _hooks(plugin: Plugin, setting: PluginSettings) -> Sequence[Hook]:
    if not callable(plugin.hooks):
        if setting.settings:
            raise NotLoaded(f"{plugin.name} has no settings, and got {', '.join(sorted(setting.settings))}.")
        return plugin.hooks
    try:
        own = msgspec.convert(setting.settings, plugin.settings) if plugin.settings else setting.settings
    except ValueError as error:
        raise NotLoaded(f"The settings of {plugin.name} are wrong: {error}.") from error
    try:
        return plugin.hooks(own)
    except (Exception, SystemExit) as error:
        raise NotLoaded(f"{plugin.name} does not want its settings: {type(error).__name__}: {error}.") from error


def _by_kind(name: str, hooks: object) -> Mapping[str, Hook]:
    if not isinstance(hooks, Sequence) or not hooks:
        raise NotLoaded(f"{name} has no hooks.")
    found: dict[str, Hook] = {}
    for hook in hooks:
        if not isinstance(hook, Hook):
            raise NotLoaded(f"{name} has a hook that is none: {hook!r}. There are {', '.join(HOOKS)}.")
        if hook.kind in found:
            raise NotLoaded(f"{name} has two hooks of the kind {hook.kind}.")
        if fault := _fault(hook):
            raise NotLoaded(f"{name}.{hook.kind} {fault}.")
        found[hook.kind] = hook
    return found


def _fault(hook: Hook) -> str:
    """What is against a hook, or ``""``."""
    if inspect.iscoroutinefunction(hook.run):
        return "is asynchronous; hooks are plain functions"
    times = {Discover.kind: ("period_s", "timeout_s"), Tick.kind: ("period_s",)}.get(hook.kind, ())
    for time in times:
        value: object = getattr(hook, time)
        if not isinstance(value, int | float) or not 0 < value < math.inf:
            return f"has a {time} that is no positive number"
    if isinstance(hook, Discover) and (fault := _uncallable(hook.remember, 2)):
        return f"has a remember that {fault}"
    if isinstance(hook, Report):
        from hpcjobs.reports.own import fault_of  # loads slowly, and few plugins report

        if fault := fault_of(hook.reports):
            return fault
    if isinstance(hook, Wrap) and hook.runtime not in get_args(Runtime):
        return f"is for the runtime {hook.runtime!r:.100}; there are {', '.join(get_args(Runtime))}"
    return _uncallable(hook.run, ARGUMENTS[hook.kind])


def _uncallable(run: Callable[..., object], arguments: int) -> str:
    try:
        inspect.signature(run).bind(*[None] * arguments)
    except TypeError as error:
        return f"cannot be called with {arguments} arguments: {error}"
    except ValueError:  # a function that has no signature to look at
        return ""
    return ""
