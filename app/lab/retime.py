"""Moves recorded traces to another time: every span of a trace by the same amount, so durations and order stay true."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


def move(requests: Iterable[ExportTraceServiceRequest], shift_ns: Mapping[str, int]) -> int:
    """Shift the spans of each request in place, by trace id; how many spans were dropped, as no shift is known for them.

    A trace without a shift is not part of the script: a health check, or a request whose answer was lost. Left at its
    recorded time it would claim to have happened during the recording.
    """
    dropped = 0
    for request in requests:
        for resource in request.resource_spans:
            for scope in resource.scope_spans:
                kept = []
                for span in scope.spans:
                    shift = shift_ns.get(span.trace_id.hex())
                    if shift is None:
                        dropped += 1
                        continue
                    span.start_time_unix_nano += shift
                    span.end_time_unix_nano += shift
                    for event in span.events:
                        event.time_unix_nano += shift
                    kept.append(span)
                if len(kept) != len(scope.spans):
                    del scope.spans[:]
                    scope.spans.extend(kept)
    return dropped
