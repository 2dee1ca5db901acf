"""One synthetic trace as OTLP/JSON, of any size: services call each other and databases, three calls below each span.

About 780 bytes a span. Nearly every call crosses services and no span speaks of authentication, so that every span is a hop
and nothing ends the search early: the judgement's most expensive kind of trace.
"""

from __future__ import annotations

import json
from typing import Any


def body_of(count: int, trace_id: int = 7) -> bytes:
    """A trace of that many spans as OTLP/JSON: eight services, eight attributes a span, an event on every fifth."""
    services = ("gateway", "identity", "orders", "billing", "policy", "catalogue", "mail", "audit")
    spans: dict[str, list[Any]] = {service: [] for service in services}
    base = 1_790_000_000_000_000_000
    for number in range(count):
        service, callee = services[number % 8], services[(number + 1) % 8]
        kind = (2, 3, 1, 3, 1)[number % 5]
        attributes = _attributes(number, kind if number % 5 != 3 else 0, service, callee)
        span = {
            "traceId": f"{trace_id:032x}",
            "spanId": f"{number + 1:016x}",
            "name": f"operation {number % 200}",
            "kind": kind,
            "startTimeUnixNano": str(base + number * 1000),
            "endTimeUnixNano": str(base + count * 1000 + 5000 - number),
            "attributes": [{"key": key, "value": _value(value)} for key, value in attributes.items()],
            "status": {},
        }
        if number:
            span["parentSpanId"] = f"{(number - 1) // 3 + 1:016x}"
        if number % 5 == 0:
            span["events"] = [{"timeUnixNano": str(base), "name": "log",
                               "attributes": [{"key": "message", "value": {"stringValue": "done"}}]}]  # fmt: skip
        spans[service].append(span)
    return json.dumps(
        {
            "resourceSpans": [
                {
                    "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": service}}]},
                    "scopeSpans": [{"scope": {"name": f"library of {service}"}, "spans": found}],
                }
                for service, found in spans.items()
                if found
            ]
        }
    ).encode()


def _attributes(number: int, kind: int, service: str, callee: str) -> dict[str, Any]:
    if kind == 2:
        return {"http.request.method": "GET", "http.route": f"/r{number % 50}/{{id}}", "url.path": f"/r{number % 50}/{number}",
                "url.scheme": "http", "server.address": service, "http.response.status_code": 200,
                "user_agent.original": "probe/1.0", "network.protocol.version": "1.1"}  # fmt: skip
    if kind == 3:
        return {"http.request.method": "GET", "url.full": f"http://{callee}:8080/r{number % 50}/{number}",
                "server.address": callee, "server.port": 8080, "http.response.status_code": 200,
                "network.protocol.version": "1.1", "peer.service": callee, "thread.id": number % 16}  # fmt: skip
    if kind == 0:
        return {"db.system.name": "postgresql", "db.namespace": "shop", "db.query.text": f"SELECT * FROM t{number % 20}",
                "db.operation.name": "SELECT", "db.collection.name": f"t{number % 20}", "server.address": "db",
                "server.port": 5432, "db.user": "app"}  # fmt: skip
    return {"code.function": "handle", "code.namespace": "app.module", "thread.id": number % 16, "thread.name": "worker",
            "app.step": f"s{number % 30}", "app.count": number, "app.flag": True, "app.note": "some note"}  # fmt: skip


def _value(value: Any) -> dict[str, Any]:
    if isinstance(value, bool):
        return {"boolValue": value}
    return {"intValue": str(value)} if isinstance(value, int) else {"stringValue": value}
