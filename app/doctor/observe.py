"""What one trace shows of the telemetry that made it: each service's part, its calls, and where secrets lie. Pure.

The verdict says what happened to a request. Here it is asked how well the spans could tell it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import msgspec
import re2

from app.analysis import gaps, peers, secrets
from app.analysis.answers import Answer
from app.analysis.peers import Peer
from app.analysis.reading import Reading
from app.analysis.verdict import Confidence, FindingKind, Outcome, Verdict
from app.traces import semconv
from app.traces.model import Node, Span, SpanKind, Status, Trace

_LONGEST = 120
_MOST_CALLS = 200
_MOST_PLACES = 50
_ASKED = frozenset({Peer.POLICY, Peer.IDENTITY, Peer.LIMITER})
_PROBE = re2.compile(
    r"(?i)/(healthz?|health-?check|livez?|liveness|readyz?|readiness|ready|ping|status|metrics|favicon\.ico)/?$"
)


class Call(msgspec.Struct, frozen=True):
    """One call to another service over HTTP or RPC.

    peer:   the name or host called; address: host and port where the span has them
    callee: the service whose span answers it, "" where none does
    asked:  it was asked for a decision, or it refused: what it thought matters to a verdict
    """

    caller: str
    peer: str
    address: str
    callee: str
    asked: bool


class Part(msgspec.Struct, frozen=True):
    """One service's part of one trace.

    requests:  SERVER spans; from_others: of them with a caller in another service; roots: without any
    checks:    spans that say how an auth check ended
    refusals:  SERVER spans that refused; silent: of them without a span at or below that refused or says why
    covered:   a check is seen in it, or in what it called
    on_path:   the same, or it refused
    orphans:   spans whose parent was never stored
    shift_ns:  by how much its times had to be moved to fit those of its callers
    """

    service: str
    requests: int = 0
    from_others: int = 0
    roots: int = 0
    checks: int = 0
    refusals: int = 0
    silent: int = 0
    covered: bool = False
    on_path: bool = False
    orphans: int = 0
    shift_ns: int = 0


class Place(msgspec.Struct, frozen=True):
    """Where something lies that should not be stored: never what."""

    service: str
    attribute: str


class Observed(msgspec.Struct, frozen=True):
    """One trace. `fresh`: so young that spans of it may be under way. `probe`: a health check and the like."""

    trace_id: str
    end_ns: int
    spans: int
    entry: str
    outcome: Outcome
    confidence: Confidence
    principal: str
    client_address: str
    settles: str
    partial: bool
    probe: bool
    parts: tuple[Part, ...]
    calls: tuple[Call, ...]
    servers: tuple[tuple[str, str], ...]
    secrets: tuple[Place, ...]
    persons: tuple[Place, ...]
    fresh: bool = False

    @property
    def has_auth(self) -> bool:
        return self.outcome is not Outcome.NO_AUTH_EVIDENCE


def observed(trace: Trace, verdict: Verdict, reading: Reading, *, partial: bool = False) -> Observed:
    """The trace as telemetry. `reading` holds the signals, as `Judge.read` makes it."""
    found_secrets, found_persons = _places(trace, verdict)
    entry = trace.by_id.get(verdict.entry.span_id) if verdict.entry else None
    return Observed(
        trace_id=trace.trace_id,
        end_ns=trace.end_ns,
        spans=len(trace),
        entry=(verdict.entry.service if verdict.entry else "")[:_LONGEST],
        outcome=verdict.outcome,
        confidence=verdict.confidence,
        principal=verdict.principal or "",
        client_address=verdict.client_address or "",
        settles=(verdict.settles[0] if verdict.settles else "")[:300],
        partial=partial or trace.partial,
        probe=entry is not None and _PROBE.search(semconv.path(entry.span)[:500]) is not None,
        parts=tuple(_parts(trace, reading)),
        calls=tuple(_calls(reading)),
        servers=tuple(dict.fromkeys(_servers(trace)))[:50],
        secrets=found_secrets,
        persons=found_persons,
    )


def _parts(trace: Trace, reading: Reading) -> Iterator[Part]:
    counts: Counter[tuple[str, str]] = Counter()
    shifts: dict[str, int] = {}
    for node in trace.nodes:
        service = node.service
        if node.lost_parent:
            counts[service, "orphans"] += 1
        if node.span.kind is not SpanKind.SERVER:
            continue
        counts[service, "requests"] += 1
        if node.lost_parent or (node.parent is not None and node.parent.service != service):
            counts[service, "from_others"] += 1
        elif node.parent is None:
            counts[service, "roots"] += 1
        shifts.setdefault(service, node.shift_ns)
        if reading.answer(node) is Answer.REFUSED:
            counts[service, "refusals"] += 1
            counts[service, "silent"] += not _explained(reading, node)
    passed: set[int] = set()
    for signal in reading.signals.values():
        if signal.is_check and signal.decision in ("allow", "deny", "error"):
            counts[signal.node.service, "checks"] += 1
            counts[signal.node.service, "covered"] += 1
            for above in reading.ancestors(signal.node):
                if above.index in passed:
                    break  # and so is everything above it: a hostile trace may be as deep as it is long
                passed.add(above.index)
                counts[above.service, "covered"] += 1
    for service in trace.services:
        yield Part(
            service[:_LONGEST],
            counts[service, "requests"],
            counts[service, "from_others"],
            counts[service, "roots"],
            counts[service, "checks"],
            counts[service, "refusals"],
            counts[service, "silent"],
            counts[service, "covered"] > 0,
            bool(counts[service, "covered"] or counts[service, "refusals"]),
            counts[service, "orphans"],
            shifts.get(service, 0),
        )


def _explained(reading: Reading, node: Node) -> bool:
    """Whether some span at or below says why it was refused, or the refusal only passed through from below."""

    def says_no(each: Node) -> bool:
        signal = reading.signals.get(each.index)
        return reading.answer(each) is Answer.REFUSED if signal is None else signal.decision != "allow"

    return node.index in reading.signals or reading.below(node, "doctor: says no", says_no)


def _calls(reading: Reading) -> Iterator[Call]:
    for node in reading.outgoing[:_MOST_CALLS]:
        span = node.span
        if not peers.is_call_between_services(span) or peers.is_side_call(span) or peers.connection_failed(span):
            continue
        callee = _answered_by(node)
        # What is carried by a call below has its line there; what nobody answered, nobody may have seen.
        if not callee and not (gaps.is_open_call(reading, node) and _was_answered(span)):
            continue
        asked = peers.of_call(span) in _ASKED or reading.answer(node) is Answer.REFUSED
        yield Call(node.service[:_LONGEST], semconv.peer(span)[:_LONGEST], _address(node), callee[:_LONGEST], asked)


def _was_answered(span: Span) -> bool:
    """Whether the service itself gave the answer: a proxy in front of it says 502 to 504, and a time-out says nothing."""
    status, rpc = semconv.http_status(span), semconv.grpc_status(span)
    if rpc is not None:
        return rpc not in (1, 4, 14)
    return status not in (502, 503, 504) if status is not None else span.status is not Status.ERROR


def _answered_by(call: Node) -> str:
    """The service of the first SERVER span below a call; "" where there is none."""
    stack = list(call.children)
    while stack:
        node = stack.pop()
        if node.span.kind is SpanKind.SERVER:
            return node.service
        stack.extend(node.children)
    return ""


def _servers(trace: Trace) -> Iterator[tuple[str, str]]:
    """Addresses under which services were reached, by their own spans."""
    for node in trace.nodes:
        if node.span.kind is SpanKind.SERVER and (address := _address(node)):
            yield address, node.service[:_LONGEST]


def _address(node: Node) -> str:
    attributes = node.span.attributes
    host = semconv.first_text(attributes, ("server.address", "net.host.name", "net.peer.name"))
    port = semconv.first_text(attributes, ("server.port", "net.host.port", "net.peer.port"))
    return f"{host}:{port}"[:_LONGEST] if host and port else ""


def _places(trace: Trace, verdict: Verdict) -> tuple[tuple[Place, ...], tuple[Place, ...]]:
    """Looked for closely only in spans in which the verdict has already found some."""
    spans = {
        found.span_id
        for found in verdict.findings
        if found.kind in (FindingKind.SECRET_IN_ATTRIBUTES, FindingKind.PII_IN_ATTRIBUTES)
    }
    hidden: dict[Place, None] = {}
    persons: dict[Place, None] = {}
    for span_id in spans:
        node = trace.by_id.get(span_id)
        if node is None:
            continue
        found = secrets.in_span(node)
        hidden.update((Place(one.service[:_LONGEST], one.attribute[:_LONGEST]), None) for one in found.secrets)
        persons.update((Place(one.service[:_LONGEST], one.attribute[:_LONGEST]), None) for one in found.persons)
    return tuple(hidden)[:_MOST_PLACES], tuple(persons)[:_MOST_PLACES]
