"""Spring Security's resource server and method security, observed: orders before billing, PostgreSQL behind orders."""

from __future__ import annotations

from kit.stage import At, Service, Stage, closed_port
from kit.stores import postgres
from shop import CLIENT, SCHEMA, bearer, database, trusting

AUTHENTICATE = At("orders", "authenticate bearertoken")
RULE = At("orders", "authorize request")  # the first: a second one may be that of the error page
METHOD = At("orders", "authorize method")
DENIED_METHOD = At("orders", "authorize method", where={"spring.security.authorization.decision": "false"})
REFUSED = {"outcome": "denied", "layer": "application", "enforced_by": "orders"}
AUTHN = REFUSED | {"phase": "authn", "confidence": "high", "entry_status": 401}
AUTHZ = REFUSED | {"phase": "authz", "confidence": "high", "entry_status": 403}
DATABASE = {"outcome": "denied", "layer": "database", "phase": "authz", "enforced_by": "orders", "entry_status": 500}


def perform(stage: Stage) -> None:
    with postgres(SCHEMA) as store:
        stage.uses(store.versions)
        issuer = stage.tools.observed(stage, "issuer")
        billing = stage.tools.observed(stage, "billing", **trusting(issuer.url))
        settings = trusting(issuer.url) | database(store.port)
        orders = stage.tools.observed(stage, "orders", BILLING=billing.url, **settings)
        cashier = sent(bearer(stage, issuer, "mary", roles="CASHIER,CLERK"))
        clerk = sent(bearer(stage, issuer, "bob", roles="CLERK"))
        tokens(stage, orders, clerk, {
            "expired": sent(bearer(stage, issuer, "bob", roles="CLERK", lasts=-3600)),
            "forged": sent(bearer(stage, issuer, "bob", roles="CLERK", forged="true")),
        })  # fmt: skip
        rules(stage, orders, clerk)
        rows(stage, orders, clerk)
        methods(stage, orders, clerk)
        payments(stage, orders, billing, cashier, clerk)
    stage.record(
        "observed-database-down", orders.get("/orders/1", **clerk), expect=500,
        outcome="error", layer="database", span=At("orders", "connection"), entry_status=500, no_findings=["fail_closed"],
        why="PostgreSQL was stopped: the pool has no connection to give, after the token and the URL rule had passed.",
    )  # fmt: skip
    stage.stop(orders)
    nowhere = f"http://127.0.0.1:{closed_port()}"
    lost = stage.tools.observed(stage, "orders", BILLING=nowhere, **trusting(nowhere), **database(store.port))
    stage.record(
        "observed-keys-unreachable", lost.get("/orders/1", **clerk), expect=401,
        outcome="error", layer="identity_provider", span=AUTHENTICATE, reason="connection refused",
        no_findings=["masked_denial"],
        why="Nobody listens where the issuer's keys are: AuthenticationServiceException, and the error page, itself refused"
        " to an anonymous caller, answers 401.",
    )  # fmt: skip


def tokens(stage: Stage, orders: Service, clerk: dict[str, str], bad: dict[str, dict[str, str]]) -> None:
    stage.record(
        "observed-token-allowed", orders.get("/orders/1", **clerk), expect=200,
        outcome="allowed", layers=[["application", "allow"]], confidence="high", entry_status=200,
        why="bob's token is signed by a published key and in time; the rule asks for no more than that.",
    )  # fmt: skip
    stage.record(
        "observed-token-missing", orders.get("/orders/1", X_Forwarded_For=CLIENT), expect=401,
        **AUTHN, span=RULE,
        why="No token was sent: anyRequest().authenticated() refuses the anonymous token, answered by a Bearer challenge.",
    )  # fmt: skip
    stage.record(
        "observed-token-expired", orders.get("/orders/1", **bad["expired"]), expect=401,
        **AUTHN, span=AUTHENTICATE, reason="expired",
        why="The token's exp lies an hour back, which JwtTimestampValidator refuses.",
    )  # fmt: skip
    stage.record(
        "observed-token-forged", orders.get("/orders/1", **bad["forged"]), expect=401,
        **AUTHN, span=AUTHENTICATE, reason="signature",
        why="The token is signed with a key of the published one's id that is not the published key.",
    )  # fmt: skip
    stage.record(
        "observed-firewall-rewritten", orders.get("/orders/1;a=b", **clerk), expect=401,
        outcome="denied", layer="edge_waf", span=At("orders", "http get /orders/{id}"), enforced_by="orders",
        reason="malicious",
        why="StrictHttpFirewall rejects the semicolon with 400; the error page, refused to an anonymous caller, makes it 401.",
    )  # fmt: skip


def rules(stage: Stage, orders: Service, clerk: dict[str, str]) -> None:
    stage.record(
        "observed-url-rule", orders.request("DELETE", "/orders/1", None, clerk), expect=403,
        **AUTHZ, span=RULE, reason="ADMIN",
        why="The rule requestMatchers(DELETE, /orders/*).hasRole(ADMIN) refuses bob, who has the role CLERK alone.",
    )  # fmt: skip
    stage.record(
        "observed-url-rule-masked", orders.get("/internal/margins", **clerk), expect=404,
        **REFUSED, phase="authz", span=RULE, findings=["masked_denial"], entry_status=404, reason="AUDITOR",
        why="requestMatchers(/internal/**).hasRole(AUDITOR) refuses bob, and its access denied handler says 404.",
    )  # fmt: skip


def rows(stage: Stage, orders: Service, clerk: dict[str, str]) -> None:
    stage.record(
        "observed-table-grant", orders.get("/ledger", **clerk), expect=500,
        **DATABASE, span=At("orders", "query"), reason="permission denied for table ledger", findings=["status_rewritten"],
        layers=[["application", "allow"], ["database", "deny"]],
        why="The role shop has no grant on ledger; PostgreSQL refuses the SELECT (42501), and the service answers 500.",
    )  # fmt: skip
    insert = At("orders", "query", where={"jdbc.query[0]": "INSERT INTO orders (tenant, item) VALUES (?, ?)"})
    stage.record(
        "observed-row-policy-write", orders.post("/orders", {"tenant": "south", "item": "bed"}, **clerk), expect=500,
        **DATABASE, span=insert, reason="row-level security", findings=["status_rewritten"],
        why="The policy own_tenant lets north write north's rows only; bob of north wrote one for south.",
    )  # fmt: skip
    stage.record(
        "observed-row-hidden", orders.get("/orders/3", **clerk), expect=404,
        outcome="allowed", entry_status=404, confidence="high", no_findings=["masked_denial"],
        why="The policy hides south's row from north: no rows and no refusal anywhere, an ordinary 404 after passed checks.",
    )  # fmt: skip


def methods(stage: Stage, orders: Service, clerk: dict[str, str]) -> None:
    stage.record(
        "observed-method-of-controller", orders.get("/reports", **clerk), expect=403,
        **AUTHZ, span=METHOD, reason="AUDITOR",
        why="@PreAuthorize(hasRole('AUDITOR')) on the controller's method refuses bob after the URL rule had let him pass.",
    )  # fmt: skip
    stage.record(
        "observed-method-after-rolled-back-write", orders.post("/orders/1/return", **clerk), expect=403,
        **AUTHZ, span=METHOD, reason="CASHIER", no_findings=["side_effect_before_denial", "side_effect_after_denial"],
        why="@PreAuthorize(hasRole('CASHIER')) refuses inside the @Transactional method that had inserted; the connection"
        " says rollback.",
    )  # fmt: skip
    stage.record(
        "observed-method-optional-part", orders.get("/orders/1/sheet", **clerk), expect=200,
        outcome="partially_denied", layer="application", phase="authz", span=METHOD, entry_status=200,
        no_findings=["fail_open"],
        why="@PreAuthorize(hasRole('MANAGER')) refuses the margin; the sheet is answered without it, by design.",
    )  # fmt: skip
    stage.record(
        "observed-method-swallowed", orders.post("/orders/1/approval", **clerk), expect=200,
        outcome="bypassed", layer="application", phase="authz", span=METHOD, entry_status=200,
        findings=["fail_open", "side_effect_after_denial"], side_effects=[["db_write", "after_denial"]],
        why="@PreAuthorize(hasRole('MANAGER')) refuses; the caller catches AccessDeniedException and inserts the approval.",
    )  # fmt: skip
    for name, ids in (("last", [1, 100]), ("first", [100, 1])):
        stage.record(
            f"observed-method-bulk-{name}", orders.post("/orders/cancellations", ids, **clerk), expect=207,
            outcome="partially_denied", layer="application", phase="authz", span=DENIED_METHOD, entry_status=207,
            no_findings=["fail_open", "side_effect_after_denial"], reason="#id < 100",
            why="@PreAuthorize(#id < 100) refuses order 100 and lets order 1 be cancelled, each asked for by itself.",
        )  # fmt: skip


def payments(stage: Stage, orders: Service, billing: Service, cashier: dict[str, str], clerk: dict[str, str]) -> None:
    stage.record(
        "observed-chain-allowed", orders.post("/orders/1/payment", **cashier), expect=200,
        outcome="allowed", layers=[["application", "allow"]], confidence="high", entry_status=200,
        why="mary has the role CASHIER that billing's @PreAuthorize asks for; her token passed both services.",
    )  # fmt: skip
    stage.record(
        "observed-chain-method", orders.post("/orders/1/payment", **clerk), expect=403,
        outcome="denied", layer="application", phase="authz", confidence="high", entry_status=403, reason="CASHIER",
        span=At("billing", "authorize method"), enforced_by="billing", findings=["relayed_by", "side_effect_before_denial"],
        side_effects=[["db_write", "before_denial"]],
        why="billing's @PreAuthorize(hasRole('CASHIER')) refuses bob; orders relays the 403, having committed its insert.",
    )  # fmt: skip
    stage.stop(billing)
    stage.record(
        "observed-chain-billing-down", orders.post("/orders/1/payment", **cashier), expect=500,
        outcome="error", span=At("orders", "http post"), entry_status=500,
        no_findings=["missing_hop", "uninstrumented_peer", "fail_closed"],
        why="billing was stopped: the connection is refused, and nobody refused the request.",
    )  # fmt: skip


def sent(token: str) -> dict[str, str]:
    return {"Authorization": token, "X_Forwarded_For": CLIENT}
