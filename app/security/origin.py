"""Cross-site request forgery, decided from headers alone, with the reason when it is no.

A browser says where a request came from (`Sec-Fetch-Site`, else `Origin`), and a page cannot change what it says. So no
token needs to travel in forms. A client that sends neither header is no browser and carries nobody's cookies by accident.
Source: the same rule as Go's http.CrossOriginProtection.
"""

from __future__ import annotations

from collections.abc import Collection
from urllib.parse import urlsplit

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


def refusal(
    method: str, *, fetch_site: str | None, origin: str | None, host: str | None, trusted_hosts: Collection[str] = ()
) -> str | None:
    """Why this request is refused as cross-site; None where it may pass.

    host:          the request's Host header
    trusted_hosts: further `host[:port]` under which this server is reached, such as that of public_url
    """
    if method in SAFE_METHODS:
        return None
    if fetch_site is not None:
        # "none" is a person's own act: a bookmark or a typed address.
        if fetch_site in ("same-origin", "none"):
            return None
        return f"the browser says it came from another site ({fetch_site[:20]})"
    if origin is None:
        return None
    try:
        there = urlsplit(origin)
    except ValueError:
        return "its Origin header is not an address"
    # Only the host is compared: behind a proxy that ends TLS the scheme seen here is not the reader's.
    if there.scheme in ("http", "https") and there.netloc and there.netloc in {host, *trusted_hosts}:
        return None
    return f"it came from {origin[:80]}, not from this server"
