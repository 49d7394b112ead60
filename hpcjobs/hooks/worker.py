"""The process that plugins run in: it loads them once, does one call after the other, and ends with its connection."""

from __future__ import annotations

import ctypes
import logging
import resource
import signal
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeVar

import msgspec

from hpcjobs.agents.serve import serve
from hpcjobs.errors import Refusal
from hpcjobs.hooks.frames import Brought, Judged, Placed, Wrapped, plugins_of
from hpcjobs.hooks.loading import Loaded, NotLoaded, load
from hpcjobs.model.cluster import ClusterView
from hpcjobs.model.container import Container, Devices, Launch, Mount
from hpcjobs.model.event import Event
from hpcjobs.model.placement import Placement
from hpcjobs.model.recovery import Decision, Ended, Tried
from hpcjobs.model.report import Table
from hpcjobs.model.spec import JobSpec
from hpcjobs.model.steering import Action
from hpcjobs.plugin import MAX_STATE_BYTES, Context, Discover, Discovery, Hook, Inventory, Report, Tick, Wrap

log = logging.getLogger("hpcjobs.plugins")
T = TypeVar("T")

MAX_MEMORY_BYTES: Final = 4 * 1024**3
"""Of data, for all plugins together: one that leaks is ended before the machine suffers."""
MAX_ANSWER_BYTES: Final = MAX_STATE_BYTES + 16 * 1024 * 1024
"""As long as the answer of a hook may be: what a discovery keeps, and its findings."""
PR_SET_PDEATHSIG: Final = 1


def _decoded(body: bytes, kind: type[T]) -> T:
    return msgspec.msgpack.decode(body, type=kind)


class Worker:
    """The operations of the process."""

    def __init__(self) -> None:
        self.plugins: dict[str, Loaded] = {}
        self.views: dict[str, ClusterView] = {}

    def load(self, plugins: bytes) -> list[Brought]:
        """Load plugins; one that cannot be is told of, and the others are there."""
        brought = []
        for setting in plugins_of(plugins):
            try:
                loaded = load(setting)
            except NotLoaded as error:
                brought.append(Brought(setting.name, fault=str(error)))
                continue
            except (Exception, SystemExit) as error:
                log.exception("plugin %s cannot be loaded", setting.name)
                brought.append(Brought(setting.name, fault=f"It cannot be loaded: {type(error).__name__}: {error}."))
                continue
            self.plugins[setting.name] = loaded
            brought.append(_brought(setting.name, loaded))
        return brought

    def _run(self, plugin: str, kind: str, *arguments: object) -> object:
        run: Callable[..., object] = self.plugins[plugin].hooks[kind].run
        try:
            return run(*arguments)
        except Exception:
            log.exception("plugin %s: %s failed", plugin, kind)
            raise

    def admit(self, plugin: str, spec: bytes, context: bytes) -> Judged:
        """Have a job judged."""
        asked = _decoded(spec, JobSpec)
        said = self._run(plugin, "admit", asked, _decoded(context, Context))
        if isinstance(said, JobSpec):
            return Judged() if said == asked else Judged(said)
        if refusals := _refusals(said):
            return Judged(refusals=refusals)
        raise TypeError(f"admit must return a JobSpec, a Refusal or several, and returned {said!r:.200}")

    def view(self, cluster: str, view: bytes) -> None:
        """Know how a cluster looks."""
        self.views[cluster] = _decoded(view, ClusterView)

    def place(self, plugin: str, spec: bytes, cluster: str) -> Placed:
        """Have a job placed."""
        said = self._run(plugin, "place", _decoded(spec, JobSpec), self.views[cluster])
        if isinstance(said, Refusal):
            return Placed(refusal=said)
        if said is None or isinstance(said, Placement):
            return Placed(said)
        raise TypeError(f"place must return a Placement, a Refusal or None, and returned {said!r:.200}")

    def tick(self, plugin: str, cluster: str, now: float) -> list[Action]:
        """Have a policy say what it wants."""
        said = self._run(plugin, "tick", self.views[cluster], now)
        if not isinstance(said, Sequence) or not all(isinstance(one, Action) for one in said):
            raise TypeError(f"tick must return actions, and returned {said!r:.200}")
        return list(said)

    def configure(self, plugin: str, inventory: bytes) -> dict[str, str]:
        """Have configuration written."""
        said = self._run(plugin, "configure", _decoded(inventory, Inventory))
        if not isinstance(said, Mapping) or not all(isinstance(one, str) for pair in said.items() for one in pair):
            raise TypeError(f"configure must return texts by file name, and returned {said!r:.200}")
        return dict(said)

    def report(self, plugin: str, name: str, answer: bytes) -> bytes:
        """Have a report made."""
        said = self._run(plugin, "report", name, _decoded(answer, Table))
        if not isinstance(said, Table):
            raise TypeError(f"report must return a Table, and returned {said!r:.200}")
        return msgspec.msgpack.encode(said)

    def recover(self, plugin: str, ended: bytes, tried: bytes) -> bytes:
        """Have it decided whether a job is started again."""
        said = self._run(plugin, "recover", _decoded(ended, Ended), _decoded(tried, tuple[Tried, ...]))
        if said is not None and not isinstance(said, Decision):
            raise TypeError(f"recover must return a Retry, a Hold, a Stop or None, and returned {said!r:.200}")
        return msgspec.msgpack.encode(said)

    def wrap(self, plugin: str, launch: bytes, container: bytes, mounts: bytes, devices: bytes) -> Wrapped:
        """Have it said how a program is started in a container."""
        asked, inside = _decoded(launch, Launch), _decoded(container, Container)
        said = self._run(plugin, "wrap", asked, inside, _decoded(mounts, tuple[Mount, ...]), _decoded(devices, Devices))
        if isinstance(said, Launch):
            return Wrapped(said)
        if refusals := _refusals(said):
            return Wrapped(refusals=refusals)
        raise TypeError(f"wrap must return a Launch, a Refusal or several, and returned {said!r:.200}")

    def observe(self, plugin: str, event: bytes) -> None:
        """Tell of an event."""
        self._run(plugin, "observe", _decoded(event, Event))

    def remember(self, plugin: str, cluster: str, state: bytes) -> None:
        """Give the hooks of a plugin what its discovery found."""
        hook = self._discovery(plugin)
        try:
            hook.remember(cluster, state)
        except Exception:
            log.exception("plugin %s: remember failed", plugin)
            raise

    def discover(self, plugin: str, cluster: str, state: bytes | None, now: float) -> Discovery | None:
        """Have a plugin look at the world."""
        said = self._run(plugin, "discover", cluster, state, now)
        if said is not None and not isinstance(said, Discovery):
            raise TypeError(f"discover must return a Discovery or None, and returned {said!r:.200}")
        if said is not None and len(said.state) > MAX_STATE_BYTES:
            raise ValueError(f"the state has {len(said.state)} bytes; the limit is {MAX_STATE_BYTES}")
        return said

    def _discovery(self, plugin: str) -> Discover:
        hook: Hook = self.plugins[plugin].hooks[Discover.kind]
        if not isinstance(hook, Discover):
            raise TypeError(f"{plugin} has no discovery")
        return hook


def _refusals(said: object) -> tuple[Refusal, ...]:
    """What a hook is against; none: it said something else."""
    several: Sequence[Any] = said if isinstance(said, Sequence) else (said,)
    return tuple(several) if all(isinstance(one, Refusal) for one in several) else ()


def _brought(name: str, loaded: Loaded) -> Brought:
    """What came of loading a plugin that is ready."""
    found, policy, told, inside = (loaded.hooks.get(hook.kind) for hook in (Discover, Tick, Report, Wrap))
    times = (found.period_s, found.timeout_s) if isinstance(found, Discover) else (0.0, 0.0)
    tick_s = policy.period_s if isinstance(policy, Tick) else 0.0
    reports = tuple(told.reports) if isinstance(told, Report) else ()
    runtime = inside.runtime if isinstance(inside, Wrap) else ""
    kinds = tuple(loaded.hooks)
    return Brought(name, loaded.version, loaded.digest, kinds, *times, tick_s, reports=reports, runtime=runtime)


OPERATIONS: Final = (
    "load", "admit", "view", "place", "tick", "configure", "report", "recover", "wrap", "observe", "remember",
    "discover",
)  # fmt: skip


def main() -> None:
    """Serve the connection whose number stands on the command line."""
    logging.basicConfig(format="%(name)s: %(message)s", level=logging.INFO)
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)  # a hook that hangs reads no closed connection
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    most = MAX_MEMORY_BYTES if hard == resource.RLIM_INFINITY else min(MAX_MEMORY_BYTES, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (most, hard))
    worker = Worker()
    with socket.socket(fileno=int(sys.argv[1])) as connection:
        serve(connection, {name: getattr(worker, name) for name in OPERATIONS}, MAX_ANSWER_BYTES)


if __name__ == "__main__":
    main()
