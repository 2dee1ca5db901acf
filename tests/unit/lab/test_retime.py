"""A recorded trace moves as one piece; what belongs to no script is left out."""

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from app.lab import retime

A, B, STRANGER = (bytes([number]) * 16 for number in (1, 2, 3))


def exported(*spans):
    request = ExportTraceServiceRequest()
    scope = request.resource_spans.add().scope_spans.add()
    for trace_id, start, end in spans:
        span = scope.spans.add(trace_id=trace_id, start_time_unix_nano=start, end_time_unix_nano=end)
        span.events.add(time_unix_nano=start + 1)
    return request


def times(request):
    return [
        (span.trace_id, span.start_time_unix_nano, span.end_time_unix_nano, span.events[0].time_unix_nano)
        for resource in request.resource_spans for scope in resource.scope_spans for span in scope.spans
    ]  # fmt: skip


def test_each_trace_moves_by_its_own_shift_and_keeps_its_durations():
    first, second = exported((A, 1000, 1500), (B, 1000, 1100)), exported((A, 1100, 1200))
    assert retime.move([first, second], {A.hex(): -900, B.hex(): 5000}) == 0
    assert times(first) == [(A, 100, 600, 101), (B, 6000, 6100, 6001)]
    assert times(second) == [(A, 200, 300, 201)]


def test_spans_of_an_unknown_trace_are_dropped_and_counted():
    request = exported((STRANGER, 1, 2), (A, 10, 20), (STRANGER, 3, 4))
    assert retime.move([request], {A.hex(): 5}) == 2
    assert times(request) == [(A, 15, 25, 16)]
