"""Traces of shapes and values that nobody sends by accident: a verdict with findings, or one clear error.

That no step takes time out of proportion is measured by counting bytecodes, at one size and at twice that size.
"""

import json
import math
import re

import msgspec
import pytest
from fuzz.hold import hold
from fuzz.work import bytecodes
from fuzz.work import calls as calls_made

BASE = 1_790_000_000_000_000_000
SECOND = 10**9


def span(number, parent=0, *, kind=1, name="step", begin=0, last=SECOND, trace=1, **attributes):
    """One span as OTLP/JSON; underscores of attribute names stand for dots."""
    values = [{"key": key.replace("__", "."), "value": value(given)} for key, given in attributes.items()]
    return {"traceId": f"{trace:032x}", "spanId": f"{number:016x}", "parentSpanId": f"{parent:016x}" if parent else "",
            "name": name, "kind": kind, "startTimeUnixNano": str(BASE + begin), "endTimeUnixNano": str(BASE + last),
            "attributes": values}  # fmt: skip


def value(given):
    if isinstance(given, bool):
        return {"boolValue": given}
    if isinstance(given, int):
        return {"intValue": str(given)}
    return {"doubleValue": given} if isinstance(given, float) else {"stringValue": given}


def body(*groups):
    """Spans by service: (service, [span, ...]) each."""
    return json.dumps(
        {"resourceSpans": [
            {"resource": {"attributes": [{"key": "service.name", "value": {"stringValue": service}}]},
             "scopeSpans": [{"spans": list(spans)}]} for service, spans in groups
        ]}
    ).encode()  # fmt: skip


def verdict_on(raw):
    verdict = hold(raw, "application/json")
    assert verdict is not None
    assert len(msgspec.json.encode(verdict)) < 1_000_000
    return verdict


def kinds(verdict):
    return {finding.kind.value for finding in verdict.findings}


def alternating(count, make):
    """Spans numbered from 1, in turn of three services."""
    spans = {"gateway": [], "orders": [], "policy": []}
    for number in range(1, count + 1):
        spans[("gateway", "orders", "policy")[number % 3]].append(make(number))
    return body(*spans.items())


# ------------------------------------------------------------------------------------------------------------ the shapes


def chain(count):
    """Each span in the one before, client and server in turn, all of them refused."""
    return alternating(count, lambda n: span(n, n - 1, kind=2 + n % 2, http__response__status_code=403, begin=n))


def star(count):
    """A request with very many checks directly below it, the last of which refuses."""
    first = span(1, kind=2, name="GET /x", http__response__status_code=403, last=2 * count)
    checks = [
        span(n, 1, name="auth.permission_check", auth__result="failure" if n == count else "success", begin=n, last=n + 1)
        for n in range(2, count + 1)
    ]
    return body(("orders", [first, *checks]))


def calls(count):
    """A request with very many calls to other services below it, each refused by its own check and tried again."""
    spans = {"gateway": [span(1, kind=2, name="GET /x", http__response__status_code=200, last=9 * count)], "orders": []}
    for n in range(2, count, 3):
        when = {"begin": n, "last": n + 2}
        spans["gateway"].append(span(n, 1, kind=3, url__full="http://orders/x", http__response__status_code=403, **when))
        spans["orders"].append(span(n + 1, n, kind=2, http__response__status_code=403, **when))
        spans["orders"].append(span(n + 2, n + 1, name="auth.permission_check", auth__result="failure", **when))
    return body(*spans.items())


def circles(count):
    """Every span is in a circle of four."""
    return alternating(count, lambda n: span(n, (n - 1) // 4 * 4 + n % 4 + 1, kind=2, http__response__status_code=403))


def one_circle(count):
    """All spans are one circle."""
    return alternating(count, lambda n: span(n, n % count + 1, kind=2, http__response__status_code=403))


def orphans(count):
    """Every span names a parent that is not there, and may belong below a call of another service."""
    spans = {"gateway": [span(1, kind=2, name="GET /x", http__response__status_code=500)], "orders": []}
    for n in range(2, count, 2):
        spans["gateway"].append(span(n, 1, kind=3, url__full="http://orders/x", begin=n, last=n + 9))
        spans["orders"].append(span(n + 1, 10**9 + n, kind=2, http__response__status_code=403, begin=n + 1, last=n + 8))
    return body(*spans.items())


def strewn(count):
    """A request with very many children, and as many spans of its service that lost their parent."""
    half = count // 2
    below = [span(n, 1, begin=n, last=n + 1) for n in range(2, half)]
    lost = [span(half + n, 10**9 + n, begin=n, last=n + 1) for n in range(half)]
    return body(("orders", [span(1, kind=2, name="GET /x", http__response__status_code=403), *below, *lost]))


def skewed(count):
    """A chain through two services whose clocks are both wrong, by other amounts each time."""
    spans = {"client": [span(1, kind=3, last=SECOND)], "orders": [], "policy": []}
    for n in range(2, count + 1):
        off = (n % 7 + 1) * 100 * SECOND * (-1 if n % 2 else 1)
        spans["orders" if n % 2 else "policy"].append(span(n, n - 1, kind=2 + n % 2, begin=off, last=off + SECOND))
    return body(*spans.items())


def doubled(count):
    """Every span is sent twice, and every second id is that of another span as well."""
    return alternating(count, lambda n: span(n // 2 + 1, (n // 2) // 2 + 1, kind=2 + n % 2, http__response__status_code=401))


def roots(count):
    """Spans without a parent, all of them requests that were refused."""
    return alternating(
        count, lambda n: span(n, kind=2, name="GET /x", http__response__status_code=403, begin=n * 10, last=n * 10 + 5)
    )


SHAPES = [chain, star, calls, circles, one_circle, orphans, strewn, skewed, doubled, roots]


def _measured(measure, raw):
    return measure(lambda: hold(raw, "application/json"))


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.__name__)
def test_twice_the_spans_are_twice_the_work(shape):
    """Calls of many spans, bytecodes of some: a loop over pairs grows fourfold in one of the two."""
    hold(shape(30), "application/json")  # rules compiled, caches warm

    def grows(count, measure):
        small, large = (_measured(measure, shape(n)) for n in (count, 2 * count))
        return f"{small:,} for {count} spans, {large:,} for twice as many", large < 2.5 * small

    for count, measure in ((1_200, calls_made), (120, bytecodes)):
        told, is_straight = grows(count, measure)
        assert is_straight, f"{measure.__name__}: {told}"


@pytest.mark.slow
@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.__name__)
def test_two_hundred_thousand_spans_of_any_shape_get_a_verdict(shape):
    verdict_on(shape(200_000))


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.__name__)
def test_every_shape_gets_a_verdict(shape):
    verdict = verdict_on(shape(60))
    if shape in (chain, star):
        assert verdict.outcome == "denied"
    if shape in (circles, one_circle):
        assert "parent_cycle" in kinds(verdict)
    if shape is orphans:
        assert "orphan_spans" in kinds(verdict)


# ------------------------------------------------------------------------------------------------------------ the values


@pytest.mark.parametrize(
    "key", ["auth.failure_reason", "http.route", "url.full", "db.query.text", "user.roles", "service.name", "x"]
)
def test_a_megabyte_in_one_attribute(key):
    refused = span(2, 1, name="auth.permission_check", auth__result="failure", **{key.replace(".", "__"): "A b=c/" * 175_000})
    verdict = verdict_on(body(("orders", [span(1, kind=2, name="GET /x", http__response__status_code=403), refused])))
    assert verdict.outcome == "denied"
    assert len(msgspec.json.encode(verdict)) < 50_000


def test_a_megabyte_in_every_name():
    long = "n" * 2**20
    raw = body((long, [span(1, kind=2, name=long, http__response__status_code=403)]), ("b", [span(2, 1, name=long)]))
    assert verdict_on(raw).outcome == "denied"


YEAR_2262 = 2**63 - 1


@pytest.mark.parametrize(
    ("begin", "end"),
    [
        (0, 0),
        (0, YEAR_2262),
        (YEAR_2262, YEAR_2262),
        (YEAR_2262, 0),
        (2**64 - 1, 2**64 - 1),
        (-1, 5),
        (1, 10**30),
        (BASE, BASE),
    ],
)
@pytest.mark.parametrize("of", ["all", "entry", "check"])
def test_times_of_zero_and_of_the_year_2262(begin, end, of):
    first = span(1, kind=2, name="GET /x", http__response__status_code=403)
    check = span(2, 1, name="auth.permission_check", auth__result="failure")
    for one in {"all": (first, check), "entry": (first,), "check": (check,)}[of]:
        one["startTimeUnixNano"], one["endTimeUnixNano"] = str(begin), str(end)
    verdict = verdict_on(body(("orders", [first, check])))
    assert verdict.outcome == "denied"
    # A check that claims to have begun after the answer did not cause it; else the check is what refused.
    if of != "check" or begin <= BASE:
        assert verdict.span_id == f"{2:016x}"


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf, 1e308, -0.0, 5e-324])
@pytest.mark.parametrize("key", ["http__response__status_code", "auth__result", "rpc__grpc__status_code", "db__rows"])
def test_numbers_that_are_none(number, key):
    raw = body(("orders", [span(1, kind=2, name="GET /x", **{key: number}), span(2, 1, name="auth.login", **{key: number})]))
    verdict_on(raw)
    verdict_on(re.sub(rb"-?(NaN|Infinity)", rb'"\g<0>"', raw))


@pytest.mark.parametrize(
    "bad", [b"\xff\xfe", b"\xc0\xaf", b"\xed\xa0\x80", b"\\ud800", b"\x00", b"\xf4\x90\x80\x80", b"\xe2\x80"]
)
def test_text_that_is_no_utf8(bad):
    raw = body(("orders", [span(1, kind=2, name="GET MARK", http__response__status_code=403, auth__subject="MARK")]))
    verdict = hold(raw.replace(b"MARK", bad), "application/json")
    # A raw zero byte is no JSON at all; everything else hides no span.
    assert verdict is None if bad == b"\x00" else verdict.outcome == "denied"


@pytest.mark.parametrize("bad", ["", "0" * 16, "zz", "1", "0" * 32, "é" * 8, "f" * 15])
def test_ids_without_length_or_sense(bad):
    first = span(1, kind=2, name="GET /x", http__response__status_code=403)
    check = span(2, 1, name="auth.permission_check", auth__result="failure")
    for one in (first, check):
        one["spanId"] = bad
    verdict = verdict_on(body(("orders", [first, check])))
    assert verdict.outcome == "denied"
    everywhere = [{**one, "traceId": bad, "parentSpanId": bad} for one in (first, check)]
    verdict_on(body(("orders", everywhere)))


def test_a_span_with_ten_thousand_attributes_and_events():
    many = {f"key{n}": "v" for n in range(10_000)}
    first = span(1, kind=2, name="GET /x", http__response__status_code=403, **many)
    first["events"] = [{"name": "exception", "timeUnixNano": "1", "attributes": []}] * 10_000
    first["links"] = [{"traceId": f"{1:032x}", "spanId": f"{n:016x}"} for n in range(10_000)]
    assert verdict_on(body(("orders", [first]))).outcome == "denied"
