"""What services do with a refusal: serve without, ignore it, ask again, hide it, note it; and peers that send no spans."""

from __future__ import annotations

from typing import Any

from family import CLIENT, OLD, SHOP, STABLE, Caller
from kit.stage import At, Stage
from kit.stores import postgres
from kit.tokens import SECRET, bearer

MARY = Caller(bearer("mary", roles=["clerk"], tenant="north"))
DECIDED = At("policy", "POST /decide")
SECRETS = "GET /secrets/<int:number>"


def perform(stage: Stage) -> None:
    with postgres(SHOP) as database:
        stage.uses(database.versions)
        given = {"SECRET": SECRET, "DATABASE": f"postgresql://shop:shop-secret@127.0.0.1:{database.port}/shop"}
        carrier = stage.start("carrier", [stage.tools.programs / "python", stage.tools.services / "carrier.py"])
        for spelling, convention in (("stable", STABLE), ("old", OLD)):
            peers = {
                "STOCK": stage.tools.wsgi(stage, "stock", "stock:app", uses=("Flask", "psycopg"), **given, **convention),
                "POLICY": stage.tools.asgi(stage, "policy", "policy:app", uses=("fastapi",), **given, **convention),
                "IDENTITY": stage.tools.asgi(stage, "identity", "identity:app", uses=("SQLAlchemy",), **given, **convention),
            }
            urls = {name: peer.url for name, peer in peers.items()} | {"CARRIER": carrier.url}
            hub = stage.tools.asgi(stage, "hub", "hub:app", uses=("asyncpg", "httpx"), **given, **urls, **convention)
            asked(stage, hub, spelling)
            passed_on(stage, hub, spelling)
            database.freeze()
            record(
                stage, f"database-frozen-{spelling}", MARY.get(hub, "/papers/2"), 504, outcome="error", layer="database",
                span=At("hub", "SELECT"), no_findings=["fail_closed", "masked_denial"],
                why="PostgreSQL was stopped in its tracks (SIGSTOP): asyncpg gives up after 1.5 s, and the hub answers 504.",
            )  # fmt: skip
            database.thaw()
            for service in (hub, *peers.values()):
                stage.stop(service)


def asked(stage: Stage, hub: Any, spelling: str) -> None:
    """The policy service, which the hub asks, and what the hub makes of its answers."""
    record(
        stage, f"policy-ignored-{spelling}", MARY.request(hub, "DELETE", "/papers/1"), 204, outcome="bypassed",
        layer="policy_engine", phase="authz", span=DECIDED, findings=["fail_open", "side_effect_after_denial"],
        side_effects=[["db_write", "after_denial"]],
        why="The policy service answers 403 (a clerk may not remove); the hub does not look at it, and deletes the row.",
    )  # fmt: skip
    record(
        stage, f"policy-noted-{spelling}", MARY.request(hub, "PUT", "/papers/2", {}), 403, outcome="denied",
        layer="policy_engine", phase="authz", span=DECIDED, enforced_by="hub", side_effects=[["audit", "after_denial"]],
        no_findings=["side_effect_after_denial", "fail_open"],
        why="The policy service answers 403; the hub notes it in audit_log and answers 403 itself.",
    )  # fmt: skip
    record(
        stage, f"policy-second-role-{spelling}", MARY.post(hub, "/papers", {}), 201, outcome="allowed", layer=None,
        findings=["retried"], no_findings=["fail_open", "side_effect_after_denial"],
        why="The policy service refuses a guest and permits a clerk, both asked for the same request, which goes on.",
    )  # fmt: skip


def passed_on(stage: Stage, hub: Any, spelling: str) -> None:
    record(
        stage, f"dashboard-in-part-{spelling}", MARY.get(hub, "/dashboard"), 200, outcome="partially_denied",
        layer="application", phase="authz", span=At("stock", SECRETS), findings=["uninstrumented_peer"],
        no_findings=["fail_open", "masked_denial"],
        why="One of three panels, asked for at once, is for auditors only; the page is served without it.",
    )  # fmt: skip
    record(
        stage, f"carrier-refuses-{spelling}", MARY.get(hub, "/parcels"), 403, outcome="denied", layer="external_service",
        span=At("hub", "GET"), confidence=["medium", "low"], findings=["uninstrumented_peer"],
        why="A carrier's interface without spans answers 403, and the hub hands it on.",
    )  # fmt: skip
    record(
        stage, f"token-invalid-grant-{spelling}", Caller().post(hub, "/sessions", {}), 401, outcome="denied",
        layer="identity_provider", phase="authn", span=At("identity", "POST /oauth2/token"), enforced_by="hub",
        why="The password is wrong: the token endpoint says invalid_grant, with 400 as RFC 6749 has it; the hub answers 401.",
    )  # fmt: skip
    record(
        stage, f"status-rewritten-{spelling}", Caller().get(hub, "/guests/secrets/7"), 403, outcome="denied",
        layer="application", phase="authn", span=At("stock", SECRETS), findings=["status_rewritten"],
        why="stock wants a token and answers 401; the hub makes a 403 of it.",
    )  # fmt: skip
    record(
        stage, f"batch-savepoints-{spelling}", MARY.post(hub, "/orders/batch", {}), 207, outcome="partially_denied",
        layer="database", phase="authz", span=At("hub", "INSERT", 1), reason="row-level security",
        no_findings=["fail_open", "side_effect_after_denial"],
        why="Of three rows the second is of another tenant: the policy refuses it, and the rest stays.",
    )  # fmt: skip
    record(
        stage, f"refused-after-202-{spelling}", MARY.post(hub, "/holds", {}), 202, outcome="partially_denied",
        layer="application", phase="authz", span=At("stock", "POST /holds"), no_findings=["fail_open", "masked_denial"],
        why="A background task of the same request asks stock for a safe, after the 202, and only managers may have one.",
    )  # fmt: skip
    record(
        stage, f"refused-three-times-{spelling}", MARY.get(hub, "/stubborn/7"), 403, outcome="denied", layer="application",
        phase="authz", span=At("stock", SECRETS, 2), no_findings=["retried"], findings=["relayed_by"],
        why="The hub tries three times, stock's decorator refuses each; the last attempt is the one that counts.",
    )  # fmt: skip


def record(stage: Stage, name: str, request: Any, status: int, **label: Any) -> None:
    stage.record(name, request, expect=status, entry_status=status, client_address=CLIENT, **label)
