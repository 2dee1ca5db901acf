"""The shipped Grafana dashboards: made from their list, and every query in them answered by real parts.

Grafana itself is not run here. What its panels ask is: PromQL by a real Prometheus with the shipped rules, TraceQL by the
embedded backend, both fed with checks of every kind.
"""

from __future__ import annotations

import contextlib
import inspect
import json
import re
import subprocess
import sys
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.embedded_backend import EmbeddedBackend
from support.parts import require
from support.real_parts import RealPart, free_port

from app.investigation.asking import Ended
from app.web.routes.search import _sought
from app.web.views.alerts_asked import Asked

ROOT = Path(__file__).resolve().parents[2]
GRAFANA, RULES = ROOT / "deploy" / "grafana", ROOT / "deploy" / "prometheus"
DASHBOARDS = {path.stem: json.loads(path.read_text()) for path in sorted((GRAFANA / "dashboards").glob("*.json"))}
ASKED = [
    pytest.param(target, id=f"{uid}: {panel['title']} {target['refId']}")
    for uid, dashboard in DASHBOARDS.items()
    for panel in dashboard["panels"]
    for target in panel["targets"]
]
# What needs a day, an attack of ten minutes or a failure to have a value at all.
QUIET = re.compile(r"baseline7d|> 30|buckets:count10m > 5|increase5m > 5$")
# The Collector leaves `_total` off its own counters, so plain text says it as it is.
PLAIN = """\
otelcol_receiver_accepted_spans{receiver="otlp"} %(n)d00
otelcol_receiver_refused_spans{receiver="otlp"} 0
otelcol_exporter_sent_spans{exporter="otlp_grpc/tempo"} %(n)d0
otelcol_exporter_send_failed_spans{exporter="otlp_grpc/tempo"} 0
otelcol_exporter_enqueue_failed_spans{exporter="otlp_grpc/tempo"} 0
otelcol_exporter_queue_size{exporter="otlp_grpc/tempo"} 20
otelcol_exporter_queue_capacity{exporter="otlp_grpc/tempo"} 20000
otelcol_process_memory_rss 4e+08
otelcol_processor_tail_sampling_count_traces_sampled{policy="auth-failure",sampled="true"} %(n)d
otelcol_processor_tail_sampling_sampling_trace_dropped_too_early 0
otelcol_processor_tail_sampling_sampling_late_span_age_count 0
"""


def spans(number: int) -> bytes:
    """Checks of every kind the panels speak of, each a trace of a SERVER span and its check."""
    kinds = [
        ("auth.login", "failure", "invalid_credentials"),
        ("auth.login", "success", ""),
        ("auth.token_validate", "failure", "token_expired"),
        ("auth.permission_check", "failure", "forbidden"),
        ("auth.authorize", "success", ""),
        ("auth.authorize", "error", "upstream_error"),
    ]
    now, made = time.time_ns(), []
    for place, (name, result, reason) in enumerate(kinds):
        for user in range(3):
            trace = f"{number:08x}{place:08x}{user:016x}".replace(" ", "0")
            own = {"auth.result": result, "auth.method": "password", "client.address": "198.51.100.7"}
            own |= {"user.hash": f"{user * 37:02x}" + "0" * 62, "auth.failure_reason": reason}
            made.append(
                span(trace, f"{place + 1:08x}{user + 1:08x}", "", "POST /log-in", 2, now, {"http.response.status_code": 200})
            )
            attributes = {key: value for key, value in own.items() if value}
            made.append(span(trace, f"{place + 1:07x}f{user + 1:08x}", made[-1]["spanId"], name, 1, now, attributes))
        made.append(
            span(
                f"{number:08x}{place:08x}{99:016x}",
                f"{place + 1:08x}{99:08x}",
                "",
                "GET /",
                2,
                now,
                {"http.response.status_code": 200},
            )
        )
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "identity"}}]}
    return json.dumps({"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": made}]}]}).encode()


def span(trace: str, own: str, parent: str, name: str, kind: int, at: int, attributes: dict[str, Any]) -> dict[str, Any]:
    values = [
        {"key": key, "value": {"intValue": value} if isinstance(value, int) else {"stringValue": value}}
        for key, value in attributes.items()
    ]
    return {
        "traceId": trace, "spanId": own, "parentSpanId": parent, "name": name, "kind": kind,
        "startTimeUnixNano": str(at), "endTimeUnixNano": str(at + 20_000_000), "attributes": values,
    }  # fmt: skip


@pytest.fixture(scope="module")
def parts(tmp_path_factory) -> Iterator[tuple[str, EmbeddedBackend]]:
    base = tmp_path_factory.mktemp("grafana")
    backend = EmbeddedBackend(base / "spans").start()
    counts = {"n": 1}
    with serve_text(lambda: PLAIN % counts) as target:
        part = prometheus(base, backend.query.removeprefix("http://"), target)
        try:
            address = f"http://127.0.0.1:{part.port}"
            # Rates need several scrapes, rules of rules as many evaluations.
            for number in range(1, 100):
                counts["n"] = number
                assert backend.export(spans(number)).status_code == 200
                time.sleep(0.3)
                if (
                    number > 12
                    and asked(address, "auth:login_failures:share5m")
                    and asked(address, "auth:duration_seconds:p99_5m")
                ):
                    break
            time.sleep(3)
            yield address, backend
        finally:
            part.stop()
            backend.stop()


@contextlib.contextmanager
def serve_text(text: Callable[[], str]) -> Iterator[str]:
    """A scrape target of plain text; gives its host:port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.end_headers()
            self.wfile.write(text().encode())

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def prometheus(base: Path, metrics: str, collector: str) -> RealPart:
    """The shipped configuration with both targets here, asked each second."""
    text = (RULES / "prometheus.yml").read_text()
    text = text.replace("otel-collector:8889", metrics).replace("otel-collector:8888", collector)
    text = text.replace("15s", "1s").replace("30s", "1s")
    (base / "prometheus.yml").write_text(text)
    for rules in RULES.glob("*.rules.yml"):
        (base / rules.name).write_text(rules.read_text())
    port = free_port()
    command = [
        require("prometheus", "prometheus"), f"--config.file={base / 'prometheus.yml'}", f"--storage.tsdb.path={base / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}", "--log.level=error", "--enable-feature=exemplar-storage",
    ]  # fmt: skip
    return RealPart(command, port, base / "prometheus.log").start()


def asked(address: str, query: str) -> list[Any]:
    with urllib.request.urlopen(f"{address}/api/v1/query?{urllib.parse.urlencode({'query': query})}", timeout=20) as answer:
        found: list[Any] = json.load(answer)["data"]["result"]
        return found


def filled(query: str) -> str:
    """A panel's query as Grafana sends it, with every choice on All."""
    return query.replace("$__rate_interval", "1m").replace("$service", ".*").replace("$subnet", ".*")


@pytest.mark.parametrize("target", ASKED)
def test_every_query_is_understood_and_finds_what_there_is(parts, target):
    address, backend = parts
    if "query" in target:
        now = int(time.time())
        answer = backend.get("/api/search", q=target["query"], start=now - 600, end=now + 5, limit=20)
        assert answer.status_code == 200, answer.text
        assert answer.json()["traces"], target["query"]
        return
    found = asked(address, filled(target["expr"]))
    if not QUIET.search(target["expr"]):
        assert found, target["expr"]


@pytest.mark.parametrize("uid", DASHBOARDS)
def test_links_use_labels_that_their_queries_have(parts, uid):
    address, _ = parts
    for panel in DASHBOARDS[uid]["panels"]:
        wanted = set(re.findall(r"__field\.labels\.(\w+)", json.dumps(panel["fieldConfig"])))
        for target in panel["targets"]:
            for series in asked(address, filled(target["expr"])) if wanted else []:
                assert wanted <= series["metric"].keys(), panel["title"]
        if wanted:
            legends = " ".join(target["legendFormat"] for target in panel["targets"])
            assert wanted <= set(re.findall(r"\w+", legends)), panel["title"]


@pytest.mark.parametrize("uid", DASHBOARDS)
def test_panels_stand_beside_each_other(uid):
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARDS[uid]["panels"]:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert at["x"] + at["w"] <= 24
        assert not cells & taken, panel["title"]
        taken |= cells
    assert len({panel["title"] for panel in DASHBOARDS[uid]["panels"]}) == len(DASHBOARDS[uid]["panels"])


def test_the_files_are_those_of_the_list(tmp_path):
    subprocess.run([sys.executable, str(GRAFANA / "dashboards.py"), str(tmp_path)], check=True, timeout=60)
    assert {path.name: path.read_text() for path in tmp_path.glob("*.json")} == {
        path.name: path.read_text() for path in (GRAFANA / "dashboards").glob("*.json")
    }


def test_links_of_panels_are_addresses_that_pages_understand():
    pages = {"/alerts": set(inspect.signature(Asked).parameters), "/search": set(inspect.signature(_sought).parameters)}
    links = {link["url"] for d in DASHBOARDS.values() for p in d["panels"] for link in p["fieldConfig"]["defaults"]["links"]}
    assert len(links) == 3
    for link in links:
        address = urllib.parse.urlsplit(re.sub(r"\$\{[^}]*\}", "", link))
        given = urllib.parse.parse_qs(address.query, keep_blank_values=True)
        assert set(given) <= pages[address.path], link
        assert set(given.get("ended", [])) <= {ended.value for ended in Ended}


def test_data_sources_have_the_names_that_dashboards_and_links_use():
    sources = yaml.safe_load((GRAFANA / "provisioning/datasources/clew.yaml").read_text())["datasources"]
    assert {source["uid"]: source["type"] for source in sources} == {
        "prometheus": "prometheus",
        "tempo": "tempo",
        "loki": "loki",
    }
    exemplars = sources[0]["jsonData"]["exemplarTraceIdDestinations"]
    assert {one["datasourceUid"] for one in exemplars} == {"tempo"}
