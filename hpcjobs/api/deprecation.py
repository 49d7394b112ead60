"""Routes on their way out say so: RFC 9745 (Deprecation), RFC 8594 (Sunset). The policy is in docs/API.md."""

from __future__ import annotations

from datetime import datetime
from email.utils import format_datetime
from typing import Final

import msgspec

OPT: Final = "deprecated"


class Deprecation(msgspec.Struct, frozen=True):
    """What a deprecated route says of itself; a route is marked with ``opt=deprecated(...)``.

    Attributes:
        since: From when on it is not to be used in anything new; in UTC.
        sunset: When it may go, six months later or more; None: that is not decided.
        link: Page that says what to use instead.
    """

    since: datetime
    sunset: datetime | None
    link: str

    def headers(self) -> dict[str, str]:
        """The headers of each of its answers."""
        headers = {"deprecation": f"@{int(self.since.timestamp())}", "link": f'<{self.link}>; rel="deprecation"'}
        if self.sunset is not None:
            headers["sunset"] = format_datetime(self.sunset, usegmt=True)
        return headers


def deprecated(since: datetime, sunset: datetime | None, link: str) -> dict[str, Deprecation]:
    """``opt`` of a route that is deprecated: its answers say so, and so does the OpenAPI document."""
    return {OPT: Deprecation(since, sunset, link)}
