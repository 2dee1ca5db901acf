"""Open Policy Agent that refuses whoever asks it, and one that has no rule for what it is asked."""

from __future__ import annotations

from family import CLIENT, ask
from kit.stage import At, Service, Stage
from kit.stores import postgres
from kit.tokens import SECRET, bearer
from plays.http_chain import SCHEMA
from plays.opa import USED, opa


def perform(stage: Stage) -> None:
    with postgres(SCHEMA) as database:
        stage.uses(database.versions)
        url = f"postgresql://shop:shop-secret@127.0.0.1:{database.port}/shop"
        mary = bearer("mary", roles=["clerk"], tenant="north")
        seen = {"client_address": CLIENT}
        decided = At("opa", "POST /v1/data/{path...}")

        def chain(engine: Service) -> Service:
            settings = {"SECRET": SECRET, "DATABASE": url, "POLICY": "opa", "OPA": engine.url}
            orders = stage.tools.start(stage, "orders", "orders", uses=USED, **settings)
            gateway: Service = stage.tools.start(stage, "gateway", "gateway", uses=USED, SECRET=SECRET, ORDERS=orders.url)
            return gateway

        locked = chain(opa(stage, "--authentication=token", "--authorization=basic", traced=True, policies="opa_locked"))
        # OPA denied orders, and decided nothing about mary: the law can be read either way.
        stage.record(
            "opa-refuses-its-caller", ask(locked, "GET", "/api/orders", mary), expect=403,
            outcome=["denied", "error"], layer="policy_engine", phase=["authn", "authz"], service=["opa", "orders"],
            span=(At("opa", "POST"), At("orders", "HTTP POST")), entry_status=403, no_findings=["fail_open"], **seen,
            why="OPA's own system.authz wants a token of its callers, and orders has none: nothing of the shop is decided.",
        )  # fmt: skip
        empty = chain(opa(stage, traced=True, policies="opa_empty"))
        stage.record(
            "opa-undefined", ask(empty, "GET", "/api/orders", mary), expect=403,
            outcome="denied", layer="policy_engine", phase="authz", span=decided, enforced_by="orders", entry_status=403,
            confidence=["medium"], no_findings=["fail_open", "fail_closed"], **seen,
            why="OPA holds no package shop.orders: it answers 200 without a result, which orders takes for a no.",
        )  # fmt: skip
