"""What is said to somebody, before it is mail or a POST; and as mail. Pure."""

from __future__ import annotations

from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from typing import Final, NamedTuple

from hpcjobs.model.letter import Letter

LINE_OF_HEADER: Final = 200
"""Longest subject."""


class File(NamedTuple):
    """A file that goes with it.

    Attributes:
        name: With the ending of its form.
        media_type: As ``text/csv``.
        body: What is in it.
    """

    name: str
    media_type: str
    body: bytes


class Message(NamedTuple):
    """What is said.

    Attributes:
        subject: One line.
        text: For who reads mail as text.
        html: The same as a page; ``""``: there is none.
        posted: What is POSTed of it, and attached to mail.
        attached: Whether mail has it as a file, too.
    """

    subject: str
    text: str
    html: str
    posted: File
    attached: bool = True


def one_line(text: str) -> str:
    """A text as it may stand in a header: nothing in it ends the line."""
    return "".join(letter if letter.isprintable() else " " for letter in text)[:LINE_OF_HEADER].strip()


def message_id(letter: Letter, sender: str) -> str:
    """The Message-ID of a letter: the same however often it is sent (RFC 5322, 3.6.4)."""
    return f"<{letter.id}@{sender.rpartition('@')[2]}>"


def as_mail(message: Message, letter: Letter, sender: str, now: float, max_bytes: int) -> bytes:
    """A message as mail to the letter's recipient; with the file, unless that is too large.

    Args:
        message: What is said.
        letter: To whom.
        sender: The address that it is from.
        now: Unix seconds.
        max_bytes: Largest mail.
    """
    with_file = _mail(message, letter, sender, now, message.posted if message.attached else None, "")
    if len(with_file) <= max_bytes or not message.attached:
        return with_file
    why = (
        f"The file {message.posted.name} is left out: the mail would have {len(with_file):,} bytes, "
        f"and at most {max_bytes:,} are sent.\n\n"
    )
    return _mail(message, letter, sender, now, None, why)


def _mail(message: Message, letter: Letter, sender: str, now: float, file: File | None, before: str) -> bytes:
    mail = EmailMessage(policy=SMTP)
    mail["From"] = Address("hpcjobs", addr_spec=sender)
    mail["To"] = Address(addr_spec=letter.recipient)
    mail["Subject"] = one_line(message.subject)
    mail["Date"] = format_datetime(datetime.fromtimestamp(now, UTC))
    mail["Message-ID"] = message_id(letter, sender)
    mail["Auto-Submitted"] = "auto-generated"  # RFC 3834: no machine answers it
    mail.set_content(before + message.text)
    if message.html and not before:
        mail.add_alternative(message.html, subtype="html")
    if file is not None:
        main, _, sub = file.media_type.partition("/")
        mail.add_attachment(file.body, maintype=main, subtype=sub, filename=file.name)
    return mail.as_bytes()
