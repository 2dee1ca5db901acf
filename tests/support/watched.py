"""A watched system for tests: what Prometheus, Alertmanager and Tempo would tell the app, without a network.

Prometheus and Alertmanager answer from plain lists through httpx' MockTransport; Tempo is Clew's own backend, reached through
its ASGI interface, so that searches and counts are real.

    watched = Watched(tmp_path); await watched.plug_into(here.app)
    watched.alerts.append(firing("BruteForce", minutes_ago=10, auth_client_subnet="198.51.100.0/24"))
    await watched.login("203.0.113.7", "mallory", "failure", seconds_ago=90)
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2 as httpx
import msgspec
from support.draw import BASE, spans_of

from app.embedded.app import Backend
from app.main import investigation, open_traces
from app.settings import load
from app.sources.alertmanager import AlertmanagerClient
from app.sources.prometheus import PrometheusClient
from app.sources.tempo import TempoClient
from app.times import MINUTE, SECOND, iso, now_ns
from app.traces.otlp import encode_json
from app.web.clients import Clients

SUBNET = "198.51.100.0/24"
RULE = {
    "type": "alerting", "name": "BruteForce", "duration": 60, "health": "ok", "state": "firing",
    "query": 'increase(otel_security_calls_total{span_name="auth.login",auth_result="failure"}[5m]) > 20',
    "labels": {"severity": "warning"},
    "annotations": {
        "summary": "{{ $labels.auth_client_subnet }} failed {{ $value }} log-ins",
        "description": "Somebody guesses passwords.",
        "runbook_url": "/runbooks#AuthBruteForce",
    },
}  # fmt: skip


def firing(
    name: str = "BruteForce",
    *,
    minutes_ago: float = 10,
    state: str = "firing",
    value: str = "31",
    annotations: dict[str, str] | None = None,
    **labels: str,
) -> dict[str, Any]:
    """An alert as /api/v1/alerts lists it."""
    told = {"summary": f"{labels.get('auth_client_subnet', 'x')} failed {value} log-ins"}
    return {
        "labels": {"alertname": name, "severity": "warning", **labels},
        "annotations": told if annotations is None else annotations,
        "state": state,
        "activeAt": iso(now_ns() - int(minutes_ago * MINUTE), digits=3),
        "value": value,
    }


def reported(
    name: str = "BruteForce",
    *,
    minutes_ago: float = 9,
    state: str = "active",
    silenced: tuple[str, ...] = (),
    **labels: str,
) -> dict[str, Any]:
    """An alert as Alertmanager lists it."""
    return {
        "labels": {"alertname": name, "severity": "warning", **labels},
        "annotations": {"summary": "told by Alertmanager"},
        "startsAt": iso(now_ns() - int(minutes_ago * MINUTE), digits=3),
        "endsAt": iso(now_ns() + 5 * MINUTE, digits=3),
        "updatedAt": iso(now_ns(), digits=3),
        "fingerprint": "",
        "generatorURL": "http://prometheus/graph",
        "receivers": [{"name": "mail"}],
        "status": {"state": state, "silencedBy": list(silenced), "inhibitedBy": []},
    }


def fired(name: str, start_minutes_ago: float, end_minutes_ago: float, **labels: str) -> list[dict[str, Any]]:
    """The series of ALERTS that a past firing leaves behind, a sample every 30 s."""
    now_s = now_ns() // SECOND
    times = range(now_s - int(start_minutes_ago * 60), now_s - int(end_minutes_ago * 60), 30)
    base = {"alertname": name, "severity": "warning", **labels}
    return [
        {"metric": {"__name__": "ALERTS", "alertstate": "firing", **base}, "values": [[t, "1"] for t in times]},
        {"metric": {"__name__": "ALERTS_FOR_STATE", **base}, "values": [[t, str(times[0])] for t in times]},
    ]


class Watched:
    """Lists to fill; `fails` makes a source answer as told: `watched.fails["tempo"] = 503`, or an exception."""

    def __init__(self, folder: Path, *, prometheus: bool = True, alertmanager: bool = True, tempo: bool = True) -> None:
        self.alerts: list[dict[str, Any]] = []
        self.rules: list[dict[str, Any]] = [RULE]
        self.history: list[dict[str, Any]] = []
        self.reported: list[dict[str, Any]] = []
        self.exemplars: list[dict[str, Any]] = []
        self.curve: Callable[[str, float], float | None] = lambda query, at: 31.0
        # Labels and value of each series that a query selects; None leaves it to the curve.
        self.series: Callable[[str], list[tuple[dict[str, str], float]] | None] = lambda query: None
        self.counters: dict[str, list[tuple[float, float]]] = {}
        self.fails: dict[str, int | Exception] = {}
        self.asked: list[str] = []
        self.held: dict[str, Callable[[], Any]] = {}
        self._there = {"prometheus": prometheus, "alertmanager": alertmanager, "tempo": tempo}
        self.backend = Backend(folder / "traces")
        self._otlp = httpx.AsyncClient(transport=httpx.ASGITransport(self.backend.otlp), base_url="http://otlp")
        self._traces = 0

    async def plug_into(self, app: Any, **given: Any) -> None:
        """Replace the app's clients, and what stands on them."""
        quick = {"attempts": 1, "timeout_s": 5, "search_timeout_s": 5}
        settings = load(
            tempo={"url": "http://tempo:3200", "search_cutoff_s": 0, **quick},
            prometheus={"url": "http://prometheus:9090", **quick},
            alertmanager={"url": "http://alertmanager:9093", **quick},
            **given,
        )
        for name in ("tempo", "prometheus", "alertmanager"):
            setattr(app.state.settings, name, getattr(settings, name))
        await app.state.investigation.close()
        await app.state.clients.close()
        there = self._there
        prometheus = PrometheusClient(settings.prometheus, transport=httpx.MockTransport(self._prometheus))
        alertmanager = AlertmanagerClient(settings.alertmanager, transport=httpx.MockTransport(self._alertmanager))
        app.state.clients = Clients(
            tempo=TempoClient(settings.tempo, transport=_Tempo(self)) if there["tempo"] else None,
            prometheus=prometheus if there["prometheus"] else None,
            alertmanager=alertmanager if there["alertmanager"] else None,
        )
        app.state.investigation = investigation(app)
        open_traces(app)

    async def close(self) -> None:
        await self._otlp.aclose()
        self.backend.close()

    async def login(
        self, address: str, user: str, result: str, *, seconds_ago: float, reason: str = "invalid_credentials"
    ) -> str:
        """One log-in at `identity`, as its spans; gives the trace's id."""
        self._traces += 1
        asked = {"http.route": "/login", "http.request.method": "POST"}
        status = {"http.response.status_code": 200 if result == "success" else 401}
        check = {"auth.result": result, "auth.method": "password", "client.address": address, "user.name": user}
        return await self.send(
            f"{self._traces:032x}",
            ("identity", "POST /login", 2, asked | status),
            ("identity", "auth.login", 1, check | ({} if result == "success" else {"auth.failure_reason": reason})),
            start=now_ns() - int(seconds_ago * SECOND),
        )

    async def send(self, trace_id: str, *spans: tuple[str, str, int, dict[str, Any]], start: int) -> str:
        """A trace of spans, each the parent of the next."""
        resources = []
        for number, (service, name, kind, attributes) in enumerate(spans, 1):
            span = {
                "traceId": trace_id,
                "spanId": f"{number:016x}",
                "parentSpanId": f"{number - 1:016x}" if number > 1 else "",
                "name": name,
                "kind": kind,
                "startTimeUnixNano": str(start + number * 1_000_000),
                "endTimeUnixNano": str(start + 50_000_000 - number * 1_000_000),
                "attributes": [_attribute(*pair) for pair in attributes.items()],
            }
            resource = {"attributes": [_attribute("service.name", service)]}
            resources.append({"resource": resource, "scopeSpans": [{"spans": [span]}]})
        await self._receive(json.dumps({"resourceSpans": resources}).encode())
        return trace_id

    async def send_drawn(self, trace_id: str, text: str, *, start: int) -> str:
        """A trace as draw.py draws them, begun at a time of its own."""
        spans = [
            msgspec.structs.replace(
                span, trace_id=trace_id, start_ns=span.start_ns - BASE + start, end_ns=span.end_ns - BASE + start
            )
            for span in spans_of(text)
        ]
        await self._receive(encode_json(spans))
        return trace_id

    async def _receive(self, body: bytes) -> None:
        answer = await self._otlp.post("/v1/traces", content=body, headers={"content-type": "application/json"})
        assert answer.status_code == 200, answer.text

    # ------------------------------------------------------------------------------------------------------ answers

    async def _prometheus(self, request: httpx.Request) -> httpx.Response:
        try:
            return await self._answer_of_prometheus(request)
        except _Answered as told:
            return httpx.Response(told.status, text="told to fail")

    async def _answer_of_prometheus(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path.removeprefix("/api/v1/")
        asked = dict(request.url.params) | dict(httpx.QueryParams(request.content.decode()) if request.content else {})
        await self._before("prometheus", path)
        self.asked.append(f"{path} {asked.get('query', '')}".strip())
        match path:
            case "alerts":
                return _ok({"alerts": self.alerts})
            case "rules":
                return _ok({"groups": [{"name": "auth", "file": "auth.yml", "interval": 30, "rules": self.rules}]})
            case "query":
                return self._instant(asked)
            case "query_range":
                return self._range(asked)
            case "query_exemplars":
                return _ok(self.exemplars)
            case "status/flags":
                return _ok({"enable-feature": "exemplar-storage"})
        return httpx.Response(404, text="404 page not found")

    def _instant(self, asked: dict[str, str]) -> httpx.Response:
        at = float(asked.get("time", now_ns() / SECOND))
        window = re.search(r"ALERTS.*\[(\d+)ms\]", asked["query"])
        if window:
            since = at - int(window[1]) / 1000
            result = [
                {"metric": one["metric"], "values": [pair for pair in one["values"] if since <= pair[0] <= at]}
                for one in self.history
            ]
            return _ok({"resultType": "matrix", "result": [one for one in result if one["values"]]})
        told = self.series(asked["query"])
        if told is not None:
            found = [{"metric": labels, "value": [at, str(value)]} for labels, value in told]
            return _ok({"resultType": "vector", "result": found})
        value = self.curve(asked["query"], at)
        result = [{"metric": {}, "value": [at, str(value)]}] if value is not None else []
        return _ok({"resultType": "vector", "result": result})

    def _range(self, asked: dict[str, str]) -> httpx.Response:
        start, end, step = float(asked["start"]), float(asked["end"]), float(asked["step"])
        times = [start + step * n for n in range(int((end - start) // step) + 1)]
        if asked["query"].startswith("otel_security_calls_total"):
            result = [
                {"metric": {"__name__": "otel_security_calls_total", "auth_result": outcome},
                 "values": [[t, str(_level(steps, t))] for t in times if _level(steps, t) is not None]}
                for outcome, steps in self.counters.items()
            ]  # fmt: skip
            return _ok({"resultType": "matrix", "result": [one for one in result if one["values"]]})
        told = self.series(asked["query"])
        if told is not None:
            found = [{"metric": labels, "values": [[t, str(value)] for t in times]} for labels, value in told]
            return _ok({"resultType": "matrix", "result": found})
        values = [[t, str(value)] for t in times if (value := self.curve(asked["query"], t)) is not None]
        return _ok({"resultType": "matrix", "result": [{"metric": {}, "values": values}] if values else []})

    async def _alertmanager(self, request: httpx.Request) -> httpx.Response:
        try:
            await self._before("alertmanager", request.url.path)
        except _Answered as told:
            return httpx.Response(told.status, text="told to fail")
        return httpx.Response(200, json=self.reported)

    async def _before(self, source: str, path: str) -> None:
        if source in self.held:
            await self.held[source]()
        for name in (source, f"{source} {path}"):
            failure = self.fails.get(name)
            if isinstance(failure, Exception):
                raise failure
            if failure is not None:
                raise _Answered(failure)


class _Answered(Exception):
    def __init__(self, status: int) -> None:
        self.status = status


class _Tempo(httpx.AsyncBaseTransport):
    """Clew's own backend, unless it is told to fail."""

    def __init__(self, watched: Watched) -> None:
        self._watched = watched
        self._inner = httpx.ASGITransport(watched.backend.query)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self._watched.asked.append(f"tempo {request.url.path} {request.url.params.get('q', '')}".strip())
        try:
            await self._watched._before("tempo", request.url.path)
        except _Answered as told:
            return httpx.Response(told.status, text="told to fail")
        return await self._inner.handle_async_request(request)


def _level(steps: list[tuple[float, float]], at: float) -> float | None:
    """The counter's value at a time: the last step at or before it; None before the first."""
    known = [value for since, value in steps if since <= at]
    return known[-1] if known else None


def _attribute(key: str, value: Any) -> dict[str, Any]:
    kind = {str: "stringValue", bool: "boolValue", int: "intValue", float: "doubleValue"}[type(value)]
    return {"key": key, "value": {kind: str(value) if kind == "intValue" else value}}


def _ok(data: Any) -> httpx.Response:
    return httpx.Response(200, json={"status": "success", "data": data})
