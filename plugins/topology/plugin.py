"""The plugin, as the service finds it."""

from __future__ import annotations

from hpcjobs.plugin import PLUGIN_API, Plugin
from hpcjobs_plugins.topology.hooks import Topology
from hpcjobs_plugins.topology.settings import Settings

PLUGIN = Plugin(name="topology", api=PLUGIN_API, settings=Settings, hooks=lambda own: Topology(own).hooks())
