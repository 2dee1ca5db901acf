"""What spans are called on a page. Names come from telemetry too, and a URL in one may carry a secret."""

from __future__ import annotations

import ipaddress

import re2

from app.analysis.secrets import redact
from app.traces import semconv
from app.traces.model import Span, SpanKind

_LONGEST = 400  # characters looked at; a page shows fewer
_STATEMENT = 2_000  # characters of a query in which its table is looked for
_TABLE = re2.compile(r'(?i)\b(?:from|into|update|join)\s+(["`\[]?[\w$]+(?:\.[\w$]+)*["`\]]?)')


def name(span: Span) -> str:
    """The span's name, without what looks like a secret."""
    return redact(span.name[:_LONGEST]) or "(no name)"


def asked(span: Span) -> str:
    """`POST /orders`: what was asked of a server, from its attributes where they say, else its name."""
    method, place = semconv.method(span), semconv.route(span) or semconv.path(span)
    return redact(f"{method} {place}"[:_LONGEST]) if method and place else name(span)


def called(span: Span) -> str:
    """Who a call goes to. A database behind a bare address goes by its own name, which people know; "" where nothing says."""
    peer = semconv.peer(span)
    if (not peer or _is_bare(peer)) and semconv.db_system(span):
        return (semconv.db_namespace(span) or semconv.db_system(span))[:256]
    return peer


def detail(span: Span) -> str:
    """Whom a call goes to or what it touches, where the span's name does not say; "" otherwise."""
    if span.kind not in (SpanKind.CLIENT, SpanKind.PRODUCER):
        return ""
    found = (_table(span) or semconv.destination(span) or called(span))[:_LONGEST]
    return "" if found.casefold() in span.name.casefold() else redact(found)


def call(span: Span) -> str:
    """`SELECT orders`, `GET entitlements`: a call with whom it goes to."""
    extra = detail(span)
    return f"{name(span)} {extra}" if extra else name(span)


def _table(span: Span) -> str:
    """The table, collection or index that a database call is about: as its attributes say, else the first its query names."""
    if not semconv.db_system(span):
        return ""
    said = semconv.db_target(span)
    if said:
        return said
    found = _TABLE.search(semconv.first_text(span.attributes, semconv.ALIASES["db.query"])[:_STATEMENT])
    return str(found.group(1)).strip('"`[]') if found else ""


def _is_bare(host: str) -> bool:
    """An address that names nobody: an IP address, or this machine."""
    if host.casefold() == "localhost":
        return True
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True
