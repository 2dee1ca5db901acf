"""What went wrong on the way to a source, as one of our errors with a sentence for the page."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from socket import EAI_AGAIN, gaierror

import httpx2 as httpx

from app.errors import SourceError, SourceUnavailable, SourceUnreadable
from app.sources.dial import AddressRefused


def of_transport(error: Exception, source: str, operation: str, *, connect_s: float, begun: bool) -> SourceError:
    """A failure of httpx as one of ours.

    begun: the answer's headers had arrived, so it broke off; before them, what is there may not speak HTTP.
    """
    causes = list(_chain(error))

    def unavailable(sentence: str) -> SourceError:
        return SourceUnavailable(source, operation, sentence, detail=f"{type(error).__name__}: {causes[-1]}")

    if isinstance(error, httpx.ConnectTimeout):
        return unavailable(f"{source} could not be reached within {connect_s:g} s.")
    if isinstance(error, httpx.ConnectError):
        return unavailable(_connecting(source, causes))
    if isinstance(error, httpx.DecodingError):
        sentence = f"{source} sent an answer whose compression is broken."
        return SourceUnreadable(source, operation, sentence, detail=str(error))
    if isinstance(error, httpx.RemoteProtocolError) and not begun and "disconnected" not in str(error):
        sentence = f"What answers at {source}'s address does not speak HTTP."
        return SourceUnreadable(source, operation, sentence, detail=str(error))
    if begun:
        return unavailable(f"{source} broke off its answer.")
    # Tempo's HTTP server drops the connection of a request that outlasts its write time-out, 30 s by default.
    failure = unavailable(f"{source} closed the connection without an HTTP answer.")
    failure.detail += "; a server does this also to requests that take it too long"
    return failure


def worth_a_retry(error: Exception) -> bool:
    """Only a connection that could not be made, and not one whose partner was found to be the wrong one."""
    if not isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
        return False
    return not any(isinstance(cause, ssl.SSLError | AddressRefused) for cause in _chain(error))


def _connecting(source: str, causes: list[BaseException]) -> str:
    for cause in causes:
        if isinstance(cause, AddressRefused):
            return f"Clew does not connect to {source}: {cause}."
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"{source}'s certificate is not trusted: {cause.verify_message}"
        if isinstance(cause, ssl.SSLError):
            return f"No TLS connection to {source}: its address may want http:// instead of https://."
        if isinstance(cause, gaierror):
            later = " at the moment" if cause.errno == EAI_AGAIN else ""
            return f"{source}'s host name cannot be resolved{later}."
        if isinstance(cause, ConnectionRefusedError):
            return f"{source} refused the connection: nothing listens at its address."
    return f"{source} could not be reached."


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error and what caused it, outermost first."""
    seen: set[int] = set()
    link: BaseException | None = error
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        yield link
        link = link.__cause__ or link.__context__
