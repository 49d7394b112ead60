"""One question to a registry: a manifest's digest, with all that must be said and followed on the way to it."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import ipaddress
import re
from collections.abc import Mapping
from typing import Any, Final

import httpx
import msgspec

from hpcjobs import __version__
from hpcjobs.errors import Refusal, Refused, RegistryDown
from hpcjobs.images.hosts import Registries
from hpcjobs.images.said import Answer, challenges, is_manifest, shown, token_of, words_of
from hpcjobs.model.image import HUB, HUB_ASKED, Image

MAX_BODY: Final = 4 * 2**20
"""Bytes of a manifest, as registries bound them themselves."""
MAX_WORDS: Final = 16_384
"""Bytes that are read of what a registry says of a fault."""
MAX_REDIRECTS: Final = 4
ACCEPT: Final = ", ".join(
    (
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
        "application/vnd.docker.distribution.manifest.v2+json",
    )
)

_DIGEST = re.compile("sha256:[0-9a-f]{64}")
_PASSING = (httpx.TimeoutException, httpx.NetworkError, httpx.ProtocolError)


class Credential(msgspec.Struct, frozen=True):
    """Who asks a registry. No repr and no message shows the password.

    Attributes:
        user: A name, without a colon.
        password: Or a token that stands for one.

    Raises:
        ValueError: A registry could not be told this.
    """

    user: str
    password: str

    def __post_init__(self) -> None:
        if ":" in self.user or not self.user.isprintable():
            raise ValueError("The user of a registry has no colon in its name.")
        try:
            self.password.encode()
        except UnicodeEncodeError:
            raise ValueError("The password of a registry has a character that cannot be sent.") from None

    def __repr__(self) -> str:
        return f"Credential(user={self.user!r}, password=...)"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [("user", self.user)]

    @property
    def basic(self) -> str:
        """The header ``Authorization`` of it."""
        return "Basic " + base64.b64encode(f"{self.user}:{self.password}".encode()).decode("ascii")


class Found(msgspec.Struct, frozen=True):
    """What a registry says of an image.

    Attributes:
        digest: ``sha256:`` and 64 hexadecimal digits of its manifest, or of the index of its manifests.
        media_type: Which of the two, as the registry puts it.
    """

    digest: str
    media_type: str = ""


class Question:
    """One question to one registry, and to what it leads to."""

    def __init__(
        self,
        registries: Registries,
        clients: Mapping[bool, httpx.AsyncClient],
        image: Image,
        credential: Credential | None,
    ) -> None:
        self.registries, self.clients, self.image, self.credential = registries, clients, image, credential
        scheme = "http" if registries.over_http(image.host) else "https"
        host = HUB_ASKED if image.host == HUB else image.host
        self.url = httpx.URL(f"{scheme}://{host}/v2/{image.repository}/manifests/{image.digest or image.tag}")
        self.home = self.url
        self.authorization = ""

    async def found(self) -> Found:
        """The answer."""
        answer = await self._manifest("HEAD")
        digest = answer.headers.get("Docker-Content-Digest", "")
        if answer.status != 200 or not _DIGEST.fullmatch(digest):
            answer = await self._manifest("GET")  # says why, or can be hashed
            if answer.status != 200:
                raise self._fault(answer)
            digest = self._hashed(answer)
        if self.image.digest and digest != self.image.digest:
            raise refused(f"Registry {self.image.host} was asked for {self.image.name} and has {digest} for it.")
        return Found(digest, answer.headers.get("Content-Type", "").partition(";")[0].strip()[:200])

    async def _manifest(self, method: str) -> Answer:
        """Ask for the manifest, and once more with what a challenge asks for."""
        headers = {"Accept": ACCEPT}
        answer = await self._ask(method, self.url, headers, self.authorization)
        if answer.status == 401 and not self.authorization:
            # Who was sent to another host asks there as nobody.
            own = self.credential if _origin(answer.url) == _origin(self.home) else None
            self.authorization = await self._authorized(answer, own)
            self.url = answer.url
            answer = await self._ask(method, self.url, headers, self.authorization)
        if answer.later:
            raise self._down(answer)
        return answer

    def _hashed(self, answer: Answer) -> str:
        host = self.image.host
        if not is_manifest(answer.body):
            raise refused(f"What registry {host} has for {self.image.name} is no manifest (schemaVersion 2).")
        told = answer.headers.get("Docker-Content-Digest", "")
        name, _, value = told.partition(":")
        if told and (name not in ("sha256", "sha384", "sha512") or hashlib.new(name, answer.body).hexdigest() != value):
            said = f"says that {self.image.name} is {shown(told)}, and what it sends is not"
            raise refused(f"Registry {host} {said}.")
        return f"sha256:{hashlib.sha256(answer.body).hexdigest()}"

    async def _authorized(self, answer: Answer, own: Credential | None) -> str:
        """The header ``Authorization`` that a challenge asks for."""
        wanted = challenges(answer.headers)
        host = _authority(answer.url)
        if (bearer := wanted.get("bearer")) and bearer.get("realm"):
            return await self._token(bearer, own)
        if "basic" not in wanted:
            raise self._denied(answer, f"Registry {host} does not say how one identifies oneself to it")
        if own is None:
            raise self._denied(answer, f"Registry {host} answers nobody without a credential")
        return own.basic

    async def _token(self, bearer: Mapping[str, str], own: Credential | None) -> str:
        """A token, of the service that the registry names for it."""
        try:
            realm = httpx.URL(bearer["realm"])
            service = {"service": bearer["service"]} if bearer.get("service") else {}
            scope = bearer.get("scope") or f"repository:{self.image.repository}:pull"
            url = realm.copy_merge_params({**service, "scope": scope})
        except (httpx.InvalidURL, ValueError):
            raise refused(f"Registry {self.image.host} names no URL where it gives tokens.") from None
        answer = await self._ask("GET", url, {}, own.basic if own is not None else "")
        if answer.later:
            raise self._down(answer)
        if answer.status in (400, 401, 403):
            who = f"the credential of {own.user}" if own is not None else "nobody without a credential"
            raise self._denied(answer, f"{_authority(answer.url)} gives {who} no token for registry {self.image.host}")
        if not (token := token_of(answer)):
            raise refused(f"{_authority(answer.url)}, which registry {self.image.host} names, gives no token.")
        return f"Bearer {token}"

    async def _ask(self, method: str, url: httpx.URL, headers: Mapping[str, str], authorization: str) -> Answer:
        """One request, and what it is sent on to; another host than the first is told no secret."""
        first = _origin(url)
        for _ in range(MAX_REDIRECTS + 1):
            sent = {"User-Agent": f"hpcjobs/{__version__}", "Accept-Encoding": "identity", **headers}
            if authorization and _origin(url) == first:
                sent["Authorization"] = authorization
            answer = await self._once(method, url, sent)
            if answer.status not in (301, 302, 303, 307, 308) or not (there := answer.headers.get("Location")):
                return answer
            url = url.join(there)  # httpx has refused what is no URL
        raise refused(f"Registry {self.image.host} leads from one place to the next, {MAX_REDIRECTS} times and more.")

    async def _once(self, method: str, url: httpx.URL, headers: Mapping[str, str]) -> Answer:
        host = self._judged(url)
        client = self.clients[self.registries.lists(host, url.scheme)]
        try:
            async with client.stream(method, url, headers=headers) as answer:
                body = bytearray()
                most = MAX_BODY if answer.status_code == 200 else MAX_WORDS
                async for part in answer.aiter_raw():
                    body += part
                    if len(body) > most:
                        break
        except _PASSING as error:
            said = shown(f"{error}").rstrip(".") or type(error).__name__
            raise RegistryDown(f"Registry {host} does not answer: {said}.") from error
        except httpx.TransportError as error:  # the guard's
            raise self._inside(host) from error
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            raise refused(f"Registry {host} cannot be asked: {shown(f'{error}')}.") from error
        if answer.status_code == 200 and len(body) > most:
            raise refused(f"Registry {host} sends more than {MAX_BODY} bytes for {self.image.name}.")
        return Answer(answer.status_code, answer.headers, bytes(body[:most]), url)

    def _judged(self, url: httpx.URL) -> str:
        """The host of a URL that may be asked.

        Raises:
            Refused: It may not.
        """
        host = _authority(url)
        if url.userinfo or not url.host or url.scheme not in ("http", "https"):
            raise refused(f"Registry {self.image.host} leads to what is no plain https://host/path.")
        if url.scheme == "http" and not self.registries.over_http(host):
            raise refused(f"Registry {self.image.host} leads to http://{host}, which is not listed for http.")
        with contextlib.suppress(ValueError):
            ipaddress.ip_address(url.host)
            if not self.registries.lists(host, url.scheme):
                raise self._inside(host)
        return host

    def _inside(self, host: str) -> Refused:
        way = "" if host == _authority(self.home) else f", where registry {self.image.host} leads,"
        return refused(
            f"{host}{way} may not be asked from here: addresses and hosts inside are listed by their full names."
        )

    def _fault(self, answer: Answer) -> Refused:
        image, said = self.image, self._said(answer)
        if answer.status == 404:
            return _of_image(f"Registry {image.host} has no {image.name}. It says: {said}.", "image-missing")
        if answer.status in (401, 403):
            who = f"the credential of {self.credential.user}" if self.credential is not None else "anybody"
            return self._denied(answer, f"Registry {image.host} has no {image.name} that {who} may read")
        return refused(f"Registry {image.host} does not say what {image.name} is. It says: {said}.")

    def _denied(self, answer: Answer, detail: str) -> Refused:
        return _of_image(f"{detail}. It says: {self._said(answer)}.", "image-denied")

    def _down(self, answer: Answer) -> RegistryDown:
        after = answer.headers.get("Retry-After", "")
        wait_s = min(int(after), 3600) if re.fullmatch("[0-9]{1,9}", after) else 5
        told = f"Registry {_authority(answer.url)} cannot answer now. It says: {self._said(answer)}."
        return RegistryDown(told, retry_after_s=max(1, wait_s))

    def _said(self, answer: Answer) -> str:
        secrets = [self.authorization.partition(" ")[2]]
        if self.credential is not None:
            secrets += [self.credential.password, self.credential.basic.partition(" ")[2]]
        return words_of(answer, secrets)


def _authority(url: httpx.URL) -> str:
    """Host and port, the latter where the scheme has another."""
    return url.netloc.decode("ascii")


def _origin(url: httpx.URL) -> tuple[str, str]:
    return url.scheme, _authority(url)


def _of_image(detail: str, code: str) -> Refused:
    return Refused([Refusal("container.image", detail, code)])


def refused(detail: str) -> Refused:
    """That a registry may not be asked, or says what cannot be."""
    return _of_image(detail, "registry-refused")
