"""The plugin, as the service finds it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from hpcjobs.devices.family import families
from hpcjobs.model.report import Table
from hpcjobs.plugin import PLUGIN_API, Configure, Hook, Inventory, Plugin, Report
from hpcjobs_plugins.gpu_accounting.conf import ERROR, DeclarationError, files_of
from hpcjobs_plugins.gpu_accounting.reports import FAMILIES, by_family, devices_of
from hpcjobs_plugins.gpu_accounting.settings import Settings


def _hooks(settings: Settings) -> list[Hook]:
    known = families(Path(settings.families) if settings.families else None)

    def configure(inventory: Inventory) -> Mapping[str, str]:
        """gres.conf of what is declared of a cluster; nothing where nothing is."""
        declared = settings.clusters.get(inventory.cluster)
        if not declared:
            return {}
        try:
            return files_of(declared, known, inventory)
        except DeclarationError as error:
            return {ERROR: f"{error}\n"}

    devices = devices_of(known.values())

    def report(_name: str, answer: Table) -> Table:
        """The one report that there is."""
        return by_family(answer, devices)

    return [Configure(configure), Report(report, (FAMILIES,))]


PLUGIN = Plugin(name="gpu_accounting", api=PLUGIN_API, settings=Settings, hooks=_hooks)
