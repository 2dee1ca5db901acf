"""One small incident for the tests of cases: a refused order that was written all the same, told by hand."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

from app.analysis.verdict import (
    Confidence,
    EffectKind,
    EffectTime,
    Layer,
    LayerDecision,
    Outcome,
    Phase,
    Place,
    SideEffect,
    Verdict,
)
from app.cases.evidence import Capture
from app.security.roles import Person, Role
from app.sources.values import TraceBytes
from app.times import UnixNanos, parse_iso
from app.traces.build import build
from app.traces.otlp import decode

TRACE_ID = "4c61d0ae5f2b4d0d9a2f6a1b7c8d9e0f"
GATEWAY, ORDERS, WRITE = "00f067aa0ba902b7", "00f067aa0ba902b8", "00f067aa0ba902b9"
START = parse_iso("2026-11-21T02:58:41.000000Z")
NOW = dt.datetime(2026, 11, 21, 3, 5, tzinfo=dt.UTC)

INES = Person(id="a" * 32, name="ines", display_name="Ines Varga", role=Role.ANALYST)
JUN = Person(id="b" * 32, name="jun", display_name="Jun Park", role=Role.ANALYST)
ADA = Person(id="c" * 32, name="ada", display_name="Ada Admin", role=Role.ADMIN)


def span(span_id: str, parent: str, name: str, kind: int, start_ms: int, end_ms: int, **attributes: Any) -> dict[str, Any]:
    """One OTLP/JSON span, its times in milliseconds after START."""
    return {
        "traceId": TRACE_ID,
        "spanId": span_id,
        "parentSpanId": parent,
        "name": name,
        "kind": kind,
        "startTimeUnixNano": str(START + start_ms * 1_000_000),
        "endTimeUnixNano": str(START + end_ms * 1_000_000),
        "attributes": [{"key": key.replace("__", "."), "value": {"stringValue": value}} for key, value in attributes.items()],
    }


def body(*, note: str = "", path: str = "/api/orders/{id}") -> bytes:
    """The trace as Tempo would send it. `note` changes the bytes and nothing else."""
    services = {
        "edge-gateway": [
            span(GATEWAY, "", f"PUT {path}", 2, 0, 120, http__request__method="PUT", http__route=path, session__id="s-91c2f4")
        ],
        "orders": [
            span(ORDERS, GATEWAY, "auth.permission_check", 1, 10, 20, auth__result="failure"),
            span(WRITE, ORDERS, "UPDATE orders", 3, 26, 60, db__system="postgresql", oauth__client_id="web"),
        ],
    }
    resources = [
        {
            "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": service}}]},
            "scopeSpans": [{"scope": {"name": note}, "spans": spans}],
        }
        for service, spans in services.items()
    ]
    return json.dumps({"resourceSpans": resources}).encode()


def verdict(**changed: Any) -> Verdict:
    """What the engine would say of `body()`: orders refused, and wrote."""
    facts: dict[str, Any] = {
        "trace_id": TRACE_ID,
        "outcome": Outcome.BYPASSED,
        "layer": Layer.APPLICATION,
        "phase": Phase.AUTHZ,
        "service": "orders",
        "span_id": ORDERS,
        "rule": "app.permission_check",
        "reason": "not the owner of order 5017",
        "enforced_by": Place("orders", ORDERS),
        "entry": Place("edge-gateway", GATEWAY, 200),
        "confidence": Confidence.HIGH,
        "because": ("orders refused",),
        "principal": "mallory",
        "client_address": "203.0.113.50",
        "layers": (LayerDecision(Layer.APPLICATION, "orders", decision="deny", span_id=ORDERS),),
        "path": (),
        "side_effects": (SideEffect("orders", WRITE, EffectKind.DB_WRITE, "orders", EffectTime.AFTER_DENIAL),),
        "findings": (),
        "sentence": "orders refused mallory, and the update ran all the same",
    }
    return Verdict(**(facts | changed))


def capture(*, data: bytes | None = None, partial: bool = False, judged: Verdict | None = None) -> Capture:
    """The trace as `preserve.collect` would hand it over."""
    data = body() if data is None else data
    received = TraceBytes(
        trace_id=TRACE_ID,
        body=data,
        media_type="application/json",
        url="http://tempo:3200/api/v2/traces/" + TRACE_ID,
        tenant="shop",
        received_ns=UnixNanos(START + 300 * 1_000_000_000),
        partial=partial,
        note="trace exceeds max size" if partial else "",
    )
    window = (UnixNanos(START), UnixNanos(START + 1_000_000_000))
    return Capture(
        received, build(decode(data)), judged or verdict(), query="{ status = error }", window=window, backend="Tempo 3.0.3"
    )
