"""Express 5: a gateway with express-rate-limit and express-jwt before orders with passport, PostgreSQL behind both."""

from __future__ import annotations

import base64
import json

from kit.stage import At, Request, Service, Stage, closed_port
from kit.stores import postgres
from kit.tokens import SECRET, bearer

SCHEMA = """
CREATE ROLE shop LOGIN PASSWORD 'shop-secret' NOBYPASSRLS;
CREATE TABLE orders (id serial PRIMARY KEY, tenant text NOT NULL, item text NOT NULL);
INSERT INTO orders (tenant, item) VALUES ('north', 'desk'), ('north', 'chair'), ('south', 'bed');
ALTER TABLE orders ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_tenant ON orders USING (tenant = current_setting('app.tenant', true));
GRANT SELECT, INSERT, DELETE ON orders TO shop;
GRANT USAGE ON SEQUENCE orders_id_seq TO shop;
CREATE TABLE ledger (total int);
CREATE TABLE reservations (order_id int, state text);
GRANT INSERT ON reservations TO shop;
"""
GATEWAY = ("express", "express-jwt", "express-rate-limit", "jwks-rsa", "@opentelemetry/auto-instrumentations-node")
ORDERS = ("passport", "passport-http-bearer", "pg")
CLIENT = "203.0.113.7"
# A check of the entry service that forwards to others: the law knows it as the gateway's, the framework as the application's.
AT_THE_DOOR = ["api_gateway", "application"]

# Everything runs on one machine; a server that works on after its answer outlasts its caller all the same.
ONE_CLOCK = ["clock_skew"]


def ask(service: Service, path: str, token: str | None, *, method: str = "GET") -> Request:
    headers = {"X-Forwarded-For": CLIENT} | ({"Authorization": token} if token else {})
    return service.request(method, path, {} if method == "POST" else None, headers)


def signed_elsewhere(subject: str) -> str:
    """A token of an issuer with published keys; who cannot fetch these cannot say whether it is genuine."""
    parts = [{"alg": "RS256", "typ": "JWT", "kid": "k-2026"}, {"sub": subject, "exp": 4_000_000_000}]
    return "Bearer " + ".".join(base64.urlsafe_b64encode(one).rstrip(b"=").decode() for one in (
        *(json.dumps(part).encode() for part in parts), b"a signature of 256 bits nobody checks"))  # fmt: skip


def perform(stage: Stage) -> None:
    with postgres(SCHEMA) as database:
        url = f"postgresql://shop:shop-secret@127.0.0.1:{database.port}/shop"
        node = stage.tools
        billing = node.start(stage, "billing", "billing.js", SECRET=SECRET)
        orders = node.start(stage, "orders", "orders.js", uses=ORDERS, SECRET=SECRET, DATABASE=url, BILLING=billing.url)
        edge = node.start(
            stage, "edge", "edge.js", uses=GATEWAY, SECRET=SECRET, ORDERS=orders.url, BILLING=billing.url
        )  # fmt: skip
        stage.uses(database.versions)
        mary = bearer("mary", roles=["clerk", "accountant"], tenant="north")
        bob = bearer("bob", roles=[], tenant="north")
        seen = {"client_address": CLIENT}

        stage.record(
            "express5-chain-allowed", ask(edge, "/api/orders", mary), expect=200, outcome="allowed", principal="mary", **seen,
            no_findings=["masked_denial", "missing_hop", "broken_propagation", "multiple_roots"],
            why="Gateway and orders verify the same genuine token, and the database shows the rows of mary's tenant.",
        )  # fmt: skip
        stage.record(
            "express5-jwt-missing", ask(edge, "/api/orders", None), expect=401,
            outcome="denied", layer=AT_THE_DOOR, phase="authn", span=At("edge", "middleware - middleware"),
            reason="No authorization token was found", entry_status=401, **seen,
            why="express-jwt at the gateway demands a token, and the request has none.",
        )  # fmt: skip
        stage.record(
            "express5-jwt-expired", ask(edge, "/api/orders", bearer("mary", lasts_s=-60)), expect=401,
            outcome="denied", layer=AT_THE_DOOR, phase="authn", span=At("edge", "middleware - middleware"),
            reason="jwt expired", entry_status=401, **seen,
            why="express-jwt at the gateway checks exp, which passed a minute ago.",
        )  # fmt: skip
        stage.record(
            "express5-role-at-the-route", ask(edge, "/api/orders/1", bob, method="DELETE"), expect=403,
            outcome="denied", layer="application", phase="authz",
            span=At("orders", "request handler - /orders/:id", where={"router.name": "requireRole"}),
            principal="bob", entry_status=403, findings=["relayed_by"], no_findings=["side_effect_before_denial"], **seen,
            why="requireRole('clerk') is given at orders' DELETE route, and bob's token has no role.",
        )  # fmt: skip
        stage.record(
            "express5-grant", ask(edge, "/api/ledger", mary), expect=500,
            outcome="denied", layer="database", phase="authz", span=At("orders", "pg.query:SELECT shop"),
            reason="permission denied for table ledger", principal="mary", entry_status=500, confidence=["high"],
            findings=["status_rewritten"], no_findings=ONE_CLOCK, **seen,
            why="The role shop has no grant on the table ledger; orders lets the error become a 500.",
        )  # fmt: skip
        stage.record(
            "express5-row-level-security", ask(edge, "/api/orders?for=south", mary, method="POST"), expect=403,
            outcome="denied", layer="database", phase="authz", span=At("orders", "pg.query:INSERT shop"),
            reason="row-level security policy", principal="mary", entry_status=403, confidence=["high"],
            findings=["relayed_by"], no_findings=["status_rewritten", "side_effect_before_denial"], **seen,
            why="The policy own_tenant lets a session of tenant north write no row of tenant south.",
        )  # fmt: skip
        stage.record(
            "express5-row-hidden", ask(edge, "/api/orders/3", mary), expect=404, outcome="allowed", entry_status=404,
            no_findings=["masked_denial"], **seen,
            why="The policy own_tenant hides the row: no error, no rows, a 404 that no trace can tell from a missing order.",
        )  # fmt: skip
        stage.record(
            "express5-refund-after-reservation", ask(edge, "/api/orders/1/refund", bob, method="POST"), expect=403,
            outcome="denied", layer="application", phase="authz", span=At("billing", "middleware - requireAccountant"),
            principal="bob", entry_status=403, findings=["side_effect_before_denial", "relayed_by"],
            side_effects=[["db_write", "before_denial"]], **seen,
            why="billing's requireAccountant refuses bob after orders has already written the reservation.",
        )  # fmt: skip
        stage.record(
            "express5-overview-in-part", ask(edge, "/overview", bob), expect=200,
            outcome="partially_denied", layer="application", phase="authz",
            span=At("billing", "middleware - requireAccountant"), entry_status=200,
            no_findings=["fail_open", *ONE_CLOCK], **seen,
            why="billing's requireAccountant refuses bob its part of an overview that the gateway answers without it.",
        )  # fmt: skip
        database.freeze()
        stage.record(
            "express5-database-hangs", ask(edge, "/api/ledger", mary), expect=500,
            outcome="error", layer="database", service="orders", entry_status=500, no_findings=["status_rewritten"], **seen,
            why="PostgreSQL is stopped, keeps its connections and answers nothing until the driver's two seconds are over.",
        )  # fmt: skip
        database.thaw()

        other = node.start(stage, "edge", "edge.js", uses=GATEWAY, SECRET="another secret", ORDERS=orders.url, LIMIT=1)
        drifted = bearer("mary", secret="another secret", roles=["clerk"], tenant="north")
        stage.record(
            "express5-passport-wrong-key", ask(other, "/api/orders", drifted), expect=401,
            outcome="denied", layer="application", phase="authn", span=At("orders", "middleware - authenticate"),
            entry_status=401, findings=["relayed_by"], **seen,
            why="The gateway's key signed the token, but passport at orders verifies with another one.",
        )  # fmt: skip
        stage.record(
            "express5-rate-limited", ask(other, "/api/orders", drifted), expect=429,
            outcome="denied", layer="rate_limiter", span=(At("edge", "middleware - <anonymous>"), At("edge", "GET")),
            entry_status=429, **seen,
            why="express-rate-limit lets one request a minute through, and this is the second.",
        )  # fmt: skip
        stage.stop(other)

        astray = node.start(stage, "edge", "edge.js", uses=GATEWAY, KEYS=f"http://127.0.0.1:{closed_port()}/.well-known/jwks.json",
                            ORDERS=orders.url)  # fmt: skip
        stage.record(
            "express5-keys-unreachable", ask(astray, "/api/orders", signed_elsewhere("mary")), expect=500,
            outcome="error", layer="identity_provider", span=(At("edge", "tcp.connect"), At("edge", "GET", nth=1)),
            entry_status=500, **seen,
            why="Nobody listens where the gateway fetches the issuer's keys: it cannot verify any token.",
        )  # fmt: skip
        stage.stop(astray)

        wrong = url.replace("shop-secret", "a wrong password")
        locked_out = node.start(stage, "orders-locked-out", "orders.js", uses=ORDERS, SECRET=SECRET, DATABASE=wrong)
        stage.record(
            "express5-database-login", ask(locked_out, "/ledger", mary), expect=500,
            outcome="denied", layer="database", phase="authn",
            span=(At("orders-locked-out", "pg.connect"), At("orders-locked-out", "pg-pool.connect")),
            reason="password authentication failed", entry_status=500, findings=["status_rewritten"],
            why="orders is configured with a wrong password of its database role.",
        )  # fmt: skip
        stage.stop(orders)
        stage.record(
            "express5-upstream-down", ask(edge, "/api/orders", mary), expect=502,
            outcome="error", service="edge", entry_status=502, no_findings=["uninstrumented_peer", "missing_hop"], **seen,
            why="orders is not running: the gateway's call meets a closed port.",
        )  # fmt: skip

    nobody = f"postgresql://shop:shop-secret@127.0.0.1:{closed_port()}/shop"
    orders = node.start(stage, "orders", "orders.js", uses=ORDERS, SECRET=SECRET, DATABASE=nobody)
    stage.record(
        "express5-database-down", ask(orders, "/ledger", mary), expect=500,
        outcome="error", layer="database", span=(At("orders", "tcp.connect"), At("orders", "pg.connect")), entry_status=500,
        no_findings=["status_rewritten"],
        why="PostgreSQL is not running where orders looks for it.",
    )  # fmt: skip
