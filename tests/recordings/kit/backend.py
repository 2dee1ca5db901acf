"""The project's own trace backend as a process: what the services export to, and where finished traces are read."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

START_S = 30.0
QUIET_S = 1.2  # services export every 200 ms; a trace that has not grown for this long is whole


class Backend:
    """`clew embedded` on free ports; `otlp` and `query` are its URLs."""

    def __init__(self, data: Path) -> None:
        command = [sys.executable, "-m", "app.cli", "embedded", "--otlp-port", "0", "--query-port", "0", "--data", str(data)]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout
        found: list[str] = []
        while len(found) < 2:
            line = self._process.stdout.readline()
            if not line:
                raise RuntimeError("clew embedded did not start.")
            found += re.findall(r"http://127\.0\.0\.1:\d+", line)
        self.otlp, self.query = found
        self._seen: set[str] = set()

    def forget(self) -> None:
        """What is there by now belongs to no coming request."""
        self._seen |= set(self._ids())

    def new_trace(self, service: str, path: str, *, within_s: float = 20.0) -> dict[str, Any]:
        """The trace, new since `forget`, that entered `service` at `path`, once it has stopped growing; as Tempo JSON.

        Errors: RuntimeError when there is none, or more than one.
        """
        until = time.monotonic() + within_s
        while time.monotonic() < until:
            found = [one for one in self._ids() if one not in self._seen and _enters(self.trace(one), service, path)]
            if len(found) == 1:
                return self._settled(found[0])
            if found:
                raise RuntimeError(f"{len(found)} traces enter {service} at {path}.")
            time.sleep(0.2)
        raise RuntimeError(f"No trace enters {service} at {path}.")

    def trace(self, trace_id: str) -> dict[str, Any]:
        document: dict[str, Any] = self._get(f"/api/traces/{trace_id}")
        return document

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(20)
        if self._process.stdout:
            self._process.stdout.close()

    def _settled(self, trace_id: str) -> dict[str, Any]:
        document, count, since = self.trace(trace_id), 0, time.monotonic()
        while time.monotonic() - since < QUIET_S:
            time.sleep(0.2)
            document = self.trace(trace_id)
            if (now := sum(1 for _ in spans(document))) != count:
                count, since = now, time.monotonic()
        return document

    def _ids(self) -> list[str]:
        now = int(time.time())
        query = urllib.parse.urlencode({"q": "{}", "limit": 200, "start": now - 60, "end": now + 5})
        return [found["traceID"].zfill(32) for found in self._get(f"/api/search?{query}").get("traces", [])]

    def _get(self, path: str) -> Any:
        request = urllib.request.Request(self.query + path, headers={"Accept": "application/json"})
        with urllib.request.urlopen(request, timeout=20) as answer:
            return json.load(answer)


def spans(document: dict[str, Any]) -> Any:
    """(resource, scope, span) of each span of a trace in Tempo's JSON."""
    for batch in document.get("batches") or document.get("resourceSpans") or []:
        for scope in batch.get("scopeSpans", []):
            for span in scope.get("spans", []):
                yield batch.get("resource", {}), scope.get("scope", {}), span


def attributes(holder: dict[str, Any]) -> dict[str, Any]:
    """Attributes as plain values; those that nest stay as they are."""
    return {one["key"]: next(iter(one["value"].values()), None) for one in holder.get("attributes", [])}


def service_of(resource: dict[str, Any]) -> str:
    return str(attributes(resource).get("service.name", ""))


def _enters(document: dict[str, Any], service: str, path: str) -> bool:
    for resource, _, span in spans(document):
        if service_of(resource) == service and not span.get("parentSpanId") and span.get("kind") in (2, "SPAN_KIND_SERVER"):
            found = attributes(span)
            # Spring's observations call the path `http.url`; Envoy has nothing but the whole URL there.
            entered = found.get("url.path") or found.get("http.target") or found.get("http.url") or ""
            if urllib.parse.urlsplit(str(entered)).path == path.split("?")[0]:
                return True
    return False
