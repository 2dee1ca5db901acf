"""n of m, and what is missing: no claim that the two counts do not carry."""

import pytest

from app.investigation import completeness
from app.investigation.completeness import Count
from app.investigation.labels import Counter
from app.sources.values import CompleteSearch, FoundTrace, QueryResult, Sample, SearchSlice, Series
from app.times import MINUTE, SECOND

START = 1_795_000_000 * SECOND
COUNTER = Counter("calls_total", ("service_name",), "auth_result", "success", "failure")


def search(traces, slices=1, problem="", matched=1):
    hits = tuple(FoundTrace(f"{n:032x}", "identity", "POST /login", START, 1, matched, ()) for n in range(traces))
    width = 10 * MINUTE // slices
    parts = tuple(
        SearchSlice(START + n * width, START + (n + 1) * width, traces // slices, problem if n == slices - 1 else "")
        for n in range(slices)
    )
    return CompleteSearch(hits, "{ }", START, START + 10 * MINUTE, parts, slices)


def series(*values, start=0, step=30, **labels):
    return Series(labels, tuple(Sample(START + (start + n * step) * SECOND, v) for n, v in enumerate(values)))


def test_two_counts_that_agree_are_complete():
    told = completeness.completeness(search(1243, slices=9), Count(1243, {}))
    assert told.whole
    assert (told.found, told.counted, told.missing) == (1243, 1243, ())
    assert told.words.startswith("found by search and counted independently by TraceQL metrics, ")
    assert told.words.endswith("in 9 slices, none at its limit.")


def test_what_is_missing_is_counted_and_placed():
    told = completeness.completeness(search(1180, slices=9, problem="500 traces or more, and no finer cut."), Count(1243, {}))
    assert not told.whole
    assert told.missing[0] == "63 are missing."
    assert told.missing[1].endswith("500 traces or more, and no finer cut.")
    assert "1 of them not whole" in told.words


def test_counts_that_agree_are_not_whole_where_a_slice_is_not():
    told = completeness.completeness(search(10, slices=2, problem="Tempo may not search the last 30 s yet."), Count(10, {}))
    assert not told.whole


def test_without_a_second_count_nothing_is_claimed():
    told = completeness.completeness(search(10), None, why_not_counted="Not counted independently: Tempo refused.")
    assert told.counted is None
    assert not told.whole
    assert told.words.endswith("in one search. Not counted independently: Tempo refused.")


def test_more_found_than_counted_is_said_and_is_no_gap():
    told = completeness.completeness(search(10), Count(7, {}))
    assert told.whole
    assert "TraceQL metrics count 7; they lag behind." in told.words


def test_spans_and_traces_are_not_confused():
    told = completeness.completeness(search(10, matched=3), Count(30, {}))
    assert (told.found, told.counted) == (30, 30)
    assert told.words.startswith("matching spans in 10 traces, ")


def test_the_count_by_result_leaves_out_spans_that_have_none():
    result = QueryResult(
        (
            series(60.0, **{"span.auth.result": "failure"}),
            series(2.0, **{"span.auth.result": "success"}),
            series(5.0, **{"span.auth.result": "nil"}),
            series(float("nan"), **{"span.auth.result": "odd"}),
        )
    )
    assert completeness.count(result) == Count(67, {"failure": 60, "success": 2, "odd": 0})


@pytest.mark.parametrize(
    ("one", "rose"),
    [
        (series(10, 10, 14), 4),
        (series(400, 400, start=60), 400),  # born in the window: Prometheus' own increase() says 0
        (series(10, 12, 3, 5), 7),  # restarted: from 12 to nothing, then to 5
        (series(), 0),
        (series(7), 0),
    ],
)
def test_how_far_a_counter_rose(one, rose):
    assert completeness.counted([one], start_ns=START, step_ns=30 * SECOND) == rose


def test_what_prometheus_counted_and_no_trace_shows():
    counted = [series(0, 12, auth_result="success"), series(0, 402, auth_result="failure"), series(0, 9, auth_result="error")]
    blind = completeness.blind_spot(
        COUNTER, counted, Count(404, {"success": 2, "failure": 402}), start_ns=START, step_ns=30 * SECOND
    )
    assert (blind.allowed, blind.refused) == (12, 402)
    assert (blind.unseen_allowed, blind.unseen_refused) == (10, 0)


def test_more_traces_than_counted_is_no_negative_blindness():
    blind = completeness.blind_spot(COUNTER, [], Count(4, {"success": 2, "failure": 2}), start_ns=START, step_ns=30 * SECOND)
    assert (blind.unseen_allowed, blind.unseen_refused) == (0, 0)
