"""Flask that hands work to a Celery worker through Redis; the worker, or PostgreSQL behind it, refuses after the 202."""

from __future__ import annotations

from typing import Any

from family import CLIENT, OLD, SHOP, STABLE, Caller
from kit.stage import At, Stage
from kit.stores import postgres, redis

USES = ("Flask", "celery", "redis", "psycopg")
ACL = ["user default on nopass ~* &* +@all"]
PAY, BOOK = At("worker", "run/refunds.pay"), At("worker", "run/refunds.book")


def perform(stage: Stage) -> None:
    with postgres(SHOP) as database, redis(stage.cache, ACL) as broker:
        stage.uses(database.versions | broker.versions)
        given = {
            "DATABASE": f"postgresql://shop:shop-secret@127.0.0.1:{database.port}/shop",
            "REDIS": f"redis://127.0.0.1:{broker.port}/0",
        }
        for spelling, convention in (("old", OLD), ("stable", STABLE)):
            refunds = stage.tools.wsgi(stage, "refunds", "refunds:app", uses=USES, **given, **convention)
            worker = stage.tools.script(stage, "worker", "python", "celery_worker.py", uses=USES, **given, **convention)
            work(stage, refunds, spelling)
            stage.stop(worker)
            stage.stop(refunds)


def work(stage: Stage, refunds: Any, spelling: str) -> None:
    def record(name: str, path: str, body: object, **label: Any) -> None:
        request = Caller().post(refunds, path, body)
        stage.record(f"{name}-{spelling}", request, expect=202, entry_status=202, client_address=CLIENT, **label)

    record(
        "celery-done", "/refunds", {"order": 1, "amount": 20, "roles": []}, outcome="no_auth_evidence", layer=None,
        no_findings=["side_effect_before_denial", "fail_open"],
        why="A small refund needs no role; the worker's check passed and makes no span.",
    )  # fmt: skip
    record(
        "celery-refused", "/refunds", {"order": 2, "amount": 900, "roles": ["clerk"]}, outcome="partially_denied",
        layer="application", phase="authz", span=PAY, reason="need the role manager", findings=["side_effect_before_denial"],
        why="The worker notes the refund and then raises PermissionError: it is for managers only, long after the 202.",
    )  # fmt: skip
    record(
        "celery-database-refused", "/bookings", {"order": 3}, outcome="partially_denied", layer="database", phase="authz",
        span=At("worker", "UPDATE"), reason="permission denied for table ledger",
        no_findings=["side_effect_before_denial", "side_effect_after_denial"],
        why="The worker's role has no grant on ledger; the 202 had gone out before.",
    )  # fmt: skip
