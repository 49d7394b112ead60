# Made by scripts/unasync of hpcjobs/client/_async/sending.py; change that and run it. Alike on purpose.
"""What goes out by itself."""

from __future__ import annotations

import msgspec

from hpcjobs.client._sync.caller import Caller
from hpcjobs.client.wire import segment
from hpcjobs.model.alert import Alert, AlertMade, AlertRequest, AlertShown
from hpcjobs.model.schedule import ReportSchedule, ReportScheduleMade, ReportScheduleRequest, ReportScheduleShown


class Sending(Caller):
    """Reports by the clock, and alerts."""

    def report_schedules(self) -> list[ReportSchedule]:
        """One's reports that are sent by the clock; for operators everybody's."""
        return self.ask(list[ReportSchedule], "GET", "/v1/report-schedules")

    def make_report_schedule(self, wanted: ReportScheduleRequest) -> ReportScheduleMade:
        """Have a report sent by the clock.

        Raises:
            Refused: It cannot be so; each fault is told.
            Conflict: One has one of this name already, or as many as one may.
        """
        return self.ask(ReportScheduleMade, "POST", "/v1/report-schedules", body=msgspec.json.encode(wanted))

    def report_schedule(self, name: str, *, user: str | None = None) -> ReportScheduleShown:
        """One, with its last sendings.

        Args:
            name: Of the schedule.
            user: Whose; None: one's own.
        """
        return self.ask(ReportScheduleShown, "GET", f"/v1/report-schedules/{segment(name)}", {"user": user})

    def remove_report_schedule(self, name: str, *, user: str | None = None) -> None:
        """Send it no more."""
        self.request("DELETE", f"/v1/report-schedules/{segment(name)}", {"user": user}, repeatable=False)

    def run_report_schedule(self, name: str, *, user: str | None = None) -> ReportScheduleShown:
        """Send it now, too."""
        path = f"/v1/report-schedules/{segment(name)}/run"
        return self.ask(ReportScheduleShown, "POST", path, {"user": user})

    def alerts(self) -> list[Alert]:
        """One's alerts; for operators everybody's."""
        return self.ask(list[Alert], "GET", "/v1/alerts")

    def make_alert(self, wanted: AlertRequest) -> AlertMade:
        """Be told of something once when it becomes true, and once when it is over.

        Raises:
            Refused: It cannot be so; each fault is told.
            Conflict: One has one of this name already, or as many as one may.
        """
        return self.ask(AlertMade, "POST", "/v1/alerts", body=msgspec.json.encode(wanted))

    def alert(self, name: str, *, user: str | None = None) -> AlertShown:
        """One, with what is so now and its last sendings.

        Args:
            name: Of the alert.
            user: Whose; None: one's own.
        """
        return self.ask(AlertShown, "GET", f"/v1/alerts/{segment(name)}", {"user": user})

    def remove_alert(self, name: str, *, user: str | None = None) -> None:
        """Watch it no more."""
        self.request("DELETE", f"/v1/alerts/{segment(name)}", {"user": user}, repeatable=False)
