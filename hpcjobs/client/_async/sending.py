"""What goes out by itself."""

from __future__ import annotations

import msgspec

from hpcjobs.client._async.caller import AsyncCaller
from hpcjobs.client.wire import segment
from hpcjobs.model.alert import Alert, AlertMade, AlertRequest, AlertShown
from hpcjobs.model.schedule import ReportSchedule, ReportScheduleMade, ReportScheduleRequest, ReportScheduleShown


class AsyncSending(AsyncCaller):
    """Reports by the clock, and alerts."""

    async def report_schedules(self) -> list[ReportSchedule]:
        """One's reports that are sent by the clock; for operators everybody's."""
        return await self.ask(list[ReportSchedule], "GET", "/v1/report-schedules")

    async def make_report_schedule(self, wanted: ReportScheduleRequest) -> ReportScheduleMade:
        """Have a report sent by the clock.

        Raises:
            Refused: It cannot be so; each fault is told.
            Conflict: One has one of this name already, or as many as one may.
        """
        return await self.ask(ReportScheduleMade, "POST", "/v1/report-schedules", body=msgspec.json.encode(wanted))

    async def report_schedule(self, name: str, *, user: str | None = None) -> ReportScheduleShown:
        """One, with its last sendings.

        Args:
            name: Of the schedule.
            user: Whose; None: one's own.
        """
        return await self.ask(ReportScheduleShown, "GET", f"/v1/report-schedules/{segment(name)}", {"user": user})

    async def remove_report_schedule(self, name: str, *, user: str | None = None) -> None:
        """Send it no more."""
        await self.request("DELETE", f"/v1/report-schedules/{segment(name)}", {"user": user}, repeatable=False)

    async def run_report_schedule(self, name: str, *, user: str | None = None) -> ReportScheduleShown:
        """Send it now, too."""
        path = f"/v1/report-schedules/{segment(name)}/run"
        return await self.ask(ReportScheduleShown, "POST", path, {"user": user})

    async def alerts(self) -> list[Alert]:
        """One's alerts; for operators everybody's."""
        return await self.ask(list[Alert], "GET", "/v1/alerts")

    async def make_alert(self, wanted: AlertRequest) -> AlertMade:
        """Be told of something once when it becomes true, and once when it is over.

        Raises:
            Refused: It cannot be so; each fault is told.
            Conflict: One has one of this name already, or as many as one may.
        """
        return await self.ask(AlertMade, "POST", "/v1/alerts", body=msgspec.json.encode(wanted))

    async def alert(self, name: str, *, user: str | None = None) -> AlertShown:
        """One, with what is so now and its last sendings.

        Args:
            name: Of the alert.
            user: Whose; None: one's own.
        """
        return await self.ask(AlertShown, "GET", f"/v1/alerts/{segment(name)}", {"user": user})

    async def remove_alert(self, name: str, *, user: str | None = None) -> None:
        """Watch it no more."""
        await self.request("DELETE", f"/v1/alerts/{segment(name)}", {"user": user}, repeatable=False)
