"""Tempo's dialects on the wire: JSON of protobuf messages (base64 ids, enum names, 64-bit integers as text, zeros left out),
and the protobuf itself, whose trace is wire-compatible with OTLP's TracesData.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Iterable, Mapping
from typing import Any

from opentelemetry.proto.common.v1 import common_pb2
from opentelemetry.proto.trace.v1 import trace_pb2

from app.traceql.values import Duration, Value, encode
from app.traces.model import Event, Link, Resource, Scope, Span, SpanKind, Status


def without_zeros(**fields: Any) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value not in ("", 0, None, [])}


def typed_pair(name: str, value: Value) -> dict[str, Any]:
    """A TraceQL value under a name; enums, durations and nil are text."""
    return {"key": name, "value": any_value(encode(value) if _is_text(value) else value)}


def _is_text(value: Value) -> bool:
    return value is None or isinstance(value, (Duration, Status, SpanKind))


def bare_text(value: Any) -> str:
    """An attribute's value as the older search compares it."""
    return value if isinstance(value, str) else encode(value) if isinstance(value, (bool, int, float)) else ""


# ------------------------------------------------------------------------------------------------------------- JSON


def any_value(value: Any) -> dict[str, Any]:
    """OTLP's AnyValue. Deep nesting was refused when the span came in."""
    match value:
        case bool():
            return {"boolValue": value}
        case int():
            return {"intValue": str(value)}
        case str():
            return {"stringValue": value}
        case float():
            return {"doubleValue": json_float(value)}
        case bytes():
            return {"bytesValue": base64.b64encode(value).decode()}
        case list() | tuple():
            return {"arrayValue": {"values": [any_value(item) for item in value]}}
        case dict():
            return {"kvlistValue": {"values": pairs(value)}}
        case _:
            return {}


def json_float(value: float) -> float | str:
    """A double as proto-JSON has it: what JSON cannot say as a number is text."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return value


def pairs(attributes: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [{"key": name, "value": any_value(value)} for name, value in attributes.items()]


def _id(text: str) -> str:
    return base64.b64encode(bytes.fromhex(text)).decode()


def resource_spans(spans: Iterable[Span]) -> list[dict[str, Any]]:
    """Spans as Tempo returns them in JSON, grouped by resource and scope."""
    out = []
    for resource, scopes in _grouped(spans):
        groups = [{"scope": _scope(scope), "spans": [_span(span) for span in members]} for scope, members in scopes.values()]
        out.append({"resource": without_zeros(attributes=pairs(resource.attributes)), "scopeSpans": groups})
    return out


def _grouped(spans: Iterable[Span]) -> list[tuple[Resource, dict[int, tuple[Scope, list[Span]]]]]:
    groups: dict[int, tuple[Resource, dict[int, tuple[Scope, list[Span]]]]] = {}
    for span in spans:
        _, scopes = groups.setdefault(id(span.resource), (span.resource, {}))
        scopes.setdefault(id(span.scope), (span.scope, []))[1].append(span)
    return list(groups.values())


def _scope(scope: Scope) -> dict[str, Any]:
    return without_zeros(name=scope.name, version=scope.version, attributes=pairs(scope.attributes))


def _span(span: Span) -> dict[str, Any]:
    status = without_zeros(
        message=span.status_message, code="" if span.status is Status.UNSET else f"STATUS_CODE_{span.status.name}"
    )
    return {
        **without_zeros(
            traceId=_id(span.trace_id),
            spanId=_id(span.span_id),
            traceState=span.trace_state,
            parentSpanId=_id(span.parent_id),
            flags=span.flags,
            name=span.name,
            kind="" if span.kind is SpanKind.UNSPECIFIED else f"SPAN_KIND_{span.kind.name}",
            startTimeUnixNano=_nanos(span.start_ns),
            endTimeUnixNano=_nanos(span.end_ns),
            attributes=pairs(span.attributes),
            droppedAttributesCount=span.dropped_attributes,
            events=[_event(event) for event in span.events],
            droppedEventsCount=span.dropped_events,
            links=[_link(link) for link in span.links],
            droppedLinksCount=span.dropped_links,
        ),
        "status": status,
    }


def _nanos(ns: int) -> str:
    return str(ns) if ns else ""


def _event(event: Event) -> dict[str, Any]:
    return without_zeros(timeUnixNano=_nanos(event.time_ns), name=event.name, attributes=pairs(event.attributes))


def _link(link: Link) -> dict[str, Any]:
    return without_zeros(traceId=_id(link.trace_id), spanId=_id(link.span_id), attributes=pairs(link.attributes))


# --------------------------------------------------------------------------------------------------------- protobuf


def trace_message(spans: Iterable[Span]) -> bytes:
    """The spans as Tempo's `Trace` message, which is OTLP's TracesData."""
    data = trace_pb2.TracesData()
    for resource, scopes in _grouped(spans):
        batch = data.resource_spans.add()
        _fill(batch.resource.attributes, resource.attributes)
        for scope, members in scopes.values():
            group = batch.scope_spans.add()
            group.scope.name = scope.name
            group.scope.version = scope.version
            _fill(group.scope.attributes, scope.attributes)
            for span in members:
                _fill_span(group.spans.add(), span)
    return data.SerializeToString()


def trace_response(spans: Iterable[Span], *, note: str = "") -> bytes:
    """The v2 envelope: the trace in field 1; with a note, the status PARTIAL in field 3 and the note in field 4."""
    trace = trace_message(spans)
    out = b"\x0a" + varint(len(trace)) + trace + b"\x12\x00"
    if note:
        text = note.encode()
        out += b"\x18\x01\x22" + varint(len(text)) + text
    return out


def varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def _fill(target: Any, attributes: Mapping[str, Any]) -> None:
    for name, value in attributes.items():
        pair = target.add()
        pair.key = name
        _fill_value(pair.value, value)


def _fill_value(target: common_pb2.AnyValue, value: Any) -> None:
    match value:
        case bool():
            target.bool_value = value
        case int():
            target.int_value = value
        case str():
            target.string_value = value
        case float():
            target.double_value = value
        case bytes():
            target.bytes_value = value
        case list() | tuple():
            target.array_value.SetInParent()
            for item in value:
                _fill_value(target.array_value.values.add(), item)
        case dict():
            target.kvlist_value.SetInParent()
            _fill(target.kvlist_value.values, value)


def _fill_span(target: trace_pb2.Span, span: Span) -> None:
    target.trace_id = bytes.fromhex(span.trace_id)
    target.span_id = bytes.fromhex(span.span_id)
    target.parent_span_id = bytes.fromhex(span.parent_id)
    target.trace_state = span.trace_state
    target.flags = span.flags
    target.name = span.name
    target.kind = span.kind.value  # type: ignore[assignment]
    target.start_time_unix_nano = span.start_ns
    target.end_time_unix_nano = span.end_ns
    _fill(target.attributes, span.attributes)
    target.dropped_attributes_count = span.dropped_attributes
    for event in span.events:
        kept = target.events.add()
        kept.name = event.name
        kept.time_unix_nano = event.time_ns
        _fill(kept.attributes, event.attributes)
    target.dropped_events_count = span.dropped_events
    for link in span.links:
        pointer = target.links.add()
        pointer.trace_id = bytes.fromhex(link.trace_id)
        pointer.span_id = bytes.fromhex(link.span_id)
        _fill(pointer.attributes, link.attributes)
    target.dropped_links_count = span.dropped_links
    target.status.code = span.status.value  # type: ignore[assignment]
    target.status.message = span.status_message
