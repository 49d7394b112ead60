"""The plugin, as the service finds it."""

from __future__ import annotations

from collections.abc import Sequence

from hpcjobs.model.recovery import Decision, Ended, Tried
from hpcjobs.plugin import PLUGIN_API, Plugin, Recover
from hpcjobs_plugins.checkpoint.decide import decide, usual_rules
from hpcjobs_plugins.checkpoint.settings import Settings


def _hooks(settings: Settings) -> list[Recover]:
    rules = usual_rules() | settings.rules

    def recover(ended: Ended, tried: Sequence[Tried]) -> Decision:
        """By the table."""
        return decide(ended, tried, rules, settings.storm)

    return [Recover(recover)]


PLUGIN = Plugin(name="checkpoint", api=PLUGIN_API, settings=Settings, hooks=_hooks)
