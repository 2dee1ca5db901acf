"""Fastify 5 and 4 before Koa 3 and 2, MariaDB behind: hooks, koa-jwt, a guard that throws, and the database's grants."""

from __future__ import annotations

from kit.stage import At, Stage, closed_port
from kit.stores import mariadb
from kit.tokens import SECRET, bearer

SCHEMA = """CREATE DATABASE shop;
CREATE TABLE shop.stock (item varchar(20), pieces int);
INSERT INTO shop.stock VALUES ('lamp', 3), ('desk', 1);
CREATE TABLE shop.margins (item varchar(20), margin int);
CREATE TABLE shop.reservations (item varchar(20));
CREATE USER reader@'127.0.0.1' IDENTIFIED BY 'stock-secret';
GRANT SELECT ON shop.stock TO reader@'127.0.0.1';
CREATE USER writer@'127.0.0.1' IDENTIFIED BY 'stock-secret';
GRANT SELECT, DELETE ON shop.stock TO writer@'127.0.0.1';
GRANT INSERT ON shop.reservations TO writer@'127.0.0.1';
"""
STOREFRONT = ("fastify", "@fastify/jwt")
STOCK = ("koa", "koa-jwt", "@koa/router", "mysql2", "@opentelemetry/auto-instrumentations-node")
AT_THE_DOOR = ["api_gateway", "application"]


def perform(stage: Stage) -> None:
    with mariadb(stage.cache, SCHEMA) as database:
        stage.uses(database.versions)
        for release, tree in (("5", "current"), ("4", "legacy")):
            _chain(stage, f"fastify{release}", tree, database.port)
        _alone(stage, database.port)
    stock = stage.tools.start(
        stage, "stock", "stock.js", uses=STOCK, SECRET=SECRET, DATABASE_PORT=database.port, PASSWORD="stock-secret"
    )
    stage.record(
        "koa3-database-down", stock.get("/stock", Authorization=bearer("carol", roles=[])), expect=500,
        outcome="error", layer=["database", "application"], service="stock", entry_status=500, no_findings=["status_rewritten"],
        why="MariaDB has been stopped when the handler wants to read the stock; only a tcp.connect without a name shows it.",
    )  # fmt: skip


def _chain(stage: Stage, name: str, tree: str, port: int) -> None:
    carol = {"Authorization": bearer("carol", roles=["clerk"])}
    own = tree == "current"  # Fastify 5's own instrumentation has a span for a route's hook; the older one has none

    def hook(named: str, route: str) -> tuple[At, ...]:
        if own:
            return (At("storefront", named),)
        return At("storefront", "request handler - fastify -> @fastify/jwt"), At("storefront", route)

    stock = stage.tools.start(
        stage, "stock", "stock.js", tree=tree, uses=STOCK, SECRET=SECRET, DATABASE_PORT=port, PASSWORD="stock-secret"
    )
    front = stage.tools.start(
        stage, "storefront", "storefront.js", tree=tree, uses=STOREFRONT, SECRET=SECRET, STOCK=stock.url
    )  # fmt: skip
    stage.record(
        f"{name}-allowed", front.get("/stock", **carol), expect=200, outcome="allowed", entry_status=200,
        no_findings=["masked_denial", "missing_hop"],
        why="The storefront's hook and koa-jwt verify the same genuine token, and the reading account may read the stock.",
    )  # fmt: skip
    stage.record(
        f"{name}-token-missing", front.get("/stock"), expect=401,
        outcome="denied", layer=AT_THE_DOOR, phase="authn", entry_status=401,
        span=At("storefront", "preValidation - authenticate" if own else "middleware - authenticate"),
        why="@fastify/jwt in the storefront's preValidation hook authenticate finds no token.",
    )  # fmt: skip
    stage.record(
        f"{name}-hook-throws", front.get("/prices", **carol), expect=403,
        outcome="denied", layer="application", phase="authz", span=hook("preHandler - requireManager", "GET /prices"),
        entry_status=403,
        why="The route's preHandler requireManager throws for carol, who is a clerk.",
    )  # fmt: skip
    stage.record(
        f"{name}-hook-replies", front.get("/spirits", **carol), expect=403,
        outcome="denied", layer="application", phase="authz", span=hook("preHandler - requireAdult", "GET /spirits"),
        entry_status=403,
        why="The route's preHandler requireAdult sends the refusal itself: nothing in carol's token says adult.",
    )  # fmt: skip
    stage.record(
        f"{name}-koa-guard", front.request("DELETE", "/stock/lamp", None, carol), expect=403,
        outcome="denied", layer="application", phase="authz", span=At("stock", "router - /stock/:item"),
        reason="only staff", entry_status=403, findings=["relayed_by"],
        why="requireStaff at the stock's DELETE route throws for carol, who is a clerk; the storefront passes it on.",
    )  # fmt: skip
    stage.record(
        f"{name}-mysql-grant", front.get("/margins", **carol), expect=500,
        outcome="denied", layer="database", phase="authz", span=At("stock", "SELECT"), reason="SELECT command denied",
        entry_status=500, findings=["status_rewritten"],
        why="The account reader has no grant on the table margins; Koa turns the error into a 500.",
    )  # fmt: skip
    stage.record(
        f"{name}-mysql-retried", front.post("/reservations", **carol), expect=201,
        outcome="allowed", entry_status=201, findings=["retried"], no_findings=["fail_open", "side_effect_after_denial"],
        why="The account reader may not write; the handler repeats the statement as writer, which may.",
    )  # fmt: skip
    stage.stop(front)
    stage.stop(stock)


def _alone(stage: Stage, port: int) -> None:
    stock = stage.tools.start(
        stage, "stock", "stock.js", uses=STOCK, SECRET="another secret", DATABASE_PORT=port, PASSWORD="a wrong one"
    )
    dan = {"Authorization": bearer("dan", secret="another secret", roles=["staff"])}
    stage.record(
        "koa3-jwt-wrong-key", stock.get("/stock", Authorization=bearer("dan")), expect=401,
        outcome="denied", layer="application", phase="authn", span=At("stock", "middleware - jwt"), entry_status=401,
        why="koa-jwt verifies with another key than the one that signed dan's token.",
    )  # fmt: skip
    stage.record(
        "koa3-mysql-login", stock.get("/stock", **dan), expect=500,
        outcome="denied", layer="database", phase="authn", span=At("stock", "router - /stock"),
        reason="Access denied for user", entry_status=500,
        why="The stock service is configured with a wrong password of its database account.",
    )  # fmt: skip
    front = stage.tools.start(stage, "storefront", "storefront.js", uses=STOREFRONT, SECRET=SECRET, LIMIT=1,
                              STOCK=f"http://127.0.0.1:{closed_port()}")  # fmt: skip
    carol = {"Authorization": bearer("carol", roles=["clerk"])}
    stage.record(
        "fastify5-upstream-down", front.get("/stock", **carol), expect=500,
        outcome="error", service="storefront", entry_status=500, no_findings=["missing_hop", "uninstrumented_peer"],
        why="Nobody listens where the storefront looks for the stock.",
    )  # fmt: skip
    stage.record(
        "fastify5-rate-limited", front.get("/prices", **carol), expect=429,
        outcome="denied", layer="rate_limiter", span=(At("storefront", "request"), At("storefront", "GET /prices")),
        entry_status=429,
        why="@fastify/rate-limit lets one request a minute through, and this is the second.",
    )  # fmt: skip
