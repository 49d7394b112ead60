"""Mail handed to a real server: over TLS, with a password, and what is said when that does not go well."""

from __future__ import annotations

import asyncio
import contextlib

import pytest
from aiosmtpd.smtp import AuthResult, LoginPassword

from hpcjobs.sending.mail import NotSent, send
from hpcjobs.settings import MailSettings
from tests.api.mailbox import Mailbox, mailbox
from tests.unit.test_outbound import certified

TO = "head@example.org"
MAIL = b"Subject: x\r\n\r\ntext\r\n"


def asking(box: Mailbox, **changes) -> MailSettings:
    return MailSettings(**{"host": "localhost", "port": box.port, "sender": "jobs@example.org", "timeout_s": 5.0,
                           **changes})  # fmt: skip


def known(_server, _session, _envelope, _mechanism, data) -> AuthResult:
    return AuthResult(success=data == LoginPassword(b"jobs", b"secret"), handled=False)


@pytest.fixture
def password(tmp_path):
    (tmp_path / "password").write_text("secret\n")
    return {"user": "jobs", "password_file": tmp_path / "password"}


async def test_starttls_and_a_password_that_is_read_each_time(tmp_path, password):
    context = certified(tmp_path, "localhost")
    how = {"tls_context": context, "require_starttls": True, "authenticator": known, "auth_required": True}
    async with mailbox(**how) as box:
        settings = asking(box, ca_file=tmp_path / "ca.pem", **password)
        await send(settings, TO, MAIL)
        assert box.envelopes[0].rcpt_tos == [TO]
        (tmp_path / "password").write_text("another")
        with pytest.raises(NotSent, match="localhost does not let 'jobs' in") as refused:
            await send(settings, TO, MAIL)
        assert not refused.value.final  # an admin can put it right
        with pytest.raises(NotSent, match="Authentication required"):
            await send(asking(box, ca_file=tmp_path / "ca.pem"), TO, MAIL)


async def test_tls_from_the_first_byte_on_with_a_certificate_that_is_checked(tmp_path):
    async with mailbox(certified(tmp_path, "localhost")) as box:
        settings = asking(box, security="tls", ca_file=tmp_path / "ca.pem")
        await send(settings, TO, MAIL)
        assert len(box.mails) == 1
        with pytest.raises(NotSent, match="certificate"):
            await send(asking(box, security="tls"), TO, MAIL)


async def test_a_server_without_tls_gets_nothing_where_it_is_asked_for():
    async with mailbox() as box:
        with pytest.raises(NotSent, match="STARTTLS"):
            await send(asking(box), TO, MAIL)
        assert box.mails == []


@pytest.mark.parametrize(
    ("answer", "final"), [("451 later", False), ("552 too large", True), ("554 spam\x07", True), ("421 closing", False)]
)
async def test_what_the_server_says_of_a_mail_is_kept_and_5xx_is_for_ever(answer, final):
    async with mailbox() as box:
        box.answers = [answer]
        with pytest.raises(NotSent) as refused:
            await send(asking(box, security="none"), TO, MAIL)
        assert (refused.value.detail, refused.value.final) == (answer.replace("\x07", " "), final)


async def test_nobody_there_and_silence_are_not_for_ever():
    async def silent(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            await _reader.read()
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    box = Mailbox()
    box.port = server.sockets[0].getsockname()[1]
    settings = asking(box, host="127.0.0.1", security="none", timeout_s=0.2)
    with pytest.raises(NotSent, match="timed out") as refused:
        await send(settings, TO, MAIL)
    assert not refused.value.final
    server.close()
    with pytest.raises(NotSent, match="refused") as refused:
        await send(settings, TO, MAIL)
    assert not refused.value.final
