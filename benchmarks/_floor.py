"""The least that turns a trace's bytes into a tree: a typed decode, one object a span, children below their parents by start.

What loading is measured against. It repairs nothing, judges nothing and trusts its input: ids, kinds and names stay as they
were sent, a value is its string, integer or boolean, and a second span with the same id simply replaces the first.
It shares no code with `app`, so that a quicker decoder there does not move the mark.
"""

from __future__ import annotations

from typing import Any

import msgspec


class _Wire(msgspec.Struct, gc=False, rename="camel"):
    pass


class _Value(_Wire):
    string_value: str | None = None
    int_value: int | None = None
    bool_value: bool | None = None


class _Pair(_Wire):
    key: str
    value: _Value


class _Event(_Wire):
    name: str
    time_unix_nano: int
    attributes: list[_Pair] | None = None


class _Span(_Wire):
    trace_id: str
    span_id: str
    name: str
    start_time_unix_nano: int
    end_time_unix_nano: int
    kind: int | str = 0
    parent_span_id: str = ""
    attributes: list[_Pair] | None = None
    events: list[_Event] | None = None


class _Scope(_Wire):
    spans: list[_Span]


class _Resource(_Wire):
    attributes: list[_Pair]


class _Batch(_Wire):
    resource: _Resource
    scope_spans: list[_Scope]


class _Batches(_Wire):
    resource_spans: list[_Batch] | None = None


class _Body(_Batches):
    trace: _Batches | None = None


_DECODER = msgspec.json.Decoder(_Body, strict=False)


class Least(msgspec.Struct, gc=False):
    """One span."""

    trace_id: str
    span_id: str
    parent_id: str
    name: str
    kind: int | str
    start_ns: int
    end_ns: int
    attributes: dict[str, Any]
    resource: dict[str, Any]
    events: list[tuple[str, int, dict[str, Any]]]


def decode(body: bytes) -> _Body:
    """The typed decode alone."""
    return _DECODER.decode(body)


def tree(body: bytes) -> list[Least]:
    """All three steps: the spans, parents before children, siblings by start."""
    spans: dict[str, Least] = {}
    below: dict[str, list[Least]] = {}
    decoded = decode(body)
    for batch in (decoded.trace or decoded).resource_spans or ():
        resource = _attributes(batch.resource.attributes)
        for group in batch.scope_spans:
            for s in group.spans:
                spans[s.span_id] = span = Least(
                    s.trace_id, s.span_id, s.parent_span_id, s.name, s.kind, s.start_time_unix_nano, s.end_time_unix_nano,
                    _attributes(s.attributes), resource,
                    [(e.name, e.time_unix_nano, _attributes(e.attributes)) for e in s.events or ()],
                )  # fmt: skip
                below.setdefault(s.parent_span_id, []).append(span)
    for siblings in below.values():
        siblings.sort(key=_start)
    ordered: list[Least] = []
    stack = [span for parent, siblings in below.items() if parent not in spans for span in siblings]
    while stack:
        span = stack.pop()
        ordered.append(span)
        stack.extend(reversed(below.get(span.span_id, ())))
    return ordered


def _start(span: Least) -> int:
    return span.start_ns


def _attributes(pairs: list[_Pair] | None) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for pair in pairs or ():
        value = pair.value
        if value.string_value is not None:
            out[pair.key] = value.string_value
        else:
            out[pair.key] = value.int_value if value.int_value is not None else value.bool_value
    return out
