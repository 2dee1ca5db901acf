"""Spans to series, as Tempo counts them."""

import math

import pytest

from app.errors import InvalidInput
from app.traceql.fetch import TraceSpans
from app.traceql.metrics import SeriesBuilder, Steps, default_step, quantile
from app.traceql.parse import parse
from app.traces.model import Status

SECOND = 1_000_000_000
BASE = 1_000 * SECOND  # make_span counts from here


def series(query, spans, steps=None):
    builder = SeriesBuilder(parse(query), steps or Steps.aligned(BASE, BASE + 30 * SECOND, 10 * SECOND))
    for one in builder.matcher.match(TraceSpans("ab" * 16, spans)):
        builder.observe(one.rows)
    return {one.labels: [None if math.isnan(v) else v for v in one.values] for one in builder.result()}


def test_a_sample_covers_the_step_before_it_and_one_step_is_added_in_front(make_span):
    spans = [make_span(at=at) for at in (-10, -9.5, 0, 0.001, 10, 25, 30, 30.001)]
    steps = Steps.aligned(BASE, BASE + 30 * SECOND, 10 * SECOND)
    assert [steps.time_ms(place) for place in range(steps.count)] == [1_000_000, 1_010_000, 1_020_000, 1_030_000]
    # -10 is the open end of the first step, 0 its closed one.
    assert series("{ } | count_over_time()", spans) == {(("__name__", "count_over_time"),): [2, 2, 0, 2]}


def test_ranges_are_aligned_to_the_step():
    steps = Steps.aligned(BASE + 3, BASE + 11 * SECOND, 10 * SECOND)
    assert (steps.start_ns, steps.count) == (BASE - 10 * SECOND, 3)


def test_rate_is_per_second(make_span):
    assert series("{ } | rate()", [make_span(at=1), make_span(at=2)])[(("__name__", "rate"),)] == [0, 0.2, 0, 0]


def test_instant_is_one_step(make_span):
    spans = [make_span(at=at) for at in (0, 1, 20)]
    steps = Steps.instant(BASE, BASE + 20 * SECOND)
    assert series("{ } | count_over_time()", spans, steps) == {(("__name__", "count_over_time"),): [2]}
    assert series("{ } | rate()", spans, steps) == {(("__name__", "rate"),): [0.1]}


def test_groups_leave_out_what_has_no_value(make_span):
    spans = [make_span(at=1, a="x", b=1), make_span(at=1, a="x"), make_span(at=1, b=1), make_span(at=1)]
    found = series("{ } | count_over_time() by (span.a, span.b)", spans)
    assert set(found) == {
        (("span.a", "x"), ("span.b", 1)),
        (("span.a", "x"),),
        (("span.b", 1),),
        (("span.a", None),),
    }


def test_a_group_of_a_filtered_attribute_sees_what_the_filter_saw(make_span):
    spans = [make_span(at=1, code=500), make_span(at=1, code=200, status=Status.ERROR)]
    found = series("{ span.code >= 400 || status = error } | count_over_time() by (span.code)", spans)
    assert set(found) == {(("span.code", 500),), (("span.code", None),)}


def test_measures_over_time(make_span):
    spans = [make_span(at=1, lasts=0.1, n=4), make_span(at=2, lasts=0.3, n=8), make_span(at=12, lasts=0.2)]
    assert series("{ } | min_over_time(duration)", spans) == {(("__name__", "min_over_time"),): [None, 0.1, 0.2, None]}
    assert series("{ } | max_over_time(duration)", spans) == {(("__name__", "max_over_time"),): [None, 0.3, 0.2, None]}
    assert series("{ } | sum_over_time(span.n)", spans) == {(("__name__", "sum_over_time"),): [None, 12, None, None]}
    [values] = series("{ } | avg_over_time(duration)", spans).values()
    assert values == [None, pytest.approx(0.2), 0.2, None]


def test_nothing_measured_gives_no_series(make_span):
    assert series("{ } | sum_over_time(span.n)", [make_span(at=1)]) == {}


def test_histogram_buckets_double_and_are_in_seconds(make_span):
    spans = [make_span(at=1, lasts=0.055), make_span(at=1, lasts=0.06), make_span(at=1, lasts=0.107), make_span(at=1, lasts=0)]
    assert series("{ } | histogram_over_time(duration)", spans) == {
        (("__bucket", 0.067108864),): [0, 2, 0, 0],
        (("__bucket", 0.134217728),): [0, 1, 0, 0],
    }


def test_quantiles(make_span):
    spans = [make_span(at=1, lasts=0.055) for _ in range(3)]
    found = series("{ } | quantile_over_time(duration, .5, .99)", spans)
    assert found[(("p", 0.5),)] == [0, pytest.approx(0.05326434065499543), 0, 0]
    assert found[(("p", 0.99),)] == [0, 0.067108864, 0, 0]


def test_a_quantile_between_buckets():
    assert quantile(0.5, {}) == 0
    assert quantile(1, {2: 1, 4: 1}) == 4
    assert quantile(0.5, {2: 1, 4: 1}) == 2
    assert quantile(0.75, {2: 2, 8: 2}) == 4  # half way between on the logarithm


def test_topk_at_each_time_with_ties_by_name(make_span):
    spans = [make_span(at=at, u=user) for at, user in [(1, "b"), (1, "b"), (1, "c"), (1, "a"), (11, "c"), (11, "c"), (11, "a")]]
    found = series("{ } | count_over_time() by (span.u) | topk(2)", spans)
    assert found == {
        (("span.u", "a"),): [0, 1, 1, 0],
        (("span.u", "b"),): [0, 2, None, 0],
        (("span.u", "c"),): [None, None, 2, None],
    }
    low = series("{ } | count_over_time() by (span.u) | bottomk(1)", spans)
    assert low[(("span.u", "c"),)] == [0, 1, None, 0]


def test_series_can_be_filtered_by_value(make_span):
    spans = [make_span(at=at, u=user) for at, user in [(1, "b"), (1, "b"), (11, "a")]]
    assert series("{ } | count_over_time() by (span.u) > 1", spans) == {(("span.u", "b"),): [None, 2, None, None]}
    assert series("{ } | max_over_time(duration) > 10ms", [make_span(at=1, lasts=0.001)]) == {}


def test_compare_sets_the_selection_against_the_rest(make_span):
    spans = [make_span(at=1, u="a", status=Status.ERROR), make_span(at=1, u="a"), make_span(at=1, u="b")]
    found = series("{ } | compare({ status = error }, 1)", spans, Steps.instant(BASE, BASE + 30 * SECOND))
    assert found[(("__meta_type", "selection"), ("span.u", "a"))] == [1]
    assert found[(("__meta_type", "baseline"), ("span.u", "a"))] == [1]
    assert (("__meta_type", "baseline"), ("span.u", "b")) not in found  # one value at most was asked for
    assert found[(("__meta_type", "baseline_total"), ("span.u", None))] == [2]
    assert (("__meta_error", "__too_many_values__"), ("span.u", None)) in found


def test_exemplars_name_their_trace(make_span):
    builder = SeriesBuilder(
        parse('{ name = "auth.login" } | max_over_time(duration)'), Steps.aligned(BASE, BASE + 30 * SECOND, 10 * SECOND)
    )
    for number in range(5):
        trace = TraceSpans(f"{number + 1:032x}", [make_span("auth.login", at=1, lasts=0.1)])
        for one in builder.matcher.match(trace):
            builder.observe(one.rows)
    [one] = builder.result()
    assert [dict(exemplar.labels)["trace:id"] for exemplar in one.exemplars] == ["1", "2"]  # two for one step
    assert {(exemplar.value, exemplar.time_ms) for exemplar in one.exemplars} == {(0.1, 1_001_000)}


def test_bad_requests():
    with pytest.raises(InvalidInput, match="not a metrics query"):
        SeriesBuilder(parse("{ }"), Steps.instant(0, 1))
    with pytest.raises(InvalidInput, match="start before its end"):
        Steps.aligned(5, 5, 1)
    with pytest.raises(InvalidInput, match="too small"):
        Steps.aligned(0, 20_000 * SECOND, SECOND)


@pytest.mark.parametrize(("range_s", "step_s"), [(10, 1), (3600, 15), (86400, 360), (1000, 4)])
def test_default_steps(range_s, step_s):
    assert default_step(0, range_s * SECOND) == step_s * SECOND
