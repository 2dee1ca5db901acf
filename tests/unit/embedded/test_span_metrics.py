"""Span metrics: the names and labels that the rules expect, and nothing that grows without bound."""

import re

import pytest

from app.embedded import metrics
from app.embedded.arrivals import LATE_S, Arrivals
from app.embedded.metrics import SpanMetrics, client_subnet, user_bucket
from app.traces.model import SpanKind


def counted(*spans):
    meter = SpanMetrics()
    meter.count(spans)
    return meter.exposition()


def lines(text, name):
    return [line.split(" # ")[0] for line in text.splitlines() if re.match(rf"{name}[{{ ]", line)]


def test_a_failed_log_in_in_all_three_families(make_span):
    text = counted(
        make_span("auth.login", service="identity", lasts=0.08, **{
            "auth.result": "failure", "auth.method": "password", "auth.failure_reason": "invalid_credentials",
            "client.address": "203.0.113.7", "user.name": "Alice",
        })
    )  # fmt: skip
    assert lines(text, "otel_security_calls_total") == [
        'otel_security_calls_total{service_name="identity",span_name="auth.login",auth_result="failure",'
        'auth_method="password",auth_failure_reason="invalid_credentials",auth_client_subnet="203.0.113.0/24"} 1'
    ]
    four = 'service_name="identity",span_name="auth.login",auth_result="failure",auth_method="password"'
    assert lines(text, "otel_security_duration_seconds_count") == [f"otel_security_duration_seconds_count{{{four}}} 1"]
    assert lines(text, "otel_security_duration_seconds_sum") == [f"otel_security_duration_seconds_sum{{{four}}} 0.08"]
    buckets = lines(text, "otel_security_duration_seconds_bucket")
    assert len(buckets) == 15
    assert f'otel_security_duration_seconds_bucket{{{four},le="0.075"}} 0' in buckets
    assert f'otel_security_duration_seconds_bucket{{{four},le="0.1"}} 1' in buckets
    assert f'otel_security_duration_seconds_bucket{{{four},le="+Inf"}} 1' in buckets
    # sha256("alice") begins with 2b
    assert lines(text, "otel_security_spray_calls_total") == [
        'otel_security_spray_calls_total{service_name="identity",auth_client_subnet="203.0.113.0/24",auth_user_bucket="2b"} 1'
    ]
    assert "alice" not in text.lower()


def test_only_auth_spans_count(make_span):
    text = counted(make_span("GET /"), make_span("auth.check"), make_span("policy", **{"auth.result": "success"}))
    assert [re.search(r'span_name="([^"]+)', line)[1] for line in lines(text, "otel_security_calls_total")] == [
        "auth.check",
        "policy",
    ]


def test_spray_counts_failed_log_ins_with_a_user(make_span):
    failure = {"auth.result": "failure", "user.name": "bob"}
    text = counted(
        make_span("auth.login", **failure),
        make_span("auth.login", **{**failure, "auth.result": "success"}),
        make_span("auth.authorize", **failure),
        make_span("auth.login", **{"auth.result": "failure"}),
    )
    assert [line.rpartition(" ")[2] for line in lines(text, "otel_security_spray_calls_total")] == ["1"]


@pytest.mark.parametrize(
    ("attribute", "value", "label", "shown"),
    [
        ("auth.result", "failure", "auth_result", "failure"),
        ("auth.result", "Nonsense", "auth_result", "other"),
        ("auth.method", "webauthn", "auth_method", "webauthn"),
        ("auth.method", "carrier pigeon", "auth_method", "other"),
        ("auth.failure_reason", "token_expired", "auth_failure_reason", "token_expired"),
        ("auth.failure_reason", "token expired at 12:03:04", "auth_failure_reason", "other"),
        ("auth.failure_reason", ["forbidden"], "auth_failure_reason", "other"),
        ("nothing", 1, "auth_result", "unset"),
        ("nothing", 1, "auth_method", "unset"),
        ("nothing", 1, "auth_failure_reason", "none"),
        ("nothing", 1, "auth_client_subnet", "unknown"),
    ],
)
def test_labels_hold_known_words_only(make_span, attribute, value, label, shown):
    [line] = lines(counted(make_span("auth.x", **{attribute: value})), "otel_security_calls_total")
    assert f'{label}="{shown}"' in line


@pytest.mark.parametrize(
    ("address", "subnet"),
    [
        ("192.0.2.77", "192.0.2.0/24"),
        ("192.0.2.77:50123", "192.0.2.0/24"),
        ("::ffff:192.0.2.77", "192.0.2.0/24"),
        ("2001:db8:1:2::3", "2001:db8:1::/48"),
        ("[2001:db8:1:2::3]:443", "2001:db8:1::/48"),
        ("2001:db8::1", "2001:db8::/48"),
        ("localhost", "other"),
        ("999.1.1.1", "other"),
        ("1.2.3.4, 5.6.7.8", "other"),
        (17, "other"),
        ("x" * 5_000, "other"),
    ],
)
def test_addresses_become_subnets(make_span, address, subnet):
    assert client_subnet(make_span("auth.x", **{"client.address": address})) == subnet


@pytest.mark.parametrize(
    "name", ["client.address", "http.client_ip", "net.peer.ip", "net.sock.peer.addr", "network.peer.address"]
)
def test_older_names_of_the_address(make_span, name):
    assert client_subnet(make_span("auth.x", **{name: "198.51.100.1"})) == "198.51.100.0/24"


def test_newer_names_win_and_a_clients_peer_is_the_server(make_span):
    span = make_span("auth.x", **{"net.peer.ip": "10.0.0.1", "client.address": "198.51.100.1"})
    assert client_subnet(span) == "198.51.100.0/24"
    outgoing = make_span("auth.x", kind=SpanKind.CLIENT, **{"network.peer.address": "10.0.0.1"})
    assert client_subnet(outgoing) == "unknown"


def test_user_buckets():
    assert (
        user_bucket({"user.name": "Alice"}) == user_bucket({"auth.username": "alice"}) == user_bucket({"enduser.id": "ALICE"})
    )
    assert user_bucket({"user.hash": "AB12", "user.name": "alice"}) == "ab"
    assert user_bucket({"user.hash": "not hex", "user.name": "alice"}) == "2b"
    assert user_bucket({}) == ""


def test_exemplars_lead_to_the_trace_and_prefer_refusals(make_span):
    meter = SpanMetrics()
    refused = make_span("auth.x", trace=7, at=1_000.0, **{"auth.result": "failure"})
    meter.count([refused, make_span("auth.x", trace=8, at=1_001.0, **{"auth.result": "failure"})])
    [line] = [line for line in meter.exposition().splitlines() if line.startswith("otel_security_calls_total")]
    assert line.endswith(f'# {{trace_id="{8:032x}",span_id="0000000000000002"}} 1.0 1001.010')
    assert f'trace_id="{8:032x}"' in meter.exposition()
    # The histogram's series has no result of its own beside the four labels; a later success must not push a refusal out.
    histogram = SpanMetrics()
    histogram.count([make_span("auth.x", trace=1, at=1_000.0, **{"auth.result": "other"})])
    assert f'trace_id="{1:032x}"' in histogram.exposition()


def test_series_are_limited_and_the_rest_is_counted_together(make_span, monkeypatch):
    monkeypatch.setattr(metrics, "MAX_DURATIONS", 3)
    meter = SpanMetrics()
    meter._calls._most = 3
    meter.count([make_span(f"auth.{n}") for n in range(10)])
    text = meter.exposition()
    calls = lines(text, "otel_security_calls_total")
    assert len(calls) == 4
    assert calls[-1] == 'otel_security_calls_total{otel_metric_overflow="true"} 7'
    assert lines(text, "otel_security_duration_seconds_count")[-1].endswith('{otel_metric_overflow="true"} 7')


def test_hostile_names_stay_inside_their_quotes(make_span):
    text = counted(make_span('auth."}\n evil 1 \\', service='s"\n#'))
    [line] = lines(text, "otel_security_calls_total")
    assert r'span_name="auth.\"}\n evil 1 \\"' in line
    assert r'service_name="s\"\n#"' in line
    assert all(re.match(r"(# (TYPE|HELP|UNIT) )?otel_security_", one) for one in text.splitlines())


def test_late_spans_are_stored_but_not_counted_as_now(make_span):
    meter = SpanMetrics()
    arrivals = Arrivals(meter, clock=lambda: 10_000.0)
    arrivals.observe([
        make_span("auth.x", at=10_000.0 - LATE_S - 1, lasts=0.5),
        make_span("auth.x", at=10_000.0 - LATE_S - 1, lasts=2.0),
        make_span("GET /", at=10.0),
    ])  # fmt: skip
    assert arrivals.late == 2
    assert [line.rpartition(" ")[2] for line in lines(meter.exposition(), "otel_security_calls_total")] == ["1"]
