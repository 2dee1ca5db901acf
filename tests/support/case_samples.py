"""One small incident for the tests of cases: a refused order that was written all the same, told by hand."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from typing import Any

from app.analysis.verdict import (
    Confidence,
    Decision,
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
        "layers": (LayerDecision(Layer.APPLICATION, "orders", Decision.DENY, ORDERS),),
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


def request(number: int, *, at_s: float, service: str, name: str, outcome: Outcome, layer: Layer, sentence: str, user: str,
            address: str, reason: str = "", status: int = 403, wrote: str = "") -> Capture:  # fmt: skip
    """One request of the incident: a gateway and one service, judged by hand."""
    trace_id = hashlib.sha256(str(number).encode()).hexdigest()[:32]
    entry, deciding, write = (f"{number:08x}{part:08x}" for part in (1, 2, 3))
    method, path = name.split()

    def one(span_id: str, parent: str, title: str, kind: int, start: float, end: float, **attributes: str) -> dict[str, Any]:
        made = span(span_id, parent, title, kind, round((at_s + start) * 1000), round((at_s + end) * 1000), **attributes)
        return {**made, "traceId": trace_id}

    spans = {
        "edge-gateway": [one(entry, "", name, 2, 0, 0.12, http__request__method=method, http__route=path)],
        service: [one(deciding, entry, "auth.check", 2, 0.01, 0.02)],
    }
    effects = ()
    if wrote:
        spans[service].append(one(write, deciding, f"UPDATE {wrote}", 3, 0.026, 0.06))
        effects = (SideEffect(service, write, EffectKind.DB_WRITE, wrote, EffectTime.AFTER_DENIAL),)
    data = json.dumps(
        {
            "resourceSpans": [
                {
                    "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": owner}}]},
                    "scopeSpans": [{"spans": mine}],
                }
                for owner, mine in spans.items()
            ]
        }
    ).encode()
    allowed = outcome is Outcome.ALLOWED
    judged = verdict(
        trace_id=trace_id, outcome=outcome, layer=None if allowed else layer, service=None if allowed else service,
        span_id=None if allowed else deciding, reason=None if allowed else reason, sentence=sentence, principal=user,
        client_address=address, side_effects=effects, entry=Place("edge-gateway", entry, status), enforced_by=None,
        because=(f"{service} said so on auth.check",),
        layers=(LayerDecision(layer, service, decision=Decision.ALLOW if allowed else Decision.DENY, reason=reason),),
    )  # fmt: skip
    received = TraceBytes(
        trace_id, data, "application/json", f"http://tempo:3200/api/v2/traces/{trace_id}", "", UnixNanos(START)
    )
    return Capture(received, build(decode(data)), judged, query="trace by id", backend="Tempo 3.0.3")


def incident() -> list[Capture]:
    """Failed log-ins, two that got through, and what was done with one of them. Times reach from 44 minutes before START."""
    logins = [
        request(
            n,
            at_s=-2640 + n * 24,
            service="identity",
            name="POST /login",
            outcome=Outcome.DENIED,
            layer=Layer.IDENTITY_PROVIDER,
            sentence=f"identity refused {user}: the password is wrong",
            user=user,
            address="198.51.100.23",
            reason="wrong_password",
            status=401,
        )
        for n, user in ((n, f"user{n % 17}") for n in range(70))
    ]
    taken = [
        request(
            100 + n,
            at_s=at_s,
            service="identity",
            name="POST /login",
            outcome=Outcome.ALLOWED,
            layer=Layer.IDENTITY_PROVIDER,
            sentence=f"{user} logged in after failures",
            user=user,
            address="198.51.100.23",
            status=200,
        )
        for n, (user, at_s) in enumerate((("j.meyer", -1930), ("t.anand", -1283)))
    ]
    probing = [
        request(
            200 + n,
            at_s=-360 + n * 20,
            service="orders",
            name="GET /api/orders/{id}",
            outcome=Outcome.DENIED,
            layer=Layer.APPLICATION,
            sentence="orders refused mallory: not the owner of the order",
            user="mallory",
            address="203.0.113.50",
            reason="not_owner",
        )
        for n in range(20)
    ]
    policy = request(300, at_s=0, service="policy", name="POST /api/orders", outcome=Outcome.DENIED, layer=Layer.POLICY_ENGINE,
                     sentence="policy refused mallory: subject is not a member of tenant 42", user="mallory",
                     address="203.0.113.50", reason="subject is not a member of tenant 42")  # fmt: skip
    written = request(301, at_s=150, service="orders", name="PUT /api/orders/{id}", outcome=Outcome.BYPASSED,
                      layer=Layer.APPLICATION, sentence="orders refused the update, and the update ran all the same",
                      user="mallory", address="203.0.113.50", reason="not_owner", status=200, wrote="orders")  # fmt: skip
    return [*logins, *taken, *probing, policy, written]
