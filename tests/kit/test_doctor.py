"""The doctor before a real Collector: quiet while it is as shipped, and finding its sampler, its exporter and its absence.

The lab's services send through it to Clew's backend; a real Prometheus scrapes it.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec
import pytest
from kit.collectors import SHIPPED, built, overlay, start
from support.doctor_stand import Stand, examine_counts, loud, of, scraping, unknown
from support.embedded_backend import EmbeddedBackend
from support.lab_shop import Shop, open_shop
from support.real_parts import RealPart, free_port

from app.doctor.finding import Severity
from app.doctor.report import Report, State
from app.lab.config import GATEWAY, IDENTITY

pytestmark = pytest.mark.kit

DECISION_S = 2


@pytest.fixture(scope="module")
def program() -> Path:
    return built("gateway")


@pytest.fixture(scope="module")
def shop(tmp_path_factory) -> Iterator[Shop]:
    with open_shop(tmp_path_factory.mktemp("shop"), sqlite=os.environ.get("CI") != "true") as opened:
        yield opened


class Site(msgspec.Struct):
    """A Collector between the shop and the backend, and a Prometheus that scrapes it."""

    collector: RealPart
    backend: EmbeddedBackend
    metrics: RealPart
    own: str

    def examine(self) -> Report:
        """Once decisions are made, spans are stored and counts are scraped."""
        time.sleep(DECISION_S + 6)
        return examine_counts(self.backend.query, self.metrics.url)


@contextlib.contextmanager
def site(
    program: Path, folder: Path, shop: Shop, changes: Mapping[str, object] | None = None, store: str = ""
) -> Iterator[Site]:
    """`changes` are given after the shipped configuration; `store`: where it sends traces instead of to the backend."""
    with contextlib.ExitStack() as parts:
        backend = EmbeddedBackend(folder / "traces").start()
        parts.callback(backend.stop)
        otlp, counted, own = free_port(), free_port(), free_port()
        quick = {"metrics_flush_interval": "1s"}
        reader = {"host": "127.0.0.1", "port": own, "without_type_suffix": True, "without_units": True}
        local = overlay(folder, "here", {
            "receivers": {"otlp": {"protocols": {
                "grpc": {"endpoint": f"127.0.0.1:{free_port()}"}, "http": {"endpoint": f"127.0.0.1:{otlp}"}}}},
            "processors": {"tail_sampling": {"decision_wait": f"{DECISION_S}s"}},
            "connectors": {"span_metrics/auth": quick, "span_metrics/slices": quick},
            "exporters": {
                "otlp_http/backend": {"endpoint": store or backend.otlp},
                "prometheus": {"endpoint": f"127.0.0.1:{counted}"},
            },
            "service": {
                "telemetry": {"metrics": {"readers": [{"pull": {"exporter": {"prometheus": reader}}}]}},
                "pipelines": {"traces/storage": {"exporters": ["otlp_http/backend"]}},
            },
        })  # fmt: skip
        files = [SHIPPED / "gateway.yaml", local, *([overlay(folder, "changes", changes)] if changes else [])]
        collector = start(program, folder, "gateway", files)
        parts.callback(collector.stop)
        jobs = {"otel-collector": [f"127.0.0.1:{own}"], "otel-security-metrics": [f"127.0.0.1:{counted}"]}
        metrics = parts.enter_context(scraping(folder / "prometheus", jobs))
        began = time.monotonic()
        Stand(shop, backend, metrics).send_to(f"http://127.0.0.1:{otlp}")
        # A counter that appears is news only where its target was scraped before without it.
        time.sleep(max(0.0, began + 17 - time.monotonic()))
        yield Site(collector, backend, metrics, f"127.0.0.1:{own}")


def test_a_collector_as_shipped_alarms_nobody_until_it_stops(program, shop, tmp_path):
    with site(program, tmp_path, shop) as here:
        shop.perform(("brute-force", "authorization-probing"), visits=30)
        report = here.examine()
        assert loud(report) == []
        states = {check.check: check.state for check in report.checks}
        assert states["sampling.refusals_kept"] is State.FINE
        assert states["pipeline.exporter"] is State.FINE
        # A tenth of the routine is kept: the table tells it, and nobody is woken for it.
        assert all(one.severity is Severity.NOTE for one in of(report, "sampling.successes_kept"))
        kept = {row.service: row.sampled for row in report.services}[IDENTITY]
        assert kept.of > 200

        here.collector.stop()
        time.sleep(3)
        report = here.examine()
    (found,) = of(report, "pipeline.targets", "otel-collector")
    assert found.severity is Severity.BROKEN
    assert here.own in found.title


def test_a_sampler_that_drops_an_attack_is_found(program, shop, tmp_path):
    """Somebody has written the policies anew and forgot the refusals."""
    one_percent = {"name": "one-percent", "type": "probabilistic", "probabilistic": {"sampling_percentage": 1}}
    with site(program, tmp_path, shop, {"processors": {"tail_sampling": {"policies": [one_percent]}}}) as here:
        shop.perform(("brute-force",), visits=10)
        report = here.examine()
    found = of(report, "sampling.refusals_kept", IDENTITY)
    assert found, (loud(report), unknown(report))
    assert found[0].severity is Severity.BROKEN
    lost, of_all = (int(word.replace(",", "")) for word in found[0].measured.split() if word.replace(",", "").isdigit())
    assert lost > 200
    assert lost <= of_all
    assert "auth.result" in found[0].paste


def test_an_exporter_that_is_refused_is_found(program, shop, tmp_path):
    """It sends to a port where something else answers: every batch is refused for good."""
    with a_port_that_takes_no_spans(tmp_path / "elsewhere") as wrong, site(program, tmp_path, shop, store=wrong) as here:
        shop.perform(("brute-force",), visits=10)
        report = here.examine()
    found = of(report, "pipeline.exporter", "otlp_http/backend")
    assert found, (loud(report), unknown(report))
    assert found[0].severity in (Severity.BROKEN, Severity.HARMFUL)
    assert int(found[0].measured.split()[0].replace(",", "")) > 100
    assert of(report, "coverage.fresh")
    assert GATEWAY not in {row.service for row in report.services}


@contextlib.contextmanager
def a_port_that_takes_no_spans(folder: Path) -> Iterator[str]:
    """The query port of a backend, which takes no spans."""
    backend = EmbeddedBackend(folder).start()
    try:
        yield backend.query
    finally:
        backend.stop()
