"""What happened in a case, on one clock: each source of the timeline turned into events.

Three times stand apart on every event, all in Unix nanoseconds, UTC:
    occurred   when the thing itself took place, by the clock of whoever recorded it, corrected for skew
    observed   when Clew (or a person) learned of it from its source
    captured   when it was put into the case
`shift_ns` is what the correction added: occurred - shift is the time as it was sent.

Events carry a key made of what they are about, so that telling the same story twice changes nothing.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from app.analysis.secrets import redact
from app.analysis.verdict import Confidence, Decision, EffectKind, EffectTime, Layer, Outcome, SideEffect, Verdict
from app.cases.alerts import AlertSnapshot
from app.cases.evidence import Capture, Item
from app.cases.model import note_name, storable
from app.cases.notes import excerpt
from app.sources.values import AlertState
from app.times import format_duration
from app.traces import semconv
from app.traces.model import Node, SpanKind, Trace

_TITLE = 300
_WORDS = 2_000


class Kind(enum.StrEnum):
    ALERT = "alert"  # an alert changed its state
    DECISION = "decision"  # how a request was judged, at its deciding span
    EFFECT = "effect"  # something a preserved request changed or sent
    NOTE = "note"  # a person wrote a note
    EVIDENCE = "evidence"  # something was preserved
    ENTERED = "entered"  # entered by hand


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that happened. Fields that do not apply are "" or None.

    desc:     what the time stands for, in a few words ("Access denied"): `timestamp_desc` of the exports.
    resource: what was asked for, such as `POST /api/orders/{id}`.
    actor:    the person who wrote, entered or captured it.
    """

    key: str
    kind: Kind
    occurred_ns: int
    observed_ns: int
    captured_ns: int
    shift_ns: int = 0
    desc: str
    title: str
    detail: str = ""
    outcome: Outcome | None = None
    layer: Layer | None = None
    severity: str = ""
    service: str = ""
    trace_id: str = ""
    span_id: str = ""
    reason: str = ""
    confidence: Confidence | None = None
    http_status: int | None = None
    user: str = ""
    source_ip: str = ""
    session_id: str = ""
    client_id: str = ""
    resource: str = ""
    evidence: int | None = None
    evidence_sha256: str = ""
    completeness: str = ""
    actor: str = ""
    starred: bool = False
    hidden: bool = False


_DECISION_DESC = {
    Outcome.ALLOWED: "Access allowed",
    Outcome.DENIED: "Access denied",
    Outcome.PARTIALLY_DENIED: "Access partly denied",
    Outcome.BYPASSED: "Refusal bypassed",
    Outcome.ERROR: "Authorization broke",
    Outcome.INCONCLUSIVE: "Access refused, by whom is not known",
    Outcome.NO_AUTH_EVIDENCE: "Request without auth evidence",
}
_EFFECT_VERB = {
    EffectKind.DB_WRITE: "wrote to",
    EffectKind.MESSAGE: "sent a message to",
    EffectKind.HTTP_WRITE: "called",
    EffectKind.OBJECT_WRITE: "stored an object in",
    EffectKind.CACHE_WRITE: "wrote to the cache",
    EffectKind.MAIL: "sent mail through",
    EffectKind.AUDIT: "recorded the refusal in",
}


def of_alert(alert: AlertSnapshot, *, captured_ns: int) -> tuple[Event, ...]:
    """The changes of state of one alert."""
    return tuple(
        Event(
            key=f"{alert_key(alert.fingerprint)}{word}:{at_ns}",
            kind=Kind.ALERT,
            occurred_ns=at_ns,
            observed_ns=alert.read_ns,
            captured_ns=captured_ns,
            desc=f"Alert {word}",
            title=_line(f"{alert.name} {saying}"),
            detail=_line("; ".join(filter(None, (alert.summary, _labels(alert)))), _WORDS),
            severity=alert.severity[:20],
        )
        for at_ns, word, saying in _transitions(alert)
    )


def of_capture(capture: Capture, kept: Item) -> tuple[Event, ...]:
    """How the request was decided, what it changed, and that it was preserved."""
    return (_decision(capture, kept), *_effects(capture, kept), _preserved(kept))


def of_note(number: int, text: str, *, author: str, written_ns: int) -> Event:
    """A note, at the time it was first written; `detail` is its whole text."""
    return Event(
        key=f"note:{number}", kind=Kind.NOTE, occurred_ns=written_ns, observed_ns=written_ns, captured_ns=written_ns,
        desc="Note written", title=_line(f"{author} wrote {note_name(number)}: {excerpt(text)}"), detail=text,
        actor=author,
    )  # fmt: skip


def of_person(number: int, *, occurred_ns: int, title: str, detail: str, actor: str, entered_ns: int) -> Event:
    """An event that a person entered by hand."""
    return Event(
        key=f"entered:{number}", kind=Kind.ENTERED, occurred_ns=occurred_ns, observed_ns=entered_ns, captured_ns=entered_ns,
        desc="Entered by hand", title=title, detail=detail, actor=actor,
    )  # fmt: skip


def alert_key(fingerprint: str) -> str:
    """Beginning of the keys of one alert's events."""
    return f"{Kind.ALERT}:{fingerprint}:"


def story_of(trace_id: str) -> tuple[str, str]:
    """Beginnings of the keys of the events that a trace's judgement put on the timeline."""
    return f"{Kind.DECISION}:{trace_id}:", f"{Kind.EFFECT}:{trace_id}:"


def _transitions(alert: AlertSnapshot) -> Iterator[tuple[int, str, str]]:
    """Time, state and sentence of each change. A stretch that continues after the evaluator was down is not a new alarm."""
    if not alert.intervals:
        yield from _present(alert)
        return
    intervals = alert.intervals
    for index, interval in enumerate(intervals):
        if interval.after_outage:
            yield (
                interval.start_ns,
                interval.state.value,
                f"is seen {interval.state.value} again: nothing evaluated it in between",
            )
        elif interval.state is AlertState.FIRING:
            yield interval.start_ns, "firing", "fires"
        else:
            yield interval.start_ns, interval.state.value, f"is {interval.state.value}"
        following = intervals[index + 1] if index + 1 < len(intervals) else None
        if interval.end_ns is None or (following and following.start_ns <= interval.end_ns):
            continue
        if following and following.after_outage:
            yield interval.end_ns, "unwatched", "is no longer evaluated; whether it lasted is not known"
        elif interval.state is AlertState.FIRING:
            yield interval.end_ns, "resolved", "resolved"
        else:
            yield interval.end_ns, "inactive", f"is no longer {interval.state.value}"


def _present(alert: AlertSnapshot) -> Iterator[tuple[int, str, str]]:
    """What can be said without a history. Prometheus tells since when an alert is active, not since when it fires."""
    if alert.source == "prometheus" or alert.state is AlertState.PENDING:
        yield alert.started_ns, "active", "becomes active"
    else:
        yield alert.started_ns, "firing", "fires"
    if alert.ended_ns is not None:
        yield alert.ended_ns, "resolved", "resolved"


def _labels(alert: AlertSnapshot) -> str:
    shown = (f"{key}={value}" for key, value in alert.labels.items() if key not in ("alertname", "severity"))
    return ", ".join(shown)


def _decision(capture: Capture, kept: Item) -> Event:
    verdict, trace = capture.verdict, capture.trace
    deciding = trace.by_id.get(verdict.span_id or "")
    entry = trace.by_id.get(verdict.entry.span_id if verdict.entry else "", trace.roots[0])
    node = deciding or entry
    title = _line(verdict.sentence) or _line(f"{_DECISION_DESC[verdict.outcome]}: {kept.title}")
    said = f"reason: {verdict.reason}" if verdict.reason and verdict.reason not in title else ""
    whom = " from ".join(filter(None, (verdict.principal, verdict.client_address)))
    return Event(
        key=f"{Kind.DECISION}:{trace.trace_id}:{node.span.span_id}",
        kind=Kind.DECISION,
        # A refusal is known when the span that took it ends, not when it began to think.
        occurred_ns=_storable_ns(node.end_ns),
        observed_ns=kept.received_ns,
        captured_ns=kept.captured_ns,
        shift_ns=node.shift_ns,
        desc=_DECISION_DESC[verdict.outcome],
        title=title,
        detail=_line("; ".join(filter(None, (kept.title, whom, said))), _WORDS),
        outcome=verdict.outcome,
        layer=verdict.layer or _allowing(verdict),
        service=_value(verdict.service or node.service, 200),
        reason=_value(verdict.reason or "", _WORDS),
        confidence=verdict.confidence,
        http_status=_status(verdict.entry.status if verdict.entry else None),
        span_id=node.span.span_id,
        **_who(trace, verdict, kept, node, entry),
    )


def _allowing(verdict: Verdict) -> Layer | None:
    """Of a request that was let through, the last layer that explicitly did so."""
    return next((one.layer for one in reversed(verdict.layers) if one.decision is Decision.ALLOW), None)


def _effects(capture: Capture, kept: Item) -> Iterator[Event]:
    verdict, trace = capture.verdict, capture.trace
    refusal = trace.by_id.get(verdict.span_id or "")
    for number, effect in enumerate(verdict.side_effects):
        node = trace.by_id.get(effect.span_id)
        if node is None:
            continue
        yield Event(
            key=f"{Kind.EFFECT}:{trace.trace_id}:{effect.span_id}:{number}",
            kind=Kind.EFFECT,
            occurred_ns=_storable_ns(node.start_ns),
            observed_ns=kept.received_ns,
            captured_ns=kept.captured_ns,
            shift_ns=node.shift_ns,
            desc="Side effect",
            title=_line(f"{effect.service} {_EFFECT_VERB[effect.kind]} {effect.target or 'an unnamed target'}"),
            detail=_line(_relation(effect, node, refusal), _WORDS),
            layer=None,
            service=_value(effect.service, 200),
            span_id=effect.span_id,
            **_who(trace, verdict, kept, node, trace.roots[0]),
        )


def _preserved(kept: Item) -> Event:
    whole = "as received" if kept.completeness == "whole" else f"as received, {kept.completeness}: {kept.completeness_note}"
    return Event(
        key=f"evidence:{kept.number}", kind=Kind.EVIDENCE, occurred_ns=kept.captured_ns, observed_ns=kept.captured_ns,
        captured_ns=kept.captured_ns, desc="Evidence captured",
        title=_line(f"{kept.captured_by} kept {kept.name}: {kept.title}"),
        detail=_line(f"{kept.size:,} bytes {whole}; SHA-256 {kept.sha256}", _WORDS), trace_id=kept.trace_id,
        evidence=kept.number, evidence_sha256=kept.sha256, completeness=kept.completeness.value, actor=kept.captured_by,
    )  # fmt: skip


def _who(trace: Trace, verdict: Verdict, kept: Item, node: Node, entry: Node) -> dict[str, Any]:
    """The fields that every event of one trace shares: who asked for what, and which item proves it."""
    spans = (node, *node.ancestors(), entry)
    asked = f"{semconv.method(entry.span)} {semconv.route(entry.span) or semconv.path(entry.span)}".strip()
    return {
        "trace_id": trace.trace_id,
        "user": _value(verdict.principal or "", 200),
        "source_ip": _value(verdict.client_address or _address(spans, entry), 100),
        "session_id": _first(spans, ("session.id", "auth.session_id")),
        "client_id": _first(spans, ("oauth.client_id", "auth.client_id", "client_id")),
        "resource": _value(asked or entry.span.name, 300),
        "evidence": kept.number,
        "evidence_sha256": kept.sha256,
        "completeness": kept.completeness.value,
    }


def _address(nodes: Sequence[Node], entry: Node) -> str:
    """The client's address as the service at the entry wrote it down on an inner span; others see only their caller."""
    own = (node.span for node in nodes if node.service == entry.service and node.span.kind is not SpanKind.CLIENT)
    return next((address for span in own if (address := semconv.client_address(span))), "")


def _first(nodes: Sequence[Node], names: Sequence[str]) -> str:
    for node in nodes:
        for name in names:
            if value := node.span.attributes.get(name):
                return _value(str(value), 200)
    return ""


def _relation(effect: SideEffect, node: Node, refusal: Node | None) -> str:
    if refusal is None or effect.when is EffectTime.NO_DENIAL:
        return ""
    if effect.when is EffectTime.AFTER_DENIAL:
        return f"{format_duration(max(0, node.start_ns - refusal.end_ns))} after the refusal"
    return f"{format_duration(max(0, refusal.end_ns - node.start_ns))} before the refusal; nothing in the trace takes it back"


def _line(text: str, most: int = _TITLE) -> str:
    """Words of telemetry as one line of at most so many characters. Odd characters stay: pages mark them, exports do not."""
    shown = redact(" ".join(storable(text[: 2 * most]).split()))
    return shown if len(shown) <= most else shown[: most - 1] + "…"


def _value(text: str, most: int) -> str:
    """A value as it was sent, up to what a column holds. A secret in it is left to the evidence: timelines travel."""
    return redact(storable(text[: 2 * most]))[:most]


def _storable_ns(ns: int) -> int:
    """Times of telemetry can be anything; what no database column holds is put at its edge."""
    return max(-(2**63), min(ns, 2**63 - 1))


def _status(code: int | None) -> int | None:
    return code if code is not None and 0 <= code < 1000 else None
