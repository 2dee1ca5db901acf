"""FastAPI before a gRPC ledger (an interceptor with psycopg behind; the same on grpc.aio), with PostgreSQL."""

from __future__ import annotations

from typing import Any

from family import CLIENT, OLD, SHOP, STABLE, Caller
from kit.stage import At, Stage
from kit.stores import postgres
from kit.tokens import SECRET, bearer

USES = ("fastapi", "grpcio")
MARY = Caller(bearer("mary", roles=["clerk"], tenant="north"))
LATE = Caller(bearer("mary", lasts_s=-600))
RPC = "/shop.ledger.v1.Ledger/"


def perform(stage: Stage) -> None:
    with postgres(SHOP) as database:
        stage.uses(database.versions)
        url = f"postgresql://shop:shop-secret@127.0.0.1:{database.port}/shop"
        for spelling, convention in (("old", OLD), ("stable", STABLE)):
            given = {"SECRET": SECRET, "DATABASE": url, **convention}
            checks(stage, f"sync-{spelling}", "ledger_sync.py", given, whole=True)
            checks(stage, f"aio-{spelling}", "ledger_aio.py", given, whole=False)


def checks(stage: Stage, kind: str, script: str, given: dict[str, Any], *, whole: bool) -> None:
    ledger = stage.tools.script(stage, "ledger", "python", script, uses=("psycopg",), **given)
    teller = stage.tools.asgi(stage, "teller", "teller:app", uses=USES, LEDGER=f"127.0.0.1:{ledger.port}", **given)

    def record(name: str, caller: Caller, method: str, status: int, **label: Any) -> None:
        request = caller.get(teller, f"/accounts/north/{method}")
        stage.record(f"grpc-{name}-{kind}", request, expect=status, entry_status=status, client_address=CLIENT, **label)

    own = {"outcome": "denied", "layer": "application", "enforced_by": "ledger"}
    record(
        "allowed", MARY, "Read", 200, outcome="no_auth_evidence", layer=None, no_findings=["missing_hop", "fail_open"],
        why="The ledger's check of the token passed, and the gRPC instrumentation has no spans of it.",
    )  # fmt: skip
    record(
        "no-token", Caller(), "Read", 401, **own, phase="authn", span=At("ledger", f"{RPC}Read"), reason="token refused",
        findings=["relayed_by"], why="The ledger wants a token in the metadata and aborts with UNAUTHENTICATED.",
    )  # fmt: skip
    record(
        "role", MARY, "Close", 403, **own, phase="authz", span=At("ledger", f"{RPC}Close"), reason="needs the role manager",
        findings=["relayed_by"], why="Close needs the role manager: the ledger aborts with PERMISSION_DENIED.",
    )  # fmt: skip
    if whole:
        record(
            "expired", LATE, "Read", 401, **own, phase="authn", span=At("ledger", f"{RPC}Read"), reason="expired",
            why="The interceptor finds the token expired and aborts with UNAUTHENTICATED.",
        )  # fmt: skip
        record(
            "quota", MARY, "Export", 429, outcome="denied", layer="rate_limiter", span=At("ledger", f"{RPC}Export"),
            reason="one export a day", why="The interceptor allows no more exports today: RESOURCE_EXHAUSTED.",
        )  # fmt: skip
        record(
            "privilege", MARY, "Audit", 403, outcome="denied", layer="database", phase="authz", span=At("ledger", "SELECT"),
            reason="permission denied for table ledger", confidence=["high"], enforced_by="ledger", findings=["relayed_by"],
            why="The role shop has no grant on ledger; the servicer makes PERMISSION_DENIED of it.",
        )  # fmt: skip
        stage.stop(ledger)
        record(
            "down", MARY, "Read", 503, outcome="error", span=At("teller", f"{RPC}Read"), confidence=["high"],
            no_findings=["missing_hop", "uninstrumented_peer", "fail_closed"],
            why="The ledger was stopped: the channel is UNAVAILABLE, and the teller answers 503.",
        )  # fmt: skip
    else:
        stage.stop(ledger)
    stage.stop(teller)
