"""Reports by name, for whoever asks: those of the house, and those that plugins make of an answer (docs/adr/0024)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Final, NamedTuple

import msgspec

from hpcjobs.errors import PluginFailed, Refusal, Refused, ReportUnknown
from hpcjobs.hooks.asking import RETRY_S
from hpcjobs.hooks.generation import AtWork, Entry
from hpcjobs.hooks.host import Hooks
from hpcjobs.identity.policy import Identity, visibility
from hpcjobs.model.losses import RunTold
from hpcjobs.model.price import PriceList
from hpcjobs.model.report import Catalogue, Ready, ReportQuery, Table
from hpcjobs.plugin import Report
from hpcjobs.reports import own, ready
from hpcjobs.reports.answer import answer
from hpcjobs.reports.asked import Asked, check, relations
from hpcjobs.reports.measures import Of
from hpcjobs.reports.ready import READY
from hpcjobs.usage.energy import CarbonFactor
from hpcjobs.usage.store import UsageStore

ITS_OWN: Final = ("by", "measures", "order", "limit")
"""Of a question what a plugin says of its own reports."""


class Named(NamedTuple):
    """A report that there is.

    Attributes:
        report: It.
        entry: The plugin that makes it; None: the house.
    """

    report: Ready
    entry: Entry | None


class Reported(NamedTuple):
    """A report that was made.

    Attributes:
        table: It.
        label: Its period in a word: ``2026-10``.
    """

    table: Table
    label: str


class Reporting:
    """All of them.

    Args:
        usage: What was used.
        hooks: The plugins.
        prices: Tells what things cost.
        carbon: What a kWh emits.
        timezone: The service's.
        told: What is known, beside accounting, of runs of jobs that did anything since a Unix second.
    """

    def __init__(
        self,
        usage: UsageStore,
        hooks: Hooks,
        prices: Callable[[], Awaitable[PriceList]],
        carbon: Sequence[CarbonFactor],
        timezone: str,
        told: Callable[[float], Awaitable[Sequence[RunTold]]],
    ) -> None:
        self._usage = usage
        self._hooks = hooks
        self._prices = prices
        self._carbon = carbon
        self._timezone = timezone
        self._told = told

    def catalogue(self) -> Catalogue:
        """What can be asked now."""
        of_plugins = _of_plugins(self._hooks.at_work).items()
        return ready.catalogue(msgspec.structs.replace(named.report, name=name) for name, named in of_plugins)

    async def check(self, name: str, query: ReportQuery, now: float) -> None:
        """See whether a report can be asked.

        Args:
            name: Which.
            query: What of it should be otherwise.
            now: Unix seconds.

        Raises:
            ReportUnknown: There is none of this name.
            Refused: Every fault of the question.
        """
        await self._asked(_named(self._hooks.at_work, name), query, now)

    async def report(self, who: Identity, name: str, query: ReportQuery, now: float) -> Reported:
        """Make a report of what somebody may see.

        Args:
            who: Whoever asks.
            name: Which.
            query: What of it should be otherwise.
            now: Unix seconds.

        Raises:
            ReportUnknown: There is none of this name.
            Refused: Every fault of the question.
            PluginFailed: The plugin that makes it could not.
            Unavailable: Usage does not answer.
        """
        with self._hooks.held() as at_work:
            report, entry = named = _named(at_work, name)
            asked = await self._asked(named, query, now)
            table = await self._usage.read(answer, asked, visibility(who), report.title)
            if entry is not None:
                if table.more:
                    told = f"The question of {name} has {len(table.rows) + table.more} rows: ask for a shorter period."
                    raise Refused([Refusal("period", told, "too-many")])
                table = await self._hooks.ask.report(at_work, entry, report.name, table)
        return Reported(table, asked.period.label)

    async def _asked(self, named: Named, query: ReportQuery, now: float) -> Asked:
        report, entry = named
        if entry is None:
            filled = ready.filled(report, query)
        else:
            told = f"{entry.setting.name}.{report.name} is a plugin's: it says itself what its rows and columns are."
            if faults := [Refusal(field, told, "of-plugin") for field in ITS_OWN if getattr(query, field)]:
                raise Refused(faults)
            filled = own.question(report, query)
        asked = check(filled, self._timezone, now, await self._prices(), self._carbon)
        if not any(Of.LOST in relations(name) for name in asked.measures):
            return asked
        return asked._replace(told=tuple(await self._told(asked.period.since)))


def _of_plugins(at_work: AtWork) -> dict[str, Named]:
    """Plugins' own reports, by the names that they are asked for by."""
    return {
        f"{entry.setting.name}.{one.name}": Named(one, entry)
        for entry in at_work.having(Report.kind)
        for one in entry.brought.reports
    }


def _named(at_work: AtWork, name: str) -> Named:
    if name in READY:
        return Named(READY[name], None)
    of_plugins = _of_plugins(at_work)
    if name in of_plugins:
        return of_plugins[name]
    plugin = name.partition(".")[0]
    if any(entry.setting.name == plugin and entry.brought.fault for entry in at_work.entries):
        told = (
            f"Plugin {plugin} could not be loaded: nobody knows its reports. Operators see why: hpcjobs plugins list."
        )
        raise PluginFailed(told, retry_after_s=RETRY_S)
    raise ReportUnknown(f"There is no report {name[:80]!r}; there are {', '.join((*READY, *of_plugins))}.")
