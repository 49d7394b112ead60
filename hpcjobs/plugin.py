"""The interface of plugins, version 1 (docs/PLUGINS.md). Nothing else is in here.

A plugin is a module constant, found through an entry point of the group ``hpcjobs.plugins``::

    PLUGIN = Plugin(name="night", api=1, hooks=[Admit(admit)])

or, where it has settings of its own, with a function that makes the hooks of them::

    PLUGIN = Plugin(name="night", api=1, settings=Night, hooks=lambda night: [Admit(night.admit)])

Hooks take frozen data and return data. They run in a process of their own, one call after the other; one that does not
answer in time is killed and started anew, and a plugin that fails too often is asked no more (docs/adr/0014). Only
``Discover`` may do I/O: it runs by itself, beside everything else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Protocol

import msgspec

from hpcjobs.errors import Refusal
from hpcjobs.model.cluster import ClusterView, Node
from hpcjobs.model.container import Container, Devices, Launch, Mount, Runtime
from hpcjobs.model.event import Event
from hpcjobs.model.partition import Partition
from hpcjobs.model.placement import Placement
from hpcjobs.model.recovery import Decision, Ended, Tried
from hpcjobs.model.report import Ready, Table
from hpcjobs.model.spec import JobSpec
from hpcjobs.model.steering import Action

PLUGIN_API: Final = 1
"""Version of this interface: a plugin says which one it was written for."""

ENTRY_POINTS: Final = "hpcjobs.plugins"
"""The group of entry points that plugins are found through."""

MAX_STATE_BYTES: Final = 64 * 1024 * 1024
"""As long as what a discovery keeps may be."""


class Context(msgspec.Struct, frozen=True):
    """Who submits a job, where and when.

    Attributes:
        user: Whom the job runs as.
        cluster: Where it goes.
        now: Unix seconds: a hook looks at no other clock.
    """

    user: str
    cluster: str
    now: float


class Inventory(msgspec.Struct, frozen=True):
    """What a cluster consists of.

    Attributes:
        cluster: Its name.
        nodes: By name, in the order of Slurm's configuration.
        partitions: By name, in the order of Slurm's configuration.
    """

    cluster: str
    nodes: Mapping[str, Node]
    partitions: Mapping[str, Partition]


class Finding(msgspec.Struct, frozen=True):
    """Something that a discovery has to tell; it becomes an event.

    Attributes:
        code: Stable name, as ``cable-missing``.
        text: A sentence.
        subject: Name of what it is about, or ``""``.
    """

    code: str
    text: str
    subject: str = ""


class Discovery(msgspec.Struct, frozen=True):
    """What a discovery found.

    Attributes:
        state: All that it must know the next time, and that the plugin's other hooks need; at most MAX_STATE_BYTES.
            The service keeps it, also over a restart.
        findings: What is new since the last time.
    """

    state: bytes
    findings: tuple[Finding, ...] = ()


class AdmitHook(Protocol):
    """Changes a job, or is against it. An admitted job that is judged again stays as it is."""

    def __call__(self, spec: JobSpec, context: Context, /) -> JobSpec | Refusal | Sequence[Refusal]:
        """Judge."""


class PlaceHook(Protocol):
    """Says where a job should run; None: this plugin has nothing to say. The first that answers counts."""

    def __call__(self, spec: JobSpec, view: ClusterView, /) -> Placement | Refusal | None:
        """Place; ``view.jobs`` is empty, nodes say what is in use."""


class ConfigureHook(Protocol):
    """Writes parts of Slurm's configuration: texts by file name. Nobody installs them but an admin."""

    def __call__(self, inventory: Inventory, /) -> Mapping[str, str]:
        """Configure."""


class ObserveHook(Protocol):
    """Is told what happened. It changes no state."""

    def __call__(self, event: Event, /) -> None:
        """Take note."""


class DiscoverHook(Protocol):
    """Looks at the world, as at a fabric. None: there is nothing to find on this cluster."""

    def __call__(self, cluster: str, state: bytes | None, now: float, /) -> Discovery | None:
        """Discover.

        Args:
            cluster: Which.
            state: What the last discovery kept; None: it is the first.
            now: Unix seconds.
        """


class TickHook(Protocol):
    """Says what a policy wants of Slurm now: all that it wishes, each time anew (``hpcjobs.model.steering``)."""

    def __call__(self, view: ClusterView, now: float, /) -> Sequence[Action]:
        """Look and decide.

        Args:
            view: The last listing, with what jobs tell the policies.
            now: Unix seconds: a hook looks at no other clock.
        """


class ReportHook(Protocol):
    """Makes a report of its own of what was used."""

    def __call__(self, name: str, answer: Table, /) -> Table:
        """Report.

        Args:
            name: Which of its reports.
            answer: What usage says to the question of this report: of the period that was asked for, and of the jobs
                that the caller may see.

        Returns:
            The report. Period, until when accounting was read and the answer's notes stay whatever it says of these.
        """


class RecoverHook(Protocol):
    """Says what is to become of a job whose run ended badly; None: this plugin has nothing to say. The first counts."""

    def __call__(self, ended: Ended, tried: Sequence[Tried], /) -> Decision | None:
        """Decide.

        Args:
            ended: The run that ended last.
            tried: All that ended before it, the oldest first.
        """


class WrapHook(Protocol):
    """Makes of an image the words that run a program in it, or is against it: what it cannot do is never left out."""

    def __call__(
        self, launch: Launch, container: Container, mounts: Sequence[Mount], devices: Devices, /
    ) -> Launch | Refusal | Sequence[Refusal]:
        """Wrap.

        Args:
            launch: What is known of it: ``image``, ``digest``, ``scope``, ``workdir``, ``insecure``, ``authfile`` are
                filled in.
            container: As the job asks for it.
            mounts: All that it has of the host: what the job, the site and the house say.
            devices: What its accelerators need; empty: it has none.

        Returns:
            The launch with its words; what else is filled in stays, but for the image. Or what cannot be, with
            fields of the container, as ``container.writable``.
        """


@dataclass(frozen=True)
class Admit:
    """A hook that judges every submission, after the rules of the house, in the order of the plugins."""

    run: AdmitHook
    kind: ClassVar[str] = "admit"


@dataclass(frozen=True)
class Place:
    """A hook that places jobs which ask for a placement (``parallel`` of a job)."""

    run: PlaceHook
    kind: ClassVar[str] = "place"


@dataclass(frozen=True)
class Configure:
    """A hook that writes configuration."""

    run: ConfigureHook
    kind: ClassVar[str] = "configure"


@dataclass(frozen=True)
class Observe:
    """A hook that is told of every event, in order, at most once; some are left out where it is too slow."""

    run: ObserveHook
    kind: ClassVar[str] = "observe"


@dataclass(frozen=True)
class Discover:
    """A discovery, by the clock.

    Attributes:
        run: Does it; in a process of its own.
        period_s: Seconds between two.
        remember: Gives the plugin's other hooks what was found, after each discovery and after each start.
        timeout_s: How long it may take.
    """

    run: DiscoverHook
    period_s: float
    remember: Callable[[str, bytes], None]
    timeout_s: float = 300.0
    kind: ClassVar[str] = "discover"


@dataclass(frozen=True)
class Tick:
    """A policy, by the clock; the same function runs in the simulator.

    Policies run in a process beside that of the other hooks, so that no submission waits for them. One that raises
    or is late is passed by, and what it wished the last time holds; one that is switched off wishes nothing any more.

    Attributes:
        run: Decides.
        period_s: Seconds between two ticks.
    """

    run: TickHook
    period_s: float = 10.0
    kind: ClassVar[str] = "tick"


@dataclass(frozen=True)
class Report:
    """Reports of the plugin's own, asked for as ``plugin.name``; made in a process beside that of the other hooks.

    Attributes:
        run: Makes one, of the answer to its question.
        reports: Which there are: the name of each, and its question.
    """

    run: ReportHook
    reports: Sequence[Ready]
    kind: ClassVar[str] = "report"


@dataclass(frozen=True)
class Recover:
    """A hook that decides whether a job is started again, in the order of the plugins."""

    run: RecoverHook
    kind: ClassVar[str] = "recover"


@dataclass(frozen=True)
class Wrap:
    """A hook that starts the programs of jobs in their containers. No job that asks for one is started without.

    Attributes:
        run: Says by which words.
        runtime: What runs them. The first plugin that is for a runtime is asked, and no other.
    """

    run: WrapHook
    runtime: Runtime
    kind: ClassVar[str] = "wrap"


Hook = Admit | Place | Configure | Observe | Discover | Tick | Report | Recover | Wrap
HOOKS: Final[Mapping[str, type[Hook]]] = {
    hook.kind: hook for hook in (Admit, Place, Configure, Observe, Discover, Tick, Report, Recover, Wrap)
}


@dataclass(frozen=True)
class Plugin:
    """A plugin.

    Attributes:
        name: Its name: small letters, digits and ``_``; the name of its entry point.
        api: The version of this interface that it was written for.
        hooks: At most one of each kind; or what makes them of the settings.
        settings: Struct of its settings, where it has some; unknown fields should be forbidden in it.
    """

    name: str
    api: int
    hooks: Sequence[Hook] | Callable[[Any], Sequence[Hook]]
    settings: type[msgspec.Struct] | None = None
