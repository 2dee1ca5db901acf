"""grpc-js, current and older, between an Express service and a ledger: tokens in the metadata, a refusal that is masked."""

from __future__ import annotations

from kit.stage import At, Stage
from kit.tokens import SECRET, bearer

USES = ("@grpc/grpc-js", "express", "@opentelemetry/auto-instrumentations-node")


def perform(stage: Stage) -> None:
    for release, tree in (("current", "current"), ("older", "legacy")):
        ledger = stage.tools.start(stage, "ledger", "ledger.js", tree=tree, uses=USES, SECRET=SECRET)
        wallet = stage.tools.start(stage, "wallet", "wallet.js", tree=tree, uses=USES, LEDGER=f"127.0.0.1:{ledger.port}")
        mary = {"Authorization": bearer("mary")}
        grpc = f"grpc-{release}"
        stage.record(
            f"{grpc}-served", wallet.get("/balance", **mary), expect=200, outcome=["allowed", "no_auth_evidence"],
            entry_status=200, no_findings=["masked_denial", "missing_hop"],
            why="The ledger verifies a genuine token in its own code, of which no span speaks.",
        )  # fmt: skip
        stage.record(
            f"{grpc}-unauthenticated", wallet.get("/balance", Authorization=bearer("mary", lasts_s=-60)), expect=401,
            outcome="denied", layer="application", phase="authn", span=At("ledger", "grpc.shop.v1.Ledger/GetBalance"),
            reason="jwt expired", entry_status=401,
            why="The ledger answers UNAUTHENTICATED: the token in the metadata expired a minute ago.",
        )  # fmt: skip
        stage.record(
            f"{grpc}-permission-denied", wallet.post("/transfers/grace", **mary), expect=403,
            outcome="denied", layer="application", phase="authz", service="ledger",
            reason="grace is not an account of yours", entry_status=403, findings=["relayed_by"],
            why="The ledger answers PERMISSION_DENIED: mary orders a transfer from grace's account.",
        )  # fmt: skip
        stage.record(
            f"{grpc}-denial-masked", wallet.get("/strangers/grace", **mary), expect=404,
            outcome="denied", layer="application", phase="authz", service="ledger", entry_status=404,
            findings=["masked_denial"],
            why="The ledger answers PERMISSION_DENIED, and the wallet is written to make a 404 of it.",
        )  # fmt: skip
        stage.stop(ledger)
        stage.record(
            f"{grpc}-ledger-down", wallet.get("/balance", **mary), expect=503,
            outcome="error", service="wallet", entry_status=503, no_findings=["missing_hop", "uninstrumented_peer"],
            why="The ledger has been stopped: the wallet's call meets a closed port.",
        )  # fmt: skip
        stage.stop(wallet)
