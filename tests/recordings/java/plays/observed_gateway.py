"""Spring Cloud Gateway with Spring Security's reactive resource server at the edge, observed, before orders and billing."""

from __future__ import annotations

from kit.stage import At, Stage, closed_port
from kit.stores import postgres
from shop import CLIENT, SCHEMA, bearer, database, trusting

BEFORE = At("edge", "security filterchain before")
SERVER = At("edge", "http get")
RULE = At("edge", "authorize exchange")
EDGE = {"outcome": "denied", "layer": ["api_gateway", "application"], "enforced_by": "edge", "confidence": "high"}


def perform(stage: Stage) -> None:
    with postgres(SCHEMA) as store:
        stage.uses(store.versions)
        issuer = stage.tools.observed(stage, "issuer")
        trust = trusting(issuer.url)
        nowhere = f"http://127.0.0.1:{closed_port()}"
        orders = stage.tools.observed(stage, "orders", BILLING=nowhere, **trust, **database(store.port))
        edge = stage.tools.observed(stage, "edge", archive="gateway", ORDERS=orders.url, BILLING=nowhere, **trust)
        clerk = sent(bearer(stage, issuer, "bob", roles="CLERK"))
        charger = sent(bearer(stage, issuer, "bob", roles="CLERK", scope="charges"))
        stage.send(orders.get("/orders/1", **clerk))
        stage.record(
            "gateway-allowed", edge.get("/orders/1", **clerk), expect=200,
            outcome="allowed", entry_status=200, confidence="high",
            why="bob's token passes at the edge and at orders, whose rules ask for no more than a valid token.",
        )  # fmt: skip
        stage.record(
            "gateway-token-missing", edge.get("/orders/1", X_Forwarded_For=CLIENT), expect=401,
            **EDGE, phase="authn", span=RULE, entry_status=401,
            why="No token was sent: the edge's anyExchange().authenticated() refuses before any route is taken.",
        )  # fmt: skip
        stage.record(
            "gateway-token-expired", edge.get("/orders/1", **sent(bearer(stage, issuer, "bob", lasts=-3600))), expect=401,
            **(EDGE | {"confidence": ["medium", "low"]}), phase="authn", span=(BEFORE, SERVER), entry_status=401,
            why="The token's exp lies an hour back, which the edge's JwtTimestampValidator refuses, unobserved.",
        )  # fmt: skip
        stage.record(
            "gateway-scope", edge.post("/charges", **clerk), expect=403,
            **EDGE, phase="authz", span=RULE, entry_status=403,
            why="The edge's pathMatchers(/charges).hasAuthority(SCOPE_charges) refuses a token without that scope.",
        )  # fmt: skip
        stage.record(
            "gateway-relays-url-rule", edge.request("DELETE", "/orders/1", None, clerk), expect=403,
            outcome="denied", layer="application", phase="authz", span=At("orders", "authorize request"), enforced_by="orders",
            entry_status=403, findings=["relayed_by"], confidence="high", reason="ADMIN",
            why="The edge lets bob pass; orders' rule hasRole(ADMIN) on DELETE refuses him, and the edge hands the 403 on.",
        )  # fmt: skip
        stage.record(
            "gateway-relays-table-grant", edge.get("/ledger", **clerk), expect=500,
            outcome="denied", layer="database", phase="authz", span=At("orders", "query"), enforced_by="orders",
            entry_status=500, findings=["status_rewritten"], reason="permission denied for table ledger",
            why="The role shop has no grant on ledger; orders answers PostgreSQL's refusal with 500, which the edge hands on.",
        )  # fmt: skip
        stage.record(
            "gateway-service-down", edge.post("/charges", **charger), expect=500,
            outcome="error", span=At("edge", "HTTP POST"), entry_status=500, no_findings=["fail_closed", "uninstrumented_peer"],
            why="Nobody listens where billing should be: the edge let the caller pass and has no upstream.",
        )  # fmt: skip
        stage.stop(edge)
        lost = stage.tools.observed(stage, "edge", archive="gateway", ORDERS=orders.url, BILLING=nowhere, **trusting(nowhere))
        stage.record(
            "gateway-keys-unreachable", lost.get("/orders/1", **clerk), expect=500,
            outcome="error", service="edge", entry_status=500,
            why="Nobody listens where the issuer's keys are, so the edge can judge no token.",
        )  # fmt: skip


def sent(token: str) -> dict[str, str]:
    return {"Authorization": token, "X_Forwarded_For": CLIENT}
