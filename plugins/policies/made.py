"""A policy as a plugin: its settings, and a function of them, the view and the time."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Annotated, TypeVar

import msgspec

from hpcjobs.model.cluster import ClusterView
from hpcjobs.model.steering import Action
from hpcjobs.plugin import PLUGIN_API, Plugin, Tick

S = TypeVar("S", bound="PolicySettings")


class PolicySettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What every policy is given.

    Attributes:
        period_s: Seconds between two ticks.
    """

    period_s: Annotated[float, msgspec.Meta(ge=1)] = 10.0


def policy(name: str, settings: type[S], tick: Callable[[S, ClusterView, float], Iterable[Action]]) -> Plugin:
    """Make a plugin of a policy.

    Args:
        name: Of the plugin, and of its entry point.
        settings: What an admin sets.
        tick: What it wants, of its settings, a view and Unix seconds.
    """

    def hooks(own: S) -> list[Tick]:
        return [Tick(lambda view, now: tuple(tick(own, view, now)), own.period_s)]

    return Plugin(name=name, api=PLUGIN_API, settings=settings, hooks=hooks)
