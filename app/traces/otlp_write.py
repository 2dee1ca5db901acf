"""Spans to OTLP/JSON, for people to download and for other tools to read."""

from __future__ import annotations

import binascii
from collections.abc import Iterable
from typing import Any

import msgspec

from app.traces.model import Attributes, AttributeValue, Span


def encode_json(spans: Iterable[Span]) -> bytes:
    """Standard OTLP/JSON (hex ids, numeric enums, 64-bit integers as strings) of spans, grouped by resource and scope.

    Other tools read it: Jaeger's upload, a collector's file receiver, `clew explain`.
    """
    groups: dict[int, dict[int, list[Span]]] = {}
    for span in spans:
        groups.setdefault(id(span.resource), {}).setdefault(id(span.scope), []).append(span)
    batches = []
    for scopes in groups.values():
        first = next(iter(scopes.values()))[0]
        batches.append(
            {
                "resource": {"attributes": _pairs(first.resource.attributes)},
                "scopeSpans": [
                    {
                        "scope": {"name": group[0].scope.name, "version": group[0].scope.version},
                        "spans": [_span_json(span) for span in group],
                    }
                    for group in scopes.values()
                ],
            }
        )
    return msgspec.json.encode({"resourceSpans": batches})


def _span_json(s: Span) -> dict[str, Any]:
    full = {
        "traceId": s.trace_id,
        "spanId": s.span_id,
        "parentSpanId": s.parent_id,
        "traceState": s.trace_state,
        "flags": s.flags,
        "name": s.name,
        "kind": int(s.kind),
        "startTimeUnixNano": str(s.start_ns),
        "endTimeUnixNano": str(s.end_ns),
        "attributes": _pairs(s.attributes),
        "droppedAttributesCount": s.dropped_attributes,
        "events": [{"timeUnixNano": str(e.time_ns), "name": e.name, "attributes": _pairs(e.attributes)} for e in s.events],
        "droppedEventsCount": s.dropped_events,
        "links": [{"traceId": k.trace_id, "spanId": k.span_id, "attributes": _pairs(k.attributes)} for k in s.links],
        "droppedLinksCount": s.dropped_links,
        "status": {"code": int(s.status), "message": s.status_message},
    }
    required = ("traceId", "spanId", "name", "startTimeUnixNano", "endTimeUnixNano")
    return {key: value for key, value in full.items() if value or key in required}


def _pairs(attributes: Attributes) -> list[dict[str, Any]]:
    return [{"key": key, "value": any_value(value)} for key, value in attributes.items()]


def any_value(value: AttributeValue) -> dict[str, Any]:
    """An attribute's value as OTLP/JSON's AnyValue."""
    if isinstance(value, str):
        return {"stringValue": value}
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)}
    if isinstance(value, float):
        special = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}
        return {"doubleValue": special.get(str(value), value)}
    if isinstance(value, bytes):
        return {"bytesValue": binascii.b2a_base64(value, newline=False).decode()}
    if isinstance(value, list):
        return {"arrayValue": {"values": [any_value(item) for item in value]}}
    if isinstance(value, dict):
        return {"kvlistValue": {"values": [{"key": k, "value": any_value(v)} for k, v in value.items()]}}
    return {}
