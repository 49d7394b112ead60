"""What is said as mail: one recipient, no header but ours, whatever users have written."""

from __future__ import annotations

from email import message_from_bytes, policy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpcjobs.model.letter import Letter
from hpcjobs.push.posting import Poster
from hpcjobs.sending import recipients
from hpcjobs.sending.message import File, Message, as_mail
from hpcjobs.settings import MAIL_ADDRESS, ClusterSettings, MailSettings, Settings

SENDER = "jobs@hpc.example.org"
HEADERS = {"From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted", "MIME-Version", "Content-Type"}
POSTER = Poster(Settings((ClusterSettings("big"),)))


def made(recipient: str, subject: str, text: str = "text", html: str = "<p>text"):
    letter = Letter("0" * 32, "1" * 32, 0, "", recipient)
    message = Message(subject, text, html, File("usage.csv", "text/csv", b"a,b\r\n"))
    return message_from_bytes(as_mail(message, letter, SENDER, 1_790_000_000.0, 10**6), policy=policy.default)


@given(st.from_regex(f"^{MAIL_ADDRESS}$", fullmatch=True).filter(lambda text: len(text) < 200), st.text(max_size=300))
def test_an_address_that_passes_is_the_only_recipient_and_no_subject_adds_a_header(address, subject):
    mail = made(address, subject)
    assert {*mail.keys()} <= HEADERS
    assert [one.addr_spec for one in mail["To"].addresses] == [address]
    assert mail["Message-ID"] == f"<{'0' * 32}@hpc.example.org>"
    assert "\n" not in mail["Subject"]


@given(st.text(max_size=60))
def test_any_text_is_one_address_or_refused(text):
    faults = recipients.check([text], MailSettings("mail.example.org", SENDER), POSTER)
    if not faults and not recipients.is_url(text):
        assert [one.addr_spec for one in made(text, "x")["To"].addresses] == [text]


@given(st.text(max_size=200), st.text(max_size=200))
def test_what_is_said_comes_through_as_it_was(text, html):
    mail = made("a@example.org", "x", text, html or "-")
    lines = mail.get_body(("plain",)).get_content().splitlines()
    assert "\n".join(lines).strip() == "\n".join(text.splitlines()).strip()
    (file,) = mail.iter_attachments()
    assert (file.get_filename(), file.get_content_type()) == ("usage.csv", "text/csv")


@pytest.mark.parametrize("lines", [["." * 5], ["x" * 5000], ["From me"], ["ä", "漢"], ["\x00"]])
def test_lines_that_mail_would_take_for_something_else(lines):
    mail = made("a@example.org", "x", "\n".join(lines))
    assert mail.get_body(("plain",)).get_content().splitlines() == lines
