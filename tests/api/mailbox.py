"""A mail server on the loopback that does as a test tells it, and keeps what it takes."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from email import message_from_bytes, policy
from email.message import EmailMessage

from aiosmtpd.smtp import SMTP, Envelope, Session


class Mailbox:
    """Answers each mail with the next of ``answers``, else takes it.

    Attributes:
        mails: What was taken or refused at the end of its data, in order.
        answers: SMTP's answers to DATA.
        unknown: Recipients that are refused.
    """

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.envelopes: list[Envelope] = []
        self.answers: list[str] = []
        self.unknown: set[str] = set()
        self.port = 0

    async def handle_RCPT(  # noqa: N802  aiosmtpd's
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        if address in self.unknown:
            return "550 nobody here"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802  the same
        answer = self.answers.pop(0) if self.answers else "250 taken"
        assert isinstance(envelope.content, bytes)
        mail = message_from_bytes(envelope.content, policy=policy.default)
        assert isinstance(mail, EmailMessage)
        if answer.startswith("2"):
            self.mails.append(mail)
            self.envelopes.append(envelope)
        return answer

    def texts(self) -> list[str]:
        """Everything that each mail says, with its files where they are texts."""
        return [
            "\n".join(part.get_content() for part in mail.walk() if part.get_content_maintype() == "text")
            for mail in self.mails
        ]


@contextlib.asynccontextmanager
async def mailbox(context: ssl.SSLContext | None = None, **how: object) -> AsyncIterator[Mailbox]:
    """A mail server in the event loop of the test; how: as aiosmtpd's SMTP takes it, with a context TLS all along."""
    box = Mailbox()
    server = await asyncio.get_running_loop().create_server(
        lambda: SMTP(box, hostname="localhost", **how), "127.0.0.1", 0, ssl=context
    )
    box.port = server.sockets[0].getsockname()[1]
    try:
        yield box
    finally:
        server.close()
        await server.wait_closed()
