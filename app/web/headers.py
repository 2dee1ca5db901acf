"""What every answer tells the browser to refuse."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.datastructures import MutableHeaders

_CSP = {
    "default-src": "'none'",
    "script-src": "'self'",
    "connect-src": "'self'",
    "img-src": "'self' data:",
    "style-src": "'self'",
    "style-src-elem": "'self'",
    "object-src": "'none'",
    "base-uri": "'none'",
    "form-action": "'self'",
    "frame-ancestors": "'none'",
    "report-uri": "/csp-report",
}


def content_security_policy(*, charts: bool = False) -> str:
    """The policy as one header value.

    charts: Plotly places its labels with style attributes. Pages with a chart allow those, and nothing else inline.
    """
    policy = {**_CSP, "style-src-attr": "'unsafe-inline'"} if charts else _CSP
    return "; ".join(f"{directive} {sources}" for directive, sources in policy.items())


PLAIN_POLICY = content_security_policy()
CHART_POLICY = content_security_policy(charts=True)

_ALWAYS: Mapping[str, str] = {
    "Content-Security-Policy": PLAIN_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    # Pages hold evidence: no copy stays in a cache, on disk or on the way. Static files set their own.
    "Cache-Control": "no-store",
}


def secure(headers: MutableHeaders, *, https: bool) -> None:
    """Add what is missing; a route that set one of them meant it."""
    for name, value in _ALWAYS.items():
        headers.setdefault(name, value)
    if https:
        headers.setdefault("Strict-Transport-Security", "max-age=31536000; includeSubDomains")
