"""Who asked, from where: the person and the address behind a request."""

from __future__ import annotations

from collections.abc import Iterator

from app.analysis.gaps import is_internal_address
from app.analysis.judge import Judgement
from app.analysis.reading import Reading
from app.analysis.signals import is_browser
from app.traces import semconv
from app.traces.model import Node, SpanKind

_LONGEST = 256
_SEARCHED = 2000  # spans looked at for a principal beside the request's own path


def principal(judgement: Judgement) -> str | None:
    """Who acted, as the spans nearest to the decision say; never what a browser claims for itself."""
    reading = judgement.reading
    for node in _nearest(judgement):
        if reading.keysets[node.index].principal:
            found = semconv.principal(node.span)
        elif node.span.events:
            found = semconv.principal_of_events(node.span)
        else:
            continue
        if not found or is_browser(node) or (node.span.kind == SpanKind.CLIENT and semconv.db_system(node.span)):
            continue
        if found.lower() not in ("anonymous", "anonymoususer", "-", "none", "null", "unknown"):
            return found[:_LONGEST]
    return None


def _nearest(judgement: Judgement) -> Iterator[Node]:
    """The deciding span, the chain above it, the hops it passed, then the checks and the rest."""
    reading = judgement.reading
    node = judgement.node
    if node is not None:
        yield node
        if judgement.origin is not None:
            yield judgement.origin.node
        for above in reading.ancestors(node):
            yield above
            if reading.starts_hop(above):
                yield from _checks_of(reading, above)
    else:
        yield judgement.entry
    for signal in sorted(reading.signals.values(), key=lambda s: s.node.index):
        yield signal.node
    yield from reading.order[:_SEARCHED]


def _checks_of(reading: Reading, hop: Node) -> Iterator[Node]:
    for kid in reading.kids(hop):
        if kid.index in reading.signals and not reading.starts_hop(kid):
            yield kid


def client_address(judgement: Judgement) -> str | None:
    """The client's address as the entry saw it; an inner service sees only its caller."""
    entry = judgement.entry
    known = semconv.client_address(entry.span)
    if known:
        return known
    forwarded = semconv.text(entry.span.attributes.get("http.request.header.x-forwarded-for"))
    if forwarded:
        return semconv.bare_address(forwarded.split(",", 1)[0].strip()) or None
    reading = judgement.reading
    for hop in reading.hops[:_SEARCHED]:
        if hop.span.kind is not SpanKind.SERVER:
            continue
        if reading.keysets[hop.index].client:
            seen = semconv.bare_address(semconv.first_text(hop.span.attributes, ("client.address", "http.client_ip")))
            if seen and not is_internal_address(seen):
                return seen
        for event in hop.span.events:
            address = semconv.first_text(event.attributes, ("ipAddress", "ClientIP"))
            if address and not is_internal_address(address):
                return semconv.bare_address(address)
    return None
