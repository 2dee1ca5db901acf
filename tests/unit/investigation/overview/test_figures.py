"""Answers to figures: rates, shares, quantiles from histograms, baselines."""

import math

import pytest

from app.investigation.overview import figures
from app.investigation.overview.figures import Bucket, NamesRow, RefusalRow, SourceRow, StepRow
from app.sources.values import Sample, Series
from app.times import MINUTE, UnixNanos

START = UnixNanos(1_795_000_000_000_000_000)
TIMES = tuple(UnixNanos(START + n * MINUTE) for n in range(3))


def one(value, **labels):
    return Series(labels, (Sample(START, value),))


def curve(values, **labels):
    """A series with a sample at each of TIMES that has a value."""
    pairs = zip(TIMES, values, strict=True)
    return Series(labels, tuple(Sample(time, value) for time, value in pairs if value is not None))


def test_sources_are_ranked_by_refusals_and_tell_the_share_of_what_was_decided():
    rows = figures.sources_of_metrics([
        one(3.2, auth_client_subnet="192.0.2.0/24", auth_result="failure"),
        one(8.9, auth_client_subnet="192.0.2.0/24", auth_result="success"),
        one(5.0, auth_client_subnet="192.0.2.0/24", auth_result="error"),
        one(40.1, auth_client_subnet="198.51.100.0/24", auth_result="failure"),
    ])  # fmt: skip
    assert rows == (SourceRow("198.51.100.0/24", 40, 0), SourceRow("192.0.2.0/24", 3, 9))
    assert [row.share for row in rows] == [1.0, 0.25]


def test_an_address_under_two_names_of_its_attribute_is_one_source():
    spellings = ("span.client.address", "span.net.peer.ip", "span.auth.client.subnet")
    rows = figures.sources_of_traces(
        [
            one(2.0, **{"span.client.address": "192.0.2.7", "span.auth.client.subnet": "192.0.2.0/24"}),
            one(5.0, **{"span.net.peer.ip": "192.0.2.7", "span.auth.client.subnet": "192.0.2.0/24"}),
            one(6.0, **{"span.client.address": "nil", "span.auth.client.subnet": "198.51.100.0/24"}),
            one(1.0, **{"span.client.address": "nil"}),
        ],
        spellings,
        2,
    )
    assert rows == (SourceRow("192.0.2.7", 7, None), SourceRow("198.51.100.0/24", 6, None))
    assert rows[0].share is None, "successes are sampled: no share can be told"


def test_success_is_a_share_of_the_decided_at_each_time_and_nothing_where_nothing_was():
    found = figures.success(
        [
            curve([3, None, 0], span_name="auth.login", auth_result="success"),
            curve([1, None, 4], span_name="auth.login", auth_result="failure"),
            curve([7, None, 0], span_name="auth.login", auth_result="error"),
            curve([2, 2, 2], span_name="auth.authorize", auth_result="success"),
            curve([0, 2, math.nan], span_name="auth.token_validate", auth_result="failure"),
        ],
        "span_name",
        "auth_result",
        TIMES,
    )
    assert [point.share for point in found.logins] == [0.75, None, 0.0]
    assert [point.share for point in found.others] == [1.0, 0.5, 1.0]
    assert [point.time_ns for point in found.logins] == list(TIMES)
    whole = figures.summed(found.logins)
    assert (whole.succeeded, whole.failed, whole.broken) == (3, 5, 7)
    assert whole.share == 0.375


def test_a_curve_of_nothing_is_known_to_be_empty():
    assert figures.success([], "span_name", "auth_result", TIMES).is_empty
    assert figures.success(
        [curve([0, 0, 0], span_name="auth.login", auth_result="failure")], "span_name", "auth_result", TIMES
    ).is_empty


def histogram(step, counts):
    """Cumulative counts up to each bound, as Prometheus has them."""
    return [one(float(count), span_name=step, le=bound) for bound, count in counts.items()]


def test_quantiles_lie_evenly_within_their_bucket_as_prometheus_has_them():
    buckets = figures.buckets_of_metrics(histogram("auth.login", {"0.1": 50, "0.2": 90, "0.5": 100, "+Inf": 100}))["auth.login"]
    assert figures.quantile(0.5, buckets) == pytest.approx(0.1)
    assert figures.quantile(0.7, buckets) == pytest.approx(0.15)
    assert figures.quantile(0.99, buckets) == pytest.approx(0.47)
    assert figures.durations(buckets).count == 100
    assert figures.durations(buckets).finest == 0.1


def test_beyond_the_last_bound_only_that_bound_is_known():
    buckets = figures.buckets_of_metrics(histogram("auth.login", {"1": 10, "+Inf": 100}))["auth.login"]
    assert figures.quantile(0.99, buckets) == 1.0


def test_a_quantile_of_nothing_is_none():
    assert figures.quantile(0.5, ()) is None
    assert figures.quantile(0.5, (Bucket(0, 1, 0),)) is None


def test_a_sum_that_dips_between_scrapes_counts_no_negative_checks():
    buckets = figures.buckets_of_metrics(histogram("s", {"0.1": 50, "0.2": 49.9, "+Inf": 60}))["s"]
    assert [bucket.count for bucket in buckets] == [50, 0, 10]


def test_buckets_of_traces_double_and_the_lowest_is_no_limit_of_what_is_known():
    buckets = figures.buckets_of_traces([
        one(1.0, name="auth.login", __bucket="0.016"),
        one(3.0, name="auth.login", __bucket="0.008"),
        one(9.0, name="auth.login", __bucket="nonsense"),
    ])["auth.login"]  # fmt: skip
    assert buckets == (Bucket(0.004, 0.008, 3.0), Bucket(0.008, 0.016, 1.0))
    assert figures.quantile(0.5, buckets) == pytest.approx(0.004 + 0.004 * 2 / 3)
    assert figures.durations(buckets).finest == 0.0


def test_each_step_is_held_against_the_first_time_that_measured_it_often_enough():
    def measured(count, upto=0.1):
        return (Bucket(0.0, upto, count),)

    rows = figures.against_baseline(
        {"a": measured(100), "b": measured(50, 0.4), "c": measured(30), "d": measured(0)},
        [
            ("a week before", {"a": measured(20), "b": measured(19)}),
            ("the day before", {"a": measured(500), "b": measured(40, 0.1), "c": measured(3)}),
        ],
    )
    assert [(row.step, row.baseline) for row in rows] == [("a", "a week before"), ("b", "the day before"), ("c", "")]
    assert rows[1].slower == pytest.approx(4.0)
    assert rows[2].usual is None
    assert rows[2].slower is None


def test_names_are_estimated_from_the_slices_they_hit():
    # 256 equal slices: few names hit as many, many names hit some twice.
    assert figures.estimate(0) == 0
    assert figures.estimate(5) == 5
    assert figures.estimate(128) == 177
    assert figures.estimate(256) is None
    rows = figures.names_of_metrics(
        [one(5.0, auth_client_subnet="a"), one(128.0, auth_client_subnet="b"), one(0.0, auth_client_subnet="c")]
    )
    assert rows == (NamesRow("b", 128, 177), NamesRow("a", 5, 5))


def test_names_of_traces_are_the_different_ones_and_no_name_is_none():
    def tried(address, user, count=1.0):
        return one(count, **{"span.client.address": address, "span.user.name": user})

    rows = figures.names_of_traces(
        [
            tried("192.0.2.7", "ann"),
            tried("192.0.2.7", "bob", 30.0),
            tried("192.0.2.9", "ann"),
            tried("192.0.2.9", "nil", 50.0),
        ],
        ("span.client.address",),
        ("span.user.hash", "span.user.name"),
        10,
    )
    assert rows == (NamesRow("192.0.2.7", 2), NamesRow("192.0.2.9", 1))


def test_refusals_keep_service_and_step_and_leave_zeros_out():
    rows = figures.refusals(
        [
            one(2.0, service_name="orders", span_name="auth.authorize"),
            one(9.6, span_name="auth.login"),
            one(0.3, service_name="x"),
        ],
        "service_name",
        "span_name",
    )
    assert rows == (RefusalRow("", "auth.login", 10), RefusalRow("orders", "auth.authorize", 2))


def test_a_step_row_without_a_tail_is_not_slower():
    now = figures.durations((Bucket(0, 0.1, 10),))
    assert StepRow("a", now, figures.Durations(30, 0.0, 0.0)).slower is None


def test_a_check_that_broke_is_something_to_show():
    assert not figures.success(
        [curve([0, 0, 1], span_name="x", auth_result="error")], "span_name", "auth_result", TIMES
    ).is_empty


def test_counts_of_adjacent_times_add_up():
    both = figures.added([[one(2.0, a="x"), one(1.0, a="y")], [one(5.0, a="x")]])
    assert {series.labels["a"]: figures.total(series) for series in both} == {"x": 7, "y": 1}
