"""One span in full: when, how long, what it says, and which of it the verdict rests on."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from app.analysis import secrets
from app.analysis.verdict import Decision
from app.times import format_duration
from app.traces import semconv
from app.traces.model import Attributes, AttributeValue, DefectKind, Node, Span, SpanKind, Status
from app.web import words
from app.web.formats import has_tricks
from app.web.views import naming
from app.web.views.asked import Asked
from app.web.views.reading import Reading

_OVERLAP = 4_096  # characters beyond the limit that are searched for secrets

# Tempo cuts attribute values at this many bytes unless told otherwise, and does not say so.
CUT_AT = 2048


@dataclass(frozen=True)
class Limits:
    """How much of a span is shown: attributes of each table, characters of each value, events, links."""

    attributes: int
    value: int
    events: int
    links: int


PANEL = Limits(attributes=40, value=300, events=8, links=8)
PAGE = Limits(attributes=500, value=8_000, events=100, links=100)


@dataclass(frozen=True)
class Sensitive:
    """What of a span is not to be shown: `redact` takes it out of texts. And the attributes that hold secrets, or name a
    person.
    """

    redact: Callable[[str], str]
    secret: frozenset[str]
    personal: frozenset[str]


def sensitive(node: Node, *, addresses: bool = False) -> Sensitive:
    """Look through all texts of one span. addresses: client addresses count as personal data."""
    found = secrets.in_span(node, addresses=addresses)
    return Sensitive(
        secrets.Redactor(found.texts),
        frozenset(place.attribute for place in found.secrets),
        frozenset(place.attribute for place in found.persons),
    )


@dataclass(frozen=True)
class AttributeRow:
    """value:  as text, at most the limit, without secrets
    length: characters of the whole
    secret: something was taken out of it
    raw:    for the clipboard where what is shown differs from what was sent; "" otherwise, and where it is secret
    proof:  the verdict rests on it
    """

    key: str
    value: str
    length: int
    secret: bool = False
    personal: bool = False
    truncated: bool = False
    proof: bool = False
    raw: str = ""

    @property
    def is_cut(self) -> bool:
        return self.length > len(self.value)


@dataclass(frozen=True)
class Table:
    """Attributes, those the verdict rests on first. more: how many are not shown."""

    rows: tuple[AttributeRow, ...]
    total: int

    @property
    def more(self) -> int:
        return self.total - len(self.rows)


@dataclass(frozen=True)
class EventRow:
    name: str
    when: str
    attributes: Table


@dataclass(frozen=True)
class LinkRow:
    trace_id: str
    span_id: str
    href: str
    here: bool
    attributes: Table


@dataclass(frozen=True)
class SpanView:
    """started:   since the trace began, by the corrected clock; start_ns is that moment
    clock:     what correction did to it, "" where nothing; sent_ns is then the moment by its own clock
    took:      and where most of it went
    dropped:   what its sender left out
    proof:     some attribute here is what the verdict rests on
    whole:     this is the span's own page, not the panel
    """

    span_id: str
    name: str
    service: str
    kind: str
    decision: Decision | None
    says: str
    tone: str
    started: str
    start_ns: int
    clock: str
    sent_ns: int | None
    took: str
    status: str
    parent: str
    parent_href: str
    attributes: Table
    events: tuple[EventRow, ...]
    more_events: int
    links: tuple[LinkRow, ...]
    more_links: int
    resource: Table
    scope: str
    dropped: str
    href: str
    trace_href: str
    json_href: str

    @property
    def has_proof(self) -> bool:
        return any(row.proof for row in self.attributes.rows)

    @property
    def has_secret(self) -> bool:
        return any(row.secret for row in (*self.attributes.rows, *self.resource.rows))


def span_view(reading: Reading, node: Node, asked: Asked, hidden: Sensitive | None = None, limits: Limits = PANEL) -> SpanView:
    """A span of a trace, for the panel or for its own page."""
    span = node.span
    hidden = hidden or sensitive(node)
    parent = node.parent
    return SpanView(
        span_id=span.span_id,
        name=naming.name(span),
        service=node.service,
        kind=_KINDS[span.kind],
        decision=reading.decision_of(node),
        says=reading.answer(node),
        tone=reading.tone,
        started=_started(node.start_ns - reading.start_ns),
        start_ns=node.start_ns,
        clock=_clock(node),
        sent_ns=span.start_ns if node.shift_ns else None,
        took=_took(node),
        status=hidden.redact(_status(span)),
        parent=naming.name(parent.span) if parent is not None else span.parent_id,
        parent_href=asked.href(span=parent.span.span_id) + f"#s-{parent.span.span_id}" if parent is not None else "",
        attributes=_table(span.attributes, limits, hidden, reading.proof(span.span_id)),
        events=tuple(_events(reading, node, hidden, limits)),
        more_events=max(0, len(span.events) - limits.events),
        links=tuple(_links(reading, span, hidden, limits)),
        more_links=max(0, len(span.links) - limits.links),
        resource=_table(span.resource.attributes, limits, hidden, {}),
        scope=" ".join(filter(None, (span.scope.name, span.scope.version))),
        dropped=_dropped(span, reading),
        href=asked.below(f"spans/{span.span_id}"),
        trace_href=asked.href(span=span.span_id) + f"#s-{span.span_id}",
        json_href=asked.below(f"spans/{span.span_id}/otlp.json"),
    )


def value_text(value: AttributeValue) -> str:
    """A value as text: a string as it is, lists and maps as JSON, bytes as base64."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return "null"
    if isinstance(value, int | float):
        return str(value)
    try:
        return json.dumps(value, ensure_ascii=False, default=_as_text) if not isinstance(value, bytes) else _as_text(value)
    except (RecursionError, ValueError):
        return "(nested too deeply to be shown)"


def _as_text(value: object) -> str:
    return base64.b64encode(value).decode() if isinstance(value, bytes) else str(value)


# ------------------------------------------------------------------------------------------------------------ tables


def _table(attributes: Attributes, limits: Limits, hidden: Sensitive, proof: Mapping[str, str]) -> Table:
    keys = sorted(attributes, key=lambda key: (key not in proof, key))
    rows = [_row(key, attributes[key], limits, hidden, proof) for key in keys[: limits.attributes]]
    return Table(tuple(rows), len(keys))


def _row(key: str, value: AttributeValue, limits: Limits, hidden: Sensitive, proof: Mapping[str, str]) -> AttributeRow:
    whole = value_text(value)
    # More than is shown is looked at, so that a secret cut in two by the limit is still known as one.
    text = hidden.redact(whole[: limits.value + _OVERLAP])
    is_secret = key in hidden.secret or text != whole[: limits.value + _OVERLAP]
    if is_secret and secrets.MASK not in text:
        text = secrets.MASK
    differs = len(text) > limits.value or has_tricks(text[: limits.value])
    return AttributeRow(
        key=key,
        value=text[: limits.value],
        length=len(whole) if not is_secret else len(text),
        secret=is_secret,
        personal=key in hidden.personal,
        truncated=isinstance(value, str) and _is_cut_length(value),
        proof=key in proof,
        # The clipboard gets what was sent; beyond the page's own limit only the JSON has all of it.
        raw=whole if differs and not is_secret and len(whole) <= PAGE.value else "",
    )


def _is_cut_length(value: str) -> bool:
    """Exactly as many bytes as Tempo keeps; or a little fewer, where the last character would not fit whole."""
    if not CUT_AT // 4 <= len(value) <= CUT_AT:
        return False
    size = len(value.encode("utf-8", "surrogatepass"))
    return size == CUT_AT or (CUT_AT - 3 <= size < CUT_AT and not value.isascii() and value.endswith("\ufffd"))


def _events(reading: Reading, node: Node, hidden: Sensitive, limits: Limits) -> Iterable[EventRow]:
    for event in node.span.events[: limits.events]:
        since = event.time_ns + node.shift_ns - node.start_ns
        when = f"+{format_duration(since)}" if since >= 0 else format_duration(since)
        yield EventRow(event.name or "(no name)", when, _table(event.attributes, limits, hidden, {}))


def _links(reading: Reading, span: Span, hidden: Sensitive, limits: Limits) -> Iterable[LinkRow]:
    for link in span.links[: limits.links]:
        href = f"/traces/{link.trace_id}" + (f"?span={link.span_id}" if link.span_id else "") if link.trace_id else ""
        here = link.trace_id == reading.trace.trace_id
        yield LinkRow(link.trace_id, link.span_id, href, here, _table(link.attributes, limits, hidden, {}))


# ------------------------------------------------------------------------------------------------------------- words

_KINDS = {
    SpanKind.UNSPECIFIED: "span",
    SpanKind.INTERNAL: "internal span",
    SpanKind.SERVER: "server span",
    SpanKind.CLIENT: "client span",
    SpanKind.PRODUCER: "producer span",
    SpanKind.CONSUMER: "consumer span",
}


def _started(since_ns: int) -> str:
    """`+50.6 ms` since the trace began."""
    return f"+{format_duration(since_ns)}" if since_ns > 0 else "at the start" if since_ns == 0 else format_duration(since_ns)


def _took(node: Node) -> str:
    """`44.0 ms, 35.0 ms of them in policy-db`"""
    whole = format_duration(node.duration_ns)
    longest = max(node.children, key=lambda child: child.duration_ns, default=None)
    if longest is None or longest.duration_ns * 2 < node.duration_ns or longest.duration_ns > node.duration_ns:
        return whole
    where = longest.service if longest.service != node.service else naming.called(longest.span) or naming.name(longest.span)
    return f"{whole}, {format_duration(longest.duration_ns)} of them in {where}"


def _status(span: Span) -> str:
    """`unset, HTTP 200`; the sender's own words with an error."""
    said = {Status.UNSET: "unset", Status.OK: "ok", Status.ERROR: "error"}[span.status]
    if span.status_message:
        said += f": {span.status_message[:300]}"
    http, grpc = semconv.http_status(span), semconv.grpc_status(span)
    answers = [f"HTTP {http}"] if http is not None else []
    answers += [words.status(grpc)] if grpc is not None else []
    return ", ".join([said, *answers])


def _clock(node: Node) -> str:
    if not node.shift_ns:
        return ""
    ahead = "ahead" if node.shift_ns < 0 else "behind"
    return f"{node.service} is {format_duration(abs(node.shift_ns))} {ahead}; corrected here"


def _dropped(span: Span, reading: Reading) -> str:
    lost = [
        f"{count:,} {name if count == 1 else name + 's'}"
        for count, name in (
            (span.dropped_attributes, "attribute"),
            (span.dropped_events, "event"),
            (span.dropped_links, "link"),
        )
        if count
    ]
    said = [f"Its sender dropped {' and '.join(lost)}."] if lost else []
    for defect in reading.trace.defects:
        if span.span_id in defect.span_ids and defect.kind in (DefectKind.DUPLICATE_SPANS, DefectKind.INVALID_IDS):
            doubled = defect.kind is DefectKind.DUPLICATE_SPANS
            said.append("It was delivered more than once." if doubled else "Its id could not be read; this one is made up.")
    return " ".join(said)
