"""The metrics of a past incident: counted scrape by scrape, alerts as Prometheus would have had them."""

import math
from collections import Counter

import pytest

from app.lab import metric_history as history
from app.lab.metric_history import Rule
from app.lab.prometheus import RULES
from app.paths import folder
from app.times import SECOND
from app.traces.otlp import decode

START = 1_700_000_000 * SECOND
TARGET = {"job": "otel-security-metrics", "instance": "127.0.0.1:3200"}


class Counting:
    """A meter as simple as can be."""

    def __init__(self):
        self.calls = Counter()
        self.last = {}

    def count(self, spans):
        for span in spans:
            self.calls[span.name] += 1
            self.last[span.name] = span

    def exposition(self):
        lines = ["# TYPE otel_security_calls counter", "otel_other_total 5"]
        for name, value in self.calls.items():
            span = self.last[name]
            exemplar = f'# {{trace_id="{span.trace_id}"}} 1.0 {span.end_ns / SECOND:.3f}'
            lines.append(f'otel_security_calls_total{{span_name="{name}",reason="say \\"no\\""}} {value} {exemplar}')
        return "\n".join([*lines, "# EOF\n"])


def span(name, end_s, trace=1):
    body = f'''{{"resourceSpans":[{{"resource":{{"attributes":[{{"key":"service.name","value":{{"stringValue":"s"}}}}]}},
      "scopeSpans":[{{"spans":[{{"traceId":"{trace:032x}","spanId":"{trace:016x}","name":"{name}","kind":1,
      "startTimeUnixNano":"{START + (end_s - 1) * SECOND}","endTimeUnixNano":"{START + end_s * SECOND}"}}]}}]}}]}}'''
    return decode(body.encode()).spans[0]


def named(series, name):
    return next(one for one in series if one.labels.get("span_name", one.labels["__name__"]) == name)


def seconds(points):
    return [(time_ms // 1000 - START // SECOND, value) for time_ms, value in points if not math.isnan(value)]


def scrapes(*spans, until_s=150):
    return history.scrapes(spans, Counting(), instance="127.0.0.1:3200", start_ns=START, end_ns=START + until_s * SECOND)


def test_a_span_counts_from_the_scrape_after_its_end():
    series = named(scrapes(span("auth.login", 31), span("auth.login", 95, 2), span("auth.login", 90, 3)), "auth.login")
    assert seconds(series.samples) == [(60, 1.0), (90, 2.0), (120, 3.0)]
    assert series.labels == {"__name__": "otel_security_calls_total", "span_name": "auth.login", "reason": 'say "no"', **TARGET}


def test_a_series_is_up_throughout_and_ends_with_a_stale_marker():
    series = named(scrapes(), "up")
    assert seconds(series.samples) == [(0, 1.0), (30, 1.0), (60, 1.0), (90, 1.0), (120, 1.0)]
    end_ms, end = series.samples[-1]
    assert end_ms == (START + 150 * SECOND) // 10**6
    assert math.isnan(end)


def test_each_exemplar_is_written_once_in_order_of_time():
    series = named(scrapes(span("auth.login", 31, 1), span("auth.login", 95, 2)), "auth.login")
    assert [exemplar.labels["trace_id"] for exemplar in series.exemplars] == [f"{1:032x}", f"{2:032x}"]
    assert [exemplar.time_ms - START // 10**6 for exemplar in series.exemplars] == [31_000, 95_000]


def test_metrics_of_others_are_left_out():
    assert {one.labels["__name__"] for one in scrapes(span("auth.login", 1))} == {"up", "otel_security_calls_total"}


RULE = Rule(expr="x", alert="AuthBruteForce", for_s=60, labels={"severity": "warning"})


def alert(times, rule=RULE, step=15):
    return {
        one.labels.get("alertstate", "since"): one
        for one in history.alert_series(rule, {"__name__": "x", "service_name": "identity"}, times, step)
    }


def values(series):
    return [(time_ms // 1000, value) for time_ms, value in series.samples if not math.isnan(value)]


def test_an_alert_is_pending_for_its_time_then_firing():
    found = alert(range(1000, 1106, 15))
    assert [time for time, _ in values(found["pending"])] == [1000, 1015, 1030, 1045]
    assert [time for time, _ in values(found["firing"])] == [1060, 1075, 1090, 1105]
    assert values(found["since"]) == [(time, 1000.0) for time in range(1000, 1106, 15)]
    assert found["firing"].labels == {
        "__name__": "ALERTS", "alertname": "AuthBruteForce", "alertstate": "firing", "service_name": "identity",
        "severity": "warning",
    }  # fmt: skip
    assert found["since"].labels["__name__"] == "ALERTS_FOR_STATE"


def test_an_alert_that_ends_before_its_time_never_fires():
    assert set(alert(range(1000, 1059, 15))) == {"pending", "since"}


def test_a_gap_starts_the_wait_anew_and_each_stretch_ends_with_a_marker():
    found = alert([1000, 1015, 1030, 1200, 1215, 1230, 1245, 1260])
    assert [time for time, _ in values(found["firing"])] == [1260]
    assert [value for time, value in values(found["since"])][3:] == [1200.0] * 5
    ends = [time_ms // 1000 for time_ms, value in found["pending"].samples if math.isnan(value)]
    assert ends == [1045, 1260]


def test_a_rule_without_a_wait_fires_at_once():
    assert set(alert([1000], Rule(expr="x", alert="A"))) == {"firing", "since"}


def test_the_projects_rules_are_read_with_their_waits():
    book = history.rules(folder("deploy/prometheus") / RULES)
    alerts = {rule.alert: rule for rule in book if rule.alert}
    assert alerts["AuthBruteForce"].for_s == pytest.approx(60)
    assert alerts["AuthChecksBroken"].labels["severity"] == "critical"
    assert book[0].record == "auth:events:increase5m"
