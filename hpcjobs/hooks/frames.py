"""What the service and the process of the plugins say to each other, beside the frames of agents."""

from __future__ import annotations

import msgspec

from hpcjobs.errors import Refusal
from hpcjobs.model.container import Launch
from hpcjobs.model.placement import Placement
from hpcjobs.model.report import Ready
from hpcjobs.model.spec import JobSpec
from hpcjobs.settings import PluginSettings


class Brought(msgspec.Struct, frozen=True):
    """What came of loading one plugin.

    Attributes:
        name: Its name.
        version: Of the distribution that brings it.
        digest: Of its source files.
        hooks: What it has.
        period_s: Seconds between two of its discoveries; 0.0: it has none.
        discovery_s: How long a discovery may take, in seconds.
        tick_s: Seconds between two of its ticks; 0.0: it is no policy.
        fault: Why it cannot be used, or ``""``.
        reports: Those of its own.
        runtime: What it runs containers by; ``""``: it does not.
    """

    name: str
    version: str = ""
    digest: str = ""
    hooks: tuple[str, ...] = ()
    period_s: float = 0.0
    discovery_s: float = 0.0
    tick_s: float = 0.0
    fault: str = ""
    reports: tuple[Ready, ...] = ()
    runtime: str = ""


class Judged(msgspec.Struct, frozen=True):
    """What a plugin says to a job.

    Attributes:
        spec: As it passes it on; None: unchanged, or it is against it.
        refusals: What it has against it.
    """

    spec: JobSpec | None = None
    refusals: tuple[Refusal, ...] = ()


def plugins_of(body: bytes) -> tuple[PluginSettings, ...]:
    """Settings of plugins as they travel: as JSON, whose numbers have no end."""
    return msgspec.json.decode(body, type=tuple[PluginSettings, ...])


class Placed(msgspec.Struct, frozen=True):
    """What a plugin says to where a job should run.

    Attributes:
        placement: There; None: it has nothing to say, or is against it.
        refusal: What it has against it.
    """

    placement: Placement | None = None
    refusal: Refusal | None = None


class Wrapped(msgspec.Struct, frozen=True):
    """What a plugin makes of a container.

    Attributes:
        launch: How a program is started in it; None: it is against it.
        refusals: What it has against it.
    """

    launch: Launch | None = None
    refusals: tuple[Refusal, ...] = ()
