"""From an alert to the searches for its traces: what is asked, why, and what was left out."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.investigation import alerts, labels, pivots
from app.investigation.alerts import Alert, Episode, Source, Told
from app.investigation.pivots import Way
from app.sources.values import AlertState, FiringAlert, Rule
from app.times import HOUR, MINUTE, SECOND
from app.traceql import parse

NOW = 1_800_000_000 * SECOND
SUBNET = {"service_name": "identity", "auth_client_subnet": "198.51.100.0/24"}
MAP = labels.load()


def recording(name, query):
    return Rule("recording", name, query, "g", "f", 30)


def alerting(query, **more):
    return Rule("alerting", "Guessing", query, "g", "f", 30, 60, **{"labels": {"severity": "warning"}, **more})


RECORDED = [
    recording(
        "auth:events:increase5m", "sum by (service_name, span_name, auth_result) (increase(otel_security_calls_total[5m]))"
    ),
    recording("auth:login_failures:increase5m", 'auth:events:increase5m{span_name="auth.login",auth_result="failure"}'),
]
BRUTE = alerting("auth:login_failures:increase5m / 300 > 0.5")


def alert(rule=BRUTE, found=SUBNET, *, started=NOW - 10 * MINUTE, value=0.7, annotations=None):
    names = {"alertname": "Guessing", "severity": "warning", **found}
    live = FiringAlert("prometheus", names, annotations or {}, AlertState.FIRING, started, value=value)
    rules = [rule] if rule else []
    return alerts.merge(Told(live=[live], rules=rules, answered=frozenset({Source.PROMETHEUS})), now_ns=NOW)[0]


def plan(of=None, rules=RECORDED):
    return pivots.plan(of or alert(), rules=rules, labels=MAP, now_ns=NOW)


def test_labels_and_what_the_rule_reads_become_one_query():
    query = plan().search(Way.COUNTED).query
    assert 'resource.service.name = "identity"' in query
    assert 'span.auth.client.subnet = "198.51.100.0/24"' in query
    assert 'name = "auth.login"' in query
    assert 'span.auth.result = "failure"' in query


def test_for_somebody_every_outcome_is_shown_first_so_that_a_success_is_not_hidden():
    searches = plan().searches
    assert searches[0].way is Way.ANY
    assert "auth.result" not in searches[0].query
    assert searches[0].why == "Labels match: service, subnet, span name, time"


def test_for_a_service_alone_only_what_the_rule_counted_is_shown_first():
    searches = plan(alert(found={"service_name": "identity"})).searches
    assert [search.way for search in searches[:2]] == [Way.COUNTED, Way.ANY]
    assert searches[0].why == "What the rule counts: service, span name, auth result, time"


def test_of_a_share_the_failures_above_the_line_are_what_is_counted():
    failures, all_ = 'm{span_name="auth.login",auth_result="failure"}', 'm{span_name="auth.login"}'
    share = alerting(f"sum by (service_name) ({failures}) / sum by (service_name) ({all_}) > 0.4")
    counted = plan(alert(share, {"service_name": "identity"})).search(Way.COUNTED)
    assert counted.query == '{ resource.service.name = "identity" && name = "auth.login" && span.auth.result = "failure" }'


def test_a_metric_that_implies_labels_narrows_the_search():
    rule = alerting("count by (service_name) (increase(otel_security_spray_calls_total[10m]) > 0) > 20")
    found = plan(alert(rule))
    assert 'name = "auth.login"' in found.search(Way.ANY).query
    assert found.window.start_ns == NOW - 20 * MINUTE


def test_an_auth_metric_without_a_span_name_asks_for_auth_spans_only():
    query = plan(alert(alerting("increase(otel_security_calls_total[5m]) > 3"))).search(Way.ANY).query
    assert 'name =~ "^auth[.].*$" || span.auth.result != nil' in query


def test_the_window_reaches_back_as_far_as_the_rule_and_ends_with_the_alert():
    found = plan().window
    assert (found.start_ns, found.end_ns) == (NOW - 15 * MINUTE, NOW)
    assert found.why == "From 5 min before it became pending, as far as the rule looks back, until now."
    ended = msgspec.structs.replace(alert(), episode=Episode(NOW - 60 * MINUTE, NOW - 59 * MINUTE, NOW - 30 * MINUTE + 1))
    found = plan(ended).window
    assert (found.start_ns, found.end_ns) == (NOW - 65 * MINUTE, NOW - 30 * MINUTE + SECOND)
    assert found.why.endswith("to its end.")


def test_a_rule_that_looks_back_for_days_does_not_list_days():
    found = plan(alert(alerting("increase(m[7d]) > 3"))).window
    assert NOW - found.start_ns == 24 * HOUR + 10 * MINUTE
    assert "too much to list" in found.why


def test_exemplars_are_asked_of_the_raw_series_with_the_alerts_own_labels():
    (selector,) = plan().exemplars
    assert selector == (
        'otel_security_calls_total{span_name="auth.login", auth_result="failure", service_name="identity", '
        'auth_client_subnet="198.51.100.0/24"}'
    )


def test_exemplars_of_a_share_are_those_of_what_is_above_the_line():
    failures, all_ = 'm{span_name="auth.login",auth_result="failure"}', 'm{span_name="auth.login"}'
    share = alerting(f"sum by (service_name) ({failures}) / sum by (service_name) ({all_}) > 0.4")
    assert plan(alert(share, {"service_name": "identity"})).exemplars == (
        'm{span_name="auth.login", auth_result="failure", service_name="identity"}',
    )


def test_the_counter_is_asked_for_the_same_requests_whatever_their_outcome():
    tally = plan().tally
    assert tally.selector == (
        'otel_security_calls_total{service_name="identity", auth_client_subnet="198.51.100.0/24", span_name="auth.login"}'
    )


def test_no_counter_is_claimed_to_count_what_it_has_no_label_for():
    assert plan(alert(found={"service_name": "identity", "auth_username": "eve"})).tally is None


def test_the_rules_own_query_is_offered_and_filled_as_a_tree():
    rule = alerting("m > 1", annotations={"trace_query": '{ span.user.name = "{{ $labels.auth_username }}" }'})
    found = plan(alert(rule, {"auth_username": '" || true || "'})).search(Way.RULE)
    assert found.query == r'{ span.user.name = "\" || true || \"" }'


def test_a_hint_that_cannot_be_used_is_said():
    found = plan(alert(alerting("m > 1", annotations={"trace_query": "{ nonsense"})))
    assert Way.RULE not in [search.way for search in found.searches]
    assert any("not valid TraceQL" in note for note in found.notes)


def test_time_is_the_last_resort():
    found = plan().searches[-1]
    assert (found.way, found.why) == (Way.TIME, "Same service, same time")
    assert 'resource.service.name = "identity"' in found.query
    assert "span.auth.result != nil" in found.query


def test_an_alert_about_no_request_is_searched_by_time_alone():
    found = plan(alert(alerting('up{job="x"} == 0'), {"job": "x", "instance": "y"}))
    assert [search.way for search in found.searches] == [Way.TIME]
    assert found.tally is None


def test_without_a_rule_the_labels_still_serve_and_the_page_says_so():
    found = plan(alert(None))
    assert found.searches[0].why == "Labels match: service, subnet, time"
    assert "Prometheus did not tell the rule" in found.notes[0]


def test_what_was_not_used_is_said():
    rule = alerting('m{auth_result!="success",span_kind=~"SPAN_KIND_.*"} > 1')
    notes = plan(alert(rule, {**SUBNET, "flavour": "salt", "http_status_code": "4xx"})).notes
    assert any(note.startswith("Not used, because no attribute is known for it: flavour.") for note in notes)
    assert any(note.startswith('auth_result!="success" was not used') for note in notes)
    assert any(note.startswith('span_kind=~"SPAN_KIND_.*" was not used') for note in notes)
    assert any(note.startswith('http_status_code="4xx" was not used') for note in notes)


def test_an_unreadable_rule_is_said():
    assert "could not be read" in plan(alert(alerting("sum(m"))).notes[0]


def test_the_count_is_of_the_same_spans_by_result():
    search = plan().search(Way.ANY)
    assert search.count_query == search.query + " | count_over_time() by (span.auth.result)"
    parse.parse(search.count_query)


@given(st.dictionaries(st.sampled_from(sorted(MAP.meanings)), st.text(min_size=1, max_size=50), max_size=6))
def test_any_labels_give_queries_that_read_back_as_built(found):
    for search in plan(alert(found=found)).searches:
        assert parse.parse(search.query).pipeline == search.filter
        parse.parse(search.count_query)


@pytest.mark.parametrize("way", ["counted", "rule", "nonsense", None])
def test_an_unknown_way_gives_the_default(way):
    found = plan()
    expected = way if way in [search.way for search in found.searches] else found.searches[0].way
    assert found.search(way).way == expected
    assert isinstance(alert(), Alert)
