"""Where webhooks may lead, and that they lead nowhere else."""

from __future__ import annotations

import datetime as dt
import ipaddress
import re
import ssl
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from hpcjobs.errors import Conflict
from hpcjobs.push import signing
from hpcjobs.push.outbound import CheckedTransport, Forbidden, fault, is_allowed
from tests.api.receiver import receiving

LOOPBACK = [ipaddress.ip_network("127.0.0.0/8")]


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "127.8.8.8", "0.0.0.0", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1",
     "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255", "192.0.2.1", "198.18.0.1", "::", "::1", "fe80::1",
     "fc00::1", "fd12::1", "ff02::1", "ff0e::1", "2001:db8::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::a00:1",
     "64:ff9b::7f00:1",
     "2002:7f00:1::", "2002:a00:1::1", "fec0::1"],
)  # fmt: skip
def test_what_is_inside_may_not_be_reached(address):
    assert not is_allowed(ipaddress.ip_address(address), [])


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "93.184.215.14", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"]
)
def test_hosts_of_the_world_may_be_reached(address):
    assert is_allowed(ipaddress.ip_address(address), [])


def test_networks_of_the_settings_may_be_reached_and_nothing_beside_them():
    networks = [ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_network("fd00::/16")]
    for address, good in [
        ("10.1.2.3", True),
        ("::ffff:10.1.2.3", True),
        ("192.168.0.1", False),
        ("fd00::1", True),
        ("fd01::1", False),
    ]:
        assert is_allowed(ipaddress.ip_address(address), networks) is good, address


@given(st.ip_addresses())
def test_no_address_that_is_private_by_the_registries_is_allowed(address):
    if address.is_private or address.is_loopback or address.is_link_local or address.is_multicast:
        mapped = getattr(address, "ipv4_mapped", None)
        nat64 = address in ipaddress.ip_network("64:ff9b::/96")
        assert not is_allowed(address, []) or nat64 or (mapped is not None and mapped.is_global)


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://example.org/", "Only https"),
        ("ftp://example.org/", "like https://"),
        ("https:///path", "like https://"),
        ("example.org", "like https://"),
        ("https://alice:word@example.org/", "neither user name"),
        ("https://@example.org/", "neither user name"),
        ("https://example.org/#part", "neither user name"),
        ("https://127.0.0.1/", "may not be reached"),
        ("https://[::1]/", "may not be reached"),
        ("https://[::ffff:10.0.0.1]/", "may not be reached"),
        ("https://169.254.169.254/latest/meta-data", "may not be reached"),
        ("https://example.org:99999/", "not a URL"),
        ("https://example.org/" + "x" * 2048, "at most 2048"),
        ("https://example.org/\nX: y", "not a URL"),
        ("https://exämple.org/", "ASCII"),
        ("https://[zz]/", "not a URL"),
    ],
)
def test_an_address_that_can_never_be_told_is_refused(url, why):
    assert re.search(why, fault(url, ["hooks.local"], []))


def test_addresses_that_can_be_told_pass():
    assert fault("https://example.org/hook?x=1", [], []) == ""
    assert fault("http://hooks.local:8080/", ["hooks.local"], []) == ""
    assert fault("https://127.0.0.1:8443/", [], LOOPBACK) == ""


@given(st.text(max_size=40))
def test_any_text_is_an_address_or_refused(text):
    assert fault(text, [], []) or text.lower().startswith("https://")


class Names:
    """Answers each look-up with the next list of addresses; notes what was asked."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers, self.asked = list(answers), []

    async def __call__(self, host: str, port: int) -> list[str]:
        self.asked.append((host, port))
        if not self.answers:
            raise OSError(-2, "Name or service not known")
        return self.answers.pop(0)


async def post(lookup: Names, url: str, networks=LOOPBACK, context: ssl.SSLContext | None = None) -> httpx.Response:
    transport = CheckedTransport(networks, context or ssl.create_default_context(), lookup)
    async with httpx.AsyncClient(transport=transport, trust_env=False) as http:
        return await http.post(url, content=b"{}")


async def test_a_name_is_looked_up_once_and_the_connection_made_to_what_was_judged():
    async with receiving() as receiver:
        names = Names(["127.0.0.1"], ["10.0.0.1"])
        answer = await post(names, f"http://hooks.test:{receiver.port}/x")
        assert answer.status_code == 200
        assert names.asked == [("hooks.test", receiver.port)]
        assert receiver.requests[0].headers["host"] == f"hooks.test:{receiver.port}"


async def test_a_name_that_leads_inside_is_never_connected_to():
    async with receiving() as receiver:
        for addresses in (["127.0.0.1"], ["::ffff:127.0.0.1"], ["10.0.0.1", "127.0.0.1"], []):
            with pytest.raises(Forbidden, match=r"hooks\.test may not be reached"):
                await post(Names(addresses), f"http://hooks.test:{receiver.port}/", networks=[])
        with pytest.raises(httpx.ConnectError, match=r"hooks\.test is not known"):
            await post(Names(), f"http://hooks.test:{receiver.port}/")
        assert receiver.requests == []


async def test_of_several_addresses_only_good_ones_are_tried_until_one_answers():
    async with receiving() as receiver:
        await post(Names(["10.0.0.1", "127.1.1.1", "127.0.0.1"]), f"http://hooks.test:{receiver.port}/")
        assert len(receiver.requests) == 1


def certified(folder: Path, name: str) -> ssl.SSLContext:
    """A server's context with a certificate for a name, which is its own authority: ``ca.pem``."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(key.public_key())
        .serial_number(x509.random_serial_number()).not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    (folder / "ca.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    pem = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    (folder / "key.pem").write_bytes(key.private_bytes(*pem))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "ca.pem", folder / "key.pem")
    return context


async def test_the_name_stands_in_tls_and_the_certificate_must_be_for_it(tmp_path):
    async with receiving(certified(tmp_path, "hooks.test")) as receiver:
        trusting = ssl.create_default_context(cafile=tmp_path / "ca.pem")
        answer = await post(Names(["127.0.0.1"]), f"https://hooks.test:{receiver.port}/", context=trusting)
        assert (answer.status_code, receiver.names) == (200, ["hooks.test"])
        with pytest.raises(httpx.ConnectError, match="certificate"):
            await post(Names(["127.0.0.1"]), f"https://other.test:{receiver.port}/", context=trusting)
        with pytest.raises(httpx.ConnectError, match="certificate"):
            await post(Names(["127.0.0.1"]), f"https://hooks.test:{receiver.port}/")
        assert len(receiver.requests) == 1


def test_a_secret_is_sealed_and_only_the_same_key_opens_it():
    secret = signing.new_secret()
    sealed = signing.Sealer(b"k" * 64).seal(secret)
    assert secret not in sealed
    assert signing.Sealer(b"k" * 64).open(sealed) == secret
    with pytest.raises(Conflict, match="another key"):
        signing.Sealer(b"j" * 64).open(sealed)


def test_the_signature_is_that_of_the_specification():
    """The example of Standard Webhooks 1.0."""
    secret, body = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", b'{"test": 2432232314}'
    told = signing.signature(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body)
    assert told == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.parametrize("url", ["https://xn--fa-hia.de/hook", "https://fa\u00df.de/hook"])
async def test_a_name_with_letters_of_its_own_is_resolved_as_it_is_spelt_on_the_wire(url):
    asked = []

    async def lookup(host: str, _port: int) -> list[str]:
        asked.append(host)
        return ["10.0.0.1"]

    transport = CheckedTransport([], ssl.create_default_context(), lookup)
    async with httpx.AsyncClient(transport=transport) as http:
        with pytest.raises(Forbidden, match=r"xn--fa-hia\.de"):
            await http.post(url)
    assert asked == ["xn--fa-hia.de"]
