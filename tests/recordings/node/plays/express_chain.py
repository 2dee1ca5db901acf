"""Express 5: a gateway with express-rate-limit and express-jwt before orders with passport, PostgreSQL behind both."""

from __future__ import annotations

from kit.stage import Stage
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


def perform(stage: Stage) -> None:
    with postgres(SCHEMA) as database:
        url = f"postgresql://shop:shop-secret@127.0.0.1:{database.port}/shop"
        billing = stage.tools.start(stage, "billing", "billing.js", SECRET=SECRET)
        orders = stage.tools.start(stage, "orders", "orders.js", uses=ORDERS, SECRET=SECRET, DATABASE=url, BILLING=billing.url)
        edge = stage.tools.start(stage, "edge", "edge.js", uses=GATEWAY, SECRET=SECRET, ORDERS=orders.url)
        mary = bearer("mary", roles=["clerk"], tenant="north")
        stage.record(
            "express5-chain-allowed", edge.get("/api/orders", Authorization=mary, X_Forwarded_For=CLIENT), expect=200, why="x"
        )
        stage.record("express5-jwt-missing", edge.get("/api/orders", X_Forwarded_For=CLIENT), expect=401, why="x")
        stage.record(
            "express5-ledger", edge.get("/api/ledger", Authorization=mary, X_Forwarded_For=CLIENT), expect=500, why="x"
        )
        stage.record(
            "express5-role",
            edge.request(
                "DELETE", "/api/orders/1", None, {"Authorization": bearer("bob", roles=[]), "X_Forwarded_For": CLIENT}
            ),
            expect=403,
            why="x",
        )
