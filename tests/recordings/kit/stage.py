"""What a play is given: services to start, requests to send, and `record`, which keeps the trace with its label.

A label names its deciding span by a place (`At`), because the ids are new in every recording.
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kit.backend import Backend, attributes, service_of, spans
from kit.neutral import neutral

START_S = 900.0  # a machine that records and does much else besides is slow
LARGEST = 200_000  # bytes; a label's reader has to find the span in it
SHOWN = re.compile(
    r"status|error|route|db\.|rpc|messaging|url|target|exc|user|client|authz?|decision|result|reason|allowed|peer"
)


@dataclass(frozen=True)
class At:
    """A span by its service and name; `nth` where a name occurs more than once, in the order of their starts."""

    service: str
    name: str
    nth: int = 0
    where: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Request:
    service: str
    url: str
    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes | None


class Service:
    """A running process of ours; its requests are named as the verb is."""

    def __init__(self, name: str, process: subprocess.Popen[bytes], port: int, versions: dict[str, str]) -> None:
        self.name = name
        self.process = process
        self.port = port
        self.versions = versions

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def freeze(self) -> None:
        """It keeps its connections and answers nothing."""
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    def get(self, path: str, **headers: str) -> Request:
        return self.request("GET", path, None, headers)

    def post(self, path: str, body: object = None, **headers: str) -> Request:
        return self.request("POST", path, body if body is not None else {}, headers)

    def request(self, method: str, path: str, body: object, headers: Mapping[str, str]) -> Request:
        sent = {"User-Agent": "Mozilla/5.0 (X11; Linux x86_64) shop-app/3.2"}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        if body is not None:
            sent["Content-Type"] = "application/json"
        return Request(self.name, self.url, method, path, sent, None if body is None else json.dumps(body).encode())


class Stage:
    """What a play stands on. `tools` is what the family's `install` gave: how its services are started is the family's own."""

    def __init__(self, family: Path, cache: Path, backend: Backend, tools: Any, *, play: str, show: bool = False) -> None:
        self.cache = cache
        self.tools = tools
        self.labels: list[dict[str, Any]] = []
        self.folder = Path(tempfile.mkdtemp(prefix="recording-"))
        self._family = family
        self._play = play
        self._show = show
        self._backend = backend
        self._running: list[Service] = []
        self._stores: dict[str, str] = {}

    @property
    def otlp(self) -> str:
        """Where services export to, by OTLP/HTTP: the base URL."""
        return self._backend.otlp

    def telemetry(self, name: str) -> dict[str, str]:
        """Environment of a service's SDK: the defaults, but for quicker exports, no metrics and no logs."""
        return {
            "OTEL_SERVICE_NAME": name,
            "OTEL_EXPORTER_OTLP_ENDPOINT": self.otlp,
            "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
            "OTEL_TRACES_EXPORTER": "otlp",
            "OTEL_METRICS_EXPORTER": "none",
            "OTEL_LOGS_EXPORTER": "none",
            "OTEL_BSP_SCHEDULE_DELAY": "200",
        }

    def start(
        self, name: str, command: Sequence[object], *, port: int | None = None, cwd: Path | None = None,
        versions: Mapping[str, str] | None = None, **env: object,
    ) -> Service:  # fmt: skip
        """A process, exporting as `name`, once it listens: on `port`, or on the one it prints as `listening on N`."""
        given = {"PATH": os.environ["PATH"], "HOME": str(self.folder), **self.telemetry(name)}
        given |= {key: str(value) for key, value in env.items()}
        with (self.folder / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                [str(word) for word in command], cwd=cwd or self.folder, env=given, stderr=log,
                stdout=log if port else subprocess.PIPE)  # fmt: skip
        service = Service(name, process, port or 0, dict(versions or {}))
        self._running.append(service)
        service.port = self._port_of(process, name, port)
        return service

    def uses(self, versions: Mapping[str, str]) -> None:
        """Versions of what the play runs beside its services, for the labels."""
        self._stores |= versions

    def stop(self, service: Service) -> None:
        """End a service before the play does: what calls it finds nobody there."""
        service.process.send_signal(signal.SIGTERM)
        try:
            service.process.wait(10)
        except subprocess.TimeoutExpired:
            service.process.kill()
            service.process.wait(10)
        if service.process.stdout:
            service.process.stdout.close()
        self._running.remove(service)

    def send(self, request: Request, *, timeout_s: float = 30.0) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body. Redirects are answers here."""
        host = request.url.removeprefix("http://")
        connection = http.client.HTTPConnection(host, timeout=timeout_s)
        with contextlib.closing(connection):
            connection.request(request.method, request.path, request.body, dict(request.headers))
            answer = connection.getresponse()
            return answer.status, {key.lower(): value for key, value in answer.getheaders()}, answer.read()

    def record(self, name: str, request: Request, *, expect: int, why: str, **label: Any) -> None:
        """Send a request, keep its trace, and resolve the places its label names."""
        self._backend.forget()
        status, _, body = self.send(request)
        if status != expect:
            raise RuntimeError(f"{name}: answered {status}, expected {expect}: {body[:300]!r}{self._logs()}")
        self.keep(name, self._backend.new_trace(request.service, request.path), why=why, **label)

    def keep(self, name: str, trace: dict[str, Any], *, why: str, **label: Any) -> None:
        """Keep a trace that the backend gave, with its label."""
        roots = [
            *(folder for folder in self.cache.iterdir() if folder.is_dir()),
            self.cache,
            self._family.parents[2],
            self.folder,
        ]
        document = neutral(trace, roots)
        if self._show:
            print(f"\n=== {name}\n{tree(in_order(document))}")
        text = written(document)
        if len(text) > LARGEST:
            raise RuntimeError(f"{name}: {len(text)} bytes are too many for a recording.")
        (self._family / "traces").mkdir(exist_ok=True)
        (self._family / "traces" / f"{name}.json").write_text(text, encoding="utf-8")
        used = dict(self._stores)
        for service in self._running:
            used |= service.versions
        self.labels.append({"name": name, "play": self._play, **_label(name, document, label), "why": why, "versions": used})

    @contextlib.contextmanager
    def performance(self) -> Iterator[Stage]:
        """Whatever a play started is ended with it."""
        try:
            yield self
        finally:
            for service in list(self._running):
                self.stop(service)
            shutil.rmtree(self.folder, ignore_errors=True)

    def _port_of(self, process: subprocess.Popen[bytes], name: str, port: int | None) -> int:
        if port is None:
            assert process.stdout
            for line in process.stdout:
                if found := re.match(rb"listening on (\d+)", line):
                    return int(found[1])
        until = time.monotonic() + START_S
        while port is not None and time.monotonic() < until and process.poll() is None:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                return port
            time.sleep(0.1)
        raise RuntimeError(f"{name} did not start.{self._logs()}")

    def _logs(self) -> str:
        return "".join(f"\n--- {log.name}\n{log.read_text(errors='replace')[-1500:]}" for log in self.folder.glob("*.log"))


def closed_port() -> int:
    """A port on which nobody listens."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


def written(document: dict[str, Any]) -> str:
    """Compact JSON with one span on a line."""
    text = json.dumps(document, separators=(",", ":"), ensure_ascii=False)
    return re.sub(r'(\{"traceId":|\{"resource":)', r"\n\1", text) + "\n"


def in_order(document: dict[str, Any]) -> list[Any]:
    return sorted(spans(document), key=lambda one: int(one[2]["startTimeUnixNano"]))


def _label(name: str, document: dict[str, Any], label: dict[str, Any]) -> dict[str, Any]:
    found = in_order(document)
    (trace_id,) = {_hex(span["traceId"]) for _, _, span in found}
    for place, key in (("span", "span_id"), ("enforced_by_span", "enforced_by_span_id")):
        if (asked := label.pop(place, None)) is not None:
            places = asked if isinstance(asked, tuple) else (asked,)
            ids = [_span_id(found, at, name) for at in places]
            label[key] = ids[0] if len(ids) == 1 else ids
            if place == "span":
                label.setdefault("service", places[0].service)
    return {"trace_id": trace_id, **label}


def _hex(value: str) -> str:
    """An id of Tempo's JSON, which writes them in base64."""
    return base64.b64decode(value).hex()


def _span_id(found: list[Any], at: At, name: str) -> str:
    ids = [
        _hex(span["spanId"])
        for resource, _, span in found
        if service_of(resource) == at.service
        and span["name"] == at.name
        and all(str(attributes(span).get(key)) == value for key, value in at.where.items())
    ]
    if len(ids) <= at.nth:
        raise RuntimeError(f"{name}: {at} names no span of the trace.\n{tree(found)}")
    return str(ids[at.nth])


def tree(found: list[Any]) -> str:
    """A trace as indented text, for whoever writes its label."""
    children: dict[str, list[Any]] = {}
    ids = {span["spanId"] for _, _, span in found}
    for one in found:
        parent = one[2].get("parentSpanId", "")
        children.setdefault(parent if parent in ids else "", []).append(one)
    lines: list[str] = []
    stack = [(0, one) for one in reversed(children.get("", []))]
    while stack:
        depth, (resource, scope, span) = stack.pop()
        shown = {key: value for key, value in attributes(span).items() if SHOWN.search(key)}
        events = [attributes(event) for event in span.get("events", [])]
        state = f"kind {span.get('kind')} | {span.get('status')} | {scope.get('name', '')}"
        said = "; ".join(f"{e.get('exception.type')}: {e.get('exception.message')}" for e in events if e)
        lines.append(f"{'  ' * depth}{service_of(resource)} | {span['name']} | {state} | {shown} | {said}")
        stack += [(depth + 1, one) for one in reversed(children.get(span["spanId"], []))]
    return "\n".join(lines)
