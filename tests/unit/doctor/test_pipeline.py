"""The way telemetry takes: targets, counters, Collector, rules."""

import msgspec
import pytest
from support.doctor_facts import PIPELINE, facts, found, report, unknown

from app.doctor.facts import Level, Loss, Missing, Scraped
from app.doctor.finding import Severity
from app.doctor.report import State

OWN = Scraped("prometheus", "p:9090", True, own=True)


def pipeline(**changed):
    return facts(pipeline=msgspec.structs.replace(PIPELINE, **changed))


def test_a_collector_that_is_down_is_broken_and_another_job_is_a_note():
    down = (Scraped("otel-collector", "c:8888", False, "connection refused"), Scraped("node", "n:9100", False), OWN)
    said = {one.subject: one for one in found("pipeline.targets", pipeline(targets=down))}
    assert said["otel-collector c:8888"].severity is Severity.BROKEN
    assert "connection refused" in said["otel-collector c:8888"].detail
    assert said["node n:9100"].severity is Severity.NOTE


def test_a_prometheus_that_scrapes_only_itself_is_broken():
    [finding] = found("pipeline.targets", pipeline(targets=(OWN,)))
    assert finding.severity is Severity.BROKEN
    assert "scrape_configs" in finding.paste


def test_auth_spans_without_auth_metrics_are_broken():
    [finding] = found("pipeline.auth_metrics", pipeline(auth_series=0, auth_series_before=False))
    assert finding.severity is Severity.BROKEN
    assert "600 auth spans" in finding.measured


def test_metrics_that_ended_are_broken_though_they_were_there():
    assert found("pipeline.auth_metrics", pipeline(auth_series=0))


def test_right_after_the_start_nothing_is_missed_yet():
    about = pipeline(auth_series=0, auth_series_before=False, settled=False)
    assert found("pipeline.auth_metrics", about) == []
    assert "two minutes" in unknown("pipeline.auth_metrics", about)
    assert found("pipeline.auth_metrics", pipeline(auth_series=0, auth_series_before=False, settled=False, targets=(OWN,)))


@pytest.mark.parametrize(
    ("check", "counter", "still", "severity"),
    [
        ("pipeline.exporter", "exporter_send_failed_spans", True, Severity.BROKEN),
        ("pipeline.exporter", "exporter_enqueue_failed_spans", False, Severity.HARMFUL),
        ("pipeline.receiver", "receiver_refused_spans", True, Severity.HARMFUL),
        ("pipeline.receiver", "memory_limiter_refused_spans", False, Severity.WEAK),
    ],
)
def test_what_a_collector_loses_is_told_with_where_and_how_much(check, counter, still, severity):
    loss = Loss(counter, "c:8888", "otlp_grpc/tempo", 40, still)
    [finding] = found(check, pipeline(losses=(loss,)))
    assert finding.severity is severity
    assert "40 spans" in finding.measured
    assert "otlp_grpc/tempo" in finding.subject


@pytest.mark.parametrize(("size", "count"), [(100, 0), (950, 1)])
def test_a_queue_that_fills_up(size, count):
    assert len(found("pipeline.fullness", pipeline(queues=(Level("c:8888", "tempo", size, 1_000),)))) == count


def test_a_limit_that_is_not_known_fills_nothing():
    assert found("pipeline.fullness", pipeline(memory=(Level("c:8888", "", 2e9, 0.0),))) == []


def test_no_rules_and_broken_rules():
    assert [one.severity for one in found("pipeline.rules", pipeline(rules=()))] == [Severity.HARMFUL]
    [finding] = found("pipeline.rules", pipeline(broken_rules=(("AuthBruteForce", "many-to-many matching"),)))
    assert (finding.severity, finding.detail) == (Severity.BROKEN, "many-to-many matching")


def test_an_alert_on_the_pipeline_is_passed_on():
    assert [one.subject for one in found("pipeline.blind", pipeline(blind_alerts=("CollectorDown",)))] == ["CollectorDown"]


def test_without_prometheus_nothing_of_the_pipeline_is_known():
    about = facts(pipeline=Missing("Prometheus is not set up."))
    for check in ("targets", "auth_metrics", "receiver", "exporter", "fullness", "rules", "blind"):
        assert unknown(f"pipeline.{check}", about) == "Prometheus is not set up."


def test_where_clew_itself_takes_in_the_spans_what_only_a_collector_has_does_not_apply():
    told = report(pipeline(collectors=(), embedded=True))
    states = {check.check: (check.state, check.of) for check in told.checks}
    for check in ("pipeline.exporter", "pipeline.fullness", "sampling.tail"):
        assert states[check] == (State.OFF, 0.0)
    assert states["pipeline.receiver"][0] is State.FINE
    assert told.score.value == 100


@pytest.mark.parametrize("check", ["pipeline.receiver", "pipeline.exporter", "pipeline.fullness", "sampling.tail"])
def test_a_collector_that_tells_nobody_is_not_fine(check):
    assert "Collector's own metrics" in unknown(check, pipeline(collectors=()))


def test_spans_that_clews_own_backend_refused_are_told():
    loss = Loss("embedded_refused_spans", "127.0.0.1:3200", "", 7, still=True)
    assert found("pipeline.receiver", pipeline(collectors=(), embedded=True, losses=(loss,)))
