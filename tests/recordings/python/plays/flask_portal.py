"""Flask with flask-login, its sessions in Redis under ACLs, Flask-Limiter, and SQLAlchemy with psycopg2 on PostgreSQL."""

from __future__ import annotations

import time
from typing import Any

from family import CLIENT, OLD, SHOP, STABLE, Caller
from kit.stage import At, Stage
from kit.stores import postgres, redis
from kit.tokens import SECRET

USES = ("Flask", "Flask-Login", "Flask-Limiter", "SQLAlchemy", "psycopg2-binary", "redis")
ACL = ["user default off", "user portal on >portal-secret ~session:* +get +set +client +hello +ping"]
OWN = {"outcome": "denied", "layer": "application", "enforced_by": "portal", "confidence": ["medium"]}
ANYONE = Caller()


def perform(stage: Stage) -> None:
    with postgres(SHOP) as database, redis(stage.cache, ACL) as sessions:
        stage.uses(database.versions | sessions.versions)
        url = f"postgresql://shop:shop-secret@127.0.0.1:{database.port}/shop"
        common = {"SECRET": SECRET, "DATABASE": url}
        for spelling, convention in (("old", OLD), ("stable", STABLE)):
            given = {**common, **convention, "REDIS": f"redis://portal:portal-secret@127.0.0.1:{sessions.port}"}
            portal = stage.tools.wsgi(stage, "portal", "portal:app", uses=USES, **given)
            served(stage, portal, spelling, cookie(stage, portal))
            stage.stop(portal)
            wrong = given | {"REDIS": f"redis://portal:forgotten@127.0.0.1:{sessions.port}"}
            portal = stage.tools.wsgi(stage, "portal", "portal:app", uses=USES, **wrong)
            record(
                stage, f"redis-login-{spelling}", ANYONE.form(portal, "/login", "name=mary&password=clerk-of-north"), 500,
                outcome="denied", layer="database", phase="authn", span=At("portal", "SET"), findings=["status_rewritten"],
                why="Redis knows the user portal by another password; the login itself was good, and the client sees a 500.",
            )  # fmt: skip
            stage.stop(portal)
        captured = {"OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SERVER_RESPONSE": "location", "LOGIN_PAGE": "yes"}
        portal = stage.tools.wsgi(stage, "portal", "portal:app", uses=USES, **given, **captured)
        record(
            stage, "flask-login-page", ANYONE.get(portal, "/orders"), 302, outcome="denied", layer="application", phase="authn",
            span=At("portal", "GET /orders"), findings=["masked_denial"],
            why="flask-login redirects to its login view, and the captured response header says where to.",
        )  # fmt: skip
        mary = cookie(stage, portal)
        sessions.process.terminate()
        sessions.process.wait(20)
        record(
            stage, "redis-down", ANYONE.get(portal, "/orders", Cookie=mary), 500, outcome="error", layer="database",
            span=At("portal", "GET"), confidence=["high"], no_findings=["fail_closed"],
            why="Redis was stopped: the session cannot be read, and Flask crashes with redis-py's ConnectionError.",
        )  # fmt: skip


def served(stage: Stage, portal: Any, spelling: str, mary: str) -> None:
    record(
        stage, f"flask-allowed-{spelling}", ANYONE.get(portal, "/orders", Cookie=mary), 200, outcome="no_auth_evidence",
        layer=None, no_findings=["fail_open"],
        why="flask-login found the session in Redis; a GET that succeeds says nothing of a check.",
    )  # fmt: skip
    record(
        stage, f"flask-no-session-{spelling}", ANYONE.get(portal, "/orders"), 401, **OWN, phase="authn",
        span=At("portal", "GET /orders"), why="login_required finds no session cookie and answers 401.",
    )  # fmt: skip
    record(
        stage, f"flask-wrong-password-{spelling}", ANYONE.form(portal, "/login", "name=mary&password=guess"), 401,
        outcome="denied", layer=["application", "identity_provider"], phase="authn", confidence=["medium"],
        span=At("portal", "POST /login"), why="The view compares the password itself and answers 401.",
    )  # fmt: skip
    record(
        stage, f"flask-role-{spelling}", ANYONE.request(portal, "DELETE", "/orders/1", Cookie=mary), 403, **OWN, phase="authz",
        span=At("portal", "DELETE /orders/<int:number>"),
        why="The decorator asks for the role manager; Mary is a clerk. The read of the session succeeded.",
    )  # fmt: skip
    both = (At("portal", "INSERT shop"), At("portal", "INSERT"))
    record(
        stage, f"sqlalchemy-row-policy-{spelling}", ANYONE.post(portal, "/orders", {"tenant": "south"}, Cookie=mary), 403,
        outcome="denied", layer="database", phase="authz", span=both, reason="row-level security", enforced_by="portal",
        no_findings=["side_effect_before_denial", "side_effect_after_denial"],
        why="The policy own_tenant forbids the row; the portal makes a 403 of SQLAlchemy's ProgrammingError.",
    )  # fmt: skip
    record(
        stage, f"redis-acl-{spelling}", ANYONE.post(portal, "/views", {}, Cookie=mary), 500, outcome="denied", layer="database",
        phase="authz", span=At("portal", "INCRBY"), confidence=["high"], findings=["status_rewritten"],
        no_findings=["side_effect_before_denial", "fail_open"],
        why="The ACL of Redis gives the user portal no INCRBY; redis-py raises NoPermissionError, the client sees a 500.",
    )  # fmt: skip
    stage.send(ANYONE.get(portal, "/quotes"))
    time.sleep(1)
    record(
        stage, f"flask-throttled-{spelling}", ANYONE.get(portal, "/quotes"), 429, outcome="denied", layer="rate_limiter",
        span=At("portal", "GET /quotes"), why="Flask-Limiter allows one request an hour; this was the second.",
    )  # fmt: skip


def cookie(stage: Stage, portal: Any) -> str:
    """Of a session of Mary's."""
    status, headers, _ = stage.send(ANYONE.form(portal, "/login", "name=mary&password=clerk-of-north"))
    assert status == 200
    time.sleep(1)
    return headers["set-cookie"].partition(";")[0]


def record(stage: Stage, name: str, request: Any, status: int, **label: Any) -> None:
    stage.record(name, request, expect=status, entry_status=status, client_address=CLIENT, **label)
