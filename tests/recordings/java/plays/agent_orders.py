"""The resource server under OpenTelemetry's Java agent, without observations: what it refuses shows as a status alone."""

from __future__ import annotations

from kit.stage import At, Service, Stage, closed_port
from kit.stores import postgres
from shop import CLIENT, SCHEMA, bearer, database, trusting

REFUSED = {
    "outcome": "denied", "layer": "application", "enforced_by": "orders", "confidence": "medium", "client_address": CLIENT,
}  # fmt: skip
AUTHN = REFUSED | {"phase": "authn", "entry_status": 401, "no_findings": ["missing_hop", "uninstrumented_peer"]}
AUTHZ = REFUSED | {"phase": "authz", "entry_status": 403, "no_findings": ["missing_hop", "uninstrumented_peer"]}
DATABASE = {
    "outcome": "denied", "layer": "database", "phase": "authz", "enforced_by": "orders", "entry_status": 500,
    "client_address": CLIENT, "findings": ["status_rewritten"],
}  # fmt: skip
SILENT = {"outcome": "no_auth_evidence", "client_address": CLIENT}


def perform(stage: Stage) -> None:
    with postgres(SCHEMA) as store:
        stage.uses(store.versions)
        issuer = stage.tools.agent(stage, "issuer")
        billing = stage.tools.agent(stage, "billing", **trusting(issuer.url))
        orders = stage.tools.agent(
            stage, "orders", BILLING=billing.url, **trusting(issuer.url), **database(store.port),
            SPRING_DATASOURCE_HIKARI_MINIMUMIDLE=1,
        )  # fmt: skip
        cashier = sent(bearer(stage, issuer, "mary", roles="CASHIER,CLERK"))
        clerk = sent(bearer(stage, issuer, "bob", roles="CLERK"))
        warm(stage, orders, clerk)
        tokens(stage, orders, clerk, {
            "expired": sent(bearer(stage, issuer, "bob", roles="CLERK", lasts=-3600)),
            "forged": sent(bearer(stage, issuer, "bob", roles="CLERK", forged="true")),
        })  # fmt: skip
        rules(stage, orders, clerk)
        payments(stage, orders, billing, cashier, clerk)
    stage.stop(orders)
    nowhere = f"http://127.0.0.1:{closed_port()}"
    away = database(closed_port())
    down = stage.tools.agent(stage, "orders", BILLING=nowhere, **trusting(issuer.url), **away)
    stage.send(down.get("/reports", **clerk))
    stage.record(
        "agent-database-down", down.get("/orders/1", **clerk), expect=500,
        outcome="error", layer="database", service="orders", entry_status=500, no_findings=["fail_closed"],
        why="Nobody listens where PostgreSQL should be: CannotCreateTransactionException, after the token had passed.",
    )  # fmt: skip
    stage.stop(down)
    lost = stage.tools.agent(stage, "orders", BILLING=nowhere, **trusting(nowhere), **away)
    stage.record(
        "agent-keys-unreachable", lost.get("/orders/1", **clerk), expect=401,
        outcome="error", layer="identity_provider", span=At("orders", "GET"), entry_status=401, findings=["fail_closed"],
        no_findings=["uninstrumented_peer", "missing_hop"],
        why="Nobody listens where the issuer's keys are; the service failed closed with 401.",
    )  # fmt: skip


def warm(stage: Stage, orders: Service, clerk: dict[str, str]) -> None:
    """The first token makes the service fetch the keys, the first query a connection."""
    for _ in range(20):
        if stage.send(orders.get("/orders/2", **clerk))[0] == 200:
            return
    raise RuntimeError("orders has no database.")


def tokens(stage: Stage, orders: Service, clerk: dict[str, str], bad: dict[str, dict[str, str]]) -> None:
    stage.record(
        "agent-token-allowed", orders.get("/orders/1", **clerk), expect=200,
        **SILENT, entry_status=200,
        why="bob's token is good, and the agent has no word for that: rows were read and answered.",
    )  # fmt: skip
    for name, headers, why in (
        ("missing", {"X_Forwarded_For": CLIENT}, "No token was sent, and anyRequest().authenticated() asks for one."),
        ("expired", bad["expired"], "The token's exp lies an hour back, which JwtTimestampValidator refuses."),
        ("forged", bad["forged"], "The token is signed with a key of the published one's id that is not the published key."),
    ):
        stage.record(
            f"agent-token-{name}", orders.get("/orders/1", **headers), expect=401,
            **AUTHN, span=At("orders", "GET /orders/{id}"), why=why,
        )  # fmt: skip


def rules(stage: Stage, orders: Service, clerk: dict[str, str]) -> None:
    stage.record(
        "agent-url-rule", orders.request("DELETE", "/orders/1", None, clerk), expect=403,
        **AUTHZ, span=At("orders", "DELETE /orders/{id}"),
        why="The rule requestMatchers(DELETE, /orders/*).hasRole(ADMIN) refuses bob, who has the role CLERK alone.",
    )  # fmt: skip
    stage.record(
        "agent-method-of-controller", orders.get("/reports", **clerk), expect=403,
        **AUTHZ, span=At("orders", "GET /reports"),
        why="@PreAuthorize(hasRole('AUDITOR')) on the controller's method refuses bob.",
    )  # fmt: skip
    stage.record(
        "agent-method-after-write", orders.post("/orders/1/return", **clerk), expect=403,
        **AUTHZ, span=At("orders", "POST /orders/{id}/return"), side_effects=[["db_write", "before_denial"]],
        findings=["side_effect_before_denial"],
        why="@PreAuthorize(hasRole('CASHIER')) refuses after an insert; that it was rolled back the agent does not tell.",
    )  # fmt: skip
    stage.record(
        "agent-url-rule-masked", orders.get("/internal/margins", **clerk), expect=404,
        **SILENT, entry_status=404,
        why="hasRole(AUDITOR) refused bob and the handler said 404: nothing of it is in the trace, and no guess is asked for.",
    )  # fmt: skip
    stage.record(
        "agent-method-swallowed", orders.post("/orders/1/approval", **clerk), expect=200,
        **SILENT, entry_status=200, side_effects=[["db_write", "no_denial"]],
        why="@PreAuthorize refused and was caught: the trace has the insert and no word of the refusal.",
    )  # fmt: skip
    stage.record(
        "agent-table-grant", orders.get("/ledger", **clerk), expect=500,
        **DATABASE, span=At("orders", "SELECT shop.ledger"), reason="permission denied for table ledger",
        why="The role shop has no grant on ledger; PostgreSQL refuses the SELECT (42501), and the service answers 500.",
    )  # fmt: skip
    stage.record(
        "agent-row-policy-write", orders.post("/orders", {"tenant": "south", "item": "bed"}, **clerk), expect=500,
        **DATABASE, span=At("orders", "INSERT shop.orders"), reason="row-level security",
        why="The policy own_tenant lets north write north's rows only; bob of north wrote one for south.",
    )  # fmt: skip


def payments(stage: Stage, orders: Service, billing: Service, cashier: dict[str, str], clerk: dict[str, str]) -> None:
    stage.record(
        "agent-chain-first-token", orders.post("/orders/1/payment", **cashier), expect=200,
        outcome=["allowed", "no_auth_evidence"], entry_status=200, confidence=["high", "medium"],
        why="mary is a cashier; billing fetches the issuer's keys on its way, and says nothing else of its check.",
    )  # fmt: skip
    stage.record(
        "agent-chain-method", orders.post("/orders/1/payment", **clerk), expect=403,
        outcome="denied", layer="application", phase="authz", span=At("billing", "POST /charges"), enforced_by="billing",
        entry_status=403, confidence="medium", client_address=CLIENT, findings=["relayed_by", "side_effect_before_denial"],
        side_effects=[["db_write", "before_denial"]],
        why="billing's @PreAuthorize(hasRole('CASHIER')) refuses bob; orders relays the 403, having committed its insert.",
    )  # fmt: skip
    stage.stop(billing)
    stage.record(
        "agent-chain-billing-down", orders.post("/orders/1/payment", **cashier), expect=500,
        outcome="error", span=At("orders", "POST"), entry_status=500,
        no_findings=["missing_hop", "uninstrumented_peer", "fail_closed"],
        why="billing was stopped: the connection is refused, and nobody refused the request.",
    )  # fmt: skip


def sent(token: str) -> dict[str, str]:
    return {"Authorization": token, "X_Forwarded_For": CLIENT}
