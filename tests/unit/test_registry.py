"""What registries are asked and may answer, against a server that speaks the distribution API in all its ways."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import functools
import hashlib
import json
import logging
import ssl
import traceback
from collections.abc import AsyncIterator, Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple
from urllib.parse import parse_qs, urlsplit

import httpx
import msgspec
import pytest
import rich.pretty
from hypothesis import example, given
from hypothesis import strategies as st

from hpcjobs.errors import HpcjobsError, NotSupported, Refused, RegistryDown, SettingsError
from hpcjobs.images.registry import Credential, Found, Registries, Registry
from hpcjobs.images.said import challenges
from hpcjobs.model.image import Image, parse_image
from hpcjobs.push.outbound import CheckedTransport
from tests.unit.test_outbound import certified

INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": []}).encode()
DIGEST = f"sha256:{hashlib.sha256(MANIFEST).hexdigest()}"
OTHER = f"sha256:{'0' * 64}"
PASSWORD = "hunter2-correct horse"
ALICE = Credential("alice", PASSWORD)
BASIC = "Basic " + base64.b64encode(f"alice:{PASSWORD}".encode()).decode()
TOKEN = "t0k3n.abc-def"
TYPES = ["oci.image.index.v1", "oci.image.manifest.v1", "docker.distribution.manifest.list.v2",
         "docker.distribution.manifest.v2"]  # fmt: skip


class Asked(NamedTuple):
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]


class Told(NamedTuple):
    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = MappingProxyType({})


def fault(status: int, code: str, message: str, **headers: str) -> Told:
    return Told(status, json.dumps({"errors": [{"code": code, "message": message, "detail": {}}]}).encode(), headers)


def several(challenges: list[str]) -> dict[str, str]:
    """Headers of one name, which the server writes without the spaces."""
    return {f"WWW-Authenticate{' ' * number}": value for number, value in enumerate(challenges)}


class Server:
    """A registry, and the service that gives tokens for it.

    Attributes:
        asked: What came.
        challenge: Headers of a 401 for whoever comes without what the registry wants.
        wanted: The header ``Authorization`` that it wants, where there is a challenge.
        special: Answers in place of the registry, by path; None: as the registry does.
        raw: Written in place of any answer; "hang": nothing, "drip": a byte from time to time, "endless": for ever.
        raw_at: The same, by path.
    """

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.challenge: list[str] = []
        self.wanted = f"Bearer {TOKEN}"
        self.digest: str | None = DIGEST
        self.special: dict[str, Callable[[Asked], Told | None]] = {}
        self.raw: bytes | str = b""
        self.raw_at: dict[str, bytes | str] = {}
        self.port = 0
        self.sent_bytes = 0

    def answer(self, asked: Asked) -> Told:
        """As docker's registry 2.8 answers."""
        if (special := self.special.get(asked.path)) is not None and (told := special(asked)) is not None:
            return told
        if asked.path == "/token":
            return self.token(asked)
        if self.challenge and asked.headers.get("authorization") != self.wanted:
            told = fault(401, "UNAUTHORIZED", "authentication required")
            return told._replace(headers=several(self.challenge))
        name, _, reference = asked.path.removeprefix("/v2/").partition("/manifests/")
        if name != "lab/train":
            return fault(404, "NAME_UNKNOWN", "repository name not known to registry")
        if reference not in ("1", DIGEST):
            return fault(404, "MANIFEST_UNKNOWN", "manifest unknown")
        if not all(f"application/vnd.{kind}+json" in asked.headers["accept"] for kind in TYPES):
            return fault(404, "MANIFEST_UNKNOWN", "OCI index found, but accept header does not support OCI indexes")
        headers = {"Content-Type": f"{INDEX}; charset=utf-8"}
        if self.digest is not None:
            headers["Docker-Content-Digest"] = self.digest
        return Told(200, MANIFEST, headers)

    def token(self, asked: Asked) -> Told:
        if "authorization" in asked.headers and asked.headers["authorization"] != BASIC:
            return Told(401, b'{"details":"incorrect username or password"}')
        return Told(200, json.dumps({"token": TOKEN, "expires_in": 300}).encode())

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError), contextlib.closing(writer):
            head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            method, target, _ = head[0].split(" ")
            headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:-2])}
            parts = urlsplit(target)
            query = {name: values[0] for name, values in parse_qs(parts.query).items()}
            self.asked.append(Asked(method, parts.path, query, headers))
            raw = self.raw_at.get(parts.path, self.raw)
            if isinstance(raw, bytes) and raw:
                writer.write(raw)
                return
            if raw == "hang":
                await reader.read()
                return
            if raw in ("drip", "endless"):
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n")
                while method == "GET":
                    part = b" " if raw == "drip" else b" " * 65_536
                    writer.write(part)
                    await writer.drain()
                    self.sent_bytes += len(part)
                    await asyncio.sleep(0.05 if raw == "drip" else 0)
                return
            told = self.answer(self.asked[-1])
            lines = [f"HTTP/1.1 {told.status} So", f"Content-Length: {len(told.body)}", "Connection: close"]
            lines += [f"{name.strip()}: {value}" for name, value in told.headers.items()]
            writer.write("\r\n".join([*lines, "", ""]).encode() + (b"" if method == "HEAD" else told.body))
            await writer.drain()


@contextlib.asynccontextmanager
async def serving(context: ssl.SSLContext | None = None) -> AsyncIterator[Server]:
    server = Server()
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        await server.serve(reader, writer)

    listening = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    server.port = listening.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listening.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await listening.wait_closed()


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with serving() as one:
        yield one


@pytest.fixture
async def elsewhere() -> AsyncIterator[Server]:
    async with serving() as one:
        yield one


class Names:
    """Every name leads to this machine, or where it is said to lead."""

    def __init__(self, known: Mapping[str, str] = MappingProxyType({})) -> None:
        self.known, self.asked = known, []

    async def __call__(self, host: str, port: int) -> list[str]:
        self.asked.append((host, port))
        found = self.known.get(host, "127.0.0.1")
        if not found:
            raise OSError(-2, "Name or service not known")
        return [found]


@functools.cache
def of_the_world() -> ssl.SSLContext:
    return ssl.create_default_context()


def registry(
    *insecure: str | Server,
    allowed: tuple[str, ...] = (),
    names: Names | None = None,
    context: ssl.SSLContext | None = None,
    whole_s: float = 20.0,
) -> Registry:
    """A client that speaks http with these."""
    tls, lookup = context or of_the_world(), names or Names()
    listed = tuple(one if isinstance(one, str) else f"registry.test:{one.port}" for one in insecure)
    return Registry(Registries(allowed, listed), lambda inside: CheckedTransport(inside, tls, lookup), whole_s)


def image_at(server: Server, name: str = "lab/train:1") -> Image:
    return parse_image(f"registry.test:{server.port}/{name}")


async def refusal(client: Registry, image: Image, credential: Credential | None = None) -> tuple[str, str]:
    """Code and sentence of what a question comes to."""
    with pytest.raises(Refused) as caught:
        await client.digest_of(image, credential)
    (one,) = caught.value.refusals
    assert one.field == "container.image"
    assert one.detail.endswith(".")
    assert one.detail.isprintable()
    return one.code, one.detail


async def down(client: Registry, image: Image, credential: Credential | None = None) -> RegistryDown:
    with pytest.raises(RegistryDown) as caught:
        await client.digest_of(image, credential)
    assert caught.value.transient
    assert caught.value.detail.endswith(".")
    return caught.value


async def test_the_digest_of_a_tag_is_what_a_head_says(server):
    assert await registry(server).digest_of(image_at(server), None) == Found(DIGEST, INDEX)
    (asked,) = server.asked
    assert (asked.method, asked.path) == ("HEAD", "/v2/lab/train/manifests/1")
    assert asked.headers["host"] == f"registry.test:{server.port}"
    assert "authorization" not in asked.headers
    assert asked.headers["accept-encoding"] == "identity"


@pytest.mark.parametrize("scheme", ["docker", "oras"])
async def test_an_image_by_its_digest_is_asked_for_by_that_whatever_its_tag(server, scheme):
    image = parse_image(f"{scheme}://registry.test:{server.port}/lab/train:gone@{DIGEST}")
    assert (await registry(server).digest_of(image, None)).digest == DIGEST
    assert server.asked[0].path == f"/v2/lab/train/manifests/{DIGEST}"


async def test_another_digest_than_was_asked_for_is_refused(server):
    server.digest = OTHER
    code, detail = await refusal(registry(server), image_at(server, f"lab/train@{DIGEST}"))
    assert (code, OTHER in detail) == ("registry-refused", True)


@pytest.mark.parametrize("told", [None, "", "sha256:zz", "md5:0", "nonsense"])
async def test_without_a_digest_the_manifest_is_read_and_hashed(server, told):
    def head_alone(asked: Asked) -> Told | None:
        server.digest = told if asked.method == "HEAD" else None
        return None

    server.special["/v2/lab/train/manifests/1"] = head_alone
    assert await registry(server).digest_of(image_at(server), None) == Found(DIGEST, INDEX)
    assert [asked.method for asked in server.asked] == ["HEAD", "GET"]


async def test_a_digest_by_another_algorithm_is_checked_and_ours_taken(server):
    server.digest = f"sha512:{hashlib.sha512(MANIFEST).hexdigest()}"
    assert (await registry(server).digest_of(image_at(server), None)).digest == DIGEST


@pytest.mark.parametrize("told", ["sha256:zz", f"sha512:{'0' * 128}", "md5:0", "nonsense"])
async def test_a_registry_that_lies_about_what_it_sends_is_not_believed(server, told):
    server.digest = told
    code, detail = await refusal(registry(server), image_at(server))
    assert code == "registry-refused"
    assert "what it sends is not" in detail


async def test_a_body_of_another_digest_than_was_asked_for_is_refused(server):
    server.digest = None
    server.special[f"/v2/lab/train/manifests/{DIGEST}"] = lambda _: Told(200, MANIFEST + b" ")
    code, detail = await refusal(registry(server), image_at(server, f"lab/train@{DIGEST}"))
    assert code == "registry-refused"
    assert "was asked for" in detail


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>Sign in to the network</html>", b"{}", b'{"schemaVersion": 1}', b"[]", b"\xff\xfe", b"null",
     b'{"schemaVersion": "2"}', b'{"schemaVersion": 2, "x": ' + b"[" * 1_000_000],
)  # fmt: skip
async def test_what_is_no_manifest_has_no_digest(server, body):
    server.special["/v2/lab/train/manifests/1"] = lambda _: Told(200, body)
    code, detail = await refusal(registry(server), image_at(server))
    assert code == "registry-refused"
    assert "is no manifest" in detail


async def test_a_tag_that_is_not_there_is_refused_in_the_words_of_the_registry(server):
    code, detail = await refusal(registry(server), image_at(server, "lab/train:2"))
    assert code == "image-missing"
    assert detail == f"Registry registry.test:{server.port} has no lab/train:2. It says: 404 manifest unknown."
    code, detail = await refusal(registry(server), image_at(server, "lab/other:1"))
    assert code == "image-missing"
    assert "404 repository name not known to registry" in detail


@pytest.mark.parametrize("status", [400, 404, 405])
async def test_a_registry_that_knows_no_head_is_asked_by_get(server, status):
    server.special["/v2/lab/train/manifests/1"] = lambda asked: Told(status) if asked.method == "HEAD" else None
    assert (await registry(server).digest_of(image_at(server), None)).digest == DIGEST


@pytest.mark.parametrize("status", [400, 406, 418, 302])
async def test_what_a_registry_says_beside_the_api_is_refused_with_its_words(server, status):
    server.special["/v2/lab/train/manifests/1"] = lambda _: fault(status, "WHAT", "I am a teapot\x1b[2J")
    code, detail = await refusal(registry(server), image_at(server))
    assert code == "registry-refused"
    assert f"It says: {status} I am a teapot" in detail


def bearer(server: Server, host: str = "registry.test", **more: str) -> str:
    parts = {"realm": f"http://{host}:{server.port}/token", "service": "Registry of the lab", **more}
    return "Bearer " + ",".join(f'{name}="{value}"' for name, value in parts.items())


async def test_a_token_is_fetched_for_nobody_in_particular(server):
    server.challenge = [bearer(server, scope="repository:lab/train:pull")]
    assert (await registry(server).digest_of(image_at(server), None)).digest == DIGEST
    assert [(asked.method, asked.path) for asked in server.asked] == [
        ("HEAD", "/v2/lab/train/manifests/1"),
        ("GET", "/token"),
        ("HEAD", "/v2/lab/train/manifests/1"),
    ]
    assert server.asked[1].query == {"service": "Registry of the lab", "scope": "repository:lab/train:pull"}
    assert "authorization" not in server.asked[1].headers
    assert server.asked[2].headers["authorization"] == f"Bearer {TOKEN}"


async def test_a_credential_is_shown_to_the_service_that_gives_tokens_and_the_token_to_the_registry(server):
    server.challenge = ['Basic realm="x"', bearer(server)]
    assert (await registry(server).digest_of(image_at(server), ALICE)).digest == DIGEST
    assert [asked.headers.get("authorization") for asked in server.asked] == [None, BASIC, f"Bearer {TOKEN}"]
    assert server.asked[1].query["scope"] == "repository:lab/train:pull"


async def test_a_token_may_be_called_an_access_token_and_its_service_have_a_query_of_its_own(server):
    server.challenge = [bearer(server, realm=f"http://registry.test:{server.port}/give?for=lab")]
    server.special["/give"] = lambda _: Told(200, json.dumps({"access_token": TOKEN, "token": ""}).encode())
    assert (await registry(server).digest_of(image_at(server), None)).digest == DIGEST
    assert server.asked[1].query["for"] == "lab"


async def test_tokens_may_come_from_another_host_that_is_listed(server, elsewhere):
    server.challenge = [bearer(elsewhere, "auth.test")]
    client = registry(server, f"auth.test:{elsewhere.port}")
    assert (await client.digest_of(image_at(server), ALICE)).digest == DIGEST
    assert [asked.headers["authorization"] for asked in elsewhere.asked] == [BASIC]


@pytest.mark.parametrize("echoing", [False, True])
async def test_a_password_that_does_not_hold_is_refused_and_not_repeated(server, echoing):
    server.challenge = [bearer(server)]
    wrong = Credential("alice", "another-secret")
    echoed = f"no such user alice:another-secret, {wrong.basic}"
    server.special["/token"] = lambda _: fault(401, "DENIED", echoed) if echoing else None
    code, detail = await refusal(registry(server), image_at(server), wrong)
    assert code == "image-denied"
    assert "the credential of alice" in detail
    assert ("401 no such user alice:..., Basic ..." if echoing else "401 incorrect username or password") in detail
    assert "another-secret" not in detail


async def test_what_a_token_is_not_enough_for_is_denied(server):
    server.challenge, server.wanted = [bearer(server)], "Bearer of more"
    code, detail = await refusal(registry(server), image_at(server))
    assert code == "image-denied"
    assert "has no lab/train:1 that anybody may read. It says: 401 authentication required." in detail
    code, detail = await refusal(registry(server), image_at(server), ALICE)
    assert "that the credential of alice may read" in detail


async def test_basic_is_answered_with_the_credential_and_without_one_with_why(server):
    server.challenge, server.wanted = ['Basic realm="the lab, registry"'], BASIC
    assert (await registry(server).digest_of(image_at(server), ALICE)).digest == DIGEST
    code, detail = await refusal(registry(server), image_at(server))
    assert code == "image-denied"
    assert "answers nobody without a credential" in detail
    code, _ = await refusal(registry(server), image_at(server), Credential("alice", "wrong"))
    assert code == "image-denied"


@pytest.mark.parametrize("challenge", [[], ["Negotiate"], ["Bearer"], ['Bearer service="x"'], ['Digest realm="x"']])
async def test_a_challenge_that_nobody_can_answer_is_a_denial(server, challenge):
    server.special["/v2/lab/train/manifests/1"] = lambda _: Told(401, b"", several(challenge))
    code, detail = await refusal(registry(server), image_at(server), ALICE)
    assert code == "image-denied"
    assert "does not say how" in detail
    assert [asked.headers.get("authorization") for asked in server.asked] == [None]


@pytest.mark.parametrize(
    "body",
    [b"", b"{}", b"[]", b"null", b'{"token": 1}', b'{"token": "a b"}', b'{"token": "a\\r\\nX: y"}', b"\xff",
     b'{"token": "%s"}' % (b"x" * 70_000), b'{"token": "\xc3\xa9"}'],
)  # fmt: skip
async def test_what_is_no_token_is_not_sent_on(server, body):
    server.challenge = [bearer(server)]
    server.special["/token"] = lambda _: Told(200, body)
    code, detail = await refusal(registry(server), image_at(server))
    assert (code, "gives no token" in detail) == ("registry-refused", True)
    assert len(server.asked) == 2


@pytest.mark.parametrize(
    ("realm", "why"),
    [
        ("http://auth.test:{port}/token", "not listed for http"),
        ("http://registry.test/token", "not listed for http"),
        ("http://127.0.0.1:{port}/token", "not listed for http"),
        ("https://127.0.0.1:{port}/token", "may not be asked from here"),
        ("https://169.254.169.254/latest/meta-data", "may not be asked from here"),
        ("https://[::1]:{port}/token", "may not be asked from here"),
        ("https://auth.test:{port}/token", "may not be asked from here"),
        ("http://alice:word@registry.test:{port}/token", "no plain https://"),
        ("ftp://registry.test/token", "no plain https://"),
        ("/token", "no plain https://"),
        ("https://", "no plain https://"),
        ("https://[zz]/", "names no URL"),
    ],
)
async def test_a_registry_cannot_send_us_or_a_credential_where_nobody_may_be_asked(server, elsewhere, realm, why):
    server.challenge = [bearer(elsewhere, realm=realm.replace("{port}", str(elsewhere.port)))]
    code, detail = await refusal(registry(server), image_at(server), ALICE)
    assert (code, elsewhere.asked) == ("registry-refused", [])
    assert why in detail
    assert all(asked.headers.get("authorization") is None for asked in server.asked)


async def test_a_redirect_on_the_same_host_is_followed_with_the_token(server):
    server.challenge = [bearer(server)]
    server.special["/v2/hub/train/manifests/1"] = lambda _: Told(307, b"", {"Location": "/v2/lab/train/manifests/1"})
    assert (await registry(server).digest_of(image_at(server, "hub/train:1"), ALICE)).digest == DIGEST
    assert server.asked[-1].headers["authorization"] == f"Bearer {TOKEN}"


@pytest.mark.parametrize("first", ["bearer", "basic"])
async def test_a_redirect_to_another_host_is_followed_without_any_secret(server, elsewhere, first):
    target = f"http://mirror.test:{elsewhere.port}/v2/lab/train/manifests/1"
    server.challenge = [bearer(server)] if first == "bearer" else ["Basic"]
    server.wanted = server.wanted if first == "bearer" else BASIC

    def sent_on(asked: Asked) -> Told | None:
        known = asked.headers.get("authorization") == server.wanted
        return Told(307, b"", {"Location": target}) if known else None

    server.special["/v2/lab/train/manifests/1"] = sent_on
    client = registry(server, f"mirror.test:{elsewhere.port}")
    assert (await client.digest_of(image_at(server), ALICE)).digest == DIGEST
    assert [asked.headers.get("authorization") for asked in elsewhere.asked] == [None]


async def test_who_was_sent_to_another_host_asks_there_as_nobody(server, elsewhere):
    target = f"http://mirror.test:{elsewhere.port}/v2/lab/train/manifests/1"
    server.special["/v2/lab/train/manifests/1"] = lambda _: Told(302, b"", {"Location": target})
    elsewhere.challenge = [bearer(elsewhere, "mirror.test")]
    client = registry(server, f"mirror.test:{elsewhere.port}")
    assert (await client.digest_of(image_at(server), ALICE)).digest == DIGEST
    told = [asked.headers.get("authorization") for asked in elsewhere.asked]
    assert told == [None, None, f"Bearer {TOKEN}"]
    elsewhere.challenge = ["Basic"]
    code, detail = await refusal(client, image_at(server), ALICE)
    assert (code, f"mirror.test:{elsewhere.port} answers nobody" in detail) == ("image-denied", True)
    assert BASIC not in [asked.headers.get("authorization") for asked in elsewhere.asked]


@pytest.mark.parametrize(
    ("there", "why"),
    [
        ("http://mirror.test:{port}/", "not listed for http"),
        ("https://mirror.test:{port}/", "may not be asked from here"),
        ("https://127.0.0.1:{port}/", "may not be asked from here"),
        ("//10.0.0.1/", "not listed for http"),
        ("file:///etc/passwd", "no plain https://"),
        ("/v2/lab/train/manifests/1", "from one place to the next"),
    ],
)
async def test_a_redirect_leads_nowhere_that_may_not_be_asked(server, elsewhere, there, why):
    target = there.replace("{port}", str(elsewhere.port))
    server.special["/v2/lab/train/manifests/1"] = lambda _: Told(307, b"", {"Location": target})
    code, detail = await refusal(registry(server), image_at(server), ALICE)
    assert (code, elsewhere.asked) == ("registry-refused", [])
    assert why in detail
    assert len(server.asked) <= 5


async def test_a_redirect_to_what_is_no_url_is_no_answer(server):
    server.special["/v2/lab/train/manifests/1"] = lambda _: Told(307, b"", {"Location": "https://[zz]/"})
    assert "Invalid URL in location header" in (await down(registry(server), image_at(server))).detail


async def test_a_registry_that_is_not_there_is_down(server):
    async with serving() as gone:
        pass
    assert "does not answer" in (await down(registry(gone), image_at(gone))).detail
    names = Names({"registry.test": ""})
    error = await down(registry(server, names=names), image_at(server))
    assert "registry.test is not known: Name or service not known" in error.detail


@pytest.mark.parametrize("raw", ["hang", "drip"])
async def test_a_registry_that_takes_its_time_is_given_up(server, raw):
    server.raw = raw
    began = asyncio.get_running_loop().time()
    error = await down(registry(server, whole_s=0.4), image_at(server))
    assert "did not answer within 0.4 s" in error.detail
    assert asyncio.get_running_loop().time() - began < 10


@pytest.mark.parametrize(
    "raw", [b"-ERR unknown command\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", b"\0" * 99]
)
async def test_what_is_no_http_is_a_registry_that_is_down(server, raw):
    server.raw = raw
    assert "does not answer" in (await down(registry(server), image_at(server))).detail


@pytest.mark.parametrize("path", ["/v2/lab/train/manifests/1", "/token"])
@pytest.mark.parametrize(
    ("status", "after", "wait_s"),
    [(429, "77", 77), (429, "0", 1), (429, "999999", 3600), (503, None, 5), (500, "soon", 5), (502, "-1", 5)],
)
async def test_a_registry_that_cannot_now_says_when_to_ask_again(server, path, status, after, wait_s):
    server.challenge = [bearer(server)]
    headers = {} if after is None else {"Retry-After": after}
    server.special[path] = lambda _: fault(status, "TOOMANYREQUESTS", "You have reached your limit.", **headers)
    error = await down(registry(server), image_at(server))
    assert (error.retry_after_s, error.code) == (wait_s, "registry-down")
    assert f"cannot answer now. It says: {status}" in error.detail
    assert sum(asked.path == path for asked in server.asked) == 1


async def test_more_than_a_manifest_can_be_is_not_read_to_its_end(server):
    server.raw = "endless"
    code, detail = await refusal(registry(server), image_at(server))
    assert (code, "more than 4194304 bytes" in detail) == ("registry-refused", True)
    assert server.sent_bytes < 64 * 2**20


async def test_of_a_long_fault_only_the_beginning_is_shown(server):
    server.special["/v2/lab/train/manifests/1"] = lambda _: Told(404, b"gone " * 100_000)
    code, detail = await refusal(registry(server), image_at(server))
    assert code == "image-missing"
    assert "404 gone gone" in detail
    assert len(detail) < 400


async def test_nobody_is_asked_about_images_from_hosts_that_are_not_listed(server):
    names = Names()
    client = registry(server, allowed=("docker.io", "*.example.org"), names=names)
    code, detail = await refusal(client, parse_image("ghcr.io/lab/train:1"))
    assert code == "registry-refused"
    assert f"images come from docker.io, *.example.org, registry.test:{server.port}." in detail
    await refusal(client, parse_image("registry.test/lab/train:1"))
    await refusal(client, parse_image("example.org/lab/train:1"))
    assert names.asked == []
    assert (await client.digest_of(image_at(server), None)).digest == DIGEST


@pytest.mark.parametrize(
    "host", ["127.0.0.1:{}", "[::1]:{}", "8.8.8.8:{}", "localhost:{}", "registry.test:{}", "2130706433:{}"]
)
@pytest.mark.parametrize("allowed", [(), ("*",), ("*.test:{}", "*")])
async def test_what_is_inside_is_not_asked_unless_it_is_listed_by_its_full_name(server, host, allowed):
    listed = tuple(entry.format(server.port) for entry in allowed)
    names = Names()
    client = registry(allowed=listed, names=names)
    code, detail = await refusal(client, parse_image(f"{host.format(server.port)}/lab/train:1"), ALICE)
    assert (code, server.asked) == ("registry-refused", [])
    assert "may not be asked from here: addresses and hosts inside are listed by their full names." in detail
    assert bool(names.asked) == host.startswith(("localhost", "registry", "2"))


async def test_an_address_that_is_listed_is_asked(server):
    image = parse_image(f"127.0.0.1:{server.port}/lab/train:1")
    assert (await registry(f"127.0.0.1:{server.port}").digest_of(image, None)).digest == DIGEST


async def test_a_wildcard_of_http_leads_to_nothing_inside_either(server):
    code, _ = await refusal(registry(f"*.test:{server.port}"), image_at(server))
    assert (code, server.asked) == ("registry-refused", [])


async def test_over_https_the_certificate_must_be_for_the_name(tmp_path):
    async with serving(certified(tmp_path, "registry.test")) as server:
        trusting = ssl.create_default_context(cafile=tmp_path / "ca.pem")
        listed = (f"registry.test:{server.port}", f"other.test:{server.port}")
        client = registry(allowed=listed, context=trusting)
        assert (await client.digest_of(image_at(server), None)).digest == DIGEST
        other = parse_image(f"other.test:{server.port}/lab/train:1")
        assert "certificate" in (await down(client, other)).detail
        assert "certificate" in (await down(registry(allowed=listed), image_at(server))).detail
        assert len(server.asked) == 1


async def test_docker_io_is_asked_where_it_answers():
    names = Names({"registry-1.docker.io": ""})
    assert "registry-1.docker.io is not known" in (await down(registry(names=names), parse_image("debian:sid"))).detail
    assert names.asked == [("registry-1.docker.io", 443)]


@pytest.mark.parametrize("text", ["library://debian", "/images/train.sif", "oci:/images/train"])
async def test_what_has_no_digest_that_could_be_asked_is_said_to_have_none(text):
    with pytest.raises(NotSupported, match="only docker:// and oras://"):
        await registry().digest_of(parse_image(text), None)


@pytest.mark.parametrize("trouble", ["none", "denied", "hang", "refused", "redirect", "garbage"])
async def test_no_repr_log_or_traceback_shows_a_password_or_a_token(server, caplog, trouble):
    caplog.set_level(logging.DEBUG)
    server.challenge = [bearer(server)]
    if trouble == "denied":
        server.wanted = "Bearer of more"
        server.special["/v2/lab/train/manifests/1"] = lambda asked: (
            fault(403, "DENIED", f"{asked.headers.get('authorization')} is not enough")
            if "authorization" in asked.headers
            else None
        )
    elif trouble == "refused":
        server.special["/token"] = lambda asked: fault(401, "DENIED", f"{asked.headers['authorization']} {PASSWORD}")
    elif trouble == "redirect":
        server.special["/token"] = lambda _: Told(307, b"", {"Location": "https://10.0.0.1/"})
    elif trouble == "garbage":
        server.special["/token"] = lambda asked: Told(401, asked.headers["authorization"].encode())
    elif trouble == "hang":
        server.raw_at["/token"] = "hang"
    text = ""
    try:
        await registry(server, whole_s=1 if trouble == "hang" else 20).digest_of(image_at(server), ALICE)
    except HpcjobsError as error:
        text = "".join(traceback.TracebackException.from_exception(error, capture_locals=False).format()) + repr(error)
    assert bool(text) == (trouble != "none")
    assert trouble == "hang" or any(asked.headers.get("authorization") == BASIC for asked in server.asked)
    shown = text + caplog.text + "".join(repr(vars(record)) for record in caplog.records)
    for secret in (PASSWORD, BASIC.partition(" ")[2], TOKEN):
        assert secret not in shown


def test_a_credential_shows_who_and_never_what():
    shown = [repr(ALICE), str(ALICE), f"{ALICE}", f"{[ALICE]!r}", rich.pretty.pretty_repr(ALICE), repr((ALICE,))]
    assert all("alice" in text and PASSWORD not in text for text in shown)
    assert Credential("alice", PASSWORD) == ALICE
    assert ALICE.basic == BASIC


@pytest.mark.parametrize(("user", "password"), [("a:b", "x"), ("a\n", "x"), ("a", "x\ud800")])
def test_what_no_registry_can_be_told_is_no_credential(user, password):
    with pytest.raises(ValueError, match="of a registry") as caught:
        Credential(user, password)
    assert password not in str(caught.value).split()


def test_a_credential_that_is_read_is_checked_as_well():
    with pytest.raises(msgspec.ValidationError, match="no colon"):
        msgspec.json.decode(b'{"user": "a:b", "password": "x"}', type=Credential)


@pytest.mark.parametrize(
    ("allowed", "insecure", "host", "takes", "http"),
    [
        ((), (), "ghcr.io", True, False),
        (("*",), (), "ghcr.io", True, False),
        (("ghcr.io",), (), "ghcr.io", True, False),
        (("ghcr.io:443",), (), "ghcr.io", True, False),
        (("GHCR.io",), (), "ghcr.io:443", True, False),
        (("ghcr.io",), (), "ghcr.io:5000", False, False),
        (("docker.io",), (), "docker.io", True, False),
        (("registry-1.docker.io",), (), "docker.io", True, False),
        (("*.example.org",), (), "a.b.example.org", True, False),
        (("*.example.org",), (), "example.org", False, False),
        (("*.example.org",), (), "badexample.org", False, False),
        (("*.example.org",), (), "a.example.org:5000", False, False),
        (("*.example.org:5000",), (), "a.example.org:5000", True, False),
        (("a.org",), ("registry:5000",), "registry:5000", True, True),
        (("a.org",), ("registry:5000",), "registry:5001", False, False),
        ((), ("registry",), "registry:80", True, True),
        ((), ("registry",), "registry:443", True, False),
        ((), ("*.lab:5000",), "a.lab:5000", True, True),
        (("[::1]:5000",), (), "[::1]:5000", True, False),
    ],
)
def test_a_host_is_taken_as_it_is_listed(allowed, insecure, host, takes, http):
    registries = Registries(allowed, insecure)
    assert registries.fault() == ""
    assert (registries.takes(host), registries.over_http(host)) == (takes, http)


def test_only_a_full_name_lists_a_host_and_for_its_own_scheme():
    registries = Registries(("*", "*.example.org", "docker.io", "a.org"), ("b.org:5000",))
    listed = [("a.org", "https"), ("docker.io", "https"), ("registry-1.docker.io", "https"), ("b.org:5000", "http")]
    assert all(registries.lists(*one) for one in listed)
    unlisted = [("a.org", "http"), ("b.org:5000", "https"), ("x.example.org", "https"), ("c.org", "https")]
    assert not any(registries.lists(*one) for one in unlisted)


@pytest.mark.parametrize(
    ("allowed", "insecure"),
    [(("https://a.org",), ()), (("a.org/lab",), ()), (("a b",), ()), (("",), ()), (("a.*.org",), ()), ((), ("*",)),
     (("*:5000",), ()), (("a.org:",), ()), (("-a",), ())],
)  # fmt: skip
def test_what_is_no_host_cannot_be_listed(allowed, insecure):
    with pytest.raises(SettingsError, match="Registries of images"):
        Registry(Registries(allowed, insecure), lambda _: httpx.AsyncHTTPTransport())


@pytest.mark.parametrize(
    ("headers", "found"),
    [
        (['Bearer realm="https://a/t",service="s, t",scope="x"'],
         {"bearer": {"realm": "https://a/t", "service": "s, t", "scope": "x"}}),
        (["bearer realm=https://a/t , service = s"], {"bearer": {"realm": "https://a/t", "service": "s"}}),
        (['Basic realm="r", Bearer realm="b"'], {"basic": {"realm": "r"}, "bearer": {"realm": "b"}}),
        (['Basic realm="r"', 'Bearer realm="b"'], {"basic": {"realm": "r"}, "bearer": {"realm": "b"}}),
        (['Bearer realm="one", realm="two"'], {"bearer": {"realm": "one"}}),
        (["Basic"], {"basic": {}}),
        ([], {}),
    ],
)  # fmt: skip
def test_challenges_are_read_as_they_are_written(headers, found):
    assert challenges(httpx.Headers([("WWW-Authenticate", header) for header in headers])) == found


@given(st.lists(st.text(max_size=80), max_size=3))
@example(["Bearer " + " " * 90_000])
@example(["a=" * 40_000])
@example(['Bearer realm="' * 5_000])
@example(["Bearer" + " a" * 40_000 + " =" * 40_000])
def test_any_text_is_a_challenge_or_none(texts):
    headers = httpx.Headers([(b"www-authenticate", text.encode("utf-8", "surrogatepass")) for text in texts])
    assert all(isinstance(parameters, dict) for parameters in challenges(headers).values())
