"""Searches: TraceQL, planned on the index and then matched exactly, to the answers Tempo gives."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from app.embedded import wire
from app.embedded.plan import plan
from app.embedded.reader import EVER, Reader, Row, Window
from app.errors import AppError
from app.times import MILLISECOND
from app.traceql.fetch import Row as SpanRow
from app.traceql.fetch import TraceSpans
from app.traceql.match import Matcher, Spanset
from app.traceql.nodes import Field, Intrinsic, Query
from app.traces.model import Status

# These stand in the envelope of a span or trace, not among its attributes.
_IN_ENVELOPE = frozenset({
    Intrinsic.NAME, Intrinsic.DURATION, Intrinsic.TRACE_DURATION, Intrinsic.TRACE_ID, Intrinsic.ROOT_NAME,
    Intrinsic.ROOT_SERVICE, Intrinsic.SPAN_ID,
})  # fmt: skip


class TooSlow(AppError):
    """A search ran into its deadline."""


class Deadline:
    """Checked once per trace; a query cannot keep a thread for longer."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._end = time.monotonic() + seconds

    def check(self) -> None:
        if time.monotonic() > self._end:
            raise TooSlow(
                f"The search was not done within {self._seconds:g} s; a shorter time range or one more condition helps."
            )


@dataclass(frozen=True, slots=True)
class Asked:
    """limit 0 is without limit; spans_per_set 0 returns all spans of a set."""

    query: Query
    window: Window = EVER
    limit: int = 20
    spans_per_set: int = 3


@dataclass(slots=True)
class Inspected:
    traces: int = 0
    spans: int = 0


def matching(
    reader: Reader, matcher: Matcher, window: Window, deadline: Deadline, inspected: Inspected
) -> Iterator[tuple[TraceSpans, list[Spanset]]]:
    """Traces that match, the newest first."""
    for row in reader.candidates(plan(matcher.query, reader.keys, reader.db), window):
        deadline.check()
        trace = _loaded(reader, row)
        inspected.traces += 1
        inspected.spans += len(trace.spans)
        found = matcher.match(trace)
        if found:
            yield trace, found


def _loaded(reader: Reader, row: Row) -> TraceSpans:
    return reader.load(row.id, row.trace_id.hex())


def search(reader: Reader, asked: Asked, deadline: Deadline) -> dict[str, Any]:
    """The answer to /api/search, as JSON values. Newest first, where Tempo promises no choice."""
    matcher = Matcher(asked.query)
    inspected = Inspected()
    found = []
    with reader.snapshot():
        for trace, spansets in matching(reader, matcher, asked.window, deadline, inspected):
            found.append((trace, spansets))
            if asked.limit and len(found) >= asked.limit:
                break
    found.sort(key=lambda pair: pair[0].start_ns, reverse=True)
    return {
        "traces": [_trace(matcher, trace, spansets, asked.spans_per_set) for trace, spansets in found],
        "metrics": {
            "inspectedTraces": inspected.traces,
            "inspectedSpans": str(inspected.spans),
            "completedJobs": 1,
            "totalJobs": 1,
        },
    }


def summary(trace: TraceSpans) -> dict[str, Any]:
    """A trace without its spans. Zeros are left out, as everywhere in Tempo's JSON."""
    return wire.without_zeros(
        traceID=trace.trace_id.lstrip("0"),
        rootServiceName=trace.root_service,
        rootTraceName=trace.root_name,
        startTimeUnixNano=str(trace.start_ns),
        durationMs=trace.duration_ns // MILLISECOND,
    )


def _trace(matcher: Matcher, trace: TraceSpans, spansets: list[Spanset], most: int) -> dict[str, Any]:
    sets = [_spanset(matcher, one, most) for one in spansets]
    stats: dict[str, dict[str, int]] = {}
    for span in trace.spans:
        service = stats.setdefault(span.service, {"spanCount": 0})
        service["spanCount"] += 1
        if span.status is Status.ERROR:
            service["errorCount"] = service.get("errorCount", 0) + 1
    return {**summary(trace), "spanSet": sets[0], "spanSets": sets, "serviceStats": stats}


def _spanset(matcher: Matcher, one: Spanset, most: int) -> dict[str, Any]:
    rows = one.rows[:most] if most else one.rows
    out: dict[str, Any] = {"spans": [_span(matcher, row) for row in rows], "matched": len(one.rows)}
    if one.attributes:
        out["attributes"] = [wire.typed_pair(name, value) for name, value in one.attributes]
    return out


def _span(matcher: Matcher, row: SpanRow) -> dict[str, Any]:
    shown = matcher.shown(row)
    span = row.span
    attributes = [wire.typed_pair(_bare(field), value) for field, value in shown.items() if field not in _IN_ENVELOPE]
    return wire.without_zeros(
        spanID=span.span_id,
        name=span.name if Intrinsic.NAME in shown else "",
        startTimeUnixNano=str(span.start_ns),
        durationNanos=str(span.duration_ns or ""),
        attributes=attributes,
    )


def _bare(field: Field) -> str:
    """Attributes come back without their scope."""
    return field.value if isinstance(field, Intrinsic) else field.name


def legacy(
    reader: Reader, tags: dict[str, str], durations: tuple[int, int], window: Window, limit: int, deadline: Deadline
) -> dict[str, Any]:
    """The answer to the older search by `tags`: text that occurs in an attribute of a span or resource of the trace.

    durations: of the trace, in nanoseconds; 0 is without bound.
    """
    inspected = Inspected()
    found = []
    shortest, longest = durations
    with reader.snapshot():
        for row in reader.candidates(None, window):
            deadline.check()
            duration = row.end_ns - row.start_ns
            if (shortest and duration < shortest) or (longest and duration > longest):
                continue
            trace = _loaded(reader, row)
            inspected.traces += 1
            if all(_holds_tag(trace, name, text.lower()) for name, text in tags.items()):
                found.append(trace)
                if len(found) >= limit:
                    break
    found.sort(key=lambda trace: trace.start_ns, reverse=True)
    return {
        "traces": [summary(trace) for trace in found],
        "metrics": {"inspectedTraces": inspected.traces, "completedJobs": 1, "totalJobs": 1},
    }


def _holds_tag(trace: TraceSpans, name: str, text: str) -> bool:
    if name == "name":
        return any(text in span.name.lower() for span in trace.spans)
    if name in ("status", "status.code"):
        return any(text == span.status.name.lower() for span in trace.spans)
    if name in ("root.name", "root.service.name"):
        return text in (trace.root_name if name == "root.name" else trace.root_service).lower()
    return any(
        text in wire.bare_text(attributes[name]).lower()
        for span in trace.spans
        for attributes in (span.attributes, span.resource.attributes)
        if name in attributes
    )
