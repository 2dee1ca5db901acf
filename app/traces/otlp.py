"""OTLP to spans and back; nothing else knows the wire.

Read: OTLP/JSON (`resourceSpans`, hex ids, numeric enums), Tempo's proto-JSON (`batches` or a `trace` envelope, base64 ids,
enum names), one such object per line, a list of them, and the protobuf of either. Decoding is typed: what has the wrong
shape is an error with its place, never a surprise further in.
"""

from __future__ import annotations

import binascii
import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec
from google.protobuf.message import DecodeError
from opentelemetry.proto.trace.v1 import trace_pb2

from app.errors import NotATrace
from app.times import UnixNanos
from app.traces.model import Attributes, AttributeValue, Event, Link, Resource, Scope, Span, SpanKind, Status

UNKNOWN_SERVICE = "unknown_service"  # what the specification calls a resource without service.name
_MAX_TIME = 2**63 - 1


class Decoded(msgspec.Struct, frozen=True):
    """Spans as sent, in the order sent, of one or more traces.

    partial, note: what the backend said of missing spans (Tempo's `status` and `message`).
    unreadable_ids: spans whose own id was empty or undecodable; they carry a made-up one.
    """

    spans: list[Span]
    partial: bool = False
    note: str = ""
    unreadable_ids: tuple[str, ...] = ()


def decode(body: bytes, media_type: str | None = None) -> Decoded:
    """The spans in `body`.

    media_type: the Content-Type it came with; None sniffs.
    Errors: NotATrace with one sentence.
    """
    kind = (media_type or "").partition(";")[0].strip().lower()
    try:
        if "protobuf" in kind:
            return _decode_protobuf(body)
        if "json" in kind:
            return _decode_json(body)
        return _sniff(body)
    except RecursionError:
        raise NotATrace("This is not a trace: its values are nested too deeply.") from None


def _sniff(body: bytes) -> Decoded:
    if not body.strip():
        raise NotATrace("This is not a trace: it is empty.")
    if body.lstrip(b" \t\r\n\xef\xbb\xbf")[:1] in (b"{", b"["):
        try:
            return _decode_json(body)
        except NotATrace:
            # A protobuf message begins with a newline's byte, and the length after it may look like a brace.
            if body[:1] != b"\n":
                raise
    return _decode_protobuf(body)


# ------------------------------------------------------------------------------------------------------------- JSON


class _Wire(msgspec.Struct, gc=False, rename="camel"):
    """Base of the wire's shapes. The garbage collector need not look at them: they hold no cycles."""


class _AnyValue(_Wire):
    string_value: str | None = None
    int_value: int | None = None
    bool_value: bool | None = None
    double_value: float | None = None
    array_value: _ArrayValue | None = None
    kvlist_value: _KvList | None = None
    bytes_value: str | None = None


class _ArrayValue(_Wire):
    values: list[_AnyValue | None] | None = None


class _KeyValue(_Wire):
    key: str = ""
    value: _AnyValue | None = None


class _KvList(_Wire):
    values: list[_KeyValue] | None = None


class _Event(_Wire):
    name: str | None = None
    time_unix_nano: int | None = None
    attributes: list[_KeyValue] | None = None


class _Link(_Wire):
    trace_id: str | None = None
    span_id: str | None = None
    attributes: list[_KeyValue] | None = None


class _Status(_Wire):
    code: int | str | None = None
    message: str | None = None


class _Span(_Wire):
    trace_id: str | None = None
    span_id: str | None = None
    parent_span_id: str | None = None
    name: str | None = None
    kind: int | str | None = None
    start_time_unix_nano: int | None = None
    end_time_unix_nano: int | None = None
    attributes: list[_KeyValue] | None = None
    events: list[_Event] | None = None
    links: list[_Link] | None = None
    status: _Status | None = None
    trace_state: str | None = None
    flags: int | None = None
    dropped_attributes_count: int | None = None
    dropped_events_count: int | None = None
    dropped_links_count: int | None = None


class _Scope(_Wire):
    name: str | None = None
    version: str | None = None
    attributes: list[_KeyValue] | None = None


class _ScopeSpans(_Wire):
    scope: _Scope | None = None
    instrumentation_library: _Scope | None = None
    spans: list[_Span] | None = None


class _Resource(_Wire):
    attributes: list[_KeyValue] | None = None


class _ResourceSpans(_Wire):
    resource: _Resource | None = None
    scope_spans: list[_ScopeSpans] | None = None
    instrumentation_library_spans: list[_ScopeSpans] | None = None


class _Batches(_Wire):
    resource_spans: list[_ResourceSpans] | None = None
    batches: list[_ResourceSpans] | None = None


class _Envelope(_Batches):
    trace: _Batches | None = None
    status: str | int | None = None
    message: str | None = None


# Lax: 64-bit integers come as strings or numbers, NaN and the infinities as strings.
_JSON = msgspec.json.Decoder(_Envelope, strict=False)
_JSON_LIST = msgspec.json.Decoder(list[_Envelope], strict=False)


def _decode_json(body: bytes) -> Decoded:
    try:
        envelopes = _envelopes(body)
    except (UnicodeDecodeError, msgspec.DecodeError) as first:
        # Bytes that are no UTF-8, a lone surrogate, a bare NaN: senders write such things, and one hostile attribute
        # must not hide a trace. The slow path reads them; what it cannot read either is reported as first found.
        try:
            envelopes = _envelopes(_mended(body))
        except (ValueError, msgspec.MsgspecError):
            raise NotATrace(f"This is not a trace: {_plain(first)}.") from None
    if not any(e.resource_spans is not None or e.batches is not None or e.trace is not None for e in envelopes):
        raise NotATrace("This JSON is not a trace: it has neither resourceSpans nor batches nor trace.")
    reader = _Reader()
    notes = []
    partial = False
    for envelope in envelopes:
        if envelope.status in ("PARTIAL", 1):
            partial = True
            notes.append(envelope.message or "")
        for part in (envelope, envelope.trace):
            if part is not None:
                reader.resources(part.resource_spans or part.batches or ())
    return reader.decoded(partial=partial, note=" ".join(filter(None, notes)))


def _envelopes(body: bytes) -> list[_Envelope]:
    text = body.removeprefix(b"\xef\xbb\xbf").strip()
    if text[:1] == b"[":
        return _JSON_LIST.decode(text)
    try:
        return [_JSON.decode(text)]
    except msgspec.DecodeError:
        lines = [line for line in text.splitlines() if line.strip()]
        if len(lines) < 2 or not all(line.lstrip()[:1] == b"{" and line.rstrip()[-1:] == b"}" for line in lines):
            raise
        return [_JSON.decode(line) for line in lines]  # one export request per line, as collectors write files


def _mended(body: bytes) -> bytes:
    parsed = json.loads(body.decode("utf-8", "replace"), parse_constant=str)
    return json.dumps(parsed, ensure_ascii=False).encode("utf-8", "replace")


def _plain(error: Exception) -> str:
    """msgspec's words for a shape that does not fit, as part of a sentence."""
    if isinstance(error, UnicodeDecodeError):
        return f"byte {error.start} is not UTF-8"
    text = str(error).rstrip(".")
    return text[:1].lower() + text[1:160]


_KIND_NAMES = {kind.name: kind for kind in SpanKind}
_STATUS_NAMES = {status.name: status for status in Status}


def _enum(value: int | str | None, names: dict[str, Any], prefix: str, default: Any) -> Any:
    """An enum from its number or its name, with or without prefix; what is unknown is the default."""
    if value is None:
        return default
    if isinstance(value, str):
        if value.isdecimal():
            return _enum(int(value[:4]), names, prefix, default)
        return names.get(value.upper().removeprefix(prefix), default)
    try:
        return type(default)(value)
    except ValueError:
        return default


_KINDS: dict[int | str | None, SpanKind] = {
    **{kind.value: kind for kind in SpanKind},
    **{f"SPAN_KIND_{kind.name}": kind for kind in SpanKind},
    None: SpanKind.UNSPECIFIED,
}


def _kind(value: int | str | None) -> SpanKind:
    known = _KINDS.get(value)
    return known if known is not None else _enum(value, _KIND_NAMES, "SPAN_KIND_", SpanKind.UNSPECIFIED)


def _time(value: int | None) -> UnixNanos:
    if value is None or value < 0:
        return UnixNanos(0)
    return UnixNanos(value if value < _MAX_TIME else _MAX_TIME)


def _value(v: _AnyValue | None) -> AttributeValue:
    if v is None:
        return None
    if v.int_value is not None:
        return v.int_value
    if v.string_value is not None:
        return v.string_value
    if v.bool_value is not None:
        return v.bool_value
    if v.double_value is not None:
        return v.double_value
    if v.array_value is not None:
        return [_value(item) for item in v.array_value.values or ()]
    if v.kvlist_value is not None:
        return {kv.key: _value(kv.value) for kv in v.kvlist_value.values or ()}
    if v.bytes_value is not None:
        try:
            return binascii.a2b_base64(v.bytes_value)
        except (binascii.Error, ValueError):
            return v.bytes_value
    return None


_NOTHING: Attributes = {}


def _attributes(pairs: Sequence[_KeyValue] | None) -> Attributes:
    if not pairs:
        return _NOTHING
    out: dict[str, AttributeValue] = {}
    for pair in pairs:  # the busiest loop of all: eight turns a span
        value = pair.value
        if value is None:
            out[pair.key] = None
        elif (text := value.string_value) is not None:
            out[pair.key] = text
        elif (number := value.int_value) is not None:
            out[pair.key] = number
        else:
            out[pair.key] = _value(value)
    return out


def hex_id(text: str, digits: int) -> str:
    """An id of `digits` hex digits (16 or 32) from hex or base64; "" for none or all zeros.

    Hex may be shorter (Tempo strips leading zeros). Errors: ValueError where it is neither.
    """
    length = len(text)
    if length == digits * 3 // 4 and text[-1] == "=":  # 8 bytes are 12 characters of base64, 16 bytes are 24
        raw = binascii.a2b_base64(text, strict_mode=True)
        if len(raw) * 2 == digits:
            return raw.hex() if any(raw) else ""
    if length > digits or not text.isascii() or not text.isalnum():
        raise ValueError(f"not an id of {digits} hex digits")
    number = int(text, 16)
    if not number:
        return ""
    return text.lower() if length == digits else f"{number:0{digits}x}"


class _Reader:
    """Collects spans, sharing one object per resource and scope."""

    def __init__(self) -> None:
        self.spans: list[Span] = []
        self.made_up: list[str] = []
        self._resources: dict[str, Resource] = {}
        self._scopes: dict[str, Scope] = {}
        self._trace_ids: dict[str, str] = {}
        self._span_ids: dict[str, str] = {}

    def decoded(self, *, partial: bool = False, note: str = "") -> Decoded:
        return Decoded(self.spans, partial=partial, note=note[:500], unreadable_ids=tuple(self.made_up))

    def resource(self, attributes: Attributes) -> Resource:
        key = repr(sorted(attributes.items(), key=lambda item: item[0]))
        if key not in self._resources:
            name = attributes.get("service.name")
            service = name if isinstance(name, str) and name else UNKNOWN_SERVICE
            self._resources[key] = Resource(service, attributes)
        return self._resources[key]

    def scope(self, name: str, version: str, attributes: Attributes) -> Scope:
        key = repr((name, version, attributes))
        return self._scopes.setdefault(key, Scope(name, version, attributes))

    def trace_id(self, text: str | None) -> str:
        text = text or ""
        if text not in self._trace_ids:
            self._trace_ids[text] = _id_or_none(text, 32) or ""
        return self._trace_ids[text]

    def span_id(self, text: str | None) -> str:
        """The span's own id; one that cannot be read is made up, so that the span is still there to see."""
        found = self.parent_id(text)
        if found:
            return found
        self.made_up.append(f"ffffffff{len(self.made_up):08x}")
        return self.made_up[-1]

    def parent_id(self, text: str | None) -> str:
        """An id of eight bytes, or "". Most are met twice or more, as a span's own and as its children's parent."""
        if not text:
            return ""
        found = self._span_ids.get(text)
        if found is None:
            found = self._span_ids[text] = _id_or_none(text, 16) or ""
        return found

    def resources(self, batches: Iterable[_ResourceSpans]) -> None:
        add = self.spans.append
        for batch in batches:
            resource = self.resource(_attributes(batch.resource.attributes if batch.resource else None))
            for group in (*(batch.scope_spans or ()), *(batch.instrumentation_library_spans or ())):
                library = group.scope or group.instrumentation_library or _Scope()
                scope = self.scope(library.name or "", library.version or "", _attributes(library.attributes))
                for s in group.spans or ():
                    status = s.status
                    add(
                        Span(
                            self.trace_id(s.trace_id),
                            self.span_id(s.span_id),
                            self.parent_id(s.parent_span_id),
                            s.name or "",
                            _kind(s.kind),
                            _time(s.start_time_unix_nano),
                            _time(s.end_time_unix_nano),
                            _attributes(s.attributes),
                            resource,
                            scope,
                            Status.UNSET
                            if status is None or status.code is None
                            else _enum(status.code, _STATUS_NAMES, "STATUS_CODE_", Status.UNSET),
                            "" if status is None else status.message or "",
                            tuple([_event(e) for e in s.events]) if s.events else (),
                            tuple([_link(link) for link in s.links]) if s.links else (),
                            s.trace_state or "",
                            s.flags or 0,
                            s.dropped_attributes_count or 0,
                            s.dropped_events_count or 0,
                            s.dropped_links_count or 0,
                        )
                    )


def _id_or_none(text: str, digits: int) -> str | None:
    try:
        return hex_id(text, digits) if text else None
    except ValueError:
        return None


def _event(e: _Event) -> Event:
    return Event(e.name or "", _time(e.time_unix_nano), _attributes(e.attributes))


def _link(link: _Link) -> Link:
    return Link(
        _id_or_none(link.trace_id or "", 32) or "", _id_or_none(link.span_id or "", 16) or "", _attributes(link.attributes)
    )


# --------------------------------------------------------------------------------------------------------- protobuf


def _decode_protobuf(body: bytes) -> Decoded:
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
    reader = _Reader()
    for batch in data.resource_spans:
        resource = reader.resource(_proto_attributes(batch.resource.attributes))
        for group in batch.scope_spans:
            scope = reader.scope(group.scope.name, group.scope.version, _proto_attributes(group.scope.attributes))
            reader.spans.extend(_proto_span(reader, s, resource, scope) for s in group.spans)
    return reader.decoded(partial=partial, note=note)


def _proto_span(reader: _Reader, s: Any, resource: Resource, scope: Scope) -> Span:
    return Span(
        _proto_id(s.trace_id, 16),
        _proto_id(s.span_id, 8) or reader.span_id(None),
        _proto_id(s.parent_span_id, 8),
        s.name,
        _kind(s.kind),
        _time(s.start_time_unix_nano),
        _time(s.end_time_unix_nano),
        _proto_attributes(s.attributes),
        resource,
        scope,
        _enum(s.status.code, _STATUS_NAMES, "", Status.UNSET),
        s.status.message,
        tuple([Event(e.name, _time(e.time_unix_nano), _proto_attributes(e.attributes)) for e in s.events]),
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
    return {pair.key: _proto_value(pair.value) for pair in pairs} if pairs else _NOTHING


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


# ---------------------------------------------------------------------------------------------------------- writing


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
