"""What leaves in JSON and in protobuf is what came in: both are read back by the code that reads a real Tempo."""

import json
import math

import pytest

from app.embedded import wire
from app.traces.model import Event, Link, Resource, Scope, Span, SpanKind, Status
from app.traces.otlp import decode

RESOURCE = Resource("shop", {"service.name": "shop", "tags": ["a", 1, {"deep": [True]}]})
FULL = Span(
    "ab" * 16,
    "cd" * 8,
    "ef" * 8,
    "GET /orders",
    SpanKind.CLIENT,
    1_700_000_000_000_000_001,
    1_700_000_000_500_000_003,
    {"text": "ü\n", "empty": "", "zero": 0, "big": 2**63 - 1, "no": False, "half": 0.5, "raw": b"\x00\xff", "none": []},
    RESOURCE,
    Scope("shop.http", "1.2", {"k": "v"}),
    Status.ERROR,
    "refused",
    (Event("exception", 1_700_000_000_000_000_002, {"exception.type": "Denied"}),),
    (Link("12" * 16, "34" * 8, {"why": "retry"}),),
    "vendor=1",
    257,
    1,
    2,
    3,
)
BARE = Span("ab" * 16, "aa" * 8, "", "", SpanKind.UNSPECIFIED, 0, 0, {}, RESOURCE, Scope("", "", {}))


def in_json(spans):
    return decode(json.dumps({"trace": {"resourceSpans": wire.resource_spans(spans)}}).encode(), "application/json").spans


def in_protobuf(spans):
    return decode(wire.trace_response(spans), "application/protobuf").spans


@pytest.mark.parametrize("through", [in_json, in_protobuf])
@pytest.mark.parametrize("spans", [[FULL], [BARE], [FULL, BARE]])
def test_a_span_comes_back_as_it_was(through, spans):
    assert list(map(repr, through(spans))) == list(map(repr, spans))


@pytest.mark.parametrize(("number", "shown"), [(math.nan, "NaN"), (math.inf, "Infinity"), (-math.inf, "-Infinity"), (0.5, 0.5)])
def test_what_is_not_a_number_is_text(number, shown):
    assert wire.any_value(number) == {"doubleValue": shown}


def test_a_note_makes_the_answer_partial():
    decoded = decode(wire.trace_response([BARE], note="cut off"), "application/protobuf")
    assert (decoded.partial, decoded.note) == (True, "cut off")
    assert not decode(wire.trace_response([BARE]), "application/protobuf").partial


@pytest.mark.parametrize("number", [0, 1, 127, 128, 300, 2**21 - 1, 2**21])
def test_varints(number):
    encoded = wire.varint(number)
    assert sum((byte & 0x7F) << 7 * place for place, byte in enumerate(encoded)) == number
    assert [byte >> 7 for byte in encoded] == [1] * (len(encoded) - 1) + [0]
