"""The overview's figures from real parts: one attack, counted by a real Prometheus and by the embedded backend alike.

Prometheus runs with the shipped configuration and rules, sped up. The attack is one burst whose counters are born at their
full value: what increase() alone sees nothing of.
"""

from __future__ import annotations

import asyncio
import json
import time
import urllib.parse
import urllib.request
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from support.embedded_backend import EmbeddedBackend
from support.parts import require
from support.real_parts import RealPart, free_port

from app.analysis.examine import examine
from app.analysis.verdict import Layer
from app.investigation.asking import Window
from app.investigation.judgements import Judgements
from app.investigation.overview.service import Answer, Basis, Overview
from app.investigation.sources import Sources
from app.settings import load
from app.sources.prometheus import PrometheusClient
from app.sources.tempo import TempoClient
from app.times import MINUTE, SECOND, UnixNanos, now_ns

RULES = Path(__file__).resolve().parents[2] / "deploy" / "prometheus"
SUBNET, ADDRESS = "198.51.100.0/24", "198.51.100.7"
FAILED, NAMES, ALLOWED, BROKEN, FORBIDDEN = 40, 8, 10, 3, 5
MILLIS = 20


def check(number: int, service: str, name: str, result: str, at: int, **more: str) -> dict[str, object]:
    """A trace of a request and its one check, refused with the answer that belongs to it."""
    trace = f"{number:032x}"
    told = {"auth.result": result, "client.address": ADDRESS, **{key.replace("__", "."): value for key, value in more.items()}}
    status = {"success": 200, "failure": 401 if name == "auth.login" else 403, "error": 503}[result]
    spans = [
        span(trace, f"{number:08x}00000001", "", f"POST /{name}", 2, at, {"http.response.status_code": status}),
        span(trace, f"{number:08x}00000002", f"{number:08x}00000001", name, 1, at, told),
    ]
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": service}}]}
    return {"resource": resource, "scopeSpans": [{"spans": spans}]}


def span(
    trace: str, own: str, parent: str, name: str, kind: int, at: int, attributes: dict[str, str | int]
) -> dict[str, object]:
    values = [
        {"key": key, "value": {"intValue": value} if isinstance(value, int) else {"stringValue": value}}
        for key, value in attributes.items()
    ]
    return {
        "traceId": trace, "spanId": own, "parentSpanId": parent, "name": name, "kind": kind,
        "startTimeUnixNano": str(at), "endTimeUnixNano": str(at + MILLIS * 1_000_000), "attributes": values,
    }  # fmt: skip


def burst() -> bytes:
    at = time.time_ns() - SECOND
    made = [
        check(
            n,
            "identity",
            "auth.login",
            "failure",
            at,
            auth__failure_reason="invalid_credentials",
            user__hash=f"{n % NAMES:02x}ff",
        )
        for n in range(1, FAILED + 1)
    ]
    made += [check(100 + n, "identity", "auth.login", "success", at) for n in range(ALLOWED)]
    made += [
        check(200 + n, "orders", "auth.authorize", "failure", at, auth__failure_reason="forbidden") for n in range(FORBIDDEN)
    ]
    made += [
        check(300 + n, "orders", "auth.authorize", "error", at, auth__failure_reason="upstream_error") for n in range(BROKEN)
    ]
    return json.dumps({"resourceSpans": made}).encode()


def prometheus(base: Path, metrics: str) -> RealPart:
    text = (RULES / "prometheus.yml").read_text().replace("15s", "1s").replace("30s", "1s")
    (base / "prometheus.yml").write_text(text.replace("otel-collector:8889", metrics))
    for rules in RULES.glob("*.rules.yml"):
        (base / rules.name).write_text(rules.read_text())
    port = free_port()
    command = [
        require("prometheus", "prometheus"), f"--config.file={base / 'prometheus.yml'}", f"--storage.tsdb.path={base / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}", "--log.level=error", "--enable-feature=exemplar-storage",
    ]  # fmt: skip
    return RealPart(command, port, base / "prometheus.log").start()


def value(address: str, query: str) -> float:
    with urllib.request.urlopen(f"{address}/api/v1/query?{urllib.parse.urlencode({'query': query})}", timeout=20) as answer:
        found = json.load(answer)["data"]["result"]
        return float(found[0]["value"][1]) if found else 0.0


def until(address: str, query: str, least: float) -> None:
    deadline = time.monotonic() + 40
    while value(address, query) < least:
        assert time.monotonic() < deadline, f"{query} stayed below {least}"
        time.sleep(0.3)


@pytest.fixture(scope="module")
def parts(tmp_path_factory) -> Iterator[tuple[str, EmbeddedBackend, Window]]:
    base = tmp_path_factory.mktemp("overview")
    backend = EmbeddedBackend(base / "spans").start()
    part = prometheus(base, backend.query.removeprefix("http://"))
    try:
        until(part.url, 'count_over_time(up{job="otel-security-metrics"}[1m])', 3)
        began = now_ns()
        assert backend.export(burst()).status_code == 200
        until(part.url, "count_over_time(otel_security_calls_total[1m])", 3)
        ended = now_ns()
        yield part.url, backend, Window(UnixNanos(began - MINUTE), UnixNanos(-(-ended // SECOND) * SECOND))
    finally:
        part.stop()
        backend.stop()


@pytest.fixture
async def overview(parts) -> AsyncIterator[Overview]:
    address, backend, _ = parts
    settings = load(prometheus={"url": address}, tempo={"url": backend.query, "search_cutoff_s": 0})
    tempo, metrics = TempoClient(settings.tempo), PrometheusClient(settings.prometheus)
    judgements = Judgements(tempo, examine, clock=now_ns)
    opened = Overview(Sources(tempo=tempo, prometheus=metrics), judgements)
    yield opened
    await opened.close()
    await judgements.close()
    await tempo.aclose()
    await metrics.aclose()


def near(found: int, true: int) -> bool:
    """increase() stretches what it saw over its window: up to a tenth off."""
    return abs(found - true) <= max(1, true // 10)


async def test_sources_of_metrics_count_the_burst_whole(parts, overview):
    (row,) = (await overview.sources(parts[2], Basis.METRICS)).figures
    assert row.source == SUBNET
    assert near(row.failed, FAILED + FORBIDDEN)
    assert near(row.succeeded, ALLOWED)
    assert row.share == pytest.approx(0.82, abs=0.05)


async def test_sources_of_traces_name_the_address(parts, overview):
    (row,) = (await overview.sources(parts[2], Basis.TRACES)).figures
    assert (row.source, row.failed, row.succeeded) == (ADDRESS, FAILED + FORBIDDEN, None)


@pytest.mark.parametrize("basis", Basis)
async def test_success_adds_up_to_what_happened(parts, overview, basis):
    found = (await overview.success(parts[2], basis)).figures
    logins, others = ([sum(getattr(p, name) for p in points) for name in ("succeeded", "failed", "broken")]
                      for points in (found.logins, found.others))  # fmt: skip
    for told, true in zip((*logins, *others), (ALLOWED, FAILED, 0, 0, FORBIDDEN, BROKEN), strict=True):
        assert near(round(told), true), (logins, others)


@pytest.mark.parametrize("basis", Basis)
async def test_names_are_counted_or_estimated(parts, overview, basis):
    (row,) = (await overview.names(parts[2], basis)).figures
    assert row.least == NAMES
    assert row.estimate == (NAMES if basis is Basis.METRICS else None)
    assert row.source == (SUBNET if basis is Basis.METRICS else ADDRESS)


@pytest.mark.parametrize("basis", Basis)
async def test_refusals_name_service_and_step(parts, overview, basis):
    rows = (await overview.refusals(parts[2], basis)).figures
    assert [(row.service, row.step) for row in rows] == [("identity", "auth.login"), ("orders", "auth.authorize")]
    assert near(rows[0].failed, FAILED)
    assert near(rows[1].failed, FORBIDDEN)


async def test_latency_of_traces_lies_in_the_bucket_of_what_was_sent(parts, overview):
    rows = {row.step: row for row in (await overview.latency(parts[2], Basis.TRACES)).figures}
    assert rows["auth.login"].now.count == FAILED + ALLOWED
    # Buckets double: 20 ms lies between 16.8 and 33.6.
    assert 0.0167 <= rows["auth.login"].now.p50 <= 0.0336
    assert rows["auth.login"].usual is None


@pytest.mark.parametrize("basis", Basis)
async def test_latency_asks_for_both_earlier_times_without_a_refusal(parts, overview, basis):
    answer: Answer[object] = await overview.latency(parts[2], basis)
    assert [asked.what for asked in answer.asked] == ["", "a week before", "the day before"]
    assert answer.warnings == ()


async def test_latency_of_metrics_lies_in_the_bucket_of_what_was_sent(parts, overview):
    """A burst alone does not move a histogram that is born with it: a second one does."""
    address, backend, window = parts
    assert backend.export(burst()).status_code == 200
    before = value(address, "sum(otel_security_duration_seconds_count)")
    until(address, "sum(otel_security_duration_seconds_count)", before + 1)
    await asyncio.sleep(1.5)
    later = Window(window.start_ns, UnixNanos(-(-now_ns() // SECOND) * SECOND))
    rows = {row.step: row for row in (await overview.latency(later, Basis.METRICS)).figures}
    assert 0.01 <= rows["auth.login"].now.p50 <= 0.025


async def test_layers_are_those_of_the_verdicts(parts, overview):
    for _ in range(20):
        told = (await overview.layers(parts[2])).figures
        if not told.waiting:
            break
    layers = dict(told.layers)
    assert layers[Layer.IDENTITY_PROVIDER] == FAILED
    assert sum(layers.values()) == FAILED + FORBIDDEN
    assert (told.more, told.otherwise) == (False, 0)
