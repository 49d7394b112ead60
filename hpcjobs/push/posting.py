"""One signed POST to an address that a user named, and when to try again: for events, reports and alerts alike."""

from __future__ import annotations

import asyncio
import ipaddress
import ssl
import time
from pathlib import Path
from typing import Final, NamedTuple

import httpx

from hpcjobs import __version__
from hpcjobs.errors import Refusal, Refused, SettingsError
from hpcjobs.push import outbound, signing
from hpcjobs.settings import Settings

TIMEOUT_S: Final = 10.0
"""For a whole try, from the name's resolution to the answer."""
BODY_BYTES: Final = 1024
"""More of an answer is not read."""
FIRST_RETRY_S: Final = 5.0
LONGEST_RETRY_S: Final = 3600.0
GIVE_UP_S: Final = 86_400.0
"""What has failed for so long is not tried again, in seconds."""
GONE: Final = 410
"""The HTTP status of a receiver that wants nothing more, ever."""


class Posted(NamedTuple):
    """What came of a try.

    Attributes:
        status: HTTP status; None: no answer.
        detail: Why it was not taken, or ``""``.
        took_s: Seconds until the answer.
    """

    status: int | None
    detail: str
    took_s: float


def retry_in_s(attempt: int, chance: float) -> float:
    """Seconds until the next try: twice as long each time, up to an hour, less up to half by chance.

    Args:
        attempt: How many have failed.
        chance: From 0 to 1.
    """
    return min(FIRST_RETRY_S * 2.0 ** min(attempt - 1, 30), LONGEST_RETRY_S) * (1.0 - chance / 2.0)


def _believing(ca_file: Path) -> ssl.SSLContext:
    """A context that believes the certificates of one file.

    Raises:
        SettingsError: It cannot be read or holds none.
    """
    try:
        return ssl.create_default_context(cafile=ca_file)
    except OSError as error:  # ssl.SSLError is one
        raise SettingsError(f"webhook_ca_file {ca_file}: {error}") from error


class Poster:
    """Posts to addresses that may be reached.

    Args:
        settings: Which hosts may be.
        lookup: Finds the addresses of a name.
    """

    def __init__(self, settings: Settings, lookup: outbound.Resolve = outbound.resolve) -> None:
        self._http_hosts = settings.webhook_http_hosts
        self._networks = [ipaddress.ip_network(text) for text in settings.webhook_networks]
        self._lookup = lookup
        ca_file = settings.webhook_ca_file
        self._context = None if ca_file is None else _believing(ca_file)

    def check(self, url: str, field: str = "url") -> None:
        """Refuse an address that could never be told anything.

        Args:
            url: As its user wrote it.
            field: Where.

        Raises:
            Refused: It is no such address; the message says why.
        """
        if fault := outbound.fault(url, self._http_hosts, self._networks):
            raise Refused([Refusal(field, fault)])

    def client(self) -> httpx.AsyncClient:
        """What connects; to be closed."""
        self._context = self._context or ssl.create_default_context()
        transport = outbound.CheckedTransport(self._networks, self._context, self._lookup)
        return httpx.AsyncClient(transport=transport, trust_env=False, follow_redirects=False, timeout=TIMEOUT_S)

    async def post(
        self,
        http: httpx.AsyncClient,
        url: str,
        secret: str,
        message_id: str,
        body: bytes,
        headers: dict[str, str] | None = None,
    ) -> Posted:
        """One try.

        Args:
            http: Of client().
            url: Where to.
            secret: What it is signed with.
            message_id: The header ``webhook-id``: the same for every try of the same message.
            body: As it is sent.
            headers: In place of ``Content-Type: application/json``, or beside it.
        """
        begun, at = time.monotonic(), int(time.time())
        sent = {
            "Content-Type": "application/json",
            **(headers or {}),
            "User-Agent": f"hpcjobs/{__version__}",
            "webhook-id": message_id,
            "webhook-timestamp": str(at),
            "webhook-signature": signing.signature(secret, message_id, at, body),
        }
        status: int | None = None
        try:
            async with asyncio.timeout(TIMEOUT_S), http.stream("POST", url, content=body, headers=sent) as answer:
                status = answer.status_code
                detail = "" if answer.is_success else f"{status} {answer.reason_phrase}: {await _beginning(answer)}"
        except TimeoutError:
            detail = f"No answer within {TIMEOUT_S:g} s."
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            detail = f"{type(error).__name__}: {error}"
        return Posted(status, detail.rstrip(": "), round(time.monotonic() - begun, 3))


async def _beginning(answer: httpx.Response) -> str:
    """What an answer begins with, in printable characters."""
    data = b""
    async for part in answer.aiter_raw(BODY_BYTES):
        data += part
        if len(data) >= BODY_BYTES:
            break
    text = data[:BODY_BYTES].decode("utf-8", "replace")
    return "".join(letter if letter.isprintable() else " " for letter in text).strip()
