"""What a span answered, or was answered: one of a handful of words for every protocol's status."""

from __future__ import annotations

import enum

import re2

from app.analysis import peers
from app.traces import semconv
from app.traces.model import Span, SpanKind, Status


class Answer(enum.IntEnum):
    """The kinds of answer the judgement tells apart."""

    NONE = 0  # no status: nothing can be said
    OK = 1
    REDIRECT = 2
    REFUSED = 3  # 401, 403, 407, 419, 440, 511; gRPC 7, 16
    THROTTLED = 4  # 429; gRPC 8
    LOGIN = 5  # a redirect whose Location is a login page
    MISSING = 6  # 404, 410; gRPC 5: it may hide a refusal
    BUSINESS = 7  # any other 4xx: an answer of the business
    FAILED = 8  # 5xx, a time-out, no answer
    CANCELLED = 9  # 499; gRPC 1: the caller went away


REFUSALS = frozenset({Answer.REFUSED, Answer.THROTTLED, Answer.LOGIN})
GOOD = frozenset({Answer.OK, Answer.REDIRECT, Answer.NONE})

_HTTP = {401: Answer.REFUSED, 403: Answer.REFUSED, 404: Answer.MISSING, 407: Answer.REFUSED, 410: Answer.MISSING,
         419: Answer.REFUSED, 429: Answer.THROTTLED, 440: Answer.REFUSED, 499: Answer.CANCELLED,
         511: Answer.REFUSED}  # fmt: skip
_GRPC = (Answer.OK, Answer.CANCELLED, Answer.FAILED, Answer.BUSINESS, Answer.FAILED, Answer.MISSING, Answer.BUSINESS,
         Answer.REFUSED, Answer.THROTTLED, Answer.BUSINESS, Answer.BUSINESS, Answer.BUSINESS, Answer.FAILED, Answer.FAILED,
         Answer.FAILED, Answer.FAILED, Answer.REFUSED)  # fmt: skip

# 401 asks who you are, as do a proxy's and a captive portal's codes; the rest say that you may not.
_AUTHN_CODES = frozenset({401, 407, 419, 440, 511})
_GRPC_TO_HTTP = {1: 499, 3: 400, 4: 504, 5: 404, 6: 409, 7: 403, 8: 429, 9: 400, 10: 409, 11: 400, 12: 501, 13: 500,
                 14: 503, 15: 500, 16: 401, 2: 500, 0: 200}  # fmt: skip

_LOGIN_PAGES = ("/login", "/signin", "/sign-in", "/sign_in", "/oauth/authorize", "/oauth2/authorize", "/v2.0/authorize",
                "/openid-connect/auth", "/authorize?", "/sso", "/saml", "/ui/login", "redirect_uri=", "/auth/login",
                "/log-in", "/oauth2/start", "/accounts/login", "access-denied", "accessdenied", "/oauth2/auth")  # fmt: skip

# A log-in portal at the root of a host of its own, which is told where to send the visitor back to.
_PORTAL = re2.compile(
    r"^https?://(auth|login|log-in|signin|sso|accounts?|idp|id|identity)[.-][^/?]*/?\?(.*&)?"
    r"(rd|return_?to|return_?url|redirect|redirect_?ur[il]|next|continue|goto|target)="
)


def of_http(status: int) -> Answer:
    """The kind of an HTTP status."""
    special = _HTTP.get(status)
    if special is not None:
        return special
    if status < 300:
        return Answer.OK
    if status < 400:
        return Answer.REDIRECT
    return Answer.BUSINESS if status < 500 else Answer.FAILED


def answer(span: Span, *, rpc: bool = True) -> Answer:
    """What the span's own attributes say of its answer. A gRPC status outranks the HTTP status that carried it.

    rpc: False where the span is known to have no attribute with a gRPC status.
    """
    code = semconv.grpc_status(span) if rpc else None
    if code is not None and (code or span.kind is not SpanKind.SERVER or semconv.http_status(span) is None):
        return _GRPC[code]
    status = semconv.http_status(span)
    if status is not None:
        if status < 300:
            return Answer.OK
        found = of_http(status)
        if found is Answer.REDIRECT and is_login_page(semconv.text(span.attributes.get(semconv.LOCATION))):
            # A log-in that leads on to the identity provider is on its way, not refused.
            return Answer.REDIRECT if peers.is_login_path(semconv.path(span)) else Answer.LOGIN
        return found
    if code is not None:
        return _GRPC[code]
    if span.status is Status.ERROR or (span.kind is SpanKind.CLIENT and span.attributes.get("error.type")):
        return Answer.FAILED
    return Answer.NONE


def shown_status(span: Span) -> int | None:
    """The number to show for it: HTTP, or gRPC where there is no HTTP."""
    status = semconv.http_status(span)
    return status if status is not None else semconv.grpc_status(span)


def comparable(span: Span) -> int | None:
    """The answer as an HTTP status, so that a gRPC hop and an HTTP hop can be compared."""
    code = semconv.grpc_status(span)
    if code:
        return _GRPC_TO_HTTP[code]
    status = semconv.http_status(span)
    return status if status is not None else (200 if code == 0 else None)


def asks_who(span: Span) -> bool | None:
    """True where the refusal is about identity (401, gRPC 16), False where about permission, None where neither."""
    code = semconv.grpc_status(span)
    if code in (7, 16):
        return code == 16
    status = semconv.http_status(span)
    if status in _AUTHN_CODES:
        return True
    return False if status == 403 else None


def is_login_page(location: str) -> bool:
    lowered = location[:2048].lower()
    return bool(lowered) and (any(page in lowered for page in _LOGIN_PAGES) or _PORTAL.search(lowered) is not None)
