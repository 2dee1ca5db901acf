"""The Collector lines of docs/managed-backends.md in a real Collector: traces go to the service with an id and a token."""

from __future__ import annotations

import json
import re
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from kit.collectors import ROOT, SHIPPED, built, overlay, start, validate
from support.embedded_backend import EmbeddedBackend
from support.managed_backend import ManagedBackend, Product, Token
from support.real_parts import free_port

pytestmark = pytest.mark.kit

WRITE, READ = "glc_write-token", "glc_read-token"
TOKENS = {WRITE: Token(frozenset({"traces:write"})), READ: Token(frozenset({"traces:read"}))}
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


@pytest.fixture(scope="module")
def program() -> Path:
    return built("gateway")


@pytest.fixture
def lines(tmp_path) -> Path:
    """The second file, as it stands on the page."""
    page = (ROOT / "docs" / "managed-backends.md").read_text()
    found = re.search(r"```yaml\n(# grafana-cloud\.yaml.*?)```", page, re.DOTALL)
    assert found
    file = tmp_path / "grafana-cloud.yaml"
    file.write_text(found[1])
    return file


@pytest.fixture
def backend(tmp_path) -> Iterator[EmbeddedBackend]:
    one = EmbeddedBackend(tmp_path / "spans").start()
    yield one
    one.stop()


@pytest.fixture
def service(backend) -> Iterator[ManagedBackend]:
    product = Product(backend.otlp, "/otlp", "555555", TOKENS, lambda method, path: "traces:write")
    with ManagedBackend(product) as one:
        yield one


def exported(program: Path, lines: Path, folder: Path, service: ManagedBackend, token: str) -> int:
    """The status that the service gave to the export of one refused trace."""
    otlp = free_port()
    ports = overlay(folder, "ports", {
        "receivers": {"otlp": {"protocols": {"grpc": {"endpoint": f"127.0.0.1:{free_port()}"},
                                             "http": {"endpoint": f"127.0.0.1:{otlp}"}}}},
        "processors": {"tail_sampling": {"decision_wait": "1s"}},
        "exporters": {"prometheus": {"endpoint": f"127.0.0.1:{free_port()}"}},
        "service": {"telemetry": {"metrics": {"level": "none", "readers": None}}},
    })  # fmt: skip
    environment = {
        "GRAFANA_CLOUD_OTLP": f"{service.url}/otlp", "GRAFANA_CLOUD_OTLP_ID": "555555", "GRAFANA_CLOUD_WRITE_TOKEN": token,
    }  # fmt: skip
    part = start(program, folder, "cloud", [SHIPPED / "gateway.yaml", lines, ports], **environment)
    try:
        send(f"http://127.0.0.1:{otlp}")
        until = time.monotonic() + 60
        while not service.asked:
            assert time.monotonic() < until, "nothing was exported"
            time.sleep(0.1)
    finally:
        part.stop()
    method, path, status = service.asked[0]
    assert (method, path) == ("POST", "/otlp/v1/traces")
    return status


def send(otlp: str) -> None:
    at = time.time_ns()
    span = {
        "traceId": TRACE, "spanId": "00f067aa0ba902b7", "name": "auth.login", "kind": 1,
        "startTimeUnixNano": str(at), "endTimeUnixNano": str(at + 1_000_000),
        "attributes": [{"key": "auth.result", "value": {"stringValue": "failure"}}],
    }  # fmt: skip
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "identity"}}]}
    body = json.dumps({"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": [span]}]}]}).encode()
    asked = urllib.request.Request(f"{otlp}/v1/traces", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(asked, timeout=30) as answer:
        assert answer.status == 200


def test_the_collector_takes_the_lines(program, lines, monkeypatch):
    monkeypatch.setenv("GRAFANA_CLOUD_OTLP", "https://otlp-gateway.example.net/otlp")
    assert validate(program, [SHIPPED / "gateway.yaml", lines]) == ""


def test_a_trace_arrives_at_the_service(program, lines, tmp_path, service, backend):
    assert exported(program, lines, tmp_path, service, WRITE) == 200
    assert backend.get(f"/api/traces/{TRACE}").status_code == 200


def test_the_token_that_reads_does_not_write(program, lines, tmp_path, service, backend):
    assert exported(program, lines, tmp_path, service, READ) == 403
    assert backend.get(f"/api/traces/{TRACE}").status_code == 404
