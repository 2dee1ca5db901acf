"""Traces told by hand, with the verdict a reader would reach: what page tests are fed.

`tell` takes lines of (name, parent, service, span name, start ms, end ms, kind, attributes); spans are then known by name.
"""

from __future__ import annotations

from typing import Any

from app.analysis.verdict import (
    Confidence,
    Decision,
    EffectKind,
    EffectTime,
    Finding,
    FindingKind,
    Ground,
    Hop,
    Layer,
    LayerDecision,
    Outcome,
    Phase,
    Place,
    SideEffect,
    Verdict,
)
from app.times import MILLISECOND, UnixNanos, parse_iso
from app.traces.build import build
from app.traces.model import Resource, Scope, Span, SpanKind, Status, Trace
from app.traces.otlp import Decoded

START = parse_iso("2026-11-21T02:58:41.208Z")
TRACE_ID = "9088011ad4c4f4572a769dcd71ab9933"
SERVER, CLIENT, INNER, PRODUCER = SpanKind.SERVER, SpanKind.CLIENT, SpanKind.INTERNAL, SpanKind.PRODUCER


def span_id(name: str) -> str:
    """A stable id of 16 digits for a name."""
    return f"{int.from_bytes(name.encode()[-7:].rjust(7, b'.')):016x}"


class Teller:
    """Collects spans by name."""

    def __init__(self, trace_id: str = TRACE_ID) -> None:
        self.trace_id = trace_id
        self.spans: list[Span] = []
        self._resources: dict[str, Resource] = {}
        self._scope = Scope("story", "1", {})

    def span(
        self, name: str, parent: str, service: str, title: str, start: float, end: float,
        kind: SpanKind = INNER, attributes: dict[str, Any] | None = None, **fields: Any,
    ) -> str:  # fmt: skip
        resource = self._resources.setdefault(
            service, Resource(service, {"service.name": service, "host.name": f"{service}-1"})
        )
        self.spans.append(
            Span(
                self.trace_id, span_id(name), span_id(parent) if parent else "", title, kind,
                UnixNanos(START + round(start * MILLISECOND)), UnixNanos(START + round(end * MILLISECOND)),
                attributes or {}, resource, self._scope, **fields,
            )
        )  # fmt: skip
        return span_id(name)

    def trace(self, **decoded: Any) -> Trace:
        return build(Decoded(self.spans, **decoded))


def http(status: int, method: str = "", route: str = "", **more: Any) -> dict[str, Any]:
    found: dict[str, Any] = {"http.response.status_code": status}
    if method:
        found |= {"http.request.method": method, "http.route": route, "url.path": route}
    return found | more


def verdict(trace: Trace, **fields: Any) -> Verdict:
    """A verdict of `no_auth_evidence`, with what is given instead."""
    root = trace.roots[0]
    plain: dict[str, Any] = {
        "trace_id": trace.trace_id, "outcome": Outcome.NO_AUTH_EVIDENCE, "layer": None, "phase": None, "service": None,
        "span_id": None, "rule": None, "reason": None, "enforced_by": None, "confidence": Confidence.HIGH, "because": (),
        "entry": Place(root.service, root.span.span_id, None), "principal": None, "client_address": None, "layers": (),
        "path": (), "side_effects": (), "findings": (),
        "sentence": "Nothing in this trace speaks of authentication or authorization.",
    }  # fmt: skip
    return Verdict(**(plain | fields))


def hop(trace: Trace, name: str, parent: str | None, status: int | None, *, relay: bool = False) -> Hop:
    node = trace.by_id[span_id(name)]
    return Hop(node.service, node.span.span_id, parent, node.start_ns, node.duration_ns, status, relay)


def refused_by_policy() -> tuple[Trace, Verdict]:
    """policy says no with a 200; orders enforces it, the gateway passes it on; a draft and a message slip out."""
    t = Teller()
    t.span("gw", "", "edge-gateway", "POST /api/orders", 0, 148.2, SERVER, http(403, "POST", "/api/orders", **{
        "client.address": "203.0.113.50", "session.id": "s-5e07b1"}))  # fmt: skip
    t.span("token", "gw", "edge-gateway", "auth.token_validate", 0.8, 19.5, INNER, {"auth.result": "success"})
    t.span("ask-id", "token", "edge-gateway", "POST identity", 1.6, 18.4, CLIENT, http(200))
    t.span("id", "ask-id", "identity", "POST /introspect", 3.4, 16.8, SERVER, http(200, "POST", "/introspect"))
    t.span("id-db", "id", "identity", "SELECT sessions", 5.2, 12.0, CLIENT, {
        "db.system.name": "redis", "server.address": "session-db"})  # fmt: skip
    t.span("ask-orders", "gw", "edge-gateway", "POST orders", 20.6, 147.1, CLIENT, http(403))
    t.span("orders", "ask-orders", "orders", "POST /orders", 22.4, 145.9, SERVER, http(403, "POST", "/orders"))
    t.span("role", "orders", "orders", "auth.permission_check", 24, 27.6, INNER, {"auth.result": "success"})
    t.span("draft", "orders", "orders", "INSERT shop.order_drafts", 30.2, 46, CLIENT, {
        "db.system.name": "postgresql", "server.address": "shop-db", "db.collection.name": "order_drafts"})  # fmt: skip
    t.span("ask-policy", "orders", "orders", "POST policy", 48.4, 96.7, CLIENT, http(200))
    t.span("decide", "ask-policy", "policy", "POST /v1/decide", 50.6, 94.6, SERVER, http(200, "POST", "/v1/decide", **{
        "authz.decision": "deny", "authz.reason": "subject is not a member of tenant 42", "authz.subject": "mallory",
        "authz.resource": "tenant:42"}))  # fmt: skip
    t.span("members", "decide", "policy", "SELECT authz.tenant_members", 53, 88, CLIENT, {
        "db.system.name": "postgresql", "server.address": "policy-db"})  # fmt: skip
    t.span("audit", "orders", "orders", "INSERT shop.audit_log", 99.5, 109.7, CLIENT, {
        "db.system.name": "postgresql", "server.address": "shop-db", "db.collection.name": "audit_log"})  # fmt: skip
    t.span("publish", "orders", "orders", "publish orders.events", 112, 118.3, PRODUCER, {
        "messaging.system": "kafka", "messaging.destination.name": "orders.events"})  # fmt: skip
    t.span("notify", "orders", "orders", "POST notify", 119.5, 141.8, CLIENT, http(202, **{"server.address": "notify"}))
    for number in range(3):
        t.span(f"send{number}", "orders", "orders", f"POST /orders http {'receive' if not number else 'send'}",
               142.4 + number, 143 + number, INNER, {"asgi.event.type": "http.response.body"})  # fmt: skip
    trace = t.trace()
    by = trace.by_id
    return trace, verdict(
        trace,
        outcome=Outcome.DENIED, layer=Layer.POLICY_ENGINE, phase=Phase.AUTHZ, service="policy", span_id=span_id("decide"),
        rule="pdp-decision-attribute", reason="subject is not a member of tenant 42",
        enforced_by=Place("orders", span_id("orders"), 403), entry=Place("edge-gateway", span_id("gw"), 403),
        confidence=Confidence.HIGH, because=("POST /v1/decide in policy says authz.decision = deny",),
        principal="mallory", client_address="203.0.113.50",
        layers=(
            LayerDecision(Layer.IDENTITY_PROVIDER, "identity", Decision.ALLOW, span_id("id"), "session active"),
            LayerDecision(Layer.API_GATEWAY, "edge-gateway", Decision.ALLOW, span_id("token"), "token valid"),
            LayerDecision(Layer.APPLICATION, "orders", Decision.ALLOW, span_id("role"), "role orders:create"),
            LayerDecision(Layer.POLICY_ENGINE, "policy", Decision.DENY, span_id("decide"),
                          "subject is not a member of tenant 42", rule="pdp-decision-attribute"),
            LayerDecision(Layer.APPLICATION, "billing", Decision.NOT_REACHED, reason="called next on this route"),
        ),
        path=(
            hop(trace, "gw", None, 403, relay=True), hop(trace, "id", "edge-gateway", 200),
            hop(trace, "orders", "edge-gateway", 403), hop(trace, "decide", "orders", 200),
        ),
        side_effects=(
            SideEffect("orders", span_id("draft"), EffectKind.DB_WRITE, "order_drafts", EffectTime.BEFORE_DENIAL,
                       by[span_id("draft")].start_ns),
            SideEffect("orders", span_id("audit"), EffectKind.AUDIT, "audit_log", EffectTime.AFTER_DENIAL,
                       by[span_id("audit")].start_ns),
            SideEffect("orders", span_id("publish"), EffectKind.MESSAGE, "orders.events", EffectTime.AFTER_DENIAL,
                       by[span_id("publish")].start_ns),
            SideEffect("orders", span_id("notify"), EffectKind.HTTP_WRITE, "notify", EffectTime.AFTER_DENIAL,
                       by[span_id("notify")].start_ns),
        ),
        findings=(
            Finding(FindingKind.RELAYED_BY, "edge-gateway", span_id("gw"), "edge-gateway passed the refusal on."),
            Finding(FindingKind.SIDE_EFFECT_AFTER_DENIAL, "orders", span_id("publish"), "orders sent orders.events."),
            Finding(FindingKind.UNINSTRUMENTED_PEER, "notify", span_id("notify"), "notify has never sent a span."),
        ),
        sentence="policy refused mallory: subject is not a member of tenant 42",
        grounds=(
            Ground("explicit decision", "origin", span_id("decide"), "authz.decision", "deny", "pdp-decision-attribute"),
            Ground("same span", "origin", span_id("decide"), "authz.reason", "subject is not a member of tenant 42",
                   "pdp-decision-attribute"),
            Ground("answered 403 with no other check between", "enforcement", span_id("orders"),
                   "http.response.status_code", "403"),
            Ground("the deepest span with a 4xx; it asked policy and passed the answer on", "ruled_out", span_id("orders")),
        ),
    )  # fmt: skip


def refused_out_of_sight() -> tuple[Trace, Verdict]:
    """orders answered 403 after asking entitlements, whose server span never arrived."""
    t = Teller()
    t.span("gw", "", "edge-gateway", "GET /api/exports", 0, 86.4, SERVER, http(403, "GET", "/api/exports"))
    t.span("token", "gw", "edge-gateway", "auth.token_validate", 0.7, 4.9, INNER, {"auth.result": "success"})
    t.span("ask-orders", "gw", "edge-gateway", "GET orders", 5.6, 85.2, CLIENT, http(403))
    t.span("orders", "ask-orders", "orders", "GET /exports", 7.1, 83.9, SERVER, http(403, "GET", "/exports"))
    t.span(
        "ask-ent", "orders", "orders", "GET entitlements", 16.3, 71.8, CLIENT, http(200, **{"server.address": "entitlements"})
    )
    trace = t.trace()
    return trace, verdict(
        trace,
        outcome=Outcome.INCONCLUSIVE, confidence=Confidence.LOW, entry=Place("edge-gateway", span_id("gw"), 403),
        principal="mallory", client_address="203.0.113.50",
        layers=(
            LayerDecision(Layer.API_GATEWAY, "edge-gateway", Decision.ALLOW, span_id("token"), "token valid"),
            LayerDecision(Layer.APPLICATION, "orders", Decision.NO_EVIDENCE, span_id("orders")),
            LayerDecision(Layer.POLICY_ENGINE, "orders", Decision.UNKNOWN, span_id("ask-ent"), target="entitlements"),
        ),
        path=(hop(trace, "gw", None, 403, relay=True), hop(trace, "orders", "edge-gateway", 403)),
        findings=(Finding(FindingKind.MISSING_HOP, "entitlements", span_id("ask-ent"),
                          "orders called entitlements; entitlements sends spans, but none for this call."),),
        sentence="orders or entitlements refused mallory: the span that would tell is missing",
        grounds=(Ground("the server span of entitlements is missing", "gap", span_id("ask-ent")),),
        settles=("The server span of entitlements", "A result attribute on the call to entitlements"),
    )  # fmt: skip


def broken_policy() -> tuple[Trace, Verdict]:
    """The policy engine timed out and orders failed closed."""
    t = Teller()
    t.span("orders", "", "orders", "GET /orders/{id}", 0, 2010, SERVER, http(403, "GET", "/orders/{id}"))
    t.span("ask", "orders", "orders", "POST policy", 5, 2005, CLIENT, {"server.address": "policy", "error.type": "timeout"},
           status=Status.ERROR, status_message="deadline exceeded")  # fmt: skip
    trace = t.trace()
    return trace, verdict(
        trace,
        outcome=Outcome.ERROR, layer=Layer.POLICY_ENGINE, phase=Phase.AUTHZ, service="orders", span_id=span_id("ask"),
        reason="timeout", confidence=Confidence.HIGH, entry=Place("orders", span_id("orders"), 403),
        enforced_by=Place("orders", span_id("orders"), 403),
        layers=(LayerDecision(Layer.POLICY_ENGINE, "orders", Decision.ERROR, span_id("ask"), "timeout", target="policy"),),
        path=(hop(trace, "orders", None, 403),),
        findings=(Finding(FindingKind.FAIL_CLOSED, "orders", span_id("orders"), "orders answered 403 for it."),),
        sentence="policy did not answer orders in 2 s; orders failed closed",
        grounds=(Ground("the call timed out", "origin", span_id("ask"), "error.type", "timeout"),),
    )  # fmt: skip


def failed_open() -> tuple[Trace, Verdict]:
    """The policy engine was down, and orders went on without it. The questions beside the way took longer than the way."""
    t = Teller()
    t.span("gw", "", "edge-gateway", "POST /orders/{id}/refund", 0, 20.8, SERVER, http(200, "POST", "/orders/{id}/refund"))
    t.span("token", "gw", "edge-gateway", "auth.token_validate", 0.4, 11, INNER, {"auth.result": "success"})
    t.span("ask-id", "token", "edge-gateway", "POST", 0.6, 10.9, CLIENT, http(200, **{"server.address": "identity"}))
    t.span("identity", "ask-id", "identity", "POST /introspect", 1, 10.5, SERVER, http(200, "POST", "/introspect"))
    t.span("route", "gw", "edge-gateway", "auth.permission_check", 11.1, 11.2, INNER, {"auth.result": "success"})
    t.span("hand-on", "gw", "edge-gateway", "POST", 11.3, 20.5, CLIENT, http(200, **{"server.address": "orders"}))
    t.span("orders", "hand-on", "orders", "POST /orders/{id}/refund", 12, 20, SERVER, http(200, "POST", "/orders/{id}/refund"))
    t.span("check", "orders", "orders", "auth.authorize", 13, 15, INNER, {"auth.result": "error"})
    t.span("ask", "check", "orders", "POST", 13.2, 14.8, CLIENT, http(503, **{"server.address": "policy"}), status=Status.ERROR)
    t.span("refund", "orders", "orders", "INSERT", 16, 17, CLIENT, {
        "db.system.name": "postgresql", "db.namespace": "shop", "server.address": "127.0.0.1"})  # fmt: skip
    trace = t.trace()
    return trace, verdict(
        trace,
        outcome=Outcome.ALLOWED, confidence=Confidence.MEDIUM, principal="clerk",
        entry=Place("edge-gateway", span_id("gw"), 200),
        layers=(
            LayerDecision(Layer.API_GATEWAY, "edge-gateway", Decision.ALLOW, span_id("token")),
            LayerDecision(Layer.IDENTITY_PROVIDER, "identity", Decision.ALLOW, span_id("identity")),
            LayerDecision(Layer.APPLICATION, "orders", Decision.ERROR, span_id("check"), "upstream_error"),
        ),
        path=(
            hop(trace, "gw", None, 200), hop(trace, "identity", "edge-gateway", 200), hop(trace, "orders", "edge-gateway", 200),
        ),
        side_effects=(SideEffect("orders", span_id("refund"), EffectKind.DB_WRITE, "refunds", EffectTime.NO_DENIAL,
                                 trace.by_id[span_id("refund")].start_ns),),
        findings=(Finding(FindingKind.FAIL_OPEN, "orders", span_id("ask"), "The call of orders to policy broke."),),
        sentence="orders let clerk through although its check with policy broke.",
    )  # fmt: skip


def let_through() -> tuple[Trace, Verdict]:
    """orders' own check said no, and the update ran all the same."""
    t = Teller()
    t.span("gw", "", "edge-gateway", "PUT /api/orders/{id}", 0, 8.7, SERVER, http(200, "PUT", "/api/orders/{id}"))
    t.span("ask", "gw", "edge-gateway", "PUT", 2.9, 7.9, CLIENT, http(200, **{"server.address": "orders"}))
    t.span("orders", "ask", "orders", "PUT /orders/{id}", 3.5, 7.4, SERVER, http(200, "PUT", "/orders/{id}"))
    t.span("check", "orders", "orders", "auth.permission_check", 3.7, 5.9, INNER, {"auth.result": "failure"})
    t.span("update", "orders", "orders", "UPDATE", 6.3, 7.0, CLIENT, {
        "db.system.name": "postgresql", "server.address": "shop-db", "db.collection.name": "orders"})  # fmt: skip
    trace = t.trace()
    return trace, verdict(
        trace,
        outcome=Outcome.BYPASSED, layer=Layer.APPLICATION, phase=Phase.AUTHZ, service="orders", span_id=span_id("check"),
        reason="missing role orders:write", entry=Place("edge-gateway", span_id("gw"), 200),
        layers=(LayerDecision(Layer.APPLICATION, "orders", Decision.DENY, span_id("check"), "missing role orders:write"),),
        path=(hop(trace, "gw", None, 200), hop(trace, "orders", "edge-gateway", 200)),
        side_effects=(SideEffect("orders", span_id("update"), EffectKind.DB_WRITE, "orders", EffectTime.AFTER_DENIAL,
                                 trace.by_id[span_id("update")].start_ns),),
        findings=(Finding(FindingKind.FAIL_OPEN, "orders", span_id("update"), "orders went on after its check said no."),),
        sentence="orders refused the update, and the update ran all the same",
        grounds=(Ground("explicit decision", "origin", span_id("check"), "auth.result", "failure"),),
    )  # fmt: skip


def allowed() -> tuple[Trace, Verdict]:
    """Every door opened."""
    t = Teller()
    t.span("gw", "", "edge-gateway", "POST /api/orders", 0, 14.5, SERVER, http(201, "POST", "/api/orders"))
    t.span("token", "gw", "edge-gateway", "auth.token_validate", 0.5, 1.4, INNER, {"auth.result": "success"})
    t.span("ask", "gw", "edge-gateway", "POST orders", 1.8, 13.7, CLIENT, http(201))
    t.span("orders", "ask", "orders", "POST /orders", 2.1, 13.2, SERVER, http(201, "POST", "/orders"))
    t.span("insert", "orders", "orders", "INSERT orders", 7.9, 9.6, CLIENT, {
        "db.system.name": "postgresql", "server.address": "shop-db", "db.collection.name": "orders"})  # fmt: skip
    trace = t.trace()
    return trace, verdict(
        trace,
        outcome=Outcome.ALLOWED, entry=Place("edge-gateway", span_id("gw"), 201), principal="alice",
        layers=(LayerDecision(Layer.API_GATEWAY, "edge-gateway", Decision.ALLOW, span_id("token")),),
        path=(hop(trace, "gw", None, 201), hop(trace, "orders", "edge-gateway", 201)),
        side_effects=(SideEffect("orders", span_id("insert"), EffectKind.DB_WRITE, "orders", EffectTime.NO_DENIAL,
                                 trace.by_id[span_id("insert")].start_ns),),
        sentence="edge-gateway let alice through",
    )  # fmt: skip


def long_export(rows: int = 600) -> tuple[Trace, Verdict]:
    """Many rows of four spans each, and a refusal in the last but one."""
    t = Teller()
    t.span("gw", "", "edge-gateway", "POST /api/exports", 0, rows * 10.0 + 20, SERVER, http(403, "POST", "/api/exports"))
    t.span("ask", "gw", "edge-gateway", "POST orders", 1, rows * 10.0 + 18, CLIENT, http(403))
    t.span("orders", "ask", "orders", "POST /exports", 2, rows * 10.0 + 16, SERVER, http(403, "POST", "/exports"))
    for row in range(rows):
        start = 3 + row * 10.0
        t.span(f"row{row}", "orders", "orders", "export row", start, start + 9)
        refused = row == rows - 2
        t.span(f"chk{row}", f"row{row}", "orders", "auth.permission_check", start + 1, start + 2, INNER,
               {"auth.result": "failure" if refused else "success"})  # fmt: skip
        t.span(f"sel{row}", f"row{row}", "orders", "SELECT", start + 3, start + 4, CLIENT, {"db.system.name": "postgresql"})
        t.span(f"get{row}", f"row{row}", "orders", "GET", start + 5, start + 8, CLIENT, http(200))
    trace = t.trace()
    deciding = span_id(f"chk{rows - 2}")
    return trace, verdict(
        trace,
        outcome=Outcome.DENIED, layer=Layer.APPLICATION, phase=Phase.AUTHZ, service="orders", span_id=deciding,
        reason="row is locked", enforced_by=Place("orders", span_id("orders"), 403),
        entry=Place("edge-gateway", span_id("gw"), 403),
        layers=tuple(
            LayerDecision(Layer.APPLICATION, "orders", decision, span_id(f"chk{row}"))
            for row in range(rows)
            for decision in (Decision.DENY if row == rows - 2 else Decision.ALLOW,)
        ),
        path=(hop(trace, "gw", None, 403, relay=True), hop(trace, "orders", "edge-gateway", 403)),
        sentence="orders refused the export: row is locked",
    )  # fmt: skip
