"""FastAPI gateway (HTTPBearer, httpx), FastAPI orders (Depends, asyncpg), Flask stock (psycopg), with PostgreSQL."""

from __future__ import annotations

import time
from typing import Any

from family import CLIENT, OLD, SHOP, STABLE, Caller
from kit.stage import At, Stage
from kit.stores import postgres
from kit.tokens import SECRET, bearer

GATEWAY = ("fastapi", "PyJWT", "httpx", "uvicorn", "slowapi")
FINE = {"layer": None, "no_findings": ["fail_open", "masked_denial", "missing_hop", "uninstrumented_peer"]}
STOCK_CHECK = {"outcome": "denied", "layer": "application", "phase": "authz", "confidence": ["medium"]}


def perform(stage: Stage) -> None:
    with postgres(SHOP) as database:
        stage.uses(database.versions)
        url = f"postgresql://shop:shop-secret@127.0.0.1:{database.port}/shop"
        for spelling, convention in (("old", OLD), ("stable", STABLE)):
            chain(stage, spelling, {"SECRET": SECRET, "DATABASE": url, **convention})


def chain(stage: Stage, spelling: str, given: dict[str, Any]) -> None:
    tools = stage.tools
    stock = tools.wsgi(stage, "stock", "stock:app", uses=("Flask", "psycopg"), **given)
    orders = tools.asgi(stage, "orders", "orders:app", uses=("asyncpg",), STOCK=stock.url, **given)
    gateway = tools.asgi(stage, "gateway", "gateway:app", uses=GATEWAY, ORDERS=orders.url, **given)
    mary = Caller(bearer("mary", roles=["clerk"], tenant="north"))
    late = Caller(bearer("mary", lasts_s=-60))
    query = "db.query.text" if "OTEL_SEMCONV_STABILITY_OPT_IN" in given else "db.statement"

    def record(name: str, request: Any, **label: Any) -> None:
        stage.record(f"{name}-{spelling}", request, entry_status=label["expect"], client_address=CLIENT, **label)

    record(
        "fastapi-allowed", mary.get(gateway, "/api/orders"), expect=200, outcome="no_auth_evidence", **FINE,
        why="Both services' checks passed, and FastAPI's instrumentation makes no spans of dependencies: nothing shows.",
    )  # fmt: skip
    record(
        "fastapi-no-token", Caller().get(gateway, "/api/orders"), expect=401,
        outcome="denied", layer="api_gateway", phase="authn", confidence=["medium"], enforced_by="gateway",
        span=At("gateway", "GET /api/{path:path}"), no_findings=["relayed_by"],
        why="HTTPBearer of the gateway refuses a request without credentials, before anybody is called.",
    )  # fmt: skip
    record(
        "fastapi-expired", late.get(gateway, "/api/orders"), expect=401,
        outcome="denied", layer="api_gateway", phase="authn", confidence=["medium"], enforced_by="gateway",
        span=At("gateway", "GET /api/{path:path}"),
        why="The gateway's dependency finds the token expired (PyJWT) and answers 401 itself.",
    )  # fmt: skip
    record(
        "fastapi-role", mary.request(gateway, "DELETE", "/api/orders/1"), expect=403,
        outcome="denied", layer="application", phase="authz", confidence=["medium"], enforced_by="orders",
        span=At("orders", "DELETE /orders/{number}"), findings=["relayed_by"],
        why="The dependency of orders' DELETE asks for the role manager; Mary is a clerk. The gateway hands the 403 on.",
    )  # fmt: skip
    record(
        "fastapi-rls-write", mary.post(gateway, "/api/orders", {"tenant": "south", "item": "sofa"}), expect=403,
        outcome="denied", layer="database", phase="authz", confidence=["high"], enforced_by="orders",
        span=At("orders", "INSERT"), reason="row-level security", findings=["relayed_by"],
        no_findings=["side_effect_before_denial", "side_effect_after_denial", "status_rewritten"],
        why="The policy own_tenant forbids a row of another tenant; orders answers that error with a 403.",
    )  # fmt: skip
    record(
        "fastapi-rls-read", mary.get(gateway, "/api/orders/3"), expect=404, outcome="no_auth_evidence", **FINE,
        why="The policy hides another tenant's row; PostgreSQL says nothing of it, and an empty result proves nothing.",
    )  # fmt: skip
    record(
        "fastapi-privilege", mary.get(gateway, "/api/ledger"), expect=500,
        outcome="denied", layer="database", phase="authz", confidence=["high"],
        span=At("orders", "SELECT", where={query: "SELECT sum(total) FROM ledger"}),
        reason="permission denied for table ledger", findings=["status_rewritten"],
        why="The role shop has no grant on ledger; nothing catches the error, so orders and the gateway answer 500.",
    )  # fmt: skip
    record(
        "fastapi-written-before", mary.post(gateway, "/api/reservations", {"item": "safe"}), expect=403, **STOCK_CHECK,
        span=At("stock", "POST /holds"), findings=["side_effect_before_denial", "relayed_by"],
        side_effects=[["db_write", "before_denial"]], no_findings=["fail_open", "side_effect_after_denial"],
        why="orders commits the reservation before it asks stock, which gives a safe to managers only.",
    )  # fmt: skip
    record(
        "fastapi-bulk", mary.post(gateway, "/api/holds/bulk", {"items": ["desk", "safe", "bed"]}), expect=207,
        **STOCK_CHECK | {"outcome": "partially_denied"}, span=At("stock", "POST /holds", 1),
        no_findings=["fail_open", "side_effect_after_denial", "masked_denial"],
        why="Of three items the second is for managers only; orders goes on with the third and answers 207.",
    )  # fmt: skip
    record(
        "fastapi-masked", mary.get(gateway, "/api/secrets/7"), expect=404, **STOCK_CHECK,
        span=At("stock", "GET /secrets/<int:number>"), findings=["masked_denial"],
        why="stock's decorator asks for the role auditor and answers 403; orders makes a 404 of it, on purpose.",
    )  # fmt: skip
    stage.send(mary.get(gateway, "/api/quotes"))
    time.sleep(1)
    record(
        "fastapi-throttled", mary.get(gateway, "/api/quotes"), expect=429,
        outcome="denied", layer="rate_limiter", span=At("gateway", "GET /api/quotes"), confidence=["medium"],
        why="slowapi allows one call an hour from one address; this was the second.",
    )  # fmt: skip
    stage.stop(orders)
    record(
        "fastapi-orders-down", mary.get(gateway, "/api/orders"), expect=502, outcome="error", confidence=["high"],
        span=At("gateway", "GET"), no_findings=["uninstrumented_peer", "missing_hop", "fail_closed"],
        why="orders was stopped: the gateway's connection is refused (httpx.ConnectError) and it answers 502.",
    )  # fmt: skip
    stage.stop(gateway)
    stage.stop(stock)
