"""Cardinality, privacy and retention."""

import msgspec
import pytest
from support.doctor_facts import END, facts, found, many, observe, report, unknown

from app.doctor.facts import CaseTraces, Metric, Missing
from app.doctor.finding import Severity
from app.doctor.retention import kept_time
from app.times import DAY, HOUR

TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ1MTcifQ.c2lnbmF0dXJlc2lnbmF0dXJl"
CARELESS = f"""
gateway: GET /orders/7  200 client.address=203.0.113.9 http.request.header.authorization="Bearer {TOKEN}"
  gateway: auth.token_validate  auth=passed user.id=u-17 user.email=ada.lovelace@example.org
"""


def metric(series=100, before=90, labels=(("auth_client_subnet", 12),), **more):
    return facts(metrics=(Metric("otel_security_calls_total", series, before, labels, **more),))


# -------------------------------------------------------------------------------------------------------- cardinality


def test_a_label_with_free_text_is_named():
    [finding] = found("cardinality.labels", metric(labels=(("auth_failure_reason", 400), ("auth_client_subnet", 900))))
    assert (finding.subject, finding.severity, finding.measured) == ("auth_failure_reason", Severity.HARMFUL, "400 values")
    assert "auth.failure_reason" in finding.paste


def test_span_names_with_ids_in_them_are_free_text():
    assert [one.subject for one in found("cardinality.labels", metric(labels=(("span_name", 900),)))] == ["span_name"]


@pytest.mark.parametrize("label", ["user_name", "client_address", "trace_id"])
def test_a_label_that_names_persons_or_requests_is_harmful_with_few_values_too(label):
    [finding] = found("cardinality.identity", metric(labels=((label, 3),)))
    assert finding.severity is Severity.HARMFUL
    assert label in finding.paste


@pytest.mark.parametrize(("series", "severity"), [(9_000, None), (12_000, Severity.WEAK), (45_000, Severity.HARMFUL)])
def test_series_near_the_limit_of_a_scrape(series, severity):
    said = found("cardinality.series", metric(series=series, before=series))
    assert [one.severity for one in said] == ([severity] if severity else [])


def test_reaching_the_limit_is_broken():
    assert [one.severity for one in found("cardinality.overflow", metric(overflow=True))] == [Severity.BROKEN]


@pytest.mark.parametrize(
    ("label", "severity"), [("auth_failure_reason", Severity.HARMFUL), ("auth_client_subnet", Severity.NOTE)]
)
def test_growth_in_step_with_an_attack_is_no_fault(label, severity):
    [finding] = found("cardinality.growth", metric(series=9_000, before=200, labels=((label, 8_000),)))
    assert finding.severity is severity


def test_growth_from_nothing_cannot_be_told():
    assert "at the window's start" in unknown("cardinality.growth", metric(series=9_000, before=0))


# ------------------------------------------------------------------------------------------------------------ privacy


def test_secrets_and_persons_are_located_and_never_shown():
    told = report(facts([*many(CARELESS, 12)]))
    said = {one.check: one for one in told.findings if one.area.value == "privacy"}
    assert said["privacy.secrets"].subject == "gateway: http.request.header.authorization"
    assert said["privacy.secrets"].severity is Severity.HARMFUL
    assert said["privacy.secrets"].measured == "12 of 12 traces"
    assert said["privacy.persons"].subject == "gateway: user.email"
    everything = msgspec.json.encode(told).decode()
    assert TOKEN not in everything
    assert "lovelace" not in everything


def test_a_careful_trace_holds_neither():
    one = observe(CARELESS.partition(" http.request")[0] + "\n")
    assert (one.secrets, one.persons) == ((), ())


# ---------------------------------------------------------------------------------------------------------- retention


def test_a_case_whose_traces_are_gone_is_harmful_and_one_whose_traces_go_soon_is_weak():
    gone = CaseTraces("CASE-0007", END - DAY, 3, ("a" * 32,), END - DAY)
    assert [(one.severity, one.subject) for one in found("retention.cases", facts(cases=(gone,)))] == [
        (Severity.HARMFUL, "CASE-0007")
    ]
    soon = CaseTraces("CASE-0008", END - DAY, 3, (), END - 29 * DAY)
    [finding] = found("retention.cases", facts(cases=(soon,)))
    assert (finding.severity, "in 1 d" in finding.title) == (Severity.WEAK, True)


def test_traces_kept_for_less_than_a_case_is_open_are_weak():
    old = CaseTraces("CASE-0001", END - 40 * DAY, 0, (), None)
    assert [one.severity for one in found("retention.traces", facts(cases=(old,)))] == [Severity.WEAK]
    assert [one.measured for one in found("retention.traces", facts(kept_for_ns=3 * DAY))] == ["3 d"]


@pytest.mark.parametrize(
    ("words", "kept"), [("15d", 15 * DAY), ("12h or 5GiB", 12 * HOUR), ("50GiB", None), ("", None), ("1y", 365 * DAY)]
)
def test_prometheus_own_words_on_how_long_it_keeps(words, kept):
    assert kept_time(words) == kept


def test_metrics_for_a_day_are_weak_and_a_size_tells_nothing():
    assert [one.severity for one in found("retention.metrics", facts(metrics_kept="24h"))] == [Severity.WEAK]
    assert "50GiB" in unknown("retention.metrics", facts(metrics_kept="50GiB"))


def test_unasked_cases_are_not_fine():
    assert unknown("retention.cases", facts(cases=Missing("The database of cases was not asked.")))
