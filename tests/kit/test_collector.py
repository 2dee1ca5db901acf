"""The shipped Collector configuration in a real Collector: what it keeps, what it counts, and what it makes of names.

The lab's own requests are sent through it again and again under new trace ids, so that shares can be measured.
"""

from __future__ import annotations

import json
import os
import random
import re
import time
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from kit.collectors import SHIPPED, built, overlay, start, validate
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from support.embedded_backend import EmbeddedBackend
from support.lab_shop import open_shop
from support.real_parts import RealPart, free_port

from app.traces.model import Span, Status
from app.traces.otlp import decode

pytestmark = pytest.mark.kit

ATTACKS = ("brute-force", "authorization-probing", "identity-outage")
ROUTINE = 1500  # traces of ordinary success: a tenth of so many lies within 7 to 13 % but for one in a thousand runs
DECISION_S = 2
NAMES = re.compile(r"^(user\.(name|email)|enduser\.id|auth\.username|http\.(client_ip|url)|net\.peer\.ip)$")


class Sent(msgspec.Struct):
    """What was sent: spans by trace id, in the copies that were sent."""

    traces: dict[str, list[Span]] = {}

    @property
    def refused(self) -> set[str]:
        return {trace_id for trace_id, spans in self.traces.items() if any(_refused(span) for span in spans)}

    @property
    def routine(self) -> set[str]:
        return {t for t, spans in self.traces.items() if t not in self.refused and any(_check(span) for span in spans)}


def _check(span: Span) -> bool:
    return span.name.startswith("auth.") or "auth.result" in span.attributes


def _refused(span: Span) -> bool:
    status = span.attributes.get("http.response.status_code") or span.attributes.get("http.status_code")
    return (
        span.attributes.get("auth.result") in ("failure", "error") or status in (401, 403, 429) or span.status is Status.ERROR
    )


@pytest.fixture(scope="module")
def program() -> Path:
    return built("gateway")


@pytest.fixture(scope="module")
def balancer() -> Path:
    return built("agent")


@pytest.fixture(scope="module")
def recorded(tmp_path_factory) -> list[ExportTraceServiceRequest]:
    """What the lab's services sent of attacks and ordinary visits: one message a trace."""
    with open_shop(tmp_path_factory.mktemp("shop"), sqlite=os.environ.get("CI") != "true") as shop:
        recorder = shop.recorder
        taken: list[ExportTraceServiceRequest] = []
        original = recorder.take

        def take() -> list[ExportTraceServiceRequest]:
            found = original()
            taken.extend(found)
            return found

        recorder.take = take  # type: ignore[method-assign]
        shop.perform(ATTACKS, visits=60)
        return _by_trace(taken)


def _by_trace(requests: Sequence[ExportTraceServiceRequest]) -> list[ExportTraceServiceRequest]:
    found: dict[bytes, ExportTraceServiceRequest] = {}
    for request in requests:
        for resource in request.resource_spans:
            for scope in resource.scope_spans:
                for span in scope.spans:
                    whole = found.setdefault(span.trace_id, ExportTraceServiceRequest())
                    one = whole.resource_spans.add(resource=resource.resource).scope_spans.add(scope=scope.scope)
                    one.spans.append(span)
    return list(found.values())


def send(otlp: str, recorded: Sequence[ExportTraceServiceRequest]) -> Sent:
    """Everything once, and routine traces again under new ids until there are enough of them."""
    sent = Sent()
    plain = [
        r
        for r in recorded
        if (spans := decode(r.SerializeToString()).spans) and not any(map(_refused, spans)) and any(map(_check, spans))
    ]
    _send(otlp, recorded, sent)
    while plain and len(sent.routine) < ROUTINE:
        _send(otlp, [_renamed(one) for one in plain], sent)
    return sent


def _renamed(request: ExportTraceServiceRequest) -> ExportTraceServiceRequest:
    copy, trace_id = ExportTraceServiceRequest(), os.urandom(16)
    copy.CopyFrom(request)
    for resource in copy.resource_spans:
        for scope in resource.scope_spans:
            for span in scope.spans:
                span.trace_id = trace_id
    return copy


def _send(otlp: str, requests: Sequence[ExportTraceServiceRequest], sent: Sent) -> None:
    for begin in range(0, len(requests), 50):
        batch = ExportTraceServiceRequest()
        for request in requests[begin : begin + 50]:
            batch.MergeFrom(request)
        body = batch.SerializeToString()
        asked = urllib.request.Request(f"{otlp}/v1/traces", body, {"Content-Type": "application/x-protobuf"})
        with urllib.request.urlopen(asked, timeout=30) as answer:
            assert answer.status == 200
        for span in decode(body, "application/x-protobuf").spans:
            sent.traces.setdefault(span.trace_id, []).append(span)


class Way(msgspec.Struct):
    """A Collector, or several, on the way to a trace backend."""

    otlp: str
    metrics: list[str]
    backend: EmbeddedBackend
    sent: Sent
    _stored: dict[str, list[Span]] = {}

    def stored(self, trace_id: str) -> list[Span]:
        if trace_id not in self._stored:
            answer = self.backend.client.get(f"{self.backend.query}/api/traces/{trace_id}")
            self._stored[trace_id] = [] if answer.status_code == 404 else list(decode(answer.content, "application/json").spans)
        return self._stored[trace_id]

    def settle(self) -> None:
        """Wait until decisions are made and what was kept has arrived: a part of the traces stays as it is for some seconds."""
        time.sleep(DECISION_S + 3)
        some, before, until = random.Random(1).sample(sorted(self.sent.traces), 100), -1, time.monotonic() + 90
        while time.monotonic() < until:
            self._stored.clear()
            now = sum(len(self.stored(trace_id)) for trace_id in some)
            if now == before:
                break
            before = now
            time.sleep(4)
        self._stored.clear()

    def kept(self) -> dict[str, list[Span]]:
        return {trace_id: spans for trace_id in self.sent.traces if (spans := self.stored(trace_id))}

    def counted(self) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
        """Samples of all gateways' span metrics, by name and labels."""
        found: dict[tuple[str, tuple[tuple[str, str], ...]], float] = {}
        for address in self.metrics:
            asked = urllib.request.Request(address, headers={"Accept": "application/openmetrics-text; version=1.0.0"})
            with urllib.request.urlopen(asked, timeout=10) as answer:
                for line in answer.read().decode().splitlines():
                    sample = re.match(r"(\w+)\{(.*?)\} (\S+)", line)
                    if sample:
                        labels = tuple(sorted(re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', sample[2])))
                        key = sample[1], tuple((k, v) for k, v in labels if k not in ("job", "instance"))
                        found[key] = found.get(key, 0) + float(sample[3])
        return found


def here(folder: Path, backend: EmbeddedBackend, otlp: int, metrics: int, *, grpc: int) -> Path:
    """What a test changes of the shipped gateway: ports, where traces go, and how long it waits."""
    quick = {"metrics_flush_interval": "1s"}
    reader = {"pull": {"exporter": {"prometheus": {"host": "127.0.0.1", "port": free_port(), "without_type_suffix": True}}}}
    return overlay(folder, f"here-{otlp}", {
        "receivers": {"otlp": {"protocols": {
            "grpc": {"endpoint": f"127.0.0.1:{grpc}"}, "http": {"endpoint": f"127.0.0.1:{otlp}"}}}},
        "processors": {"tail_sampling": {"decision_wait": f"{DECISION_S}s"}},
        "connectors": {"span_metrics/auth": quick, "span_metrics/slices": quick},
        "exporters": {
            "otlp_http/backend": {"endpoint": backend.otlp},
            "prometheus": {"endpoint": f"127.0.0.1:{metrics}"},
        },
        "service": {
            "telemetry": {"metrics": {"readers": [reader]}},
            "pipelines": {"traces/storage": {"exporters": ["otlp_http/backend"]}},
        },
    })  # fmt: skip


@pytest.fixture(scope="module")
def way(program, recorded, tmp_path_factory) -> Iterator[Way]:
    """One gateway, as shipped."""
    folder = tmp_path_factory.mktemp("gateway")
    backend = EmbeddedBackend(folder / "spans").start()
    otlp, metrics = free_port(), free_port()
    part = start(program, folder, "gateway", [SHIPPED / "gateway.yaml", here(folder, backend, otlp, metrics, grpc=free_port())])
    try:
        sent = send(f"http://127.0.0.1:{otlp}", recorded)
        made = Way(f"http://127.0.0.1:{otlp}", [f"http://127.0.0.1:{metrics}/metrics"], backend, sent)
        made.settle()
        yield made
    finally:
        part.stop()
        backend.stop()


@pytest.mark.parametrize("files", [("gateway.yaml",), ("gateway.yaml", "hashed-names.yaml")], ids="+".join)
def test_the_collector_takes_the_gateway(program, files):
    assert validate(program, [SHIPPED / name for name in files]) == ""


def test_the_collector_takes_the_agent(balancer):
    assert validate(balancer, [SHIPPED / "agent.yaml"]) == ""


def test_a_wrong_key_is_not_taken(program, tmp_path):
    """The check above can fail."""
    wrong = overlay(tmp_path, "wrong", {"processors": {"tail_sampling": {"decision_weight": "1s"}}})
    assert "decision_weight" in validate(program, [SHIPPED / "gateway.yaml", wrong])


def test_every_refused_trace_is_kept_whole(way):
    refused = way.sent.refused
    assert len(refused) > 50
    short = {t: (len(way.stored(t)), len(way.sent.traces[t])) for t in refused if len(way.stored(t)) != len(way.sent.traces[t])}
    assert short == {}


def test_a_tenth_of_the_routine_is_kept_and_whole(way):
    routine = way.sent.routine
    assert len(routine) >= ROUTINE
    kept = {trace_id: spans for trace_id in routine if (spans := way.stored(trace_id))}
    assert 0.07 <= len(kept) / len(routine) <= 0.13
    assert {t for t, spans in kept.items() if len(spans) != len(way.sent.traces[t])} == set()


def test_metrics_count_every_check_before_sampling_under_the_documented_names(way):
    calls = {labels: value for (name, labels), value in way.counted().items() if name == "otel_security_calls_total"}
    expected = sum(_check(span) for spans in way.sent.traces.values() for span in spans)
    assert sum(calls.values()) == expected
    names = {key for labels in calls for key, _ in labels}
    assert names == {"service_name", "span_name", "auth_result", "auth_method", "auth_failure_reason", "auth_client_subnet"}
    durations = {
        key for (name, labels) in way.counted() if name == "otel_security_duration_seconds_bucket" for key, _ in labels
    }
    assert durations == {"service_name", "span_name", "auth_result", "auth_method", "le"}
    slices = {key for (name, labels) in way.counted() if name == "otel_security_spray_calls_total" for key, _ in labels}
    assert slices == {"service_name", "auth_client_subnet", "auth_user_bucket"}


def test_exemplars_name_traces(way, recorded):
    """They stand in the metrics until the next flush only, so that a scrape has to come as often."""
    sent = Sent()
    _send(way.otlp, [_renamed(one) for one in recorded[:50]], sent)
    ids: set[str] = set()
    until = time.monotonic() + 20
    while not ids and time.monotonic() < until:
        asked = urllib.request.Request(way.metrics[0], headers={"Accept": "application/openmetrics-text; version=1.0.0"})
        with urllib.request.urlopen(asked, timeout=10) as answer:
            ids = set(re.findall(r'# \{.*?trace_id="([0-9a-f]{32})"', answer.read().decode()))
    assert ids
    assert ids <= sent.traces.keys()


def test_old_names_became_current_ones(way):
    for trace_id in list(way.sent.refused)[:50]:
        for span in way.stored(trace_id):
            address = span.attributes.get("client.address")
            if address is not None:
                assert not re.search(r"\d\.\d+\.\d+\.\d+:\d", str(address))
                assert (
                    str(span.attributes["auth.client.subnet"]).endswith(("/24", "/48"))
                    or span.attributes["auth.client.subnet"] == "other"
                )


def test_less_is_stored_than_sent(way, capsys):
    kept = way.kept()
    share = sum(map(len, kept.values())) / sum(map(len, way.sent.traces.values()))
    with capsys.disabled():
        traces = f"{len(kept)} of {len(way.sent.traces)} traces, {len(way.sent.refused)} of them refused"
        print(f"\nstored: {traces}; {share:.0%} of the spans")
    assert share < 0.5


def test_two_gateways_behind_an_agent_keep_refused_traces_whole(program, balancer, recorded, tmp_path_factory):
    folder = tmp_path_factory.mktemp("scale-out")
    backend = EmbeddedBackend(folder / "spans").start()
    parts: list[RealPart] = []
    try:
        grpc, metrics = (free_port(), free_port()), (free_port(), free_port())
        for number in range(2):
            local = here(folder, backend, free_port(), metrics[number], grpc=grpc[number])
            parts.append(start(program, folder, f"gateway-{number}", [SHIPPED / "gateway.yaml", local]))
        otlp = free_port()
        local = overlay(folder, "agent", {
            "receivers": {"otlp": {"protocols": {
                "grpc": {"endpoint": f"127.0.0.1:{free_port()}"}, "http": {"endpoint": f"127.0.0.1:{otlp}"}}}},
            "exporters": {"load_balancing": {
                "resolver": {"dns": None, "static": {"hostnames": [f"127.0.0.1:{port}" for port in grpc]}}}},
            "service": {"telemetry": {"metrics": {"level": "none", "readers": None}}},
        })  # fmt: skip
        parts.append(start(balancer, folder, "agent", [SHIPPED / "agent.yaml", local], GATEWAY_INSECURE="true"))
        sent = Sent()
        # Spans of a trace in different messages, as different services send them.
        pieces = [piece for request in recorded for piece in _pieces(request)]
        _send(f"http://127.0.0.1:{otlp}", pieces, sent)
        way = Way(f"http://127.0.0.1:{otlp}", [f"http://127.0.0.1:{port}/metrics" for port in metrics], backend, sent)
        way.settle()
        assert {t for t in sent.refused if len(way.stored(t)) != len(sent.traces[t])} == set()
        checks = [
            sum(
                v for (name, _), v in Way(way.otlp, [m], backend, sent).counted().items() if name == "otel_security_calls_total"
            )
            for m in way.metrics
        ]
        assert min(checks) > 0, "both gateways had their share"
        assert sum(checks) == sum(_check(span) for spans in sent.traces.values() for span in spans)
    finally:
        for part in reversed(parts):
            part.stop()
        backend.stop()


def _pieces(request: ExportTraceServiceRequest) -> Iterator[ExportTraceServiceRequest]:
    for resource in request.resource_spans:
        yield ExportTraceServiceRequest(resource_spans=[resource])


def test_hashed_names_leave_no_name_and_the_same_hash_for_the_same_person(program, tmp_path):
    backend = EmbeddedBackend(tmp_path / "spans").start()
    otlp = free_port()
    local = here(tmp_path, backend, otlp, free_port(), grpc=free_port())
    part = start(program, tmp_path, "hashed", [SHIPPED / "gateway.yaml", SHIPPED / "hashed-names.yaml", local])
    try:
        people = [("Ada@Example.org", "1"), ("ada@example.org", "2"), ("bob@example.org", "3")]
        for name, number in people:
            post(f"http://127.0.0.1:{otlp}", trace(number, {
                "auth.username": name, "user.email": name, "net.peer.ip": "198.51.100.7:50123", "auth.result": "failure",
                "http.url": "https://shop.example/log-in?user=ada", "db.password": "hunter2-hunter2",
            }))  # fmt: skip
        spans = [stored(backend, number.zfill(32)) for _, number in people]
    finally:
        part.stop()
        backend.stop()
    assert not [key for span in spans for key in span.attributes if NAMES.match(key)]
    assert not re.search(r"(?i)ada|bob|hunter2", json.dumps([dict(span.attributes) for span in spans], default=str))
    first, again, other = (span.attributes["user.hash"] for span in spans)
    assert first == again != other
    assert {span.attributes["auth.client.subnet"] for span in spans} == {"198.51.100.0/24"}


def trace(number: str, attributes: dict[str, Any]) -> bytes:
    at = time.time_ns()
    values = [{"key": key, "value": {"stringValue": value}} for key, value in attributes.items()]
    span = {
        "traceId": number.zfill(32), "spanId": number.zfill(16), "name": "auth.login", "kind": 1, "attributes": values,
        "startTimeUnixNano": str(at), "endTimeUnixNano": str(at + 1_000_000),
    }  # fmt: skip
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "identity"}}]}
    return json.dumps({"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": [span]}]}]}).encode()


def post(otlp: str, body: bytes) -> None:
    asked = urllib.request.Request(f"{otlp}/v1/traces", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(asked, timeout=30) as answer:
        assert answer.status == 200


def stored(backend: EmbeddedBackend, trace_id: str) -> Span:
    until = time.monotonic() + 30
    while time.monotonic() < until:
        answer = backend.client.get(f"{backend.query}/api/traces/{trace_id}")
        if answer.status_code == 200:
            (span,) = decode(answer.content, "application/json").spans
            return span
        time.sleep(0.2)
    raise AssertionError(f"trace {trace_id} did not arrive")
