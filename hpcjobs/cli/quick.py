"""One request with little: http.client and the whole client load slowly, and most calls need one answer."""

from __future__ import annotations

import _socket
import os

from hpcjobs import __version__

TYPE_CHECKING = False  # every call of sbatch loads this module, and typing and socket load slowly
if TYPE_CHECKING:
    import socket
    from collections.abc import Mapping
    from typing import Final

    from hpcjobs.profiles import ClientConfig

TIMEOUT_S: Final = 60.0
PORTS: Final[Mapping[str, int]] = {"http": 80, "https": 443}
PROXIES: Final = ("http_proxy", "https_proxy", "all_proxy")
"""Variables, in any capitals, that put a proxy between us and the service: the whole client knows how."""


def _connected(url: str, timeout_s: float) -> tuple[_socket.socket, str, str]:
    """A connection to the service; its host as the header says it, and the path before ours.

    Raises:
        OSError: Nobody answers there.
        ValueError: It is no address that is reached at once.
    """
    scheme, _, rest = url.partition("://")
    host, _, base = rest.partition("/")
    name, colon, port = host.rpartition(":")
    if scheme not in PORTS or "@" in host or "[" in host or not (port if colon else host):
        raise ValueError(url)
    name, number = (name, int(port)) if colon else (host, PORTS[scheme])
    if scheme == "https":
        return _secured(name, number, timeout_s), host, f"/{base}".rstrip("/")
    return _plain(name, number, timeout_s), host, f"/{base}".rstrip("/")


def _plain(name: str, port: int, timeout_s: float) -> _socket.socket:
    """The first of its addresses that answers, as socket.create_connection: that loads slowly."""
    last: OSError | None = None
    # As bytes: of a text Python loads what it knows of international names.
    for family, kind, protocol, _, address in _socket.getaddrinfo(name.encode("ascii"), port, 0, _socket.SOCK_STREAM):
        connection = _socket.socket(family, kind, protocol)
        try:
            connection.settimeout(timeout_s)
            connection.connect(address)
        except OSError as error:
            connection.close()
            last = error
        else:
            return connection
    raise last or OSError(f"{name} has no address")


def _secured(name: str, port: int, timeout_s: float) -> socket.socket:
    import socket
    import ssl

    plain = socket.create_connection((name, port), timeout_s)
    return ssl.create_default_context().wrap_socket(plain, server_hostname=name)


def exchange(
    config: ClientConfig,
    method: str,
    path: str,
    headers: Mapping[str, str],
    body: bytes = b"",
    environment: Mapping[str, str] = os.environ,
    timeout_s: float = TIMEOUT_S,
) -> tuple[int, bytes]:
    """Ask once.

    Args:
        config: Where the service is, and who asks.
        method: GET or POST.
        path: With its query.
        headers: Beside the usual ones.
        body: What is sent.
        environment: The caller's variables.
        timeout_s: Seconds that an answer, or its next part, may take.

    Returns:
        Status and body of the answer, whole.

    Raises:
        OSError: No answer came.
        ValueError: There is a proxy between, the address is odd, or the answer broke off: the whole client may do
            better, and says well what is wrong.
    """
    if any(name.lower() in PROXIES for name in environment):
        raise ValueError("a proxy")
    connection, host, base = _connected(config.url, timeout_s)
    told = {
        "Host": host,
        "Authorization": f"Bearer {config.token.strip()}",
        "User-Agent": f"hpcjobs-cli/{__version__}",
        "Content-Length": str(len(body)),
        "Connection": "close",
        **headers,
    }
    lines = "".join(f"{name}: {value}\r\n" for name, value in told.items())
    try:
        connection.sendall(f"{method} {base}{path} HTTP/1.1\r\n{lines}\r\n".encode("ascii") + body)
        answer = b"".join(iter(lambda: connection.recv(1 << 18), b""))
    finally:
        connection.close()
    head, _, rest = answer.partition(b"\r\n\r\n")
    first, *fields = head.lower().split(b"\r\n")
    _, _, status = first.partition(b" ")
    return int(status[:3]), _whole(fields, rest)


def _whole(fields: list[bytes], rest: bytes) -> bytes:
    """The body of an answer (RFC 9112, section 6).

    Raises:
        ValueError: It broke off.
    """
    for field in fields:
        name, _, value = field.partition(b":")
        if name == b"content-length" and int(value) != len(rest):
            raise ValueError("the answer broke off")
        if name == b"transfer-encoding":
            return _unchunked(rest)
    return rest


def _unchunked(rest: bytes) -> bytes:
    parts: list[bytes] = []
    at = 0
    while True:
        end = rest.find(b"\r\n", at)
        length = int(rest[at : max(end, at)].partition(b";")[0], 16)
        at = end + 2
        if len(rest) < at + length + 2:
            raise ValueError("the answer broke off")
        if not length:
            return b"".join(parts)
        parts.append(rest[at : at + length])
        at += length + 2
