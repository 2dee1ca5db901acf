"""The shop's services under the libraries of early 2024, whose spans follow the conventions of then."""

from __future__ import annotations

from family import CLIENT, ask, end
from kit.stage import At, Stage
from kit.stores import postgres
from kit.tokens import SECRET, bearer
from plays.http_chain import SCHEMA

USED = ("otelhttp", "otelgrpc", "otelpgx", "pgx/v5", "otel/sdk")


def perform(stage: Stage) -> None:
    with postgres(SCHEMA) as database:
        stage.uses(database.versions)
        old = {"tree": "legacy", "uses": USED, "SECRET": SECRET}
        url = f"postgresql://shop:shop-secret@127.0.0.1:{database.port}/shop"
        orders = stage.tools.start(stage, "orders", "orders", DATABASE=url, **old)
        gateway = stage.tools.start(stage, "gateway", "gateway", ORDERS=orders.url, **old)
        payments = stage.tools.start(stage, "payments", "payments", **old)
        stock = stage.tools.start(stage, "stock", "stock", PAYMENTS=f"127.0.0.1:{payments.port}", **old)
        front = stage.tools.start(stage, "storefront", "storefront", STOCK=f"127.0.0.1:{stock.port}", **old)
        mary = bearer("mary", roles=["clerk"], tenant="north")
        bob = bearer("bob", roles=[], tenant="south")
        seen = {"client_address": CLIENT}

        stage.record(
            "legacy-http-allowed", ask(gateway, "GET", "/api/orders", mary), expect=200,
            outcome="no_auth_evidence", entry_status=200, no_findings=["missing_hop", "broken_propagation"], **seen,
            why="Both services verify the token in plain code and the rows are mary's: nothing of it is told to the trace.",
        )  # fmt: skip
        stage.record(
            "legacy-http-token-missing", ask(gateway, "GET", "/api/orders"), expect=401,
            outcome="denied", layer="api_gateway", phase="authn", span=At("gateway", "gateway"), entry_status=401,
            confidence=["medium"], **seen,
            why="The gateway's middleware `authenticated` wants a bearer token, and the request has none.",
        )  # fmt: skip
        stage.record(
            "legacy-http-role-missing", ask(gateway, "DELETE", "/api/orders/1", bob), expect=403,
            outcome="denied", layer="application", phase="authz", span=At("orders", "orders"), principal="bob",
            enforced_by="orders", entry_status=403, confidence=["medium"], findings=["relayed_by"], **seen,
            why="orders lets only a clerk delete, bob's token has no role, and the gateway passes the 403 on.",
        )  # fmt: skip
        stage.record(
            "legacy-grant-missing", ask(gateway, "GET", "/api/ledger", mary), expect=500,
            outcome="denied", layer="database", phase="authz",
            span=At("orders", "query SELECT sum(total) FROM ledger"), reason="permission denied for table ledger",
            principal="mary", entry_status=500, findings=["status_rewritten"], **seen,
            why="The role shop has no grant on the table ledger; orders lets the error become a 500.",
        )  # fmt: skip
        stage.record(
            "legacy-grpc-unauthenticated", ask(front, "GET", "/stock/desk"), expect=401,
            outcome="denied", layer="application", phase="authn", span=At("stock", "shop.v1.Stock/Read"),
            reason="no bearer token", enforced_by="stock", entry_status=401, findings=["relayed_by"], **seen,
            why="stock's interceptor wants a bearer token in the metadata, and storefront was given none to hand on.",
        )  # fmt: skip
        stage.record(
            "legacy-grpc-tenant-two-hops-down", ask(front, "POST", "/checkout", bob, {}), expect=403,
            outcome="denied", layer="application", phase="authz", span=At("payments", "shop.v1.Payments/Charge"),
            reason="tenant south may not be charged", enforced_by="payments", entry_status=403, findings=["relayed_by"], **seen,
            why="payments charges tenant north alone; stock and storefront pass its refusal on.",
        )  # fmt: skip
        stage.stop(payments)
        stage.record(
            "legacy-payments-down", ask(front, "POST", "/checkout", mary, {}), expect=503,
            outcome="error", span=At("stock", "shop.v1.Payments/Charge"), entry_status=503, no_findings=["fail_closed"], **seen,
            why="payments has been ended: its port refuses the connection, and stock hands UNAVAILABLE on.",
        )  # fmt: skip
        end(stage, database, ask(gateway, "GET", "/api/ledger", mary))
        stage.record(
            "legacy-database-down", ask(gateway, "GET", "/api/orders", mary), expect=500,
            outcome="error", layer="database", span=At("orders", "connect"), entry_status=500,
            no_findings=["fail_closed"], **seen,
            why="PostgreSQL has been ended: its port refuses the connection, and nobody refused the request.",
        )  # fmt: skip
