"""Connecting to a source: the name is resolved once, every address is judged, and the judged address is the one dialled."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Iterable

import httpcore2
import httpx2 as httpx

from app.sources import address

# A source that listens on one of a name's addresses only is still found; a name with hundreds is not worth the wait.
_MOST_ADDRESSES = 8


class AddressRefused(httpcore2.ConnectError):
    """The name leads where no telemetry source is."""


class GuardedBackend(httpcore2.AnyIOBackend):
    """TCP connections to permitted addresses only."""

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the signature is httpcore's
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        try:
            async with asyncio.timeout(timeout):
                return await self._first(host, await _resolve(host, port), port, local_address, socket_options)
        except TimeoutError as error:
            raise httpcore2.ConnectTimeout(str(error)) from error

    async def _first(
        self,
        host: str,
        addresses: list[str],
        port: int,
        local_address: str | None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None,
    ) -> httpcore2.AsyncNetworkStream:
        for candidate in addresses:
            # One forbidden address among several is enough: a name that mixes them is trying something.
            if why := address.refusal(host, candidate.partition("%")[0]):
                raise AddressRefused(why)
        failure: httpcore2.ConnectError | None = None
        for candidate in addresses[:_MOST_ADDRESSES]:
            try:
                return await super().connect_tcp(candidate, port, local_address=local_address, socket_options=socket_options)
            except httpcore2.ConnectError as error:
                failure = failure or error
        raise failure or httpcore2.ConnectError("the name has no address")


async def _resolve(host: str, port: int) -> list[str]:
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:  # UnicodeError: a label that IDNA cannot encode
        raise httpcore2.ConnectError(str(error)) from error
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class GuardedTransport(httpx.AsyncHTTPTransport):
    """httpx's transport with HTTP/2 and our way of connecting."""

    def __init__(self, tls: ssl.SSLContext, limits: httpx.Limits) -> None:
        super().__init__(verify=tls, http2=True, trust_env=False, limits=limits)
        # The constructor takes no network backend; the pool it made has no connection yet and is replaced whole.
        self._pool = httpcore2.AsyncConnectionPool(
            ssl_context=tls,
            max_connections=limits.max_connections,
            max_keepalive_connections=limits.max_keepalive_connections,
            keepalive_expiry=limits.keepalive_expiry,
            http1=True,
            http2=True,
            network_backend=GuardedBackend(),
        )
