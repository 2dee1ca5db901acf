"""Every failure mode, made on purpose with real parts, is found by the doctor over real HTTP; a healthy shop alarms nobody.

What needs a real Collector (its exporter refused, its sampler dropping an attack) is in tests/kit/test_doctor.py.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time

import pytest
from support.doctor_stand import Stand, examine, loud, of, scraping, seconds_ago, unknown
from support.embedded_backend import EmbeddedBackend
from support.lab_shop import open_shop
from support.real_parts import free_port

from app.doctor.finding import Severity
from app.doctor.report import State
from app.lab import expectations, stage
from app.lab.config import BILLING, GATEWAY, IDENTITY, ORDERS, POLICY
from app.lab.control import Faults
from app.lab.pace import Scheduled
from app.lab.visitor import Journal, Visitor
from app.times import now_ns

pytestmark = pytest.mark.slow
# The database is not what is looked at here; where nothing may be missing, the real one is there anyway.
SQLITE = os.environ.get("CI") != "true"
SOUND = Faults()


@pytest.fixture(scope="module")
def stand(tmp_path_factory):
    base = tmp_path_factory.mktemp("doctor")
    with contextlib.ExitStack() as parts:
        backend = EmbeddedBackend(base / "traces").start()
        parts.callback(backend.stop)
        metrics = parts.enter_context(scraping(base / "prometheus", {"otel-security-metrics": [_target(backend)]}))
        scraped_since = time.monotonic()
        shop = parts.enter_context(open_shop(base, sqlite=SQLITE))
        made = Stand(shop, backend, metrics)
        made.send_to(backend.otlp)
        # A counter that appears is news only where its target was scraped before without it.
        time.sleep(max(0.0, scraped_since + 17 - time.monotonic()))
        yield made


def _target(backend):
    return backend.query.removeprefix("http://")


def scraped():
    """Let Prometheus see what was sent: two scrapes and the rest of a second."""
    time.sleep(3.5)


@pytest.fixture(scope="module")
def healthy(stand):
    """Ordinary visits and an attack, all of it well instrumented."""
    began = now_ns()
    performed = stand.shop.perform(("credential-stuffing", "authorization-probing"), visits=25)
    assert all(line.as_expected for line in performed.ordinary)
    scraped()
    return began, stand.examine_counts()


@pytest.fixture(scope="module")
def faulty(stand, healthy):
    """Visits while several things are wrong at once. The order of fixtures keeps the healthy time before it."""
    faults = {
        BILLING: Faults(strip_context=True),
        ORDERS: Faults(clock_off_s=-40.0),
        GATEWAY: Faults(careless=True),
        IDENTITY: Faults(careless=True),
    }
    for service, broken in faults.items():
        stand.put(service, broken)
    began = now_ns()
    try:
        stand.shop.perform((), visits=25)
    finally:
        for service in faults:
            stand.put(service, SOUND)
    scraped()
    return stand.examine(began)


def test_a_healthy_shop_under_attack_alarms_nobody(healthy):
    _began, report = healthy
    assert loud(report) == []
    assert report.sample.judged > 20
    assert {row.service for row in report.services} == {GATEWAY, IDENTITY, ORDERS, POLICY, BILLING}
    assert report.score.value >= 80, report.score


def test_the_healthy_report_says_what_it_could_not_check(healthy):
    _began, report = healthy
    # Nobody looked into a database of cases here: what it alone could tell is not counted as fine.
    assert "retention.cases" in unknown(report)
    assert report.score.unchecked > 0


def test_what_was_counted_is_compared_with_what_was_kept(healthy):
    _began, report = healthy
    states = {check.check: (check.state, check.why) for check in report.checks}
    assert states["sampling.refusals_kept"] == (State.FINE, "")
    rows = {row.service: row for row in report.services}
    assert rows[IDENTITY].sampled.of > 50
    assert rows[IDENTITY].sampled.part > 0.95


def test_context_that_is_dropped_is_found_at_the_service_that_lost_it(faulty):
    found = of(faulty, "coverage.propagation_in", BILLING) + of(faulty, "coverage.propagation_out", ORDERS)
    assert found, loud(faulty)
    assert found[0].severity in (Severity.BROKEN, Severity.HARMFUL)
    assert found[0].evidence
    assert "trace" in (found[0].remedy + found[0].paste).lower()


def test_a_wrong_clock_is_found_at_its_service(faulty):
    (found,) = of(faulty, "coverage.clock_skew", ORDERS)
    assert found.evidence
    assert "40" in found.measured + found.title + found.detail


def test_a_token_in_attributes_is_located_and_not_shown(faulty, stand):
    found = of(faulty, "privacy.secrets")
    assert any("authorization" in one.subject + one.title + one.detail for one in found), found
    assert any(GATEWAY in one.subject + one.title + one.detail for one in found)
    assert all(one.severity is Severity.HARMFUL for one in found)
    told = "".join(f"{one.title} {one.detail} {one.measured} {one.remedy} {one.paste}" for one in faulty.findings)
    assert "eyJ" not in told
    trace = stand.backend.get(f"/api/traces/{found[0].evidence[0]}")
    assert "eyJ" in trace.text, "the evidence does not hold the token"


def test_mail_addresses_are_located_and_not_shown(faulty):
    found = of(faulty, "privacy.persons")
    assert any("user.email" in one.subject + one.title + one.detail for one in found), found
    told = "".join(f"{one.title} {one.detail} {one.measured} {one.remedy} {one.paste}" for one in faulty.findings)
    assert "@shop.example" not in told


def test_a_service_whose_exporter_is_refused_falls_silent_and_is_missed(stand, healthy, faulty):
    """Its Collector's port is closed: the service works on, and nothing of it arrives."""
    began = now_ns()
    stand.send_to(f"http://127.0.0.1:{free_port()}", POLICY)
    try:
        stand.shop.perform(("authorization-probing",), visits=20)
    finally:
        stand.send_to(stand.backend.otlp, POLICY)
    # As long before as after: that is what silence is compared with.
    length = now_ns() - began
    while now_ns() - healthy[0] < 2 * length:
        time.sleep(0.2)
    report = stand.examine(began)
    silent = of(report, "coverage.silent", POLICY)
    missed = of(report, "coverage.missing_hops", POLICY) + of(report, "coverage.uninstrumented", POLICY)
    assert silent or missed, loud(report)
    assert POLICY in " ".join(loud(report))


def test_a_name_in_span_names_is_found_as_free_text_in_a_label(stand, faulty):
    """Cardinality: each login name becomes a series of its own, and the alerts on log-ins see none of them."""
    stand.put(IDENTITY, Faults(free_names=True))
    began = now_ns()
    try:
        _guess_names(stand, 180)
    finally:
        stand.put(IDENTITY, SOUND)
    scraped()
    report = stand.examine(began)
    (found,) = of(report, "cardinality.labels", "span_name")
    assert found.severity is Severity.HARMFUL
    assert int(found.measured.split()[0].replace(",", "")) >= 180


def _guess_names(stand, count):
    async def act():
        async with stage.client() as via:
            journal, pace = Journal("names", "names"), Scheduled(now_ns())
            visitor = Visitor(via, stand.shop.shop, pace, journal, address="203.0.113.9", agent="names/1")
            for number in range(count):
                await visitor.log_in(f"nobody.{number}", "Winter2026!", expectations.UNKNOWN_USER)
            assert all(line.as_expected for line in journal.requests)

    asyncio.run(act())
    stand.shop.perform((), visits=5)  # which has everything sent


def test_a_service_without_sdk_is_named(tmp_path):
    """policy has never heard of OpenTelemetry: it decides, and no span says so."""
    backend = EmbeddedBackend(tmp_path / "traces").start()
    try:
        with open_shop(tmp_path, sqlite=True, without_sdk=(POLICY,)) as shop:
            stand = Stand(shop, backend, None)
            stand.send_to(backend.otlp)
            began = now_ns()
            shop.perform(("authorization-probing",), visits=20)
            # Everything was sent when the shop had performed: on a quick machine all of it is younger than two seconds.
            report = examine(tempo=backend.query, start_ns=began, settle_s=0)
    finally:
        backend.stop()
    (found,) = of(report, "coverage.uninstrumented", POLICY)
    assert found.severity in (Severity.BROKEN, Severity.HARMFUL)
    assert found.evidence
    assert "opentelemetry" in (found.remedy + found.paste).lower()
    assert POLICY not in {row.service for row in report.services if row.traces}


def test_a_target_that_prometheus_does_not_reach_is_found(stand, healthy, tmp_path):
    """The Collector is down: its own metrics do not answer."""
    dead = f"127.0.0.1:{free_port()}"
    jobs = {"otel-security-metrics": [_target(stand.backend)], "otel-collector": [dead]}
    with scraping(tmp_path, jobs) as metrics:
        report = examine(tempo=stand.backend.query, metrics=metrics.url, start_ns=seconds_ago(60))
    (found,) = of(report, "pipeline.targets", "otel-collector")
    assert found.severity is Severity.BROKEN
    assert dead in found.title
    assert of(report, "pipeline.auth_metrics") == []


@pytest.mark.parametrize("how", ["target-dead", "no-target"])
def test_a_prometheus_that_does_not_scrape_is_found(stand, healthy, tmp_path, how):
    jobs = {"otel-security-metrics": [f"127.0.0.1:{free_port()}"]} if how == "target-dead" else {}
    with scraping(tmp_path, jobs) as metrics:
        report = examine(tempo=stand.backend.query, metrics=metrics.url, start_ns=healthy[0])
    broken = {one.check for one in report.findings if one.severity is Severity.BROKEN}
    assert {"pipeline.targets", "pipeline.auth_metrics"} <= broken


def test_sources_that_do_not_answer_are_findings_and_everything_else_is_unknown(tmp_path):
    dead = f"http://127.0.0.1:{free_port()}"
    report = examine(tempo=dead, metrics=dead, alertmanager=dead, start_ns=seconds_ago(60))
    assert {one.check for one in report.findings if one.severity is Severity.BROKEN} >= {
        "connection.tempo", "connection.prometheus",
    }  # fmt: skip
    assert "coverage.auth_signals" in unknown(report)
    assert "sampling.refusals_kept" in unknown(report)
    assert report.score.value < 50
