"""HTTP to addresses that users name: to hosts of the world, and to nothing inside unless the settings list it.

A name is resolved once for each request; every address that it may lead to is judged, and the connection is made to one
that was found good, so that a name that means something else a moment later leads nowhere else. The name goes on
standing in the Host header and in TLS, where the certificate must be for it.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import Awaitable, Callable, Sequence
from typing import Final
from urllib.parse import urlsplit

import httpx

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Resolve = Callable[[str, int], Awaitable[list[str]]]

MAX_URL: Final = 2_048
GLOBAL_UNICAST: Final = ipaddress.ip_network("2000::/3")
"""All that has been given to hosts of the world (IANA, IPv6 address space)."""
NAT64: Final = ipaddress.ip_network("64:ff9b::/96")


class Forbidden(httpx.TransportError):
    """The address is not one that may be reached."""


def _inner(address: ipaddress.IPv6Address) -> list[ipaddress.IPv4Address]:
    """The IPv4 addresses that an IPv6 address stands for."""
    found = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
    if address in NAT64:
        found.append(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
    return [one for one in found if one is not None]


def is_allowed(address: Address, networks: Sequence[Network]) -> bool:
    """Whether an address may be reached: it is a host of the world, or the settings list its network.

    Args:
        address: Where a connection would go.
        networks: Of the settings.
    """
    if any(address in network for network in networks):
        return True
    if isinstance(address, ipaddress.IPv4Address):
        return address.is_global and not address.is_multicast
    inner = _inner(address)
    if address.ipv4_mapped is None and address not in NAT64 and not (address in GLOBAL_UNICAST and address.is_global):
        return False
    return all(is_allowed(one, networks) for one in inner)


def _name_of(url: httpx.URL) -> str:
    """The host as it goes over the wire. httpx shows an IDNA host in Unicode, which resolvers may spell another way."""
    return url.raw_host.decode("ascii")


def fault(url: str, http_hosts: Sequence[str], networks: Sequence[Network]) -> str:
    """Why an address could never be told anything, or ``""``.

    Args:
        url: As its user wrote it.
        http_hosts: Hosts that may be reached without TLS.
        networks: Of the settings.
    """
    try:
        parts, known = urlsplit(url), httpx.URL(url)
        port = parts.port
    except (ValueError, httpx.InvalidURL) as error:
        return f"This is not a URL: {error}."
    host = _name_of(known)
    if len(url) > MAX_URL or not url.isascii() or not url.isprintable() or " " in url:
        return f"A URL has at most {MAX_URL} characters, all of them printable ASCII."
    if known.scheme not in ("https", "http") or not host or port == 0:
        return "A webhook is a URL like https://example.org/path."
    if known.scheme == "http" and host not in http_hosts:
        return "Only https, so that nobody on the way reads along (webhook_http_hosts in the settings)."
    if known.userinfo or known.fragment or "@" in parts.netloc:
        return "A webhook's URL has neither user name nor fragment; its requests are signed."
    try:
        literal = ipaddress.ip_address(host)
    except ValueError:
        return ""
    return (
        ""
        if is_allowed(literal, networks)
        else f"{host} may not be reached from here (webhook_networks in the settings)."
    )


async def resolve(host: str, port: int) -> list[str]:
    """Every address of a name, as the system knows it."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(address[0]).partition("%")[0] for *_, address in found]


class CheckedTransport(httpx.AsyncBaseTransport):
    """Connects to the very address that was judged.

    Args:
        networks: That may be reached beside the world.
        context: For TLS; certificates are checked.
        lookup: Finds the addresses of a name.
    """

    def __init__(self, networks: Sequence[Network], context: ssl.SSLContext, lookup: Resolve = resolve) -> None:
        self._networks = tuple(networks)
        self._lookup = lookup
        limits = httpx.Limits(max_connections=4, max_keepalive_connections=1)
        self._inner = httpx.AsyncHTTPTransport(verify=context, trust_env=False, limits=limits)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """See httpx."""
        url, host = request.url, _name_of(request.url)
        port = url.port or (443 if url.scheme == "https" else 80)
        try:
            found = await self._lookup(host, port)
        except OSError as error:
            raise httpx.ConnectError(f"{host} is not known: {error.strerror}") from error
        good = [text for text in dict.fromkeys(found) if is_allowed(ipaddress.ip_address(text), self._networks)]
        if not good:
            raise Forbidden(f"{host} may not be reached from here (webhook_networks in the settings)")
        failure: httpx.TransportError | None = None
        for address in good[:4]:
            try:
                return await self._inner.handle_async_request(
                    httpx.Request(
                        request.method,
                        url.copy_with(host=address),
                        headers=request.headers,  # with the Host of the name
                        stream=request.stream,
                        extensions={**request.extensions, "sni_hostname": host},
                    )
                )
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                failure = error
        raise failure or httpx.ConnectError(f"{host} has no address")

    async def aclose(self) -> None:
        """Let go of the connections."""
        await self._inner.aclose()
