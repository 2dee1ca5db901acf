"""gRPC under otelgrpc: a storefront that speaks HTTP calls stock, which has payments charge."""

from __future__ import annotations

from family import CLIENT, ask
from kit.stage import At, Stage
from kit.tokens import SECRET, bearer

USED = ("otelgrpc", "otelhttp", "google.golang.org/grpc")


def perform(stage: Stage) -> None:
    go = stage.tools
    payments = go.start(stage, "payments", "payments", uses=USED, SECRET=SECRET)
    stock = go.start(stage, "stock", "stock", uses=USED, SECRET=SECRET, PAYMENTS=f"127.0.0.1:{payments.port}")
    front = go.start(stage, "storefront", "storefront", uses=USED, STOCK=f"127.0.0.1:{stock.port}")
    mary = bearer("mary", roles=["clerk"], tenant="north")
    bob = bearer("bob", roles=[], tenant="south")
    seen = {"client_address": CLIENT}

    stage.record(
        "otelgrpc-chain-allowed", ask(front, "POST", "/checkout", mary, {}), expect=200,
        outcome="no_auth_evidence", confidence=["high"], entry_status=200,
        no_findings=["missing_hop", "uninstrumented_peer", "broken_propagation"], **seen,
        why="The interceptors of stock and payments verify the token in plain code and tell the trace nothing.",
    )  # fmt: skip
    stage.record(
        "otelgrpc-unauthenticated", ask(front, "GET", "/stock/desk"), expect=401,
        outcome="denied", layer="application", phase="authn", span=At("stock", "shop.v1.Stock/Read"),
        reason="no bearer token", enforced_by="stock", entry_status=401, findings=["relayed_by"], **seen,
        why="stock's interceptor wants a bearer token in the metadata, and storefront was given none to hand on.",
    )  # fmt: skip
    stage.record(
        "otelgrpc-token-expired", ask(front, "GET", "/stock/desk", bearer("mary", lasts_s=-60)), expect=401,
        outcome="denied", layer="application", phase="authn", span=At("stock", "shop.v1.Stock/Read"),
        reason="token is expired", entry_status=401, **seen,
        why="stock's interceptor checks exp, which passed a minute ago.",
    )  # fmt: skip
    stage.record(
        "otelgrpc-role-missing", ask(front, "DELETE", "/stock/desk", bob), expect=403,
        outcome="denied", layer="application", phase="authz", span=At("stock", "shop.v1.Stock/Remove"),
        reason="only a clerk removes stock", enforced_by="stock", entry_status=403, findings=["relayed_by"],
        no_findings=["status_rewritten"], **seen,
        why="stock's Remove is for clerks, and bob's token has no role.",
    )  # fmt: skip
    stage.record(
        "otelgrpc-tenant-two-hops-down", ask(front, "POST", "/checkout", bob, {}), expect=403,
        outcome="denied", layer="application", phase="authz", span=At("payments", "shop.v1.Payments/Charge"),
        reason="tenant south may not be charged", enforced_by="payments", entry_status=403, findings=["relayed_by"], **seen,
        why="payments charges tenant north alone; stock and storefront pass its refusal on.",
    )  # fmt: skip
    stage.stop(payments)
    stage.record(
        "otelgrpc-payments-down", ask(front, "POST", "/checkout", mary, {}), expect=503,
        outcome="error", span=At("stock", "shop.v1.Payments/Charge"), entry_status=503,
        no_findings=["fail_closed", "missing_hop"], **seen,
        why="payments has been ended: its port refuses the connection, and stock hands UNAVAILABLE on.",
    )  # fmt: skip
    busy = go.start(stage, "payments", "payments", uses=USED, SECRET=SECRET, QUOTA=0)
    stock = go.start(stage, "stock", "stock", uses=USED, SECRET=SECRET, PAYMENTS=f"127.0.0.1:{busy.port}")
    front = go.start(stage, "storefront", "storefront", uses=USED, STOCK=f"127.0.0.1:{stock.port}")
    stage.record(
        "otelgrpc-quota", ask(front, "POST", "/checkout", mary, {}), expect=429,
        outcome="denied", layer="rate_limiter", span=At("payments", "shop.v1.Payments/Charge"),
        reason="quota of charges used up", enforced_by="payments", entry_status=429, **seen,
        why="payments was started with a quota of none and answers RESOURCE_EXHAUSTED to everybody.",
    )  # fmt: skip
    busy.freeze()
    stage.record(
        "otelgrpc-payments-hang", ask(front, "POST", "/checkout", mary, {}), expect=504,
        outcome="error", service=["stock", "storefront"], entry_status=504,
        span=(At("stock", "shop.v1.Payments/Charge"), At("storefront", "shop.v1.Stock/Reserve")),
        no_findings=["fail_closed"], **seen,
        why="payments is stopped and answers nothing until the storefront's deadline of two seconds is over.",
    )  # fmt: skip
    busy.thaw()
