"""What registries say, read: challenges, faults, tokens and manifests. All of it may be anything."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final, NamedTuple, TypeVar

import httpx
import msgspec

MAX_CHALLENGE: Final = 4_096
"""Characters that are read of a challenge."""
MAX_TOKEN: Final = 65_536
MAX_SHOWN: Final = 200

_PIECE = re.compile(r'([A-Za-z_-]+)(?:\s*=\s*(?:"([^"]*)"|([^\s",]+)))?')
_TOKEN = re.compile(r"[\x21-\x7e]+")

_Said = TypeVar("_Said")


class Answer(NamedTuple):
    """What came.

    Attributes:
        status: HTTP status.
        headers: Its headers.
        body: As it went over the wire; of a fault its beginning.
        url: Who said it, after all redirects.
    """

    status: int
    headers: httpx.Headers
    body: bytes
    url: httpx.URL

    @property
    def later(self) -> bool:
        """Whether the same may be answered otherwise in a while."""
        return self.status in (408, 429) or self.status >= 500


class _Token(msgspec.Struct):
    token: str | None = None
    access_token: str | None = None


class _Fault(msgspec.Struct):
    message: str = ""
    details: str = ""


class _Faults(_Fault):
    errors: tuple[_Fault, ...] = ()


class _Manifest(msgspec.Struct, rename="camel"):
    schema_version: int


def challenges(headers: httpx.Headers) -> dict[str, dict[str, str]]:
    """What each ``WWW-Authenticate`` asks for, by scheme in small letters."""
    found: dict[str, dict[str, str]] = {}
    parameters: dict[str, str] = {}
    for header in headers.get_list("WWW-Authenticate"):
        for name, quoted, bare in _PIECE.findall(header[:MAX_CHALLENGE]):
            if quoted or bare:
                parameters.setdefault(name.lower(), quoted or bare)
            else:
                parameters = found.setdefault(name.lower(), {})
    return found


def token_of(answer: Answer) -> str:
    """The token that came, or ``""``."""
    told = _read(answer.body, _Token) if answer.status == 200 else None
    token = (told.token or told.access_token or "") if told is not None else ""
    return token if len(token) <= MAX_TOKEN and _TOKEN.fullmatch(token) else ""


def is_manifest(body: bytes) -> bool:
    """Whether this can be a manifest or an index, and not a page that says something to people."""
    told = _read(body, _Manifest)
    return told is not None and told.schema_version == 2


def words_of(answer: Answer, secrets: Iterable[str]) -> str:
    """What came with a fault, for people: its status and its own words.

    Args:
        answer: It.
        secrets: What we said ourselves, and is not repeated.
    """
    told = _read(answer.body, _Faults)
    if told is not None:
        text = " ".join(filter(None, (one.message or one.details for one in (*told.errors, told))))
    else:
        text = answer.body.decode("utf-8", "replace").strip()
        text = "" if text.startswith(("{", "[", "<")) else text
    for secret in filter(None, secrets):
        text = text.replace(secret, "...")
    return f"{answer.status} {shown(text)}".strip().removesuffix(".")


def shown(text: str) -> str:
    """The beginning of a text of others, in printable characters."""
    return "".join(letter if letter.isprintable() else " " for letter in text[:MAX_SHOWN]).strip()


def _read(body: bytes, kind: type[_Said]) -> _Said | None:
    """JSON of others; None: it is not of this form."""
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
