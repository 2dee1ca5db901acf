import math

import pytest

from app.traceql.values import Duration, encode, encode_duration, equal, type_of
from app.traces.model import SpanKind, Status


@pytest.mark.parametrize(
    ("ns", "text"),
    [
        (0, "0s"),
        (1, "1ns"),
        (1_500, "1.5µs"),
        (55_000_000, "55ms"),
        (162_250_000, "162.25ms"),
        (333_333_333, "333.333333ms"),
        (1_000_000_000, "1s"),
        (90_500_000_000, "1m30.5s"),
        (3_600_000_000_000, "1h0m0s"),
        (-1_500_000_000, "-1.5s"),
    ],
)
def test_durations_as_go_writes_them(ns, text):
    assert encode_duration(ns) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(True, "true"), (None, "nil"), (1.0, "1"), (0.1, "0.1"), (math.inf, "+Inf"), (math.nan, "NaN"), (Status.ERROR, "error"),
     (SpanKind.SERVER, "server"), (Duration(1_000_000), "1ms"), (7, "7"), (["a", "b"], "[a, b]")],
)  # fmt: skip
def test_bare_text(value, text):
    assert encode(value) == text


def test_enums_and_durations_are_not_integers():
    assert len({type_of(value) for value in (1, True, Duration(1), Status.OK, SpanKind.INTERNAL)}) == 5
    assert equal(1, 1.0)
    assert equal(Duration(1), 1)
    assert not equal(1, True)
    assert not equal(Status.OK, SpanKind.INTERNAL)
    assert not equal(None, None)
