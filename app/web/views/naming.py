"""What spans are called on a page. Names come from telemetry too, and a URL in one may carry a secret."""

from __future__ import annotations

from app.analysis.secrets import redact
from app.traces import semconv
from app.traces.model import Span, SpanKind

_LONGEST = 400  # characters looked at; a page shows fewer


def name(span: Span) -> str:
    """The span's name, without what looks like a secret."""
    return redact(span.name[:_LONGEST]) or "(no name)"


def asked(span: Span) -> str:
    """`POST /orders`: what was asked of a server, from its attributes where they say, else its name."""
    method, place = semconv.method(span), semconv.route(span) or semconv.path(span)
    return redact(f"{method} {place}"[:_LONGEST]) if method and place else name(span)


def detail(span: Span) -> str:
    """Whom a call goes to or what it touches, where the span's name does not say; "" otherwise."""
    if span.kind not in (SpanKind.CLIENT, SpanKind.PRODUCER):
        return ""
    found = (semconv.db_target(span) or semconv.destination(span) or semconv.peer(span))[:_LONGEST]
    return "" if found.casefold() in span.name.casefold() else redact(found)


def call(span: Span) -> str:
    """`SELECT orders`, `GET entitlements`: a call with whom it goes to."""
    extra = detail(span)
    return f"{name(span)} {extra}" if extra else name(span)
