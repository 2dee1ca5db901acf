"""Tempo's JSON, typed, and what it becomes. Pure.

It is proto-JSON: keys with a default value are absent, 64-bit integers are strings, NaN is a string, and attribute scopes
are lost in search results. All structs are therefore full of defaults; decoding is lax about strings for integers.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import msgspec

from app.errors import InvalidInput
from app.sources.values import FoundSpan, FoundTrace, Sample, Series
from app.times import MILLISECOND, SECOND, Nanos, UnixNanos, parse_duration
from app.traces import ids

_NO_ROOT = "<root span not yet received>"
_LONGEST_VALUE = 4_096  # Tempo cuts attributes at 2,048 bytes by default; a rogue backend may not

Scalar = str | int | float | bool


class _Wire(msgspec.Struct, rename="camel", gc=False):
    pass


class AnyValue(_Wire):
    string_value: str | None = None
    int_value: int | None = None
    bool_value: bool | None = None
    double_value: float | None = None
    # Left unread: a list or map is shown as its JSON, and its depth is the sender's choice.
    array_value: msgspec.Raw = msgspec.Raw()
    kvlist_value: msgspec.Raw = msgspec.Raw()
    bytes_value: str | None = None

    def scalar(self) -> Scalar:
        for value in (self.string_value, self.int_value, self.bool_value, self.double_value, self.bytes_value):
            if value is not None:
                return value[:_LONGEST_VALUE] if isinstance(value, str) else value
        raw = bytes(self.array_value) or bytes(self.kvlist_value)
        return raw[:_LONGEST_VALUE].decode("utf-8", "replace")

    def text(self) -> str:
        """As a metric label: 500, true, 0.99; a missing attribute is already the text `nil`."""
        value = self.scalar()
        if isinstance(value, bool):
            return "true" if value else "false"
        return f"{value:.15g}" if isinstance(value, float) else str(value)


class KeyValue(_Wire):
    key: str = ""
    value: AnyValue | None = None


class _Span(msgspec.Struct, gc=False):
    span_id: str = msgspec.field(default="", name="spanID")
    name: str = ""
    start: int = msgspec.field(default=0, name="startTimeUnixNano")
    duration: int = msgspec.field(default=0, name="durationNanos")
    attributes: list[KeyValue] | None = None


class _SpanSet(_Wire):
    spans: list[_Span] | None = None
    matched: int = 0
    attributes: list[KeyValue] | None = None


class _ServiceStats(_Wire):
    span_count: int = 0
    error_count: int = 0


class _Trace(msgspec.Struct):
    trace_id: str = msgspec.field(default="", name="traceID")
    root_service: str = msgspec.field(default="", name="rootServiceName")
    root_name: str = msgspec.field(default="", name="rootTraceName")
    start: int = msgspec.field(default=0, name="startTimeUnixNano")
    duration_ms: int = msgspec.field(default=0, name="durationMs")
    span_set: _SpanSet | None = msgspec.field(default=None, name="spanSet")
    span_sets: list[_SpanSet] | None = msgspec.field(default=None, name="spanSets")
    stats: dict[str, _ServiceStats] | None = msgspec.field(default=None, name="serviceStats")


class _Progress(_Wire):
    completed_jobs: int = 0
    total_jobs: int = 0


class SearchAnswer(_Wire):
    traces: list[_Trace] | None = None
    metrics: _Progress | None = None

    def hits(self) -> Hits:
        received = self.traces or []
        readable = [hit for trace in received if (hit := _found(trace)) is not None]
        done = self.metrics or _Progress()
        problems = []
        if done.completed_jobs < done.total_jobs:
            problems.append(f"Tempo finished {done.completed_jobs} of {done.total_jobs} parts of the search.")
        if lost := len(received) - len(readable):
            problems.append(f"{lost} of Tempo's hits had no readable trace id.")
        return Hits(readable, len(received), " ".join(problems))


class Hits(msgspec.Struct, frozen=True):
    """One search request's hits in the order received.

    received: how many there were, to be compared with the limit; one without a readable id is not among `traces`.
    problem:  why there may be more even below the limit; "" where there are not.
    """

    traces: list[FoundTrace]
    received: int
    problem: str


def _found(trace: _Trace) -> FoundTrace | None:
    try:
        trace_id = ids.trace_id(trace.trace_id)
    except InvalidInput:
        return None
    sets = trace.span_sets or ([trace.span_set] if trace.span_set else [])
    spans: dict[str, FoundSpan] = {}
    for group in sets:
        # What by() and count() computed stands on the set; keys such as `count()` cannot clash with attributes.
        shared = _attributes(group.attributes)
        for span in group.spans or ():
            found = _found_span(span, shared)
            spans.setdefault(found.span_id, found)
    stats = (trace.stats or {}).values()
    return FoundTrace(
        trace_id=trace_id,
        root_service="" if trace.root_service == _NO_ROOT else trace.root_service,
        root_name=trace.root_name,
        start_ns=UnixNanos(max(0, trace.start)),
        duration_ns=Nanos(max(0, trace.duration_ms) * MILLISECOND),
        matched=sum(max(group.matched, len(group.spans or ())) for group in sets),
        spans=tuple(spans.values()),
        span_count=sum(service.span_count for service in stats),
        error_count=sum(service.error_count for service in stats),
    )


def _found_span(span: _Span, shared: dict[str, Scalar]) -> FoundSpan:
    return FoundSpan(
        span_id=span.span_id.lower().zfill(16),
        name=span.name,
        start_ns=UnixNanos(max(0, span.start)),
        duration_ns=Nanos(max(0, span.duration)),
        attributes=shared | _attributes(span.attributes),
    )


def _attributes(pairs: Sequence[KeyValue] | None) -> dict[str, Scalar]:
    return {pair.key: pair.value.scalar() if pair.value else "" for pair in pairs or ()}


def overlaps(trace: FoundTrace, start_ns: int, end_ns: int) -> bool:
    """Does the hit touch the window, as far as the index knows? A search may return what lies wholly outside."""
    begins = min([trace.start_ns, *(span.start_ns for span in trace.spans)])
    # Durations are cut to whole milliseconds, and may be shorter than the trace became.
    ends = max([trace.start_ns + trace.duration_ns, *(span.start_ns + span.duration_ns for span in trace.spans)])
    return begins <= end_ns and ends + MILLISECOND > start_ns


def merged(one: FoundTrace, other: FoundTrace) -> FoundTrace:
    """Two sightings of one trace: requests for different times may open different pieces of it."""
    spans = {span.span_id: span for span in (*one.spans, *other.spans)}
    start = min(one.start_ns, other.start_ns)
    end = max(one.start_ns + one.duration_ns, other.start_ns + other.duration_ns)
    rooted = one if one.root_service or one.root_name else other
    return FoundTrace(
        trace_id=one.trace_id,
        root_service=rooted.root_service,
        root_name=rooted.root_name,
        start_ns=UnixNanos(start),
        duration_ns=Nanos(end - start),
        matched=max(one.matched, other.matched, len(spans)),
        spans=tuple(spans.values()),
        span_count=max(one.span_count, other.span_count),
        error_count=max(one.error_count, other.error_count),
    )


def unite(by_id: dict[str, FoundTrace], traces: Iterable[FoundTrace]) -> None:
    """Add hits to those known, each trace once."""
    for trace in traces:
        seen = by_id.get(trace.trace_id)
        by_id[trace.trace_id] = merged(seen, trace) if seen else trace


def newest_first(traces: Iterable[FoundTrace]) -> tuple[FoundTrace, ...]:
    return tuple(sorted(traces, key=lambda trace: (-trace.start_ns, trace.trace_id)))


# ---------------------------------------------------------------------------------------------------------- tags


class _Scope(_Wire):
    name: str = ""
    tags: list[str] | None = None


class TagNamesAnswer(_Wire):
    scopes: list[_Scope] | None = None


class _TagValue(_Wire):
    type: str = ""
    value: str = ""


class TagValuesAnswer(_Wire):
    tag_values: list[_TagValue] | None = None


# ------------------------------------------------------------------------------------------------------- metrics


class _Sample(_Wire):
    timestamp_ms: int = 0
    value: float = 0.0


class _Series(_Wire):
    labels: list[KeyValue] | None = None
    samples: list[_Sample] | None = None
    value: float = 0.0


class MetricsAnswer(_Wire):
    series: list[_Series] | None = None
    status: str | int = ""
    message: str = ""

    @property
    def warnings(self) -> tuple[str, ...]:
        if self.status in ("PARTIAL", 1):
            return (self.message[:500] or "Tempo returned only a part of the series.",)
        return ()

    def over(self, start_ns: int) -> tuple[Series, ...]:
        """Series of a range query, without the bucket that Tempo adds before the start."""
        return tuple(
            Series(
                _labels(series),
                tuple(
                    Sample(UnixNanos(sample.timestamp_ms * MILLISECOND), sample.value)
                    for sample in sorted(series.samples or (), key=lambda sample: sample.timestamp_ms)
                    if sample.timestamp_ms * MILLISECOND >= start_ns
                ),
            )
            for series in self.series or ()
        )

    def at(self, end_ns: int) -> tuple[Series, ...]:
        """Series of an instant query: one value each, for the window that ends here."""
        return tuple(Series(_labels(series), (Sample(UnixNanos(end_ns), series.value),)) for series in self.series or ())


def _labels(series: _Series) -> dict[str, str]:
    return {pair.key: pair.value.text() if pair.value else "" for pair in series.labels or ()}


class BuildAnswer(_Wire):
    version: str = ""
    revision: str = ""


# --------------------------------------------------------------------------------------------------------- limits

_RANGE_LIMIT = re.compile(r"range specified by start and end.{0,60}?exceeds ([0-9][0-9a-z.]{0,30})")


def range_limit_s(words: str) -> int | None:
    """The longest range, in seconds, that Tempo's refusal of a longer one names."""
    match = _RANGE_LIMIT.search(words)
    if not match:
        return None
    try:
        return max(1, parse_duration(match[1].rstrip(".")) // SECOND)
    except InvalidInput:
        return None
