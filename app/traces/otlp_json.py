"""OTLP/JSON and Tempo's proto-JSON to spans.

A document is read in two steps: once over the whole for its shape, which leaves each span as bytes, then span by span. What
a span needed on the way is gone before the next, so that the memory in use stays small and near, and no single call into the
decoder is long enough to hold up another thread.
"""

from __future__ import annotations

import binascii
import json
from collections.abc import Iterable, Sequence
from sys import intern
from typing import Generic, TypeVar

import msgspec

from app.errors import NotATrace
from app.times import UnixNanos
from app.traces.model import Attributes, AttributeValue, Event, Link, Resource, Scope, Span, Status
from app.traces.otlp_reader import MAX_TIME, NOTHING, Decoded, Reader, id_or_none, kind, status, time


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
    start_time_unix_nano: UnixNanos | None = None
    end_time_unix_nano: UnixNanos | None = None
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


S = TypeVar("S")  # a span: its bytes, or what they hold


class _ScopeSpans(_Wire, Generic[S]):
    scope: _Scope | None = None
    instrumentation_library: _Scope | None = None
    spans: list[S] | None = None


class _Resource(_Wire):
    attributes: list[_KeyValue] | None = None


class _ResourceSpans(_Wire, Generic[S]):
    resource: _Resource | None = None
    scope_spans: list[_ScopeSpans[S]] | None = None
    instrumentation_library_spans: list[_ScopeSpans[S]] | None = None


class _Batches(_Wire, Generic[S]):
    resource_spans: list[_ResourceSpans[S]] | None = None
    batches: list[_ResourceSpans[S]] | None = None


class _Envelope(_Batches[S], Generic[S]):
    trace: _Batches[S] | None = None
    status: str | int | None = None
    message: str | None = None


# Lax: 64-bit integers come as strings or numbers, NaN and the infinities as strings.
_SHAPE = msgspec.json.Decoder(_Envelope[msgspec.Raw], strict=False)
_SHAPES = msgspec.json.Decoder(list[_Envelope[msgspec.Raw]], strict=False)
_SPAN = msgspec.json.Decoder(_Span, strict=False)
# In one step, for an error's place in the whole document.
_WHOLE = msgspec.json.Decoder(_Envelope[_Span], strict=False)
_WHOLES = msgspec.json.Decoder(list[_Envelope[_Span]], strict=False)


def decode_json(body: bytes) -> Decoded:
    """The spans of a document. Errors: NotATrace."""
    try:
        return _decoded(body)
    except (UnicodeDecodeError, msgspec.DecodeError) as error:
        # Bytes that are no UTF-8, a lone surrogate, a bare NaN: senders write such things, and one hostile attribute
        # must not hide a trace. The slow path reads them; what it cannot read either is reported as first found.
        try:
            return _decoded(_mended(body))
        except (ValueError, msgspec.MsgspecError):
            raise NotATrace(f"This is not a trace: {_plain(_placed(body) or error)}.") from None


def _decoded(body: bytes) -> Decoded:
    envelopes = _envelopes(body, _SHAPE, _SHAPES)
    if not any(e.resource_spans is not None or e.batches is not None or e.trace is not None for e in envelopes):
        raise NotATrace("This JSON is not a trace: it has neither resourceSpans nor batches nor trace.")
    reader = Reader()
    notes = []
    partial = False
    for envelope in envelopes:
        if envelope.status in ("PARTIAL", 1):
            partial = True
            notes.append(envelope.message or "")
        for part in (envelope, envelope.trace):
            if part is not None:
                _read(reader, part.resource_spans or part.batches or ())
    return reader.decoded(partial=partial, note=" ".join(filter(None, notes)))


def _envelopes(
    body: bytes, one: msgspec.json.Decoder[_Envelope[S]], several: msgspec.json.Decoder[list[_Envelope[S]]]
) -> list[_Envelope[S]]:
    text = body.removeprefix(b"\xef\xbb\xbf").strip()
    if text[:1] == b"[":
        return several.decode(text)
    try:
        return [one.decode(text)]
    except msgspec.DecodeError:
        lines = [line for line in text.splitlines() if line.strip()]
        if len(lines) < 2 or not all(line.lstrip()[:1] == b"{" and line.rstrip()[-1:] == b"}" for line in lines):
            raise
        return [one.decode(line) for line in lines]  # one export request per line, as collectors write files


def _mended(body: bytes) -> bytes:
    parsed = json.loads(body.decode("utf-8", "replace"), parse_constant=str)
    return json.dumps(parsed, ensure_ascii=False).encode("utf-8", "replace")


def _placed(body: bytes) -> Exception | None:
    """The error of a document with its place from the top."""
    try:
        _envelopes(body, _WHOLE, _WHOLES)
    except (UnicodeDecodeError, msgspec.DecodeError) as error:
        return error
    return None


def _plain(error: Exception) -> str:
    """msgspec's words for a shape that does not fit, as part of a sentence."""
    if isinstance(error, UnicodeDecodeError):
        return f"byte {error.start} is not UTF-8"
    text = str(error).rstrip(".")
    return text[:1].lower() + text[1:160]


# ------------------------------------------------------------------------------------------------------------- spans


def _read(reader: Reader, batches: Iterable[_ResourceSpans[msgspec.Raw]]) -> None:
    for batch in batches:
        resource = reader.resource(_attributes(batch.resource.attributes if batch.resource else None))
        for group in (*(batch.scope_spans or ()), *(batch.instrumentation_library_spans or ())):
            library = group.scope or group.instrumentation_library or _Scope()
            scope = reader.scope(library.name or "", library.version or "", _attributes(library.attributes))
            _read_spans(reader, group.spans or (), resource, scope)


def _read_spans(reader: Reader, spans: Sequence[msgspec.Raw], resource: Resource, scope: Scope) -> None:
    """The busiest loop of all: what is common is written out, what is rare is called."""
    add, decode, known = reader.spans.append, _SPAN.decode, reader.span_ids.get
    met: str | None = None
    trace_id = ""
    for raw in spans:
        s = decode(raw)
        if s.trace_id != met:  # all spans of a trace name it
            met = s.trace_id
            trace_id = reader.trace_id(met)
        own, parent = s.span_id or "", s.parent_span_id
        start, end = s.start_time_unix_nano, s.end_time_unix_nano
        said = s.status
        add(
            Span(
                trace_id,
                known(own) or reader.id_of(own) or reader.made_up_id(),
                (known(parent) or reader.id_of(parent)) if parent else "",
                intern(s.name) if s.name else "",
                kind(s.kind),
                start if start is not None and 0 <= start <= MAX_TIME else time(start),
                end if end is not None and 0 <= end <= MAX_TIME else time(end),
                _attributes(s.attributes),
                resource,
                scope,
                Status.UNSET if said is None else status(said.code),
                "" if said is None else said.message or "",
                tuple([_event(e) for e in s.events]) if s.events else (),
                tuple([_link(link) for link in s.links]) if s.links else (),
                s.trace_state or "",
                s.flags or 0,
                s.dropped_attributes_count or 0,
                s.dropped_events_count or 0,
                s.dropped_links_count or 0,
            )
        )


def _event(e: _Event) -> Event:
    return Event(e.name or "", time(e.time_unix_nano), _attributes(e.attributes))


def _link(link: _Link) -> Link:
    return Link(
        id_or_none(link.trace_id or "", 32) or "", id_or_none(link.span_id or "", 16) or "", _attributes(link.attributes)
    )


def _attributes(pairs: Sequence[_KeyValue] | None) -> Attributes:
    """Keys are interned, as are names of spans: a trace has few, each many times, and they are looked up again and again."""
    if not pairs:
        return NOTHING
    out: dict[str, AttributeValue] = {}
    for pair in pairs:
        value = pair.value
        if value is None:
            out[intern(pair.key)] = None
        elif (text := value.string_value) is not None and value.int_value is None:
            out[intern(pair.key)] = text
        else:
            out[intern(pair.key)] = _value(value)
    return out


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
