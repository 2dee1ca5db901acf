"""What can be wrong with a service's telemetry while the service itself is well."""

from __future__ import annotations

import pytest
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.trace import SpanContext, SpanKind, TraceFlags

from app.errors import InvalidInput
from app.lab import faults
from app.lab.control import Faults
from app.lab.telemetry import shifted
from app.times import SECOND


def test_a_wrong_clock_moves_a_span_with_its_events_and_changes_nothing_else():
    context = SpanContext(0xABC, 0x12, is_remote=False, trace_flags=TraceFlags(1))
    parent = SpanContext(0xABC, 0x11, is_remote=True)
    span = ReadableSpan(
        "auth.login", context, parent, attributes={"auth.result": "failure"}, kind=SpanKind.SERVER,
        events=[Event("exception", {"exception.type": "E"}, 1_500)], start_time=1_000, end_time=2_000,
    )  # fmt: skip
    late = shifted(span, -3 * SECOND)
    assert (late.start_time, late.end_time) == (1_000 - 3 * SECOND, 2_000 - 3 * SECOND)
    assert [(event.name, event.timestamp) for event in late.events] == [("exception", 1_500 - 3 * SECOND)]
    assert (late.context, late.parent, late.kind) == (context, parent, SpanKind.SERVER)
    assert dict(late.attributes) == {"auth.result": "failure"}


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("none", Faults()),
        ("strip_context", Faults(strip_context=True)),
        ("careless=false", Faults()),
        ("clock_off_s=-4", Faults(clock_off_s=-4.0)),
    ],
)
def test_a_fault_is_named_as_it_is_documented(words, expected):
    assert faults.parse(words) == expected


@pytest.mark.parametrize("words", ["flood", "clock_off_s=soon", "clock_off_s", ""])
def test_a_fault_that_there_is_not_is_answered_with_those_there_are(words):
    with pytest.raises(InvalidInput, match=r"There are: hang, .*clock_off_s"):
        faults.parse(words)
