"""Draws a trace as calls within calls, gives it ids and times, and writes it as a backend would answer it.

    trace("night-shift-badge", Span(door, "GET /doors", "server", [Span(...), Span(..., mark="refusal")]),
          outcome="denied", where="refusal", why="...")

Ids and times come from a generator seeded with the trace's name: a second run writes the same bytes, and a change to
one trace leaves the others alone.
Units: milliseconds from the trace's start in a drawing, Unix nanoseconds in the file.
"""

from __future__ import annotations

import base64
import json
import random
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

WEEK_START_NS = 1_791_763_200 * 10**9
KINDS = {"internal": 1, "server": 2, "client": 3, "producer": 4, "consumer": 5}
CODES = {"unset": 0, "ok": 1, "error": 2}
LABEL_FIELDS = {
    "outcome", "layer", "phase", "service", "span_id", "reason", "principal", "client_address", "entry_status", "enforced_by",
    "enforced_by_span_id", "confidence", "findings", "no_findings", "side_effects", "layers", "absent", "why", "doubt",
    "unmended",
}  # fmt: skip


@dataclass
class Event:
    name: str
    attrs: dict[str, Any] = field(default_factory=dict)
    at: float | None = None  # None: shortly before its span ends


@dataclass
class Host:
    """One process that sends spans. `clock` is how far its clock runs ahead."""

    name: str
    resource: dict[str, Any] = field(default_factory=dict)
    clock: float = 0.0


@dataclass(eq=False)
class Span:
    host: Host
    name: str
    kind: str = "internal"
    under: Sequence[Span] = ()
    attrs: dict[str, Any] = field(default_factory=dict)
    scope: str = ""
    status: str = "unset"
    message: str = ""
    events: Sequence[Event] = ()
    links: Sequence[tuple[str, str] | str] = ()  # (trace id, span id), or a mark of this trace
    mark: str = ""  # the name by which a label, a link or a false parent means this span
    lasts: float | None = None
    at: float | None = None
    beside: bool = False  # begins with its elder sibling instead of after it
    behind: float | None = None  # begins so long after its parent has ended
    parent: str = ""  # a mark or an id in place of the parent it is drawn under
    lost: bool = False  # never delivered
    copies: int = 1
    raw: dict[str, Any] = field(default_factory=dict)  # keys of the wire form to set as they are
    # Filled in when drawn.
    id: str = ""
    start: float = 0.0
    end: float = 0.0


@dataclass
class Drawn:
    name: str
    label: dict[str, Any]
    document: dict[str, Any]


ALBUM: list[Drawn] = []


def exception(type_: str, message: str = "", at: float | None = None, stack: str = "") -> Event:
    attrs = {"exception.type": type_, "exception.message": message, "exception.stacktrace": stack}
    return Event("exception", {k: v for k, v in attrs.items() if v or k == "exception.message"}, at)


def trace(name: str, *roots: Span, shape: str = "otlp", partial: bool = False, **label: Any) -> None:
    """Add a labelled trace to the album.

    Shape: "otlp" is resourceSpans with hex ids, "v1" and "v2" the two trace routes of Tempo with base64 ids.
           `where` and `enforcer` in a label are marks, `where` also a tuple of marks that are all right.
    The label's `group` is the module that drew it.
    """
    if any(drawn.name == name for drawn in ALBUM):
        raise ValueError(f"two traces are called {name}")
    chance = random.Random(name)
    trace_id = f"{chance.getrandbits(128):032x}"
    base_ns = WEEK_START_NS + chance.randrange(7 * 86_400 * 1000) * 10**6
    marks: dict[str, str] = {}
    rows: list[tuple[Span, str]] = []

    def number(span: Span, parent: str) -> None:
        span.id = f"{chance.getrandbits(64):016x}"
        if span.mark:
            if span.mark in marks:
                raise ValueError(f"{name}: two spans are marked {span.mark}")
            marks[span.mark] = span.id
        rows.append((span, parent))
        for child in span.under:
            number(child, span.id)

    for i, root in enumerate(roots):
        place(root, 0.0 if root.at is None else root.at, chance, first=i == 0)
        number(root, "")

    groups: dict[str, tuple[Host, dict[str, list[dict[str, Any]]]]] = {}
    for span, parent in rows:
        if span.lost:
            continue
        wire = on_the_wire(span, trace_id, marks.get(span.parent, span.parent) or parent, base_ns, marks)
        _, scopes = groups.setdefault(span.host.name + json.dumps(span.host.resource, sort_keys=True), (span.host, {}))
        scopes.setdefault(span.scope, []).extend([wire] * span.copies)

    if "where" in label:
        where = label.pop("where")
        label["span_id"] = marks[where] if isinstance(where, str) else [marks[mark] for mark in where]
    if "enforcer" in label:
        label["enforced_by_span_id"] = marks[label.pop("enforcer")]
    if strange := set(label) - LABEL_FIELDS:
        raise ValueError(f"{name}: a label has no {strange}")
    group = sys._getframe(1).f_globals["__name__"].rpartition(".")[2]
    label = {"name": name, "group": group, "trace_id": trace_id, **label}
    ALBUM.append(Drawn(name, label, document(groups, shape, partial)))


def place(span: Span, at: float, chance: random.Random, first: bool = False) -> None:
    """Give a span and all under it a start and an end, children one after the other unless drawn otherwise."""
    span.start = span.at if span.at is not None else at
    cursor = begun = span.start + chance.uniform(0.08, 0.7)
    for child in span.under:
        if child.behind is not None:
            continue
        begun = begun + chance.uniform(0.02, 0.1) if child.beside else cursor
        place(child, begun, chance)
        cursor = max(cursor, child.end + chance.uniform(0.05, 0.6))
    if span.lasts is not None:
        span.end = span.start + span.lasts
    else:
        span.end = cursor + chance.uniform(0.05, 0.3) if span.under else span.start + chance.uniform(0.3, 6.0)
    for child in span.under:
        if child.behind is not None:
            place(child, span.end + child.behind, chance)


def on_the_wire(span: Span, trace_id: str, parent: str, base_ns: int, marks: dict[str, str]) -> dict[str, Any]:
    def ns(ms: float) -> str:
        return str(base_ns + round((ms + span.host.clock) * 1_000_000))

    wire: dict[str, Any] = {"traceId": trace_id, "spanId": span.id}
    if parent:
        wire["parentSpanId"] = parent
    wire |= {
        "flags": 769 if parent and span.kind in ("server", "consumer") else 257,  # sampled; the parent is (not) remote
        "name": span.name,
        "kind": KINDS[span.kind],
        "startTimeUnixNano": ns(span.start),
        "endTimeUnixNano": ns(span.end),
        "attributes": pairs(span.attrs),
    }
    if span.events:
        late = span.start + (span.end - span.start) * 0.93
        wire["events"] = [
            {"timeUnixNano": ns(late if e.at is None else e.at), "name": e.name, "attributes": pairs(e.attrs)}
            for e in span.events
        ]
    if span.links:
        ends = [(trace_id, marks[link]) if isinstance(link, str) else link for link in span.links]
        wire["links"] = [{"traceId": t, "spanId": s, "attributes": []} for t, s in ends]
    status = {"code": CODES[span.status], "message": span.message}
    return wire | {"status": {k: v for k, v in status.items() if v}} | span.raw


def pairs(attrs: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"key": key, "value": any_value(value)} for key, value in attrs.items() if value is not None]


def any_value(value: Any) -> dict[str, Any]:
    match value:
        case bool():
            return {"boolValue": value}
        case int():
            return {"intValue": str(value)}
        case float():
            return {"doubleValue": value}
        case list() | tuple():
            return {"arrayValue": {"values": [any_value(v) for v in value]}}
        case dict():
            return {"kvlistValue": {"values": pairs(value)}}
        case _:
            return {"stringValue": str(value)}


def document(groups: dict[str, tuple[Host, dict[str, list[dict[str, Any]]]]], shape: str, partial: bool) -> dict[str, Any]:
    batches = [
        {
            "resource": {"attributes": pairs({"service.name": host.name} | host.resource)},
            "scopeSpans": [
                {"scope": named(scope), "spans": [in_tempos_spelling(s) for s in spans] if shape != "otlp" else spans}
                for scope, spans in scopes.items()
            ],
        }
        for host, scopes in groups.values()
    ]
    if shape == "v1":
        return {"batches": batches}
    if shape == "v2":
        end = {"status": "PARTIAL", "message": "the trace is larger than the configured limit"} if partial else {}
        return {"trace": {"resourceSpans": batches}, "metrics": {}, **end}
    return {"resourceSpans": batches}


def named(scope: str) -> dict[str, str]:
    """`name#version` as OTLP's two fields."""
    name, _, version = scope.partition("#")
    return {k: v for k, v in (("name", name), ("version", version)) if v}


def in_tempos_spelling(wire: dict[str, Any]) -> dict[str, Any]:
    def b64(ids: dict[str, Any]) -> dict[str, Any]:
        spelt = {k: base64.b64encode(bytes.fromhex(ids[k])).decode() for k in ("traceId", "spanId", "parentSpanId") if k in ids}
        return ids | spelt

    kinds = {number: f"SPAN_KIND_{word.upper()}" for word, number in KINDS.items()}
    codes = {number: f"STATUS_CODE_{word.upper()}" for word, number in CODES.items()}
    status = {k: codes[v] if k == "code" else v for k, v in wire["status"].items()}
    spelt = b64(wire) | {"kind": kinds[wire["kind"]], "status": status}
    if "links" in wire:
        spelt["links"] = [b64(link) for link in wire["links"]]
    return spelt


def write(folder: Path) -> int:
    """Put the album into a folder and say how many traces it holds."""
    (folder / "traces").mkdir(parents=True, exist_ok=True)
    for old in (folder / "traces").glob("*.json"):
        old.unlink()
    for drawn in ALBUM:
        text = json.dumps(drawn.document, ensure_ascii=False, separators=(",", ":"))
        (folder / "traces" / f"{drawn.name}.json").write_text(text + "\n", encoding="utf-8")
    labels = json.dumps([drawn.label for drawn in ALBUM], ensure_ascii=False, indent=1)
    (folder / "labels.json").write_text(labels + "\n", encoding="utf-8")
    return len(ALBUM)
