"""Mail handed to the site's server, in a thread: smtplib knows no event loop."""

from __future__ import annotations

import asyncio
import smtplib
import ssl
from typing import Final

from hpcjobs.settings import MailSettings

FOR_EVER: Final = 500
"""SMTP's answers from here on will be the same next time (RFC 5321, 4.2.1)."""


class NotSent(Exception):
    """The server did not take it.

    Args:
        detail: Why.
        final: Whether it never will.
    """

    def __init__(self, detail: str, *, final: bool = False) -> None:
        super().__init__(detail)
        self.detail = detail
        self.final = final


async def send(settings: MailSettings, recipient: str, mail: bytes) -> None:
    """Hand over a mail to one recipient.

    Raises:
        NotSent: The server does not answer, or does not take it.
    """
    try:
        await asyncio.to_thread(_send, settings, recipient, mail)
    except smtplib.SMTPAuthenticationError as error:
        raise NotSent(f"{settings.host} does not let {settings.user!r} in: {_said(error.smtp_error)}") from error
    except smtplib.SMTPRecipientsRefused as error:
        code, said = error.recipients[recipient]
        raise NotSent(f"{code} {_said(said)}", final=code >= FOR_EVER) from error
    except smtplib.SMTPResponseException as error:
        final = isinstance(error, smtplib.SMTPDataError) and error.smtp_code >= FOR_EVER
        raise NotSent(f"{error.smtp_code} {_said(error.smtp_error)}", final=final) from error
    except (smtplib.SMTPException, OSError, ValueError) as error:
        raise NotSent(f"{settings.host}: {error or type(error).__name__}") from error


def _send(settings: MailSettings, recipient: str, mail: bytes) -> None:
    with _connected(settings) as server:
        if settings.security == "starttls":
            server.starttls(context=_context(settings))
        if settings.user and settings.password_file is not None:
            server.login(settings.user, settings.password_file.read_text().strip())
        server.sendmail(settings.sender, [recipient], mail)


def _connected(settings: MailSettings) -> smtplib.SMTP:
    if settings.security == "tls":
        context = _context(settings)
        return smtplib.SMTP_SSL(settings.host, settings.port, timeout=settings.timeout_s, context=context)
    return smtplib.SMTP(settings.host, settings.port, timeout=settings.timeout_s)


def _context(settings: MailSettings) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=settings.ca_file)


def _said(answer: bytes | str) -> str:
    """What a server said, in printable characters."""
    text = answer.decode("utf-8", "replace") if isinstance(answer, bytes) else answer
    return "".join(letter if letter.isprintable() else " " for letter in text)[:500]
