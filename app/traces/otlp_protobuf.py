"""Protobuf to spans: OTLP's TracesData, and the wrapper that Tempo's second trace route puts around it."""

from __future__ import annotations

from collections.abc import Callable
from sys import intern
from typing import Any

from google.protobuf.message import DecodeError
from opentelemetry.proto.trace.v1 import trace_pb2

from app.errors import NotATrace
from app.traces.model import Attributes, AttributeValue, Event, Link, Resource, Scope, Span
from app.traces.otlp_reader import NOTHING, Decoded, Reader, kind, status, time


def decode_protobuf(body: bytes) -> Decoded:
    """OTLP TracesData (also what Tempo's first trace route sends), or the wrapper of Tempo's second one.

    The two are told apart by trying: read as the other, either holds no spans.
    """
    plain = _traces_data(body)
    if plain is not None and any(group.spans for batch in plain.resource_spans for group in batch.scope_spans):
        return _from_messages(plain)
    wrapped = _unwrap(body)
    if wrapped is not None:
        inner, partial, note = wrapped
        data = _traces_data(inner)
        if data is not None:
            return _from_messages(data, partial=partial, note=note)
    if plain is not None and not body:
        return Decoded([])
    raise NotATrace("This is not a trace: it is neither JSON nor a protobuf message with spans.")


def _traces_data(body: bytes) -> trace_pb2.TracesData | None:
    data = trace_pb2.TracesData()
    try:
        data.ParseFromString(body)
    except DecodeError:
        return None
    return data


def _unwrap(body: bytes) -> tuple[bytes, bool, str] | None:
    """Tempo's TraceByIDResponse: field 1 trace, 2 metrics, 3 status (1 = PARTIAL), 4 message."""
    trace, partial, note = b"", False, ""
    position = 0
    try:
        while position < len(body):
            key, position = _varint(body, position)
            field, wire = key >> 3, key & 7
            if wire == 0:
                number, position = _varint(body, position)
                partial = partial or (field == 3 and number == 1)
            elif wire == 2:
                length, position = _varint(body, position)
                chunk = body[position : position + length]
                if len(chunk) < length:
                    return None
                position += length
                if field == 1:
                    trace += chunk  # a message sent in parts is the concatenation of them
                elif field == 4:
                    note = chunk.decode("utf-8", "replace")
            else:
                return None
    except (IndexError, OverflowError):
        return None
    return trace, partial, note


def _varint(body: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = body[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7
        if shift > 63:
            raise OverflowError


def _from_messages(data: trace_pb2.TracesData, *, partial: bool = False, note: str = "") -> Decoded:
    reader = Reader()
    for batch in data.resource_spans:
        resource = reader.resource(_proto_attributes(batch.resource.attributes))
        for group in batch.scope_spans:
            scope = reader.scope(group.scope.name, group.scope.version, _proto_attributes(group.scope.attributes))
            reader.spans.extend(_proto_span(reader, s, resource, scope) for s in group.spans)
    return reader.decoded(partial=partial, note=note)


def _proto_span(reader: Reader, s: Any, resource: Resource, scope: Scope) -> Span:
    return Span(
        _proto_id(s.trace_id, 16),
        _proto_id(s.span_id, 8) or reader.made_up_id(),
        _proto_id(s.parent_span_id, 8),
        intern(s.name),
        kind(s.kind),
        time(s.start_time_unix_nano),
        time(s.end_time_unix_nano),
        _proto_attributes(s.attributes),
        resource,
        scope,
        status(s.status.code),
        s.status.message,
        tuple([Event(e.name, time(e.time_unix_nano), _proto_attributes(e.attributes)) for e in s.events]),
        tuple([Link(_proto_id(k.trace_id, 16), _proto_id(k.span_id, 8), _proto_attributes(k.attributes)) for k in s.links]),
        s.trace_state,
        s.flags,
        s.dropped_attributes_count,
        s.dropped_events_count,
        s.dropped_links_count,
    )


def _proto_id(raw: bytes, size: int) -> str:
    return raw.hex() if len(raw) == size and any(raw) else ""


def _proto_attributes(pairs: Any) -> Attributes:
    return {intern(pair.key): _proto_value(pair.value) for pair in pairs} if pairs else NOTHING


_PROTO_VALUES: dict[str | None, Callable[[Any], AttributeValue]] = {
    "string_value": lambda v: v.string_value,
    "int_value": lambda v: v.int_value,
    "bool_value": lambda v: v.bool_value,
    "double_value": lambda v: v.double_value,
    "bytes_value": lambda v: v.bytes_value,
    "array_value": lambda v: [_proto_value(item) for item in v.array_value.values],
    "kvlist_value": lambda v: {kv.key: _proto_value(kv.value) for kv in v.kvlist_value.values},
}


def _proto_value(v: Any) -> AttributeValue:
    read = _PROTO_VALUES.get(v.WhichOneof("value"))
    return read(v) if read else None
